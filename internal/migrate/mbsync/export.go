package mbsync

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// Export hands an account to mbsync. Fill it, call Write, and then give the user the text of Isyncrc.
//
// UIDs are put into the names of files (mbsync's native scheme); AltMap, which has them in a Berkeley database, is not written,
// and a folder that has such a database is refused. mbsync must not run meanwhile; a run that is on is an error. mailtwin takes
// a file with a new unique name for a message that moved, so a later sync goes on without a copy; Renamed tells of each.
type Export struct {
	Name string // of the account in isyncrc, of its stores and channels

	Host                          string
	Port                          int
	TLS                           string // "tls", "starttls" or "none"
	CA, User, Auth                string // "": none
	PasswordCommand, TokenCommand string
	Cert, Key                     string   // of the client; "": none
	Disable                       []string // extensions of IMAP not to use

	Root, Layout, Inbox string // of the Maildir, as in config.toml; Root is absolute
	InfoSep             byte   // 0: ':'
	// State is a directory for the state files; "": in each folder, as with SyncState *.
	State string
	// Before15 is for mbsync before 1.5, which names mailboxes in modified UTF-7.
	Before15                    bool
	ExpungeLocal, ExpungeRemote bool // remove messages that are marked as deleted
	RemoveMailboxes             bool // empty ones that are gone on the other side

	// Folders are what is handed over. Their entries are asked for once or more, and must not come from the state files of mbsync
	// that are replaced: what Read returned is no longer readable then. A File is found with and without its UID.
	Folders []migrate.Folder
	// Seen says of a mailbox up to which remote UID mbsync shall copy nothing that is not among the entries; absent: up to the
	// highest of the entries. To let mbsync fetch a message that has no pair, give one less than its UID.
	Seen map[mail.Box]uint32
	// Validity is the UIDVALIDITY for folders that have none yet, usually the time in seconds; not 0.
	Validity uint32
	// Renamed is told of each file that has its new name, with unique names; it may be nil. Its error stops the export. A crash
	// may leave a rename untold.
	Renamed func(f migrate.Folder, from, to string) error
}

// Written is what became of a folder.
type Written struct {
	Box     mail.Box
	Pairs   int    // in the state
	Renamed int    // files that have another name now
	Missing int    // entries whose file is not in the folder; they are left out
	Skipped string // why the folder was left out; "": it was not
}

// Check says what Write would hand over, and writes nothing. Of files that are named anew or missing nothing is known yet.
func (x *Export) Check() ([]Written, error) {
	var all []Written
	for _, t := range x.targets() {
		w := Written{Box: t.Box, Skipped: t.skipped}
		if t.skipped == "" {
			for _, err := range t.Entries {
				if err != nil {
					return nil, fmt.Errorf("export mailbox %q: %w", t.Box, err)
				}
				w.Pairs++
			}
		}
		all = append(all, w)
	}
	return all, nil
}

// target is a folder with its names in mbsync.
type target struct {
	migrate.Folder
	far, near string
	state     string
	skipped   string
}

func (x *Export) infoSep() byte {
	if x.InfoSep == 0 {
		return ':'
	}
	return x.InfoSep
}

// tree is the MaildirStore that fits the layout.
func (x *Export) tree() tree {
	t := tree{path: filepath.Clean(x.Root) + "/", inbox: filepath.Join(x.Root, x.inbox()), style: "verbatim", infoSep: x.infoSep()}
	switch x.Layout {
	case "maildir++":
		t.path, t.style = "", "maildir++"
	case "flat":
		t.flatten, t.style = ".", ""
	}
	return t
}

func (x *Export) inbox() string {
	switch {
	case x.Layout == "maildir++":
		return "."
	case x.Inbox == "":
		return string(mail.Inbox)
	}
	return x.Inbox
}

// targets names all folders, and finds those that mbsync has no name for.
func (x *Export) targets() []*target {
	all := make([]*target, 0, len(x.Folders))
	states := map[string]bool{}
	for _, f := range x.Folders {
		t := &target{Folder: f}
		t.Dir = filepath.Clean(f.Dir)
		all = append(all, t)
		parts := f.Box.Components()
		for _, p := range parts {
			if strings.Contains(p, "/") {
				t.skipped = "mbsync has no way to write a mailbox with a \"/\" in its name"
			}
		}
		if t.far = strings.Join(parts, "/"); x.Before15 {
			t.far = encodeUTF7(t.far)
		}
		if t.near = x.nearName(t.Dir); t.near == "" && t.skipped == "" {
			t.skipped = fmt.Sprintf("mbsync has no name for the folder %s", t.Dir)
		}
		if strings.ContainsFunc(t.far+t.near+t.Dir, func(r rune) bool { return r < ' ' || r == 0x7f }) && t.skipped == "" {
			t.skipped = "its name has a control character, which cannot be written into an isyncrc"
		}
		if t.state = filepath.Join(t.Dir, stateFile); x.State != "" {
			t.state = filepath.Clean(x.State) + "/" + strings.ReplaceAll(x.flat(t.near), "/", "!")
		}
		switch {
		case t.skipped != "":
		case f.Distrust != "":
			t.skipped = f.Distrust
		case f.Validity == 0:
			t.skipped = "its UIDVALIDITY on the server is not known; it was never synced"
		}
		if states[t.state] && t.skipped == "" {
			t.skipped = "another mailbox has the same state file " + t.state
		}
		states[t.state] = states[t.state] || t.skipped == ""
	}
	return all
}

func (x *Export) flat(name string) string {
	if x.Layout == "flat" {
		return strings.ReplaceAll(name, "/", ".")
	}
	return name
}

// nearName is what mbsync calls a folder of the Maildir, "" if nothing.
func (x *Export) nearName(dir string) string {
	t := x.tree()
	if dir == t.inbox {
		return string(mail.Inbox)
	}
	rel, err := filepath.Rel(x.Root, dir)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return ""
	}
	name := rel
	switch x.Layout {
	case "maildir++":
		name = strings.ReplaceAll(strings.TrimPrefix(rel, "."), ".", "/")
	case "flat":
		name = strings.ReplaceAll(rel, ".", "/")
	default:
		if below, ok := strings.CutPrefix(dir, t.inbox+"/"); ok && x.inbox() != "." {
			name = "INBOX/" + below
		}
	}
	if name == string(mail.Inbox) || t.dir(name) != dir {
		return ""
	}
	return name
}

// word writes a word of an isyncrc.
func word(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// Isyncrc returns the configuration that goes with the state. It has no password in it. Mailboxes are named one by one, so that
// mbsync begins with those that mailtwin kept; write "*" for all.
func (x *Export) Isyncrc() string {
	var b strings.Builder
	line := func(key string, words ...string) {
		b.WriteString(key)
		for _, w := range words {
			b.WriteString(" " + w)
		}
		b.WriteString("\n")
	}
	line("IMAPAccount", word(x.Name))
	line("Host", word(x.Host))
	line("Port", strconv.Itoa(x.Port))
	line("User", word(x.User))
	switch {
	case x.TokenCommand != "":
		line("AuthMechs", "XOAUTH2")
		line("PassCmd", word(x.TokenCommand))
	case x.PasswordCommand != "":
		line("PassCmd", word(x.PasswordCommand))
	}
	if x.Auth != "" && x.TokenCommand == "" {
		line("AuthMechs", x.Auth)
	}
	tls := "TLSType"
	if x.Before15 {
		tls = "SSLType"
	}
	line(tls, map[string]string{"tls": "IMAPS", "starttls": "STARTTLS", "none": "None"}[x.TLS])
	if x.CA != "" {
		line("CertificateFile", word(x.CA))
	}
	if x.Cert != "" {
		line("ClientCertificate", word(x.Cert))
		line("ClientKey", word(x.Key))
	}
	if len(x.Disable) > 0 {
		line("DisableExtensions", x.Disable...)
	}
	line("\nIMAPStore", word(x.Name+"-remote"))
	line("Account", word(x.Name))
	t := x.tree()
	line("\nMaildirStore", word(x.Name+"-local"))
	if t.path != "" {
		line("Path", word(t.path))
	}
	line("Inbox", word(t.inbox))
	switch t.style {
	case "maildir++":
		line("SubFolders", "Maildir++")
	case "verbatim":
		line("SubFolders", "Verbatim")
	default:
		line("Flatten", t.flatten)
		line("SubFolders", "Verbatim") // else mbsync gives up at the sight of our own folder, which has folders in it
	}
	if x.infoSep() != ':' {
		line("InfoDelimiter", word(string([]byte{x.infoSep()})))
	}
	x.channels(&b, line)
	return b.String()
}

// channels writes a channel for the mailboxes that have one name on both sides, and one for each other.
func (x *Export) channels(b *strings.Builder, line func(string, ...string)) {
	channel := func(name, far, near string, patterns []string) {
		line("\nChannel", word(name))
		line("Far", word(":"+x.Name+"-remote:"+far))
		line("Near", word(":"+x.Name+"-local:"+near))
		for _, p := range patterns {
			line("Pattern", word(p))
		}
		line("Create", "Both")
		line("Remove", map[bool]string{true: "Both", false: "None"}[x.RemoveMailboxes])
		line("Expunge", map[[2]bool]string{{false, false}: "None", {true, false}: "Far", {false, true}: "Near", {true, true}: "Both"}[[2]bool{x.ExpungeRemote, x.ExpungeLocal}])
		if !x.ExpungeLocal && !x.ExpungeRemote && !x.Before15 {
			b.WriteString("# ExpungeSolo Both removes what was removed on the other side, as mailtwin does\n")
		}
		line("CopyArrivalDate", "yes")
		if x.State == "" {
			line("SyncState", "*")
		} else {
			line("SyncState", word(filepath.Clean(x.State)+"/"))
		}
	}
	var same []string
	n := 0
	all := x.targets()
	for _, t := range all {
		if t.skipped == "" && t.far == t.near && !strings.HasPrefix(t.far, "!") {
			same = append(same, t.far)
		}
	}
	if len(same) > 0 {
		channel(x.Name, "", "", same)
	}
	for _, t := range all {
		if t.skipped == "" && (t.far != t.near || strings.HasPrefix(t.far, "!")) {
			n++
			channel(fmt.Sprintf("%s-%d", x.Name, n), t.far, t.near, nil)
		}
	}
}
