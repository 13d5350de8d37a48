package maildirstore

import (
	"os"
	"path/filepath"
	"testing"

	"mailtwin/internal/mail"
)

func stampsOf(t *testing.T, s *Store) map[mail.Key]uint64 {
	t.Helper()
	all := map[mail.Key]uint64{}
	err := s.Stamps(t.Context(), "INBOX", func(k mail.Key, stamp uint64, _ int64) error {
		all[k] = stamp
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestStamps: another content has another stamp, another name has not; Fetch tells the same.
func TestStamps(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.a:2,", "INBOX/new/2.b")
	s := open(t, Config{Path: root})
	before := stampsOf(t, s)
	if len(before) != 2 || before["1.a"] == 0 || before["1.a"] == before["2.b"] {
		t.Fatal(before)
	}
	err := s.Fetch(t.Context(), "INBOX", []mail.Key{"1.a", "2.b"}, func(e mail.Entry, _ mail.Body) error {
		if e.Stamp != before[e.Key] {
			t.Errorf("%q is fetched with stamp %d, stamped %d", e.Key, e.Stamp, before[e.Key])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root, "INBOX/new/2.b"), filepath.Join(root, "INBOX/cur/2.b:2,S")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "INBOX/cur/1.a:2,"), []byte("Subject: x\n\nedited\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	after := stampsOf(t, s)
	if after["2.b"] != before["2.b"] || after["1.a"] == before["1.a"] {
		t.Fatalf("before %v, after %v", before, after)
	}
}
