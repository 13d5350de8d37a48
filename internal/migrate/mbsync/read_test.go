package mbsync

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	settings "mailtwin/internal/config"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
	"mailtwin/internal/store/maildirstore"
)

// home is a home directory with files of mbsync's, made by the test.
type home struct {
	t   *testing.T
	dir string
}

func newHome(t *testing.T) *home { t.Helper(); return &home{t, t.TempDir()} }

// file writes a file; $HOME in its text is the home.
func (h *home) file(path, text string) {
	h.t.Helper()
	full := filepath.Join(h.dir, path)
	must(h.t, os.MkdirAll(filepath.Dir(full), 0o700))
	must(h.t, os.WriteFile(full, []byte(strings.ReplaceAll(text, "$HOME", h.dir)), 0o600))
}

// maildir makes a folder with a .uidvalidity, unless that is empty, and messages.
func (h *home) maildir(path, validity string, files ...string) {
	h.t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(h.t, os.MkdirAll(filepath.Join(h.dir, path, sub), 0o700))
	}
	if validity != "" {
		h.file(path+"/"+validityFile, validity)
	}
	for _, f := range files {
		h.file(path+"/cur/"+f, "x")
	}
}

func (h *home) getenv(name string) string {
	return map[string]string{"HOME": h.dir}[name]
}

func (h *home) try(channels ...string) ([]migrate.Old, error) {
	return Read(Options{Channels: channels, Getenv: h.getenv})
}

func (h *home) read(channels ...string) []migrate.Old {
	h.t.Helper()
	old, err := h.try(channels...)
	must(h.t, err)
	return old
}

// text shows an account as its settings and notes, without the home.
func (h *home) text(old migrate.Old) string {
	var b strings.Builder
	for _, s := range old.Settings {
		fmt.Fprintf(&b, "%s = %s", s.Key, s.Value)
		if s.Comment != "" {
			fmt.Fprintf(&b, " # %s", s.Comment)
		}
		b.WriteString("\n")
	}
	for _, n := range old.Notes {
		fmt.Fprintf(&b, "%s:%d: %s\n", n.File, n.Line, n.Text)
	}
	return strings.ReplaceAll(b.String(), h.dir, "~")
}

// account reads the settings of an account as mailtwin does.
func (h *home) account(old migrate.Old) *settings.Account {
	h.t.Helper()
	text := "[account.a]\n"
	for _, s := range old.Settings {
		text += s.Key + " = " + s.Value + "\n"
	}
	c, err := settings.Parse([]byte(text), "config.toml", h.dir)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, text)
	}
	return c.Accounts[0]
}

// boxes are the mailboxes that mailtwin sees with the settings of an account.
func (h *home) boxes(old migrate.Old) (list []mail.Box) {
	h.t.Helper()
	a := h.account(old)
	m := a.Stores[mail.Local].Maildir
	s, err := maildirstore.New(maildirstore.Config{Path: m.Path, Layout: m.Layout, Names: m.Names, Inbox: m.Inbox, InfoSep: m.InfoSeparator, ReadOnly: true})
	must(h.t, err)
	all, err := s.Boxes(h.t.Context())
	must(h.t, err)
	for _, st := range all {
		if st.Err == nil && a.Mailboxes.Has(st.Box, "") {
			list = append(list, st.Box)
		}
	}
	return list
}

// TestSettings translates configurations.
func TestSettings(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	must(t, err)
	if len(files) < 5 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			must(t, err)
			rc, want, ok := strings.Cut(string(text), "\n----\n")
			if !ok {
				t.Fatal("no ---- line")
			}
			h := newHome(t)
			h.file(".mbsyncrc", rc)
			var got strings.Builder
			for _, old := range h.read() {
				fmt.Fprintf(&got, "[account.%s]\n%s", old.Name, h.text(old))
				if !slices.Equal(old.Files, []string{h.dir + "/.mbsyncrc"}) || old.Tool != "mbsync" {
					t.Errorf("%q %q", old.Tool, old.Files)
				}
			}
			if os.Getenv("UPDATE") != "" {
				must(t, os.WriteFile(file, []byte(rc+"\n----\n"+got.String()), 0o644))
			} else if got.String() != want {
				t.Errorf("got\n%s", got.String())
			}
			if strings.Contains(got.String(), "hunter2") {
				t.Error("the password is copied")
			}
			for _, old := range h.read() {
				if old.Name != "copy" && old.Name != "twins" && old.Name != "other" { // of these the user has to write something
					h.account(old)
				}
			}
		})
	}
}

// TestConfigErrors are configurations that mbsync refuses as well; no word of a secret is told.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                           "there is no Channel in it",
		"IMAPStore a\nPass \"hunter2\n":              ".mbsyncrc:2: a quote is not closed",
		"IMAPStore a\nPass hunter2\\\n":              ".mbsyncrc:2: a backslash at the end of the line",
		"IMAPStore a\nPass\n":                        ".mbsyncrc:2: the keyword has no value",
		"IMAPStore a\nPass \\\nhunter2\n":            ".mbsyncrc:2: a backslash at the end of the line",
		"IMAPStore a\nhunter2\n":                     ".mbsyncrc:2: the keyword has no value",
		"IMAPStore a\nAccount hunter2\n":             ".mbsyncrc:2: the store refers to an account \"hunter2\", which does not come before it",
		strings.Repeat("# x\n", 2<<20):               "has over 4194304 octets",
		"Channel c\n":                                ".mbsyncrc:1: channel \"c\" has no Far",
		"IMAPStore a\nHost h\n\nChannel c\nFar a:\n": ".mbsyncrc:5: the mailbox must be written as :store:mailbox",
		"Channel c\nFar :a:\n":                       ".mbsyncrc:2: there is no store \"a\" before it",
	} {
		h := newHome(t)
		h.file(".mbsyncrc", text)
		if _, err := h.try(); err == nil || !strings.HasSuffix(err.Error(), want) || mail.HintOf(err) == "" {
			t.Errorf("%.99q: %v, want %s", text, err, want)
		}
	}
	h := newHome(t)
	if _, err := h.try(); err == nil || mail.HintOf(err) == "" {
		t.Errorf("no configuration: %v", err)
	}
	h.file(".mbsyncrc", simple)
	if _, err := h.try("nobody"); err == nil || !strings.Contains(err.Error(), `no channel or group "nobody"`) {
		t.Errorf("unknown channel: %v", err)
	}
	h.file(".config/isyncrc", "")
	if _, err := h.try(); err == nil || !strings.Contains(err.Error(), "isyncrc: there is no Channel in it") {
		t.Errorf("isyncrc goes before .mbsyncrc: %v", err)
	}
}

const simple = "SyncState *\n\nIMAPStore r\nHost h\nUser u\nSSLType IMAPS\n\nMaildirStore l\nPath ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Verbatim\n\nChannel c\nFar :r:\nNear :l:\nPatterns *\n\nGroup g c:Work,Home\n"

const header = "FarUidValidity 7\nNearUidValidity 8\nMaxPulledUid 9\nMaxPushedUid 9\n\n"

// TestDistrust reads damaged and doubtful state.
func TestDistrust(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make     func(h *home)
		distrust string // what it says; "": trusted
		entries  int
		note     string
	}{
		"sound":           {func(*home) {}, "", 3, ""},
		"no state":        {func(h *home) { must(h.t, os.Remove(h.dir+"/Mail/Work/.mbsyncstate")) }, "mbsync has no state of it", 0, ""},
		"truncated state": {func(h *home) { h.file("Mail/Work/.mbsyncstate", header+"1 1 S\n2 2 S\n3 3") }, "line 8: the last line is cut off", 0, ""},
		"empty state":     {func(h *home) { h.file("Mail/Work/.mbsyncstate", "") }, "is damaged: it ends in its header", 0, ""},
		"state is a folder": {func(h *home) {
			must(h.t, os.Remove(h.dir+"/Mail/Work/.mbsyncstate"))
			h.maildir("Mail/Work/.mbsyncstate", "")
		}, "this is no file", 0, ""},
		"no server validity":  {func(h *home) { h.file("Mail/Work/.mbsyncstate", "NearUidValidity 8\n\n1 1 S\n") }, "does not say which UIDVALIDITY", 0, ""},
		"other validity":      {func(h *home) { h.file("Mail/Work/.uidvalidity", "9\n9\n") }, "belongs to the UIDVALIDITY 8 of the folder, which has 9 now", 0, ""},
		"no .uidvalidity":     {func(h *home) { must(h.t, os.Remove(h.dir+"/Mail/Work/.uidvalidity")) }, "no file .uidvalidity", 0, ""},
		"NUL in .uidvalidity": {func(h *home) { h.file("Mail/Work/.uidvalidity", "\x00\x00\x00") }, ".uidvalidity is damaged", 0, ""},
		"AltMap": {func(h *home) {
			must(h.t, os.Remove(h.dir+"/Mail/Work/.uidvalidity"))
			h.file("Mail/Work/.isyncuidmap.db", "")
		}, "mdconvert -n", 0, ""},
		"older .uidvalidity": {func(h *home) { h.file("Mail/Work/.uidvalidity", "8\n2\n") }, "names the UID 3, and .uidvalidity says that the highest one given is 2", 0, ""},
		"a UID twice":        {func(h *home) { h.file("Mail/Work/.mbsyncstate", header+"1 1 S\n1 2 S\n") }, "names the UID 1 twice", 0, ""},
		"a local UID twice":  {func(h *home) { h.file("Mail/Work/.mbsyncstate", header+"1 1 S\n2 1 S\n") }, "names the UID 1 twice", 0, ""},
		"a file twice":       {func(h *home) { h.file("Mail/Work/cur/copy,U=2:2,S", "x") }, "", 2, "1 messages share their UID"},
		"a file is gone":     {func(h *home) { must(h.t, os.Remove(h.dir+"/Mail/Work/cur/b,U=2:2,S")) }, "", 3, ""},
		"placeholders":       {func(h *home) { h.file("Mail/Work/.mbsyncstate", header+"1 1 S\n2 2 >S\n3 3 <\n") }, "", 3, "2 messages are only placeholders"},
		"expired":            {func(h *home) { h.file("Mail/Work/.mbsyncstate", header+"1 1 ~S\n2 0 ~S\n3 3 \n4 4 ~\n") }, "", 2, "2 messages were removed from the Maildir because of MaxMessages"},
		"on one side":        {func(h *home) { h.file("Mail/Work/.mbsyncstate", header+"1 1 S\n2 0 ST\n0 3 T\n") }, "", 1, "2 messages are on one side only"},
		"old journal":        {func(h *home) { h.file("Mail/Work/.mbsyncstate.journal", "4\n- 1 1\n") }, "", 3, ""},
		"journal": {func(h *home) {
			h.file("Mail/Work/.mbsyncstate.journal", "4\n- 1 1\n* 2 2")
			h.file("Mail/Work/.mbsyncstate.new", "")
		}, "", 2, "is cut off in its last line"},
		"journal of 1.3": {func(h *home) {
			h.file("Mail/Work/.mbsyncstate.journal", "3\n- 1 1\n")
			h.file("Mail/Work/.mbsyncstate.new", "")
		}, "its version is not known", 0, ""},
		"damaged journal": {func(h *home) {
			h.file("Mail/Work/.mbsyncstate.journal", "4\n- 1 7\n")
			h.file("Mail/Work/.mbsyncstate.new", "")
		}, "is damaged: line 2: there is no entry 1 7", 0, ""},
		"first run": {func(h *home) {
			must(h.t, os.Remove(h.dir+"/Mail/Work/.mbsyncstate"))
			h.file("Mail/Work/.mbsyncstate.journal", "4\n| 7 8\n+ 1 0\n> 1 0 1\n")
			h.file("Mail/Work/.mbsyncstate.new", "")
		}, "", 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.file(".mbsyncrc", simple)
			h.maildir("Mail/Work", "8\n9\n", "a,U=1:2,S", "b,U=2:2,S", "c,U=3,other:2,S", "new one")
			h.file("Mail/Work/.mbsyncstate", header+"1 1 S\n2 2 FS\n3 3 \n")
			c.make(h)
			old := h.read()[0]
			f := old.Folders[0]
			list := entries(t, f)
			if f.Box != "Work" || f.Dir != h.dir+"/Mail/Work" || (f.Distrust == "") != (c.distrust == "") || !strings.Contains(f.Distrust, c.distrust) || len(list) != c.entries {
				t.Errorf("%+v, %d entries", f, len(list))
			}
			if (f.Validity == 7) != (f.Distrust == "") {
				t.Errorf("validity %d", f.Validity)
			}
			if notes := h.text(migrate.Old{Notes: old.Notes}); !strings.Contains(notes, c.note) {
				t.Errorf("notes %s", notes)
			}
			if name == "sound" && (list[1].File != "b,U=2" || !list[1].Flags.Equal(mail.Flags{System: mail.Seen | mail.Flagged}) || list[2].File != "c,U=3,other") {
				t.Errorf("%+v", list)
			}
			for i, e := range list {
				if e.Stub != (name == "placeholders" && i > 0) {
					t.Errorf("%+v", list)
				}
			}
			if name == "a file is gone" && list[1] != (migrate.Entry{UID: 2, Flags: mail.Flags{System: mail.Seen | mail.Flagged}}) {
				t.Errorf("%+v", list)
			}
		})
	}
}

// TestPlaces reads trees that mailtwin lays out in another way, and names that its rules read in another way.
func TestPlaces(t *testing.T) {
	t.Parallel()
	const server = "IMAPStore r\nHost h\nUser u\n\n"
	const state = "SyncState *\n\n"
	for name, c := range map[string]struct {
		rc      string
		folders map[string]string // folder: mailbox, and "!" what its distrust says
		want    string            // of the settings
	}{
		"INBOX elsewhere": {
			state + server + "MaildirStore l\nPath ~/Mail/\nSubFolders Verbatim\n\nChannel c\nFar :r:\nNear :l:\nPatterns *\n",
			map[string]string{"Maildir": "INBOX!not in the Maildir ~/Mail", "Mail/Work": "Work"},
			`local = "maildir:~/Mail"`,
		},
		"legacy": {
			state + server + "MaildirStore l\nPath ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Legacy\n\nChannel c\nFar :r:\nNear :l:\nPatterns *\n",
			map[string]string{"Mail/Work": "Work", "Mail/Work/.Sub": "Work/Sub!move it to ~/Mail/Work/Sub first"},
			"rename top/.sub",
		},
		"other names, renamed": {
			state + server + "MaildirStore l\nPath ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Verbatim\n\nChannel i\nFar :r:\nNear :l:\n\nChannel s\nFar \":r:[Gmail]/Sent Mail\"\nNear :l:sent\n",
			map[string]string{"Mail/INBOX": "INBOX", "Mail/[Gmail]/Sent Mail": "[Gmail]/Sent Mail"},
			`mailboxes = ["INBOX", "[Gmail]/Sent Mail"]`,
		},
		"other names": {
			state + server + "MaildirStore l\nPath ~/Mail/\nInbox ~/Mail/inbox\nSubFolders Verbatim\n\nChannel i\nFar :r:\nNear :l:\n\nChannel s\nFar \":r:[Gmail]/Sent Mail\"\nNear :l:sent\n",
			map[string]string{"Mail/inbox": "INBOX", "Mail/sent": "[Gmail]/Sent Mail!where mailtwin looks for the mailbox \"sent\"; move it to ~/Mail/[Gmail]/Sent Mail first"},
			"inbox = \"inbox\"\nmailboxes = [\"INBOX\", \"[Gmail]/Sent Mail\"]",
		},
		"only INBOX": {
			state + server + "MaildirStore l\nPath ~/Mail/\n\nChannel i\nFar :r:\nNear :l:work\n",
			map[string]string{"Mail/work": "INBOX"},
			"local = \"maildir:~/Mail/work\" # .mbsyncrc:7 MaildirStore\ninbox = \".\"\nmailboxes = [\"INBOX\"]",
		},
		"a directory for each account": {
			state + server + "MaildirStore l\nPath ~/Mail/\nSubFolders Verbatim\n\nChannel i\nFar :r:\nNear :l:work/Eingang\n\nChannel o\nFar :r:\nNear :l:work/\nPatterns * !INBOX !Eingang\n",
			map[string]string{"Mail/work/Eingang": "INBOX", "Mail/work/Sent": "Sent"},
			"local = \"maildir:~/Mail/work\" # .mbsyncrc:7 MaildirStore\ninbox = \"Eingang\"\nmailboxes = [\"*\", \"!INBOX\", \"!Eingang\", \"INBOX\"]",
		},
		"names in modified UTF-7": {
			state + server + "MaildirStore l\nPath ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Verbatim\n\nChannel c\nFar :r:\nNear :l:\nPatterns * !Gel&APY-scht\n",
			map[string]string{"Mail/Entw&APw-rfe": "Entwürfe", "Mail/R&D": "R&D"},
			"names = \"mutf7\"\nmailboxes = [\"*\", \"!Gelöscht\"]",
		},
		"names in UTF-8": {
			state + server + "MaildirStore l\nPath ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Verbatim\n\nChannel c\nFar :r:\nNear :l:\nPatterns *\n",
			map[string]string{"Mail/Entwürfe": "Entwürfe", "Mail/100%": "100%25", "Mail/50%20": "50%2520!move it to ~/Mail/50%2520 first"},
			"",
		},
		"a path on the server": {
			state + server + "IMAPStore p\nHost h\nUser u\nPath Lists/\n\nMaildirStore l\nPath ~/Mail/\nInbox ~/x\nSubFolders Verbatim\n\nChannel c\nFar :p:\nNear :l:\nPatterns *\n",
			map[string]string{"Mail/foo": "Lists/foo!move it to ~/Mail/Lists/foo first"},
			"Path: mailtwin has no prefix",
		},
		"the namespace as path": {
			state + server + "IMAPStore p\nHost h\nUser u\nPath INBOX.\n\nMaildirStore l\nPath ~/Mail/\nInbox ~/x\nSubFolders Verbatim\n\nChannel c\nFar :p:\nNear :l:\nPatterns *\n",
			map[string]string{"Mail/foo": "foo"},
			"",
		},
		"a prefix that is no directory": {
			state + server + "MaildirStore l\nPath ~/Mail/w-\nInbox ~/Mail/INBOX\n\nChannel c\nFar :r:\nNear :l:\nPatterns *\n",
			map[string]string{"Mail/w-foo": "foo!where mailtwin looks for the mailbox \"w-foo\"; move it to ~/Mail/foo first"},
			"",
		},
		"one state for two": {
			server + "MaildirStore l\nPath ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Verbatim\n\nChannel c\nFar :r:\nNear :l:\nPatterns *\nSyncState ~/state/\n",
			map[string]string{"Mail/a/b": "a/b!another mailbox has the same state file ~/state/a!b", "Mail/a!b": "a!b!another mailbox has the same state file"},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.file(".mbsyncrc", c.rc)
			for dir := range c.folders {
				h.maildir(dir, "8\n9\n", "a,U=1:2,S")
				h.file(dir+"/.mbsyncstate", header+"1 1 S\n")
				h.file("state/a!b", header+"1 1 S\n")
			}
			old := h.read()
			if len(old) != 1 || len(old[0].Folders) != len(c.folders) {
				t.Fatalf("%+v", old)
			}
			for _, f := range old[0].Folders {
				rel, err := filepath.Rel(h.dir, f.Dir)
				must(t, err)
				want := c.folders[rel]
				distrust := ""
				if i := strings.LastIndex(want, "!"); i >= 0 {
					want, distrust = want[:i], want[i+1:]
				}
				if name == "one state for two" {
					want, distrust = map[string]string{"Mail/a/b": "a/b", "Mail/a!b": "a!b"}[rel], "another mailbox has the same state file"
				}
				got := strings.ReplaceAll(f.Distrust, h.dir, "~")
				if distrust == "" && !slices.Contains(h.boxes(old[0]), f.Box) {
					t.Errorf("mailtwin does not see %q, only %q", f.Box, h.boxes(old[0]))
				}
				if string(f.Box) != want || !strings.Contains(got, distrust) || (got == "") != (distrust == "") {
					t.Errorf("folder %s is %q: %s", rel, f.Box, got)
				}
			}
			if text := h.text(old[0]); !strings.Contains(text, c.want) {
				t.Errorf("settings\n%s", text)
			}
		})
	}
}

// TestLostState tells of state whose folder was renamed, and of groups with mailboxes.
func TestLostState(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.file(".mbsyncrc", strings.Replace(simple, "SyncState *", "FSync yes", 1))
	h.maildir("Mail/Work", "8\n9\n", "a,U=1:2,S")
	h.maildir("Mail/Other", "8\n9\n", "a,U=1:2,S")
	h.file(".mbsync/:r:Work_:l:Work", header+"1 1 S\n")
	h.file(".mbsync/:r:Gone_:l:Gone", header+"1 1 S\n")
	h.file(".mbsync/:r:Gone_:l:Gone.lock", "")
	h.file(".mbsync/:x:Gone_:l:Gone", header+"1 1 S\n")
	old := h.read()[0]
	if text := h.text(migrate.Old{Notes: old.Notes}); strings.Count(text, "whose folder is not on disk") != 1 || !strings.Contains(text, "~/.mbsync/:r:Gone_:l:Gone:0: ") {
		t.Errorf("notes\n%s", text)
	}
	if len(old.Folders) != 2 || len(entries(t, old.Folders[1])) != 1 {
		t.Errorf("%+v", old.Folders)
	}
	if want := []string{h.dir + "/.mbsync/:r:Gone_:l:Gone", h.dir + "/.mbsync/:r:Work_:l:Work", h.dir + "/.mbsyncrc", h.dir + "/Mail/Other/.uidvalidity", h.dir + "/Mail/Work/.uidvalidity"}; !slices.Equal(old.Files, want) {
		t.Errorf("files %q", old.Files)
	}
	group := h.read("g")[0]
	if len(group.Folders) != 1 || group.Folders[0].Box != "Work" || !strings.Contains(h.text(group), `mailboxes = ["Work", "Home"]`) {
		t.Errorf("%+v", group)
	}
}

// FuzzConfig reads anything as a configuration.
func FuzzConfig(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(f, err)
		rc, _, _ := strings.Cut(string(text), "\n----\n")
		f.Add(rc)
	}
	f.Add(simple)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		sections, err := parse(text, "rc")
		if err != nil {
			return
		}
		cfg := &config{file: "/x/rc", home: dir, base: dir, state: dir + "/"}
		if cfg.build(sections) != nil {
			return
		}
		for _, c := range cfg.channels { // the tree of the fuzzer's choice is not looked at
			for _, s := range c.stores {
				s.tree.path, s.tree.inbox = dir+"/", dir
			}
		}
		for _, a := range cfg.assemble(cfg.channels) {
			if err := a.read(); err != nil {
				t.Fatal(err)
			}
			for _, s := range a.old.Settings {
				if strings.ContainsAny(s.Key+s.Value+s.Comment, "\n\r\x00") {
					t.Fatalf("%+v", s)
				}
			}
		}
	})
}
