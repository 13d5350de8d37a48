package maildirstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

func listBoxes(t *testing.T, s *Store) map[mail.Box]store.Status {
	t.Helper()
	list, err := s.Boxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := map[mail.Box]store.Status{}
	for _, st := range list {
		m[st.Box] = st
	}
	return m
}

// A link in place of a message must not carry a file from outside to the server.
func TestOddLinkedMessage(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("Subject: secret\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(root, "INBOX/cur/2")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(root, "INBOX/cur/3"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Path: root})
	if all := entries(t, s, "INBOX"); len(all) != 1 {
		t.Errorf("shown: %v", all)
	}
	err := s.Fetch(t.Context(), "INBOX", []mail.Key{"2", "3"}, func(e mail.Entry, _ mail.Body) error {
		return fmt.Errorf("fetched %q", e.Key)
	})
	if err != nil {
		t.Error(err)
	}
}

// A link in place of cur must not be followed outside.
func TestOddLinkedCur(t *testing.T) {
	t.Parallel()
	outside := tree(t, "X/cur/1")
	for _, sub := range []string{"cur", "new"} {
		root := tree(t, "INBOX/cur/1", "Work/cur/5", "Odd/cur/1")
		_ = os.Remove(filepath.Join(root, "Work/cur/5"))
		if err := os.Remove(filepath.Join(root, "Work", sub)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(outside, "X/cur"), filepath.Join(root, "Work", sub)); err != nil {
			t.Fatal(err)
		}
		s := open(t, Config{Path: root})
		if st, ok := listBoxes(t, s)["Work"]; ok && st.Err == nil {
			t.Errorf("Work is listed without an error though its %s is a link", sub)
		}
		if v, err := s.View(t.Context(), "Work", ""); err == nil {
			for e := range v.(mail.Whole).All {
				t.Errorf("%s: shows %q of a folder outside", sub, e.Key)
			}
		}
	}
}

func TestOddFifoCur(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1")
	_ = os.Mkdir(filepath.Join(root, "Odd"), 0o700)
	if err := unix.Mkfifo(filepath.Join(root, "Odd/cur"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Path: root})
	if st, ok := listBoxes(t, s)["Odd"]; ok && st.Err == nil {
		t.Errorf("Odd is listed without an error: %+v", st)
	}
}

// The real folder gives the name, not the link to it, in whatever order the folder is read.
func TestOddLinkOrder(t *testing.T) {
	t.Parallel()
	for i := range 12 {
		alias := fmt.Sprintf("A%dlias", i)
		for _, to := range []string{"Work", "."} {
			root := tree(t, "INBOX/cur/1", "Work/cur/5", "Work/Sub/cur/1")
			if err := os.Symlink(to, filepath.Join(root, alias)); err != nil {
				t.Fatal(err)
			}
			list := listBoxes(t, open(t, Config{Path: root}))
			for _, b := range []mail.Box{"INBOX", "Work", "Work/Sub"} {
				if st, ok := list[b]; !ok || st.Err != nil {
					t.Errorf("%s -> %s: %q is missing from %v", alias, to, b, list)
				}
			}
			if len(list) != 3 {
				t.Errorf("%s -> %s: %d mailboxes: %v", alias, to, len(list), list)
			}
		}
	}
}

// A name that is not in NFC comes back as it was made, else the engine sees one mailbox vanish and another come.
func TestOddNFD(t *testing.T) {
	t.Parallel()
	for _, n := range namings {
		for _, c := range []string{"Entwu\u0308rfe", "e\u0301", "\u212b", "\u1112\u1161\u11ab", "\n\u0300", ".\u0301x", "a/\u0307", "a.\u0301"} {
			box := mail.JoinBox([]string{c})
			dir, err := n.dir(box)
			if err != nil {
				continue
			}
			if back, ok := n.box(dir); !ok || back != box {
				t.Errorf("%+v: %+q is in %+q, which is %+q", n, box, dir, back)
			}
		}
	}
}

// A new process settles intents before it lists mailboxes; a folder that is not spelled as we would is found all the same.
func TestOddSettleForeignFolder(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"100%", "Inbox", "a%2eb"} {
		root := tree(t, dir+"/cur/1")
		s := open(t, Config{Path: root})
		var box mail.Box
		for name, st := range listBoxes(t, s) {
			if st.Err == nil {
				box = name
			}
		}
		e := mail.Entry{Flags: mail.Flags{System: mail.Seen}}
		tokens, err := s.Prepare(t.Context(), box, []mail.Entry{e})
		if err != nil {
			t.Fatal(err)
		}
		in := []mail.Intent{{Box: box, Token: tokens[0], Entry: e}}
		_, err = s.Put(t.Context(), box, in, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
			return each(0, e, mail.Body{Size: 4, Reader: strings.NewReader("a\r\n\n")})
		})
		if err != nil {
			t.Fatal(err)
		}
		again := open(t, Config{Path: root})
		done, err := again.Settle(t.Context(), in, nil)
		if err != nil || done[0].Key == "" {
			t.Errorf("%q (folder %q): not settled: %v %v", box, dir, done, err)
		}
		third := open(t, Config{Path: root})
		if _, err := third.View(t.Context(), box, ""); err != nil {
			t.Errorf("%q (folder %q): view before list: %v", box, dir, err)
		}
		fourth := open(t, Config{Path: root})
		if err := fourth.CreateBox(t.Context(), box, ""); err != nil {
			t.Errorf("create: %v", err)
		}
		if list := listBoxes(t, fourth); len(list) != 1 || list[box].Err != nil {
			t.Errorf("%q (folder %q): created beside itself: %v", box, dir, list)
		}
	}
}

// A move that did not happen is not settled by a message of the same name that belongs to a pair.
func TestOddSettleMoveTaken(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S", "Work/cur/1.x:2,S")
	s := open(t, Config{Path: root})
	tokens, err := s.Prepare(t.Context(), "Work", make([]mail.Entry, 1))
	if err != nil {
		t.Fatal(err)
	}
	in := []mail.Intent{{Kind: mail.IntentMove, From: mail.Ref{Box: "INBOX", Key: "1.x"}, Box: "Work", Token: tokens[0]}}
	if err := os.Remove(filepath.Join(root, "INBOX/cur/1.x:2,S")); err != nil {
		t.Fatal(err)
	}
	done, err := s.Settle(t.Context(), in, func(r mail.Ref) bool { return r == mail.Ref{Box: "Work", Key: "1.x"} })
	if err != nil || done[0].Key != "" {
		t.Errorf("settled as %q, which belongs to a pair; %v", done[0].Key, err)
	}
}

// A file that shrinks or grows between the two passes is an error of its reader, never a message of another length.
func TestOddChangesWhileRead(t *testing.T) {
	t.Parallel()
	for _, change := range []func(string) error{
		func(p string) error { return os.Truncate(p, 100_000) },
		func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("more\n")
			return errors.Join(err, f.Close())
		},
		func(p string) error { // same length, other line ends
			return os.WriteFile(p, bytes.Repeat([]byte("x"), 200_000), 0o600)
		},
	} {
		root := tree(t, "INBOX/cur/1")
		path := filepath.Join(root, "INBOX/cur/1")
		if err := os.WriteFile(path, bytes.Repeat([]byte("123456789\n"), 20_000), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, Config{Path: root})
		err := s.Fetch(t.Context(), "INBOX", []mail.Key{"1"}, func(_ mail.Entry, b mail.Body) error {
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, b.Reader)
			if err == nil && n != b.Size {
				t.Errorf("%d bytes without an error, the body says %d", n, b.Size)
			}
			if err == nil && n == b.Size {
				t.Log("same size")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Effects while a view is read do not race with it.
func TestOddViewAndEffects(t *testing.T) {
	t.Parallel()
	var paths []string
	var keys []mail.Key
	for i := range 300 {
		k := fmt.Sprintf("%04d.x", i)
		paths, keys = append(paths, "INBOX/cur/"+k+":2,"), append(keys, mail.Key(k))
	}
	s := open(t, Config{Path: tree(t, paths...)})
	v, err := s.View(t.Context(), "INBOX", "")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.SetFlags(t.Context(), "INBOX", keys, mail.Flags{System: mail.Seen}, mail.Flags{}); err != nil {
			t.Error(err)
		}
	})
	n := 0
	for e, err := range v.(mail.Whole).All {
		if err != nil || e.Key == "" {
			t.Errorf("%+v, %v", e, err)
		}
		n++
	}
	wg.Wait()
	if n != 300 {
		t.Errorf("%d messages", n)
	}
}

// Letters whose meaning is unknown go along with a move.
func TestOddMoveKeepsLetters(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,9SZ", "Work/cur/2")
	s := open(t, Config{Path: root})
	for _, keep := range []bool{true, false} {
		tokens, err := s.Prepare(t.Context(), "Work", make([]mail.Entry, 1))
		if err != nil {
			t.Fatal(err)
		}
		in := []mail.Intent{{Kind: mail.IntentMove, From: mail.Ref{Box: "INBOX", Key: "1.x"}, Box: "Work", Token: tokens[0]}}
		done, err := s.Move(t.Context(), "INBOX", in, keep)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(root, "Work/cur", string(done[0].Key)+":2,9SZ")); err != nil {
			t.Errorf("keep %v: %v", keep, err)
		}
	}
}

// Two files of one unique name: an effect on one leaves the other's key alone.
func TestOddTwinKeysDoNotSwap(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/new/6.twice", "INBOX/cur/6.twice:2,S")
	s := open(t, Config{Path: root})
	digest := func() map[mail.Key]mail.Hash {
		m := map[mail.Key]mail.Hash{}
		var keys []mail.Key
		for k := range entries(t, s, "INBOX") {
			keys = append(keys, k)
		}
		err := s.Identify(t.Context(), "INBOX", keys, true, func(k mail.Key, id mail.Ident) error {
			m[k] = id.Digest
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	before := digest()
	for key := range before {
		if _, err := s.SetFlags(t.Context(), "INBOX", []mail.Key{key}, mail.Flags{System: mail.Answered}, mail.Flags{}); err != nil {
			t.Fatal(err)
		}
		for k, d := range digest() {
			if was, ok := before[k]; ok && was != d {
				t.Errorf("after setting flags of %q, key %q is another message", key, k)
			}
		}
	}
}

// Attic: two messages of one name stay two; the date folder and the box are not Maildirs.
func TestOddAttic(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S")
	s := open(t, Config{Path: root})
	for range 3 {
		if _, err := s.Delete(t.Context(), "INBOX", []mail.Entry{{Key: "1.x"}}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "INBOX/cur/1.x:2,S"), []byte("Subject: x\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	err := filepath.WalkDir(filepath.Join(root, ".mailtwin/attic"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		if d.IsDir() && (d.Name() == "cur" || d.Name() == "new" || d.Name() == "tmp") {
			t.Errorf("a folder %q in the attic", d.Name())
		}
		return err
	})
	if err != nil || n != 3 {
		t.Errorf("%d in the attic, %v", n, err)
	}
}

// locked is a file system on which some folders cannot be read.
type locked struct {
	osFS
	names []string
}

func (f locked) Each(path string, fn func(string, fs.FileMode) error) error {
	if slices.Contains(f.names, filepath.Base(path)) {
		return &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	return f.osFS.Each(path, fn)
}

// TestOddUnreadable: a folder that cannot be read is told, and the other mailboxes are there.
func TestOddUnreadable(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1", "Secret/cur/1", "Secret/Sub/cur/1", "Work/cur/1")
	for _, name := range []string{"lost+found", "Empty"} {
		if err := os.Mkdir(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Config{Path: root, FS: locked{names: []string{"Secret", "lost+found"}}})
	list := listBoxes(t, s)
	if len(list) != 3 || list["INBOX"].Err != nil || list["Work"].Err != nil || mail.HintOf(list["Secret"].Err) == "" {
		t.Errorf("%v", list)
	}
	if _, err := s.View(t.Context(), "Secret", ""); err == nil || errors.Is(err, store.ErrGone) {
		t.Errorf("view of a mailbox that cannot be read: %v", err)
	}
}
