package maildirstore

import (
	"io/fs"
	"path/filepath"
	"testing"
)

// TestNamesDropped: a message is not taken for gone because the names of its mailbox were dropped to save memory, after they had been
// read again for one that is gone indeed: its flags would count as set, its deletion as done. Nor are they read for each message then,
// and what was done is known.
func TestNamesDropped(t *testing.T) {
	t.Parallel()
	root, scans := tree(t, "INBOX/cur/1.x:2,S"), 0
	s := open(t, Config{Path: root, FS: tired{folder: filepath.Join(root, "INBOX/cur"), after: func() { scans++ }}})
	b, err := s.box(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	f := s.finder(b)
	if _, ok, err := f.find(t.Context(), "2.x"); ok || err != nil {
		t.Fatal(ok, err)
	}
	b.forget()
	scans = 0
	if _, ok, err := f.find(t.Context(), "1.x"); !ok || err != nil || scans > 0 {
		t.Errorf("found: %v, %v, read again %d times", ok, err, scans)
	}
	f.note("1.x", "1.x:2,FS", true)
	if at, _, err := f.find(t.Context(), "1.x"); at.name != "1.x:2,FS" || err != nil {
		t.Errorf("%+v, %v", at, err)
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
