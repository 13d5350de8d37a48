package maildirstore

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/mail"
)

// TestChangeFlags: names are made of what is known of messages without reading the folder, and looked up where that is wrong.
func TestChangeFlags(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files string // in INBOX
		key   mail.Key
		flags mail.System // as they are known
		want  string
		looks bool
		del   mail.System // else \Flagged is added
	}{
		"as known":                              {"cur/1.x:2,S", "1.x", mail.Seen, "cur/1.x:2,FS", false, 0},
		"none":                                  {"cur/1.x:2,", "1.x", 0, "cur/1.x:2,F", false, 0},
		"in new":                                {"new/1.x", "1.x", 0, "cur/1.x:2,F", false, 0},
		"another in new":                        {"cur/1.x:2, new/1.x", "1.x", 0, "cur/1.x:2,F new/1.x", false, 0},
		"a folder in new":                       {"cur/1.x:2, new/1.x/", "1.x", 0, "cur/1.x:2,F new/1.x/", false, 0},
		"others beside it":                      {"cur/1.x:2,S cur/2.x:2,S", "1.x", mail.Seen, "cur/1.x:2,FS cur/2.x:2,S", false, 0},
		"fewer":                                 {"cur/1.x:2,", "1.x", mail.Seen, "cur/1.x:2,F", true, 0},
		"more":                                  {"cur/1.x:2,RS", "1.x", mail.Seen, "cur/1.x:2,FRS", true, 0},
		"a letter of another tool":              {"cur/1.x:2,SX", "1.x", mail.Seen, "cur/1.x:2,FSX", true, 0},
		"without info":                          {"cur/1.x", "1.x", 0, "cur/1.x:2,F", true, 0},
		"in new with flags":                     {"new/1.x:2,R", "1.x", mail.Answered, "cur/1.x:2,FR", true, 0},
		"has it already":                        {"cur/1.x:2,FS", "1.x", mail.Flagged | mail.Seen, "cur/1.x:2,FS", true, 0},
		"had it already":                        {"cur/1.x:2,FS", "1.x", mail.Seen, "cur/1.x:2,FS", true, 0},
		"gone":                                  {"cur/2.x:2,S", "1.x", mail.Seen, "cur/2.x:2,S", true, 0},
		"a name that is none":                   {"cur/2.x:2,S", "..", 0, "cur/2.x:2,S", true, 0},
		"a name that cannot be":                 {"cur/2.x:2,S", "../../1.x", mail.Seen, "cur/2.x:2,S", true, 0},
		"the new name is a folder":              {"cur/1.x:2,S cur/1.x:2,FS/", "1.x", mail.Seen, "cur/1.x:2,FS/", true, 0},
		"removed":                               {"cur/1.x:2,FS", "1.x", mail.Flagged | mail.Seen, "cur/1.x:2,S", false, mail.Flagged},
		"the last one removed":                  {"cur/1.x:2,F", "1.x", mail.Flagged, "cur/1.x:2,", false, mail.Flagged},
		"removed of more":                       {"cur/1.x:2,FRS", "1.x", mail.Flagged | mail.Seen, "cur/1.x:2,RS", true, mail.Flagged},
		"removed with a letter of another tool": {"cur/1.x:2,FSX", "1.x", mail.Flagged | mail.Seen, "cur/1.x:2,SX", true, mail.Flagged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := tree(t, "INBOX/cur/0.x:2,")
			for _, f := range strings.Fields(test.files) {
				path := filepath.Join(root, "INBOX", f)
				make := func() error { return os.WriteFile(path, []byte("Subject: x\n\nx\n"), 0o600) }
				if strings.HasSuffix(f, "/") {
					make = func() error { return os.Mkdir(path, 0o700) }
				}
				if err := make(); err != nil {
					t.Fatal(err)
				}
			}
			looks := 0
			s := open(t, Config{Path: root, FS: tired{folder: filepath.Join(root, "INBOX/cur"), after: func() { looks++ }}})
			looks = 0
			e := mail.Entry{Key: test.key, Flags: mail.Flags{System: test.flags}}
			known, _, _ := strings.Cut(test.files, " ")
			if st, err := (osFS{}).Stat(filepath.Join(root, "INBOX", known), false); err == nil {
				e.Stamp = stampOf(st)
			}
			if _, err := s.ChangeFlags(t.Context(), "INBOX", []mail.Entry{e}, mail.Flags{System: mail.Flagged &^ test.del}, mail.Flags{System: test.del}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, sub := range []string{"cur", "new"} {
				list, err := os.ReadDir(filepath.Join(root, "INBOX", sub))
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range list {
					name := sub + "/" + f.Name()
					if f.IsDir() {
						name += "/"
					}
					got = append(got, name)
				}
			}
			got = slices.DeleteFunc(got, func(f string) bool { return f == "cur/0.x:2," })
			if test.want == "cur/1.x:2,FS/" { // it got a name of its own
				got = slices.DeleteFunc(got, func(f string) bool { return !strings.Contains(f, "1.x") })
			}
			if strings.Join(got, " ") != test.want || (looks > 0) != test.looks {
				t.Errorf("files %v, want %s; looked %d times", got, test.want, looks)
			}
		})
	}
}

// TestChangeFlagsMany: messages after one that was looked up are found too, and so are all of them afterwards.
func TestChangeFlagsMany(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S", "INBOX/cur/2.x:2,RS", "INBOX/cur/3.x:2,S", "INBOX/cur/4.x:2,")
	s := open(t, Config{Path: root})
	var list []mail.Entry
	for _, k := range []mail.Key{"1.x", "2.x", "3.x"} {
		list = append(list, mail.Entry{Key: k, Flags: mail.Flags{System: mail.Seen}})
	}
	for _, add := range []mail.System{mail.Flagged, mail.Draft} {
		if _, err := s.ChangeFlags(t.Context(), "INBOX", list, mail.Flags{System: add}, mail.Flags{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.SetFlags(t.Context(), "INBOX", []mail.Key{"4.x"}, mail.Flags{System: mail.Seen}, mail.Flags{}); err != nil {
		t.Fatal(err)
	}
	both := mail.Flagged | mail.Draft | mail.Seen
	got := entries(t, s, "INBOX")
	for k, want := range map[mail.Key]mail.System{"1.x": both, "2.x": both | mail.Answered, "3.x": both, "4.x": mail.Seen} {
		if got[k].System != want {
			t.Errorf("%s: %v", k, got[k])
		}
	}
}
