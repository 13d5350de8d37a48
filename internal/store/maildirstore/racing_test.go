package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtwin/internal/mail"
)

// renameAll is a mail reader that changes the flags of messages until it is stopped.
func renameAll(t *testing.T, root string, paths []string, stop <-chan struct{}) {
	at := append([]string(nil), paths...)
	for round := 0; ; round++ {
		for i := range at {
			select {
			case <-stop:
				return
			default:
			}
			to := fmt.Sprintf("INBOX/cur/%04d.race:2,%s", i, []string{"S", "FS", "RS", ""}[(round+i)%4])
			if at[i] == to {
				continue
			}
			if err := os.Rename(filepath.Join(root, at[i]), filepath.Join(root, to)); err != nil {
				t.Error(err)
				return
			}
			at[i] = to
		}
		time.Sleep(time.Duration(round%5) * 60 * time.Millisecond) // now and then views can prove something
	}
}

// TestRacingReader: while a mail reader renames messages, no view that proves its mark lacks one, none shows one twice, and
// every message can be read.
// It guards rule 8 of DESIGN.md section 4.
func TestRacingReader(t *testing.T) {
	t.Parallel()
	const count = 400
	var paths []string
	var keys []mail.Key
	for i := range count {
		key := fmt.Sprintf("%04d.race", i)
		paths, keys = append(paths, "INBOX/new/"+key), append(keys, mail.Key(key))
	}
	root := tree(t, paths...)
	s := open(t, Config{Path: root})
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { renameAll(t, root, paths, stop) })
	proven := 0
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
		v, err := s.View(t.Context(), "INBOX", "")
		if err != nil {
			t.Fatal(err)
		}
		shown := 0
		for _, err := range v.(mail.Whole).All {
			if err != nil {
				t.Fatal(err)
			}
			shown++
		}
		if mark, err := v.At().End(); err != nil || mark != "" {
			if proven++; err != nil || shown != count {
				t.Fatalf("%d of %d messages, %v", shown, count, err)
			}
		}
	}
	if proven == 0 {
		t.Error("no view proved anything")
	}
	close(stop)
	reader.Wait()
	read := 0
	err := s.Identify(t.Context(), "INBOX", keys, false, func(mail.Key, mail.Ident) error { read++; return nil })
	if err != nil || read != count {
		t.Errorf("%d of %d messages read, %v", read, count, err)
	}
}

// restless is a file system on which a mail reader renames a message whenever a folder was read.
type restless struct {
	osFS
	cur string
}

func (f restless) Each(path string, fn func(string, fs.FileMode) error) error {
	err := f.osFS.Each(path, fn)
	if path == f.cur {
		for from, to := range map[string]string{"1.x:2,": "1.x:2,S", "1.x:2,S": "1.x:2,"} {
			if os.Rename(filepath.Join(path, from), filepath.Join(path, to)) == nil {
				break
			}
		}
	}
	return err
}

// TestChangedWhileScanned: a scan during which the folder changed proves nothing, however long it took (DESIGN.md section 4, rule 8).
func TestChangedWhileScanned(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,")
	later := func() time.Time { return time.Now().Add(time.Hour) } // all stamps are old
	s := open(t, Config{Path: root, Now: later, FS: restless{cur: filepath.Join(root, "INBOX/cur")}})
	v, err := s.View(t.Context(), "INBOX", "")
	if err != nil {
		t.Fatal(err)
	}
	if mark, err := v.At().End(); err != nil || mark != "" {
		t.Errorf("mark %q, %v", mark, err)
	}
}

// TestYoungStamps: a stamp proves something only when a change after it would have another one (DESIGN.md section 4, rule 8).
func TestYoungStamps(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for _, x := range []struct {
		stamp time.Time
		old   bool
	}{
		{now.Add(-3 * time.Second), true},
		{now.Add(-1 * time.Second), false}, // whole seconds: the file system keeps no finer ones
		{now.Add(-1*time.Second + 123), true},
		{now.Add(-90*time.Millisecond - 123), false},
		{now.Add(-110*time.Millisecond - 123), true},
		{now.Add(time.Second), false},
		{now.Add(time.Hour + 123), false},
	} {
		s := &Store{c: Config{Now: func() time.Time { return now }}}
		if got := s.old(stamps{1: {Mtime: x.stamp.UnixNano(), Ctime: x.stamp.UnixNano()}}); got != x.old {
			t.Errorf("%v before now: old %v, want %v", now.Sub(x.stamp), got, x.old)
		}
	}
}

// TestYoungView: a view of a folder that changed a moment ago proves nothing, and one a while later does (DESIGN.md section 4, rule 8).
func TestYoungView(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,")
	latest := int64(0)
	for _, sub := range []string{"new", "cur"} {
		st, err := OS().Stat(filepath.Join(root, "INBOX", sub), false)
		if err != nil {
			t.Fatal(err)
		}
		latest = max(latest, st.Mtime, st.Ctime)
	}
	for age, want := range map[time.Duration]bool{50 * time.Millisecond: false, 3 * time.Second: true} {
		s := open(t, Config{Path: root, Now: func() time.Time { return time.Unix(0, latest).Add(age) }})
		v, err := s.View(t.Context(), "INBOX", "")
		if err != nil {
			t.Fatal(err)
		}
		if mark, err := v.At().End(); err != nil || (mark != "") != want {
			t.Errorf("%v after the change: mark %q, %v", age, mark, err)
		}
	}
}

// TestRenamedMeanwhile: messages that a mail reader renames after they were seen are still found, each once.
func TestRenamedMeanwhile(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/new/1.x", "INBOX/cur/2.x:2,", "INBOX/cur/3.x:2,S", "Work/cur/9.x:2,")
	s := open(t, Config{Path: root})
	entries(t, s, "INBOX")
	for from, to := range map[string]string{"new/1.x": "cur/1.x:2,S", "cur/2.x:2,": "cur/2.x:2,F"} {
		if err := os.Rename(filepath.Join(root, "INBOX", from), filepath.Join(root, "INBOX", to)); err != nil {
			t.Fatal(err)
		}
	}
	keys := []mail.Key{"1.x", "2.x", "3.x", "gone"}
	read := 0
	err := s.Fetch(t.Context(), "INBOX", keys, func(_ mail.Entry, b mail.Body) error {
		read++
		_, err := io.Copy(io.Discard, b.Reader)
		return err
	})
	if err != nil || read != 3 {
		t.Fatalf("%d messages read, %v", read, err)
	}
	if err := os.Rename(filepath.Join(root, "INBOX/cur/1.x:2,S"), filepath.Join(root, "INBOX/cur/1.x:2,RS")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetFlags(t.Context(), "INBOX", keys, mail.Flags{System: mail.Flagged}, mail.Flags{}); err != nil {
		t.Fatal(err)
	}
	want := map[mail.Key]string{"1.x": `(\Answered \Flagged \Seen)`, "2.x": `(\Flagged)`, "3.x": `(\Flagged \Seen)`}
	for k, f := range entries(t, s, "INBOX") {
		if f.String() != want[k] {
			t.Errorf("%q has %v, want %s", k, f, want[k])
		}
	}
	if err := os.Rename(filepath.Join(root, "INBOX/cur/3.x:2,FS"), filepath.Join(root, "INBOX/cur/3.x:2,")); err != nil {
		t.Fatal(err)
	}
	var list []mail.Entry
	for _, k := range keys {
		list = append(list, mail.Entry{Key: k})
	}
	if _, err := s.Delete(t.Context(), "INBOX", list); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, s, "INBOX"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestStaleDeliveries: what an interrupted delivery of ours left in tmp goes after 36 hours, and nothing else does.
func TestStaleDeliveries(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x")
	now := time.Now()
	old, young := now.Add(-37*time.Hour).Unix(), now.Add(-35*time.Hour).Unix()
	left := map[string]bool{
		fmt.Sprintf("%d.ABCDEFGHIJ.mt", old): false, fmt.Sprintf("%d.ABCDEFGHIJ.mt", young): true,
		fmt.Sprintf("%d.M1P2.host", old): true, fmt.Sprintf("%d.short.mt", old): true, "x.ABCDEFGHIJ.mt": true,
	}
	for name := range left {
		path := filepath.Join(root, "INBOX/tmp", name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil { // the date of the message
			t.Fatal(err)
		}
	}
	s := open(t, Config{Path: root})
	text := "Subject: x\r\n\r\n"
	tokens, err := s.Prepare(t.Context(), "INBOX", make([]mail.Entry, 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(t.Context(), "INBOX", []mail.Intent{{Box: "INBOX", Token: tokens[0]}}, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		return each(0, mail.Entry{}, mail.Body{Size: int64(len(text)), Reader: strings.NewReader(text)})
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range left {
		if _, err := os.Stat(filepath.Join(root, "INBOX/tmp", name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}

// foldFS is a file system that keeps letter case but does not tell it apart.
type foldFS struct{ osFS }

func (foldFS) find(path string) string {
	found := "/"
	for _, part := range splitPath(path) {
		list, _ := os.ReadDir(found)
		name := part
		for _, e := range list {
			if strings.EqualFold(e.Name(), part) {
				name = e.Name()
			}
		}
		found = filepath.Join(found, name)
	}
	return found
}

func (f foldFS) Stat(path string, follow bool) (Stat, error) {
	return f.osFS.Stat(f.find(path), follow)
}
func (f foldFS) Mkdir(path string) error { return f.osFS.Mkdir(f.find(path)) }
func (f foldFS) Each(path string, fn func(string, fs.FileMode) error) error {
	return f.osFS.Each(f.find(path), fn)
}
func (f foldFS) SyncDir(path string) error        { return f.osFS.SyncDir(f.find(path)) }
func (f foldFS) Create(path string) (File, error) { return f.osFS.Create(f.find(path)) }

// TestLetterCase: where letter case does not count, a mailbox is not opened by the name of another, nor merged with it.
func TestLetterCase(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x", "Work/Sub/cur/2.x")
	for range 2 {
		s := open(t, Config{Path: root, FS: foldFS{}})
		if _, err := s.View(t.Context(), "work/Sub", ""); err == nil {
			t.Error("work/Sub is viewed, but there is only Work/Sub")
		}
		for _, box := range []mail.Box{"work/sub", "work/Sub", "Work/sub", "work/new"} {
			if err := s.CreateBox(t.Context(), box, ""); err == nil || mail.HintOf(err) == "" {
				t.Errorf("create %q: %v, want an error with a hint", box, err)
			}
		}
		if err := s.CreateBox(t.Context(), "Work/Sub", ""); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(root, "Work/new")); err == nil {
			t.Error("a refused mailbox left a folder")
		}
		if list := listBoxes(t, s); len(list) != 2 {
			t.Errorf("mailboxes: %v", list)
		}
	}
}

// TestAtticElsewhere: removed messages go where the settings say.
func TestAtticElsewhere(t *testing.T) {
	t.Parallel()
	root, attic := tree(t, "INBOX/cur/1.x:2,S"), filepath.Join(t.TempDir(), "a", "b")
	s := open(t, Config{Path: root, Attic: attic, Now: func() time.Time { return time.Unix(1_700_000_000, 0) }})
	if _, err := s.Delete(t.Context(), "INBOX", []mail.Entry{{Key: "1.x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(attic, "2023-11-14", "INBOX", "1.x:2,S")); err != nil {
		t.Error(err)
	}
}

// TestRenameOver: neither way of renaming overwrites.
// It guards rule 15 of DESIGN.md section 4.
func TestRenameOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for i, rename := range []func(from, to string) error{osFS{}.Rename, linkOver} {
		for _, name := range []string{"a", "b"} {
			if err := os.WriteFile(path(name), []byte(name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := rename(path("a"), path("b")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("way %d: %v, want ErrExist", i, err)
		}
		if text, err := os.ReadFile(path("b")); err != nil || string(text) != "b" {
			t.Errorf("way %d: overwritten: %q, %v", i, text, err)
		}
		if err := os.Remove(path("b")); err != nil {
			t.Fatal(err)
		}
		if err := rename(path("a"), path("b")); err != nil {
			t.Errorf("way %d: %v", i, err)
		}
		if err := rename(path("a"), path("c")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("way %d: %v, want ErrNotExist", i, err)
		}
	}
}
