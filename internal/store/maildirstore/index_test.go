package maildirstore

import (
	"context"
	"io/fs"
	"path/filepath"
	"testing"
)

// TestNamesDropped: a message is not taken for gone because the names of its mailbox were dropped to save memory, after they had been
// read again for one that is gone indeed: its flags would count as set, its deletion as done.
func TestNamesDropped(t *testing.T) {
	t.Parallel()
	s := open(t, Config{Path: tree(t, "INBOX/cur/1.x:2,S")})
	b, err := s.box(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	f := s.finder(b)
	if _, ok, err := f.find(t.Context(), "2.x"); ok || err != nil {
		t.Fatal(ok, err)
	}
	b.forget()
	if _, ok, err := f.find(t.Context(), "1.x"); !ok || err != nil {
		t.Errorf("found: %v, %v", ok, err)
	}
}

// tired is a file system on which nobody waits any more for a folder that was read.
type tired struct {
	osFS
	folder string
	after  func()
}

func (f tired) Each(path string, fn func(string, fs.FileMode) error) error {
	defer func() {
		if path == f.folder {
			f.after()
		}
	}()
	return f.osFS.Each(path, fn)
}

// TestWarmTooLate: names that were read ahead are not kept once the time for that is over, since files may be renamed meanwhile.
func TestWarmTooLate(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S")
	for _, late := range []bool{false, true} {
		ctx, cancel := context.WithCancel(t.Context())
		s := open(t, Config{Path: root, FS: tired{folder: filepath.Join(root, "INBOX/cur"), after: func() {
			if late {
				cancel()
			}
		}}})
		s.Warm(ctx, "INBOX")
		b, err := s.box(t.Context(), "INBOX")
		if err != nil || (b.indexed() == 0) != late {
			t.Errorf("late %v: %d names, %v", late, b.indexed(), err)
		}
		cancel()
	}
}
