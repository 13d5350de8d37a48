package offlineimap

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/migrate"
)

const simple = `[general]
accounts = a

[Account a]
localrepository = l
remoterepository = r

[Repository l]
type = Maildir
localfolders = ~/Mail
sep = /

[Repository r]
type = IMAP
remotehost = imap.example.com
remoteuser = me
remotepassfile = ~/.pass
`

const (
	sqliteDir   = ".offlineimap/Account-a/LocalStatus-sqlite/"
	plainDir    = ".offlineimap/Account-a/LocalStatus/"
	validityDir = ".offlineimap/Repository-r/FolderValidity/"
)

// named is a file name of OfflineIMAP's.
func named(name string, uid int, folder, flags string) string {
	return fmt.Sprintf("%s,U=%d,FMD5=%s:2,%s", name, uid, fmd5(folder), flags)
}

// status makes a database with rows.
func (h *home) status(folder string, rows ...string) {
	h.t.Helper()
	text := sqlite2
	for _, r := range rows {
		uid, flags, _ := strings.Cut(r, " ")
		text += fmt.Sprintf("INSERT INTO status VALUES (%s, '%s', 0, '');", uid, flags)
	}
	database(h.t, filepath.Join(h.dir, sqliteDir, folder), text)
}

// show shows a folder: its mailbox, validity, why it is not believed, and its entries.
func show(t *testing.T, f migrate.Folder) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d", f.Box, f.Validity)
	for e, err := range f.Entries {
		must(t, err)
		fmt.Fprintf(&b, "; %d %s %s", e.UID, e.File, e.Flags)
	}
	if f.Distrust != "" {
		fmt.Fprintf(&b, "; distrust: %s", f.Distrust)
	}
	return b.String()
}

// TestFmd5 checks the names of folders in file names against those that OfflineIMAP made.
func TestFmd5(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"INBOX": "7e33429f656f1e6e9d79b29c3f82c57e", "G&AOQ-ste": "81dfa59b41e8307865c55e2250d1a7f9", "Gäste": "6e0a3a1e0ece32ec07dc2eeed2140578"} {
		if got := fmd5(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, want := range map[string]string{"": "dot", "/": "dot", "a/b": "a.b", "a.b": "a.b", ".": "dot", "..": "..", "Work": "Work"} {
		if got := fileName(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// TestUIDIn reads UIDs in file names, which count only with the folder's FMD5.
func TestUIDIn(t *testing.T) {
	t.Parallel()
	own, other := fmd5("INBOX"), fmd5("Work")
	for name, want := range map[string]struct {
		uid     uint32
		foreign bool
	}{
		"1_0.2.h,U=7,FMD5=" + own + ":2,S":         {7, false},
		"1_0.2.h,S=5,U=7,W=6,FMD5=" + own + ":2,S": {7, false},
		"1_0.2.h,FMD5=" + own + ",U=7:2,S":         {7, false},
		"1_0.2.h,U=7,U=8,FMD5=" + own + ":2,S":     {7, false},
		"1_0.2.h,U=7,FMD5=" + other + ":2,S":       {0, true},
		"1_0.2.h,U=7:2,S":                          {0, false},
		"1_0.2.h,U=,FMD5=" + own + ":2,S":          {0, false},
		"1_0.2.h,U=x,U=9,FMD5=" + own:              {9, false},
		"1_0.2.h,U=99999999999,FMD5=" + own:        {0, true},
		"1_0.2.h":                                  {0, false},
	} {
		if uid, foreign := uidIn(name, own); uid != want.uid || foreign != want.foreign {
			t.Errorf("%s: %d %v", name, uid, foreign)
		}
	}
}

// TestState reads whole and damaged states of one or two folders.
func TestState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(h *home)
		want []string // by folder, in the order of names
		note string   // part of a note; "": there is none about state
	}{
		"whole": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "FS"), named("b", 2, "Work", ""))
			h.file("Mail/Work/new/"+named("c", 3, "Work", "DR"), "x")
			h.status("Work", "1 FS", "2 ", "3 DR")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W (\Flagged \Seen); 2 b,U=2,FMD5=W (); 3 c,U=3,FMD5=W (\Answered \Draft)`}, ""},
		"plain 1": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(plainDir+"Work", plainHead1+"\n1:S\n")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W (\Seen)`}, ""},
		"plain 2": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(plainDir+"Work", plainHead2+"\n1|FT|17|x, y\n")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W (\Deleted \Flagged)`}, ""},
		"plain cut": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(plainDir+"Work", plainHead2+"\n1|FT|17")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W ()`}, "Work is damaged: line 2 is cut off; the UIDs in file names are used"},
		"plain twice": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(plainDir+"Work", plainHead2+"\n1|FT|17|\n2||0|\n1|S|0|\n")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W ()`}, "Work names the UID 1 twice; the UIDs in file names are used"},
		"database is garbage": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(sqliteDir+"Work", strings.Repeat("garbage ", 600))
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W ()`}, "Work is damaged: file is not a database (26); the UIDs in file names are used"},
		"database is garbage, and no UIDs": {func(h *home) {
			h.maildir("Mail/Work", "a:2,S")
			h.file(sqliteDir+"Work", strings.Repeat("garbage ", 600))
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; distrust: the status ~/` + sqliteDir + `Work is damaged: file is not a database (26)`}, ""},
		"database wins": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(plainDir+"Work", plainHead1+"\n1:FS\n2:\n")
			h.status("Work", "1 S")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W (\Seen)`}, ""},
		"upgrade stopped": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(plainDir+"Work", plainHead1+"\n1:\n2:\n3:\n4:\n5:\n6:\n7:\n8:\n9:\n10:\n11:\n12:\n")
			h.status("Work", "1 S")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; distrust: the status ~/` + sqliteDir + `Work has 1 messages, and the older ~/` + plainDir + `Work has 12: an upgrade of OfflineIMAP was stopped half way`}, ""},
		"message gone": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.status("Work", "1 S", "2 S")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W (\Seen); 2  (\Seen)`}, "1 messages of the status have no file"},
		"not in the status": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"), named("b", 2, "Work", "S"))
			h.status("Work", "1 S")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W (\Seen); 2 b,U=2,FMD5=W ()`}, "1 files have a UID and are not in the status"},
		"status missing": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W ()`}, "the status is missing"},
		"given the name on the server": {func(h *home) {
			h.file(".offlineimaprc", simple+"nametrans = lambda f: re.sub('^.Gmail./', '', f)\n")
			h.maildir("Mail/[Gmail]/Work", named("a", 1, "Work", "S"))
			h.status("Work", "1 S")
			h.file(validityDir+"[Gmail].Work", "8\n")
		}, []string{`[Gmail]/Work 8; 1 a,U=1,FMD5=W (\Seen)`}, ""},
		"status empty": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(sqliteDir+"Work", "")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W ()`}, "1 files have a UID and are not in the status"},
		"one UID twice": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"), named("b", 1, "Work", "S"), named("c", 2, "Work", "S"))
			h.status("Work", "1 S", "2 ")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 2 c,U=2,FMD5=W ()`}, "2 files share their UID"},
		"moved here": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"), named("b", 2, "INBOX", "S"))
			h.status("Work", "1 S")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W (\Seen)`}, "1 files have a UID of another folder"},
		"renamed": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Old", "S"))
			h.status("Work", "1 S")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; distrust: its files have UIDs of another folder in their names: it was renamed or moved, or nametrans was changed`}, ""},
		"no validity": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.status("Work", "1 S")
		}, []string{`Work 0; distrust: OfflineIMAP has saved no UIDVALIDITY of a mailbox that becomes this folder, so it is not known which state is its own`}, ""},
		"validity damaged": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.status("Work", "1 S")
			h.file(validityDir+"Work", "x\n")
		}, []string{`Work 0; distrust: ~/` + validityDir + `Work is damaged: it should hold a number`}, ""},
		"one file": {func(h *home) {
			h.maildir("Mail/a/b", named("a", 1, "a/b", "S"))
			h.maildir("Mail/a.b", named("a", 1, "a.b", "S"))
			h.status("a.b", "1 S")
			h.file(validityDir+"a.b", "8\n")
		}, []string{`a.b 8; distrust: OfflineIMAP keeps the`, `a/b 8; distrust: OfflineIMAP keeps the`}, ""},
		"folder gone": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.status("Work", "1 S")
			h.status("Gone", "1 S")
			h.file(validityDir+"Work", "8\n")
			h.file(validityDir+"Gone", "8\n")
			h.file(".offlineimap/Repository-l/FolderValidity/Work", "42\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W (\Seen)`}, "the state of a folder that is not on disk"},
		"status is a pipe's place": {func(h *home) {
			h.maildir("Mail/Work", named("a", 1, "Work", "S"))
			h.file(sqliteDir+"Work/x", "")
			h.file(validityDir+"Work", "8\n")
		}, []string{`Work 8; 1 a,U=1,FMD5=W ()`}, "Work: this is no file; the UIDs in file names are used"},
		"Maildir gone": {func(h *home) {
			h.status("Work", "1 S")
			h.file(validityDir+"Work", "8\n")
		}, nil, "the state of a folder that is not on disk"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.file(".offlineimaprc", simple)
			c.make(h)
			before := h.tree()
			old := h.read()[0]
			slices.SortFunc(old.Folders, func(a, b migrate.Folder) int { return strings.Compare(string(a.Box), string(b.Box)) })
			if len(old.Folders) != len(c.want) {
				t.Fatalf("%d folders", len(old.Folders))
			}
			for i, f := range old.Folders {
				got := strings.NewReplacer(h.dir, "~", fmd5("Work"), "W").Replace(show(t, f))
				if got != c.want[i] && (len(c.want) == 1 || !strings.HasPrefix(got, c.want[i])) {
					t.Errorf("got  %s\nwant %s", got, c.want[i])
				}
			}
			var notes []string
			for _, n := range old.Notes {
				if n.File != h.dir+"/.offlineimaprc" {
					notes = append(notes, n.Text)
				}
			}
			if len(notes) > 0 && (c.note == "" || !strings.Contains(notes[0], c.note)) || len(notes) == 0 && c.note != "" {
				t.Errorf("notes %q", notes)
			}
			must(t, filepath.WalkDir(h.dir+"/.offlineimap", func(path string, d os.DirEntry, err error) error {
				if err == nil && d.Type().IsRegular() && filepath.Base(filepath.Dir(path)) != "Work" && !slices.Contains(old.Files, path) {
					t.Errorf("%s is not in the backup", path)
				}
				return err
			}))
			for _, file := range old.Files {
				if _, err := os.Stat(file); err != nil || !filepath.IsAbs(file) {
					t.Errorf("for the backup: %v", err)
				}
			}
			if h.tree() != before {
				t.Error("reading changed something")
			}
		})
	}
}

// tree is all files with their contents.
func (h *home) tree() string {
	h.t.Helper()
	var b strings.Builder
	must(h.t, filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, data)
		return err
	}))
	return b.String()
}

// TestServersNames finds the mailboxes of folders through nametrans, whatever separator the server has.
func TestServersNames(t *testing.T) {
	t.Parallel()
	courier := "nametrans = lambda f: re.sub('^INBOX\\.', '', f)\n"
	for name, c := range map[string]struct {
		sep, remote, local string
		dirs, validity     []string
		want               []string // mailbox and folder; "!" before what is not believed
	}{
		"courier":        {".", courier, "", []string{"INBOX", "Work", "Work.Sub"}, []string{"INBOX", "INBOX.Work", "INBOX.Work.Sub"}, []string{"INBOX INBOX", "Work Work", "Work/Sub Work.Sub"}},
		"courier, as is": {".", "", "", []string{"INBOX", "INBOX.Work"}, []string{"INBOX", "INBOX.Work"}, []string{"INBOX INBOX", "!Work INBOX.Work"}},
		"courier nested": {"/", courier, "", []string{"INBOX", "Work", "Work/Sub"}, []string{"INBOX", "INBOX.Work", "INBOX.Work.Sub"}, []string{"INBOX INBOX", "Work Work", "Work/Sub Work/Sub"}},
		"dots":           {"/", "", "", []string{"INBOX", "a.b", "a.b/c"}, []string{"INBOX", "a.b", "a.b.c"}, []string{"INBOX INBOX", "a.b a.b", "a.b/c a.b/c"}},
		"gmail":          {"/", "nametrans = lambda f: {'[Gmail]/Sent Mail': 'Sent'}.get(f, f)\n", "", []string{"INBOX", "Sent"}, []string{"INBOX", "[Gmail].Sent Mail"}, []string{"INBOX INBOX", "![Gmail]/Sent Mail Sent"}},
		"two become one": {"/", "nametrans = lambda f: f.replace('Sent Mail', 'Sent')\n", "", []string{"Sent"}, []string{"Sent", "Sent Mail"}, []string{"!Sent Sent"}},
		"root":           {".", "nametrans = lambda f: '' if f == 'INBOX' else '.' + f\n", "nametrans = lambda f: f[1:] or 'INBOX'\n", []string{".", ".Work", ".Work.Sub"}, []string{"INBOX", "Work", "Work.Sub"}, []string{"INBOX .", "Work .Work", "Work/Sub .Work.Sub"}},
		"utf-7":          {"/", "", "", []string{"INBOX", "Entw&APw-rfe", "A&-B"}, []string{"INBOX", "Entw&APw-rfe", "A&-B"}, []string{"A&B A&-B", "Entwürfe Entw&APw-rfe", "INBOX INBOX"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.file(".offlineimaprc", strings.NewReplacer("sep = /\n", "sep = "+c.sep+"\n"+c.local, "type = IMAP\n", "type = IMAP\n"+c.remote).Replace(simple))
			for _, d := range c.dirs {
				h.maildir("Mail/" + d)
			}
			for _, v := range c.validity {
				h.file(validityDir+v, "8\n")
			}
			var got []string
			old := h.read()[0]
			for _, f := range old.Folders {
				rel, err := filepath.Rel(h.dir+"/Mail", f.Dir)
				must(t, err)
				s := fmt.Sprintf("%s %s", f.Box, rel)
				if f.Distrust != "" {
					s = "!" + s
				}
				got = append(got, s)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q\n%s", got, h.text(old))
			}
			seen := h.boxes(old)
			for _, f := range old.Folders {
				if f.Distrust == "" && !slices.Contains(seen, f.Box) {
					t.Errorf("mailtwin does not see %q, only %q", f.Box, seen)
				}
			}
		})
	}
}
