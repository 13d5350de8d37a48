package offlineimap

import (
	"fmt"
	"path/filepath"
	"strings"

	"mailtwin/internal/imap/wire"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// Export hands an account to OfflineIMAP. Fill it, call Write, and then give the user the text of Offlineimaprc.
//
// UIDs are put into the names of files. OfflineIMAP must not run meanwhile; a run that is on is an error. mailtwin takes a file with
// a new unique name for a message that moved, so a later sync goes on without a copy; Renamed tells of each.
//
// OfflineIMAP carries the keywords for which the configuration has a letter, from the server only. Other letters, "P" for
// $Forwarded among them, it removes from the names of files in the course of its first runs; the server keeps the keywords.
type Export struct {
	Name string // of the account

	Host                          string
	Port                          int
	TLS                           string // "tls", "starttls" or "none"
	CA, User, Auth                string // "": the system's authorities; none
	PasswordCommand, TokenCommand string
	Cert, Key                     string // of the client; "": none

	Root, Layout, Inbox string // of the Maildir, as in config.toml; Root is absolute
	InfoSep             byte   // 0: ':'
	UTF8                bool   // folders are named in UTF-8 (names = "utf8"), else in modified UTF-7
	Delim               string // the server's hierarchy separator; "": "/"
	Prefix              string // of its personal namespace, which stands before each name but INBOX, with the separator at its end

	Metadata string // OfflineIMAP's directory; absolute
	// Plain writes the status as text, format 2, as OfflineIMAP 6.5.6 to 7.0 reads it; newer ones make a new one from the UIDs in
	// file names. Else it is SQLite.
	Plain bool

	// Folders are what is handed over. Their entries are asked for once or more, and must not come from the state files of
	// OfflineIMAP that are replaced: what Read returned is no longer readable then. A File is found with and without its UID.
	Folders []migrate.Folder
	// Renamed is told of each file that has its new name, with unique names; it may be nil. Its error stops the export. A crash
	// may leave a rename untold.
	Renamed func(f migrate.Folder, from, to string) error
}

// Written is what became of a folder.
type Written struct {
	Box     mail.Box
	Pairs   int    // in the status
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

// target is a folder with its names in OfflineIMAP.
type target struct {
	migrate.Folder
	remote, local         string // the name on the server, and below the root
	remoteView, localView string // what nametrans makes of them
	status                string // the name of the status file
	skipped               string
}

func (x *Export) infoSep() byte {
	if x.InfoSep == 0 {
		return ':'
	}
	return x.InfoSep
}

func (x *Export) delim() string {
	if x.Delim == "" {
		return "/"
	}
	return x.Delim
}

// sep is OfflineIMAP's option for the Maildir.
func (x *Export) sep() string {
	if x.Layout == "flat" || x.Layout == "maildir++" {
		return "."
	}
	return "/"
}

func (x *Export) repository(side string) string { return x.Name + "-" + side }

// remoteName is a mailbox as the server names it, or as OfflineIMAP has that with utf8foldernames.
func (x *Export) remoteName(box mail.Box) string {
	parts := box.Components()
	if !x.UTF8 {
		for i, p := range parts {
			parts[i] = wire.EncodeUTF7(p)
		}
	}
	name := strings.Join(parts, x.delim())
	if box == mail.Inbox || strings.HasPrefix(name, string(mail.Inbox)+x.delim()) {
		return name
	}
	if !x.UTF8 {
		return wire.EncodeUTF7(x.Prefix) + name
	}
	return x.Prefix + name
}

// targets names all folders, and finds those that OfflineIMAP has no name for.
func (x *Export) targets() []*target {
	all := make([]*target, 0, len(x.Folders))
	taken := map[string]mail.Box{}
	for _, f := range x.Folders {
		t := &target{Folder: f}
		t.Dir = filepath.Clean(f.Dir)
		all = append(all, t)
		x.name(t)
		switch {
		case t.skipped != "":
		case f.Distrust != "":
			t.skipped = f.Distrust
		case f.Validity == 0:
			t.skipped = "its UIDVALIDITY on the server is not known; it was never synced"
		}
		if t.skipped != "" {
			continue
		}
		files := []string{"status " + t.status, "remote " + fileName(t.remote), "local " + fileName(t.local)}
		for _, file := range files {
			if other, ok := taken[file]; ok {
				t.skipped = fmt.Sprintf("OfflineIMAP would keep its state and that of %q in one file", other)
			}
		}
		for _, file := range files {
			if t.skipped == "" {
				taken[file] = f.Box
			}
		}
	}
	return all
}

// name finds the names of a folder. What nametrans makes of a name gets the other side's separator, and has to come out right.
func (x *Export) name(t *target) {
	rel, err := filepath.Rel(x.Root, t.Dir)
	sep, delim := x.sep(), x.delim()
	if rel == "." {
		rel = ""
	}
	t.local, t.remote = rel, x.remoteName(t.Box)
	t.remoteView = strings.ReplaceAll(t.local, sep, delim)
	t.localView = strings.ReplaceAll(t.remote, delim, sep)
	t.status = statusName(t.local, sep)
	clash := false
	for _, p := range t.Box.Components() {
		clash = clash || strings.Contains(p, delim)
	}
	switch {
	case err != nil || rel == ".." || strings.HasPrefix(rel, "../") || sep == "." && strings.Contains(rel, "/"):
		t.skipped = fmt.Sprintf("OfflineIMAP has no name for the folder %s", t.Dir)
	case clash:
		t.skipped = fmt.Sprintf("its name has the server's separator %q in it", delim)
	case strings.ReplaceAll(t.remoteView, delim, sep) != t.local, strings.ReplaceAll(t.localView, sep, delim) != t.remote,
		sep != "/" && sep != delim && strings.Contains(t.remote, sep):
		t.skipped = fmt.Sprintf("OfflineIMAP confuses the separators %q and %q in its name", sep, delim)
	case strings.ContainsFunc(t.remote+t.Dir, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
		t.skipped = "its name has a control character, or is not UTF-8"
	case !isFileName(t.status) || !isFileName(fileName(t.remote)) || !isFileName(fileName(t.local)):
		t.skipped = "OfflineIMAP has no good name for the files of its state"
	case strings.ContainsAny(t.remote, `"`):
		t.skipped = "OfflineIMAP cannot open a mailbox with a quote in its name"
	case t.remote != strings.TrimSpace(t.remote) && t.local == t.remote:
		t.skipped = "its name begins or ends with a space"
	}
}

// isFileName reports whether a name does for files of the state: it leads nowhere else, is not too long with what is added to it, and is
// not that of a journal of another folder's database.
func isFileName(name string) bool {
	for _, suffix := range append([]string{"-shm", ".mailtwin"}, journals...) {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	return name != ".." && len(name) <= maxName-len("-journal.mailtwin") && !strings.ContainsAny(name, "/\x00")
}

// python writes a text as Python does, for the configuration.
func python(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "%", "%%").Replace(s) + "'"
}

// Offlineimaprc returns the configuration that goes with the state. It has no password in it. Mailboxes are named one by one, so that
// OfflineIMAP begins with those that mailtwin kept; without folderfilter it takes all, and mailtwin's own folder .mailtwin with them.
func (x *Export) Offlineimaprc() string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, value)
		}
	}
	plain := func(s string) string { return strings.ReplaceAll(s, "%", "%%") }
	b.WriteString("[general]\n")
	line("accounts", x.Name)
	line("metadata", plain(x.Metadata))
	fmt.Fprintf(&b, "\n[Account %s]\n", x.Name)
	line("localrepository", x.repository("local"))
	line("remoterepository", x.repository("remote"))
	if x.UTF8 {
		line("utf8foldernames", "yes")
	}
	if x.infoSep() == '!' {
		line("maildir-windows-compatible", "yes")
	}
	all := x.targets()
	fmt.Fprintf(&b, "\n[Repository %s]\n", x.repository("local"))
	line("type", "Maildir")
	line("localfolders", plain(x.Root))
	line("sep", x.sep())
	for letter, word := range x.letters() {
		if word != "" {
			line("customflag_"+string(rune('a'+letter)), plain(word))
		}
	}
	x.names(&b, all, func(t *target) (string, string) { return t.local, t.localView })
	fmt.Fprintf(&b, "\n[Repository %s]\n", x.repository("remote"))
	line("type", "IMAP")
	line("remotehost", plain(x.Host))
	line("remoteport", fmt.Sprint(x.Port))
	line("remoteuser", plain(x.User))
	switch {
	case x.TokenCommand != "":
		line("auth_mechanisms", "XOAUTH2")
		line("oauth2_access_token_eval", pythonOutput(x.TokenCommand))
	case x.PasswordCommand != "":
		line("remotepasseval", pythonOutput(x.PasswordCommand))
	}
	if x.TokenCommand == "" {
		line("auth_mechanisms", x.Auth)
	}
	yes := map[bool]string{true: "yes", false: "no"}
	line("ssl", yes[x.TLS == "tls"])
	line("starttls", yes[x.TLS == "starttls"])
	switch {
	case x.CA != "":
		line("sslcacertfile", plain(x.CA))
	case x.TLS != "none":
		line("sslcacertfile", "OS-DEFAULT")
	}
	if x.Cert != "" {
		line("sslclientcert", plain(x.Cert))
		line("sslclientkey", plain(x.Key))
	}
	x.names(&b, all, func(t *target) (string, string) { return t.remote, t.remoteView })
	return b.String()
}

// pythonOutput is the Python for the first line that a command prints.
func pythonOutput(command string) string {
	return "__import__('subprocess').check_output(['sh', '-c', " + python(command) + "]).decode().splitlines()[0]"
}

// names writes which folders take part, and those that have another name on the other side.
func (x *Export) names(b *strings.Builder, all []*target, of func(*target) (name, view string)) {
	var names, changed []string
	for _, t := range all {
		name, view := of(t)
		if t.skipped != "" {
			continue
		}
		names = append(names, python(name))
		if name != view {
			changed = append(changed, python(name)+": "+python(view))
		}
	}
	fmt.Fprintf(b, "folderfilter = lambda name: name in [%s]\n", strings.Join(names, ",\n  "))
	if len(changed) > 0 {
		fmt.Fprintf(b, "nametrans = lambda name: {%s}.get(name, name)\n", strings.Join(changed, ",\n  "))
	}
}
