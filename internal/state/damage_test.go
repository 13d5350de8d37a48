package state

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailtwin/internal/mail"
)

// TestPairsAreWhole: whatever byte of the file is damaged, indexes and inner pages too, reading the pairs of a side gives an error
// that names the cure, or all of them as they were written. Less would make arrivals of known messages.
// It guards rule 3 of DESIGN.md section 4.
func TestPairsAreWhole(t *testing.T) {
	t.Parallel()
	const count = 60
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, count)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	told := 0
	for at := 100; at < len(good); at++ {
		if at%13 != 0 || good[at] == 0 {
			continue
		}
		if _, err := f.WriteAt([]byte{good[at] ^ 1<<(at%8)}, int64(at)); err != nil {
			t.Fatal(err)
		}
		if err := wholePairs(t, path, count); err != nil {
			told++
			if mail.HintOf(err) == "" || strings.Contains(err.Error(), "not as written") {
				t.Errorf("byte %d: %v, hint %q", at, err, mail.HintOf(err))
			}
		}
		if _, err := f.WriteAt(good[at:at+1], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if told < 50 {
		t.Errorf("only %d flipped bytes were found", told)
	}
}

// wholePairs reads the pairs of both sides and compares them with those of fill.
func wholePairs(t *testing.T, path string, count int) error {
	db, err := Open(t.Context(), path, Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Boxes(t.Context()); err != nil { // with which each run begins
		return err
	}
	for _, side := range mail.Sides {
		n := 0
		for p, err := range db.Pairs(t.Context(), "INBOX", side) {
			if err != nil {
				return err
			}
			n++
			want := pairOf(n)
			want.ID = p.ID
			if p != want {
				return fmt.Errorf("not as written: pair %+v", p)
			}
		}
		if n != count {
			return fmt.Errorf("not as written: %d pairs", n)
		}
	}
	return nil
}
