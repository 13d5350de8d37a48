package maildirstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// saving is a file system on which a mail reader saves a draft under its name just when its stamp is asked for.
type saving struct {
	osFS
	t    *testing.T
	path string
	done *bool
}

func (f saving) Stat(path string, follow bool) (Stat, error) {
	if path == f.path && !*f.done {
		*f.done = true
		if err := os.WriteFile(path+".new", []byte("Subject: second\n\n"), 0o600); err != nil {
			f.t.Error(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			f.t.Error(err)
		}
	}
	return f.osFS.Stat(path, follow)
}

// TestStampOfWhatWasRead: a message that is saved again while it is fetched must not go with the stamp of the version that was not
// read: the edit would never be seen.
func TestStampOfWhatWasRead(t *testing.T) {
	t.Parallel()
	root := tree(t, "Drafts/cur/1.x:2,D")
	path := filepath.Join(root, "Drafts/cur/1.x:2,D")
	done := false
	s := open(t, Config{Path: root, FS: saving{t: t, path: path, done: &done}})
	err := s.Fetch(t.Context(), "Drafts", []mail.Key{"1.x"}, func(e mail.Entry, b mail.Body) error {
		text, err := io.ReadAll(b.Reader)
		if err != nil {
			return err
		}
		st, err := OS().Stat(path, false)
		if e.Stamp == stampOf(st) && !strings.Contains(string(text), "second") {
			t.Errorf("the stamp of the new version came with %q", text)
		}
		return err
	})
	if err != nil || !done {
		t.Error(done, err)
	}
}

// TestMoveNameTaken: something that is no message has the name at the target; the message gets a fresh one, and nothing is
// overwritten (DESIGN.md section 4, rule 15).
func TestMoveNameTaken(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S", "INBOX/cur/2.x:2,S", "Work/cur/9.x:2,S")
	if err := os.Symlink("nowhere", filepath.Join(root, "Work/cur/1.x:2,S")); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Path: root})
	tokens, err := s.Prepare(t.Context(), "Work", make([]mail.Entry, 2))
	if err != nil {
		t.Fatal(err)
	}
	var intents []mail.Intent
	for i, k := range []mail.Key{"1.x", "2.x"} {
		intents = append(intents, mail.Intent{Kind: mail.IntentMove, From: mail.Ref{Box: "INBOX", Key: k}, Box: "Work", Token: tokens[i]})
	}
	done, err := s.Move(t.Context(), "INBOX", intents, false)
	if err != nil || done[0].Key != mail.Key(tokens[0]) || done[1].Key != "2.x" {
		t.Fatalf("%v, %v", done, err)
	}
	if all := entries(t, s, "Work"); len(all) != 3 || all[done[0].Key].System != mail.Seen {
		t.Errorf("%v", all)
	}
}

// farApart is a file system on which each mailbox is on a disk of its own, and a mail reader sets a flag while a message is copied.
type farApart struct {
	osFS
	from, to string
}

func (f farApart) Rename(from, to string) error {
	if filepath.Dir(filepath.Dir(from)) != filepath.Dir(filepath.Dir(to)) {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: unix.EXDEV}
	}
	return f.osFS.Rename(from, to)
}

func (f farApart) Remove(path string) error {
	if path == f.from {
		_ = os.Rename(f.from, f.to)
	}
	return f.osFS.Remove(path)
}

// TestMoveFarWhileRead: a message that gets a flag while it is moved to another file system is there once, with the flag.
func TestMoveFarWhileRead(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"INBOX/cur/1.x:2,FS", "INBOX/cur/.gone"} {
		root := tree(t, "INBOX/cur/1.x:2,S", "Work/cur/9.x:2,S")
		s := open(t, Config{Path: root, FS: farApart{from: filepath.Join(root, "INBOX/cur/1.x:2,S"), to: filepath.Join(root, to)}})
		tokens, err := s.Prepare(t.Context(), "Work", make([]mail.Entry, 1))
		if err != nil {
			t.Fatal(err)
		}
		in := []mail.Intent{{Kind: mail.IntentMove, From: mail.Ref{Box: "INBOX", Key: "1.x"}, Box: "Work", Token: tokens[0]}}
		done, err := s.Move(t.Context(), "INBOX", in, false)
		here, there := entries(t, s, "INBOX"), entries(t, s, "Work")
		if moved := to != "INBOX/cur/.gone"; err != nil || (done[0].Key != "") != moved || len(here) != 0 || (len(there) == 2) != moved {
			t.Errorf("%s: %v, %v, INBOX %v, Work %v", to, done, err, here, there)
		} else if moved && there["1.x"].System != mail.Seen|mail.Flagged {
			t.Errorf("flags %v", there["1.x"])
		}
	}
}

// TestRenamedByLink: a rename by link and unlink that stopped in between left two names of one file. It is one message, under its
// key, and an effect leaves one name.
func TestRenamedByLink(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(s *Store) error{
		"flags": func(s *Store) error {
			_, err := s.SetFlags(t.Context(), "INBOX", []mail.Key{"1.x"}, mail.Flags{System: mail.Flagged}, mail.Flags{System: mail.AllSystem &^ mail.Flagged})
			return err
		},
		"delete": func(s *Store) error {
			_, err := s.Delete(t.Context(), "INBOX", []mail.Entry{{Key: "1.x"}})
			return err
		},
		"move": func(s *Store) error {
			_, err := s.Move(t.Context(), "INBOX", []mail.Intent{{Kind: mail.IntentMove, From: mail.Ref{Box: "INBOX", Key: "1.x"}, Box: "Work", Token: "1.AAAAAAAAAAAA.mt"}}, false)
			return err
		},
	} {
		for _, link := range []string{"new/1.x", "cur/1.x:2,", "cur/1.x:2,F"} {
			root := tree(t, "INBOX/cur/1.x:2,S", "Work/cur/2.x:2,S")
			if err := os.Link(filepath.Join(root, "INBOX/cur/1.x:2,S"), filepath.Join(root, "INBOX", link)); err != nil {
				t.Fatal(err)
			}
			young := open(t, Config{Path: root})
			if _, err := young.SetFlags(t.Context(), "INBOX", []mail.Key{"1.x"}, mail.Flags{System: mail.Answered}, mail.Flags{}); err != nil {
				t.Fatal(err)
			}
			if n := len(readDir(t, root, "INBOX/new")) + len(readDir(t, root, "INBOX/cur")); n != 2 {
				t.Errorf("%s: %d names are left while a mail reader may be about to remove one", link, n)
			}
			s := open(t, Config{Path: root, Now: func() time.Time { return time.Now().Add(2 * linkSettled) }})
			if all := entries(t, s, "INBOX"); len(all) != 1 || all["1.x"].Empty() {
				t.Fatalf("%s: shown %v", link, all)
			}
			if err := act(s); err != nil {
				t.Fatal(name, link, err)
			}
			got, want := entries(t, s, "INBOX"), map[string]int{"flags": 1}[name]
			if _, ok := got["1.x"]; len(got) != want || ok != (want == 1) || want == 1 && got["1.x"].System != mail.Flagged {
				t.Errorf("%s, %s: INBOX has %v", name, link, got)
			}
			if got, want := len(entries(t, s, "Work"))+len(removed(t, s)), 2; name != "flags" && got != want {
				t.Errorf("%s, %s: %d messages elsewhere, want %d", name, link, got, want)
			}
		}
	}
}

func readDir(t *testing.T, parts ...string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// moving is a file system on which a mail reader takes a message from new to cur after new was read.
type moving struct {
	osFS
	root string
}

func (f moving) Each(path string, fn func(string, fs.FileMode) error) error {
	err := f.osFS.Each(path, fn)
	if filepath.Base(path) == "new" {
		_ = os.Rename(filepath.Join(f.root, "INBOX/new/1.x"), filepath.Join(f.root, "INBOX/cur/1.x:2,S"))
	}
	return err
}

// TestSeenInNewAndCur: a message that is taken from new to cur between the reading of the two keeps its key.
func TestSeenInNewAndCur(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/new/1.x")
	s := open(t, Config{Path: root, FS: moving{root: root}})
	b, err := s.box(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	files, err := s.names(t.Context(), b)
	if err != nil || files.len() != 1 || files.key(0) != "1.x" || !files.file(0).cur {
		t.Errorf("%+v, %v", files, err)
	}
}

// TestSampleBeforeDelete: nothing is removed where the first or the last message is not the one that was synced (DESIGN.md section 4,
// rule 9).
func TestSampleBeforeDelete(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S", "INBOX/cur/2.x:2,S", "INBOX/cur/3.x:2,S")
	s := open(t, Config{Path: root})
	keys := []mail.Key{"1.x", "2.x", "3.x"}
	for _, other := range []int{0, 2} {
		list := make([]mail.Entry, 0, len(keys))
		err := s.Identify(t.Context(), "INBOX", keys, true, func(k mail.Key, id mail.Ident) error {
			list = append(list, mail.Entry{Key: k, Ident: id})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		list[other].Ident.Digest[0] ^= 1
		if _, err := s.Delete(t.Context(), "INBOX", list); !errors.Is(err, store.ErrEpoch) {
			t.Errorf("message %d is another one: %v", other, err)
		}
	}
	if n := len(entries(t, s, "INBOX")); n != len(keys) {
		t.Errorf("%d messages are left", n)
	}
}

// TestFlagsNameTaken: another message has the name that a message would get with its flags; it gets a fresh one, and both stay (DESIGN.md
// section 4, rule 15).
func TestFlagsNameTaken(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/new/6.twice", "INBOX/cur/6.twice:2,S")
	s := open(t, Config{Path: root})
	var keys []mail.Key
	for k := range entries(t, s, "INBOX") {
		keys = append(keys, k)
	}
	if _, err := s.SetFlags(t.Context(), "INBOX", keys, mail.Flags{System: mail.Seen}, mail.Flags{}); err != nil {
		t.Fatal(err)
	}
	got := entries(t, s, "INBOX")
	for k, f := range got {
		if f.System != mail.Seen {
			t.Errorf("%q has %v", k, f)
		}
	}
	if len(got) != 2 {
		t.Errorf("%v", got)
	}
}
