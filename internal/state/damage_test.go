package state

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestDamageIsSurvived: whatever was written over parts of the file, its header too, all that is read and written ends with an error at
// worst, and soon.
func TestDamageIsSurvived(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, 300)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	failed, tries := 0, 150
	for i := range tries {
		bad := slices.Clone(good)
		if i == 0 {
			bad[60] = 0xff // the version of the schema is below zero
		}
		at := random.IntN(len(bad))
		for range min(i, 1+random.IntN(20)) {
			switch random.IntN(4) {
			case 0:
				at = random.IntN(len(bad))
			case 1:
				at = random.IntN(200)
			default:
				at = (at + 1) % len(bad)
			}
			bad[at] = byte(random.IntN(256))
		}
		for _, name := range []string{path + "-wal", path + "-shm"} {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := useAll(ctx, path); errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		} else if err != nil {
			failed++
		}
		cancel()
	}
	if failed == 0 || failed == tries {
		t.Errorf("%d of %d were told", failed, tries)
	}
}

// useAll reads a database in all ways, and changes it.
func useAll(ctx context.Context, path string) error {
	db, err := Open(ctx, path, Options{})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	errs := []error{db.Check(ctx)}
	var pairs []mail.Pair
	var keys []mail.Key
	for _, side := range mail.Sides {
		for p, err := range db.Pairs(ctx, "INBOX", side) {
			if errs = append(errs, err); err == nil && side == mail.Remote {
				pairs, keys = append(pairs, p), append(keys, p.Keys[side])
			}
		}
	}
	_, err = db.PairsByKey(ctx, "INBOX", mail.Remote, keys)
	_, err2 := db.Counts(ctx)
	_, err3 := db.Left(ctx)
	_, err4 := db.HalfPairs(ctx, "INBOX")
	errs = append(errs, err, err2, err3, err4)
	errs = append(errs, db.Update(ctx, true, func(tx *Tx) error {
		for i := range pairs {
			was := pairs[i]
			pairs[i].Flags.System ^= mail.Seen
			if i%3 == 0 {
				pairs[i].Keys[mail.Remote] = mail.UIDKey(uint32(100_000 + i)) //nolint:gosec // small
			}
			if err := tx.AlterPair(&was, &pairs[i]); err != nil {
				return err
			}
		}
		p := pairOf(5000)
		return errors.Join(tx.PutPair(&p), tx.DropPair(7), tx.VoidKeys("INBOX", mail.Local))
	}))
	return errors.Join(errs...)
}
