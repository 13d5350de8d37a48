package maildirstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// twoDisks are file systems of which one has the attic.
type twoDisks struct{ *powerFS }

func (f twoDisks) Rename(from, to string) error {
	if strings.HasPrefix(from, "/Attic") != strings.HasPrefix(to, "/Attic") {
		return &fs.PathError{Op: "rename", Path: to, Err: unix.EXDEV}
	}
	return f.powerFS.Rename(from, to)
}

// TestPowerAtticElsewhere: what is in an attic on another file system is whole, whenever the power goes.
func TestPowerAtticElsewhere(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for fuse := 1; ; fuse++ {
		finished := true
		for _, left := range []survives{nothing, names, everything} {
			p := newPowerRun(t, Nested, false)
			p.must(p.f.Mkdir("/Attic"))
			p.must(p.f.SyncDir("/"))
			p.c.FS, p.c.Attic = twoDisks{p.f}, "/Attic"
			p.open()
			texts := []string{p.message(), p.message()}
			done, err := p.put("INBOX", p.prepared("INBOX", texts), texts)
			p.must(err)
			p.f.fuse = fuse
			_, err = p.s.Delete(t.Context(), "INBOX", []mail.Entry{{Key: done[0].Key}, {Key: done[1].Key}})
			finished = finished && err == nil
			p.f.cut(left, r)
			p.open()
			found, list := p.whole(), removed(t, p.s)
			for _, m := range list {
				_, _, n, err := p.f.at(filepath.Join(m.dir.path, m.name))
				p.must(err)
				d := mail.NewDigester()
				_, _ = d.Write(n.data)
				number := p.contents[d.Ident().Digest]
				if number == 0 {
					t.Errorf("power cut at operation %d, survival %d: %s in the attic is not whole", fuse, left, m.name)
				}
				found[number] = append(found[number], mail.Ref{})
			}
			if len(found[1]) == 0 || len(found[2]) == 0 {
				t.Errorf("power cut at operation %d, survival %d: a message is lost", fuse, left)
			}
			if err == nil {
				continue
			}
			if _, err := p.s.Delete(t.Context(), "INBOX", []mail.Entry{{Key: done[0].Key}, {Key: done[1].Key}}); err != nil {
				t.Errorf("again after operation %d: %v", fuse, err)
			}
		}
		if finished || t.Failed() {
			return
		}
	}
}

// TestRootGoesAway: a disk that is unmounted, or mounted over another tree, after Hello is told: its mailboxes are not missing, and
// no view of it counts (DESIGN.md section 4, rule 12).
func TestRootGoesAway(t *testing.T) {
	t.Parallel()
	for _, there := range []string{"nothing", "an older tree", "the tree of another"} {
		root := tree(t, "INBOX/cur/1.x:2,S", "Work/cur/2.x:2,S")
		s := open(t, Config{Path: root})
		if err := s.SetRoot(t.Context(), "mine", 1); err != nil {
			t.Fatal(err)
		}
		listBoxes(t, s)
		if err := os.Rename(root, root+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, "INBOX/cur"), 0o700); err != nil {
			t.Fatal(err)
		}
		switch there {
		case "nothing":
			_ = os.RemoveAll(filepath.Join(root, "INBOX"))
		case "the tree of another":
			if err := open(t, Config{Path: root}).SetRoot(t.Context(), "another", 1); err != nil {
				t.Fatal(err)
			}
		}
		if list, err := s.Boxes(t.Context()); !errors.Is(err, store.ErrSetup) || mail.HintOf(err) == "" {
			t.Errorf("%s: list %v, %v", there, list, err)
		}
		before, _ := os.ReadFile(s.markerPath())
		if err := s.SetRoot(t.Context(), "mine", 2); !errors.Is(err, store.ErrSetup) {
			t.Errorf("%s: the marker was written: %v", there, err)
		}
		if after, _ := os.ReadFile(s.markerPath()); !bytes.Equal(before, after) {
			t.Errorf("%s: the marker is %q now", there, after)
		}
	}
}

// TestRootIsAnothers: a root that was nobody's and is another account's by the time its marker is to be written is left alone.
func TestRootIsAnothers(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S")
	s := open(t, Config{Path: root})
	if err := open(t, Config{Path: root}).SetRoot(t.Context(), "another", 5); err != nil {
		t.Fatal(err)
	}
	if err := s.SetRoot(t.Context(), "mine", 1); !errors.Is(err, store.ErrSetup) || mail.HintOf(err) == "" {
		t.Errorf("another's marker was written over: %v", err)
	}
	if g, err := s.Hello(t.Context(), ""); err != nil || g.Root != "another" || g.Run != 5 {
		t.Errorf("%+v, %v", g, err)
	}
}

// TestRootMadeAnew: a root that went away for good, and that Hello no longer saw, can be made again.
func TestRootMadeAnew(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S")
	s := open(t, Config{Path: root})
	if err := errors.Join(s.SetRoot(t.Context(), "mine", 1), os.RemoveAll(root)); err != nil {
		t.Fatal(err)
	}
	if g, err := s.Hello(t.Context(), ""); err != nil || !g.Empty {
		t.Fatalf("%+v, %v", g, err)
	}
	if err := s.SetRoot(t.Context(), "mine", 2); err != nil {
		t.Error(err)
	}
}

// TestAtticClock: what is removed while the clock is behind (a machine that starts without one) is not old when it is set right.
func TestAtticClock(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S", "INBOX/cur/2.x:2,S")
	now := time.Unix(1_700_000_000, 0)
	s := open(t, Config{Path: root, Now: func() time.Time { return now }})
	del := func(key mail.Key) {
		t.Helper()
		if _, err := s.Delete(t.Context(), "INBOX", []mail.Entry{{Key: key}}); err != nil {
			t.Fatal(err)
		}
	}
	prune := func() {
		t.Helper()
		if err := s.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	del("1.x")
	prune()
	right := now
	now = time.Unix(1000, 0)
	del("2.x")
	now = right.Add(25 * time.Hour)
	prune()
	now = now.Add(25 * time.Hour)
	prune()
	if list := removed(t, s); len(list) != 2 {
		t.Errorf("%d of 2 removed messages are in the attic", len(list))
	}
}

// badDisk is a file system that cannot make something durable.
type badDisk struct {
	osFS
	file, dir, all bool
}

type badFile struct{ File }

func (f badFile) Sync() error { return unix.EIO }

type badSync struct{ Syncer }

func (badSync) Sync() error { return unix.EIO }

func (f badDisk) Create(path string) (File, error) {
	file, err := f.osFS.Create(path)
	if f.file && err == nil {
		file = badFile{file}
	}
	return file, err
}

func (f badDisk) Open(path string) (File, error) {
	file, err := f.osFS.Open(path)
	if f.file && err == nil {
		file = badFile{file}
	}
	return file, err
}

func (f badDisk) SyncDir(path string) error {
	if f.dir {
		return unix.EIO
	}
	return f.osFS.SyncDir(path)
}

func (f badDisk) SyncAll(path string) (Syncer, error) {
	s, err := f.osFS.SyncAll(path)
	if !f.all || err != nil {
		return nil, errors.Join(err, errors.ErrUnsupported)
	}
	return badSync{s}, nil
}

// TestSyncFails: what cannot be made durable is an error, with no message delivered where its content is in doubt (DESIGN.md
// section 4, rule 1).
func TestSyncFails(t *testing.T) {
	t.Parallel()
	const count = syncAllFrom
	for name, disk := range map[string]badDisk{"file": {file: true}, "folder": {dir: true}, "all": {all: true}} {
		paths := []string{"Work/cur/0.x:2,S"}
		var keys []mail.Key
		for i := range count {
			paths, keys = append(paths, fmt.Sprintf("INBOX/cur/%d.x:2,S", i)), append(keys, mail.Key(fmt.Sprintf("%d.x", i)))
		}
		root := tree(t, paths...)
		s := open(t, Config{Path: root, FS: disk})
		if _, err := disk.SyncAll(root); disk.all && err != nil {
			t.Skip("no syncfs here")
		}
		fails := func(what string, err error, wanted bool) {
			t.Helper()
			if (err != nil) != wanted || err != nil && !errors.Is(err, unix.EIO) {
				t.Errorf("%s cannot be synced: %s: %v", name, what, err)
			}
		}
		tokens, err := s.Prepare(t.Context(), "Work", make([]mail.Entry, count))
		if err != nil {
			t.Fatal(err)
		}
		var puts, moves []mail.Intent
		for i, k := range keys {
			puts = append(puts, mail.Intent{Box: "Work", Token: tokens[i]})
			moves = append(moves, mail.Intent{Kind: mail.IntentMove, From: mail.Ref{Box: "INBOX", Key: k}, Box: "Work", Token: tokens[i]})
		}
		_, err = s.Put(t.Context(), "Work", puts, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
			for i := range count {
				if err := each(i, mail.Entry{}, mail.Body{Size: 3, Reader: strings.NewReader("x\r\n")}); err != nil {
					return err
				}
			}
			return nil
		})
		fails("put", err, true)
		if n := len(entries(t, s, "Work")); n != 1 && !disk.dir {
			t.Errorf("%s cannot be synced: %d messages were delivered", name, n-1)
		}
		fails("secure", s.Secure(t.Context(), "INBOX", keys), true)
		_, err = s.SetFlags(t.Context(), "INBOX", keys[:1], mail.Flags{System: mail.Flagged}, mail.Flags{})
		fails("flags", err, disk.dir)
		fails("marker", s.SetRoot(t.Context(), "id", 1), disk.dir || disk.file)
		_, err = s.Move(t.Context(), "INBOX", moves[:1], false)
		fails("move", err, disk.dir)
		_, err = s.Move(t.Context(), "INBOX", moves[1:2], true)
		fails("copy", err, disk.dir || disk.file)
		_, err = s.Delete(t.Context(), "INBOX", []mail.Entry{{Key: keys[2]}})
		fails("delete", err, disk.dir)
	}
}

// TestSettleRefiled: a message that landed before a crash, and that the user took elsewhere since, is found under its unique name in
// whatever mailbox (DESIGN.md section 4, rule 5).
func TestSettleRefiled(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S", "Work/cur/2.x:2,S")
	s := open(t, Config{Path: root})
	tokens, err := s.Prepare(t.Context(), "INBOX", make([]mail.Entry, 1))
	if err != nil {
		t.Fatal(err)
	}
	in := []mail.Intent{{Box: "INBOX", Token: tokens[0]}}
	done, err := s.Put(t.Context(), "INBOX", in, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		return each(0, mail.Entry{}, mail.Body{Size: 3, Reader: strings.NewReader("x\r\n")})
	})
	if err != nil {
		t.Fatal(err)
	}
	name := string(done[0].Key)
	if err := os.Rename(filepath.Join(root, "INBOX/new", name), filepath.Join(root, "Work/cur", name+":2,S")); err != nil {
		t.Fatal(err)
	}
	if done, err = open(t, Config{Path: root}).Settle(t.Context(), in, nil); err != nil || done[0].Box != "Work" || done[0].Key != mail.Key(name) {
		t.Errorf("%v, %v", done, err)
	}
}

// TestDamagedMarker: a marker that cannot be read is an error with a cure, never a missing one (DESIGN.md section 4, rule 12).
func TestDamagedMarker(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\x00\x00\x00", "{}", `{"run":3}`, `{"id":"`, `{"id":""}`} {
		root := tree(t, "INBOX/cur/1.x:2,S")
		s := open(t, Config{Path: root})
		if err := s.SetRoot(t.Context(), "mine", 1); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.markerPath(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if g, err := s.Hello(t.Context(), ""); !errors.Is(err, store.ErrSetup) || mail.HintOf(err) == "" {
			t.Errorf("%q: %+v, %v", text, g, err)
		}
	}
}

// TestDeleteBoxKeeps: a mailbox that holds a message, or in cur what is no message, stays whole; other things in its folder stay too
// (DESIGN.md section 4, rule 14).
func TestDeleteBoxKeeps(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S", "Full/cur/2.x:2,S", "Odd/cur/.hidden", "Notes/cur/3.x")
	write(t, filepath.Join(root, "Notes/notes.txt"), "x")
	if err := os.Remove(filepath.Join(root, "Notes/cur/3.x")); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Path: root})
	for _, box := range []mail.Box{"Full", "Odd"} {
		if err := s.DeleteBox(t.Context(), box); !errors.Is(err, store.ErrNotEmpty) {
			t.Errorf("%s: %v", box, err)
		}
		for _, sub := range []string{"cur", "new", "tmp"} {
			if _, err := os.Stat(filepath.Join(root, string(box), sub)); err != nil {
				t.Error(err)
			}
		}
	}
	if err := s.DeleteBox(t.Context(), "Notes"); err != nil || read(t, filepath.Join(root, "Notes/notes.txt")) != "x" {
		t.Error(err)
	}
}
