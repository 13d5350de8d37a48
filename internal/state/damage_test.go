package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailtwin/internal/mail"
)

// written is a state file with pairs that nobody has open, and what is in it.
func written(t *testing.T, count int) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, count)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if content, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// TestPairsAreWhole: whatever byte of the file is damaged, indexes and inner pages too, reading the pairs of a side gives an error
// that names the cure, or all of them as they were written. Less would make arrivals of known messages.
// It guards rule 3 of DESIGN.md section 4.
func TestPairsAreWhole(t *testing.T) {
	t.Parallel()
	const count = 60
	path, good := written(t, count)
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

// TestDamagedFile: whatever is wrong with the file, or its log, to open, check, read and write it ends, with an error perhaps, and never
// in a panic.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	const count = 300
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, count)
	wholeFile, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	closed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // for a test that can be repeated
	failed := 0
	for try := range 160 {
		file, wal := bytes.Clone(closed), []byte(nil)
		if try%4 == 0 {
			file, wal = bytes.Clone(wholeFile), bytes.Clone(log)
		}
		part := file
		if wal != nil && try%8 == 0 {
			part = wal
		}
		switch at := random.IntN(len(part)); try % 5 {
		case 0: // the header of the file or of a page
			at = at/4096*4096 + random.IntN(100)
			part[min(at, len(part)-1)] ^= 1 << random.IntN(8)
		case 1:
			clear(part[at:min(len(part), at+random.IntN(5000))])
		case 2: // a page in the place of another
			copy(part[at/4096*4096:], part[random.IntN(len(part))/4096*4096:][:4096])
		default:
			for range 1 + random.IntN(40) {
				part[random.IntN(len(part))] = byte(random.Uint32())
			}
		}
		if try%10 == 9 {
			file = file[:random.IntN(len(file))]
		}
		for name, b := range map[string][]byte{path: file, path + "-wal": wal} {
			err := os.WriteFile(name, b, 0o600)
			if b == nil {
				err = os.Remove(name)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		_ = os.Remove(path + "-shm")
		if err := useAll(t.Context(), path, count); err != nil {
			failed++
		}
	}
	if failed < 60 {
		t.Errorf("only %d damages were found", failed)
	}
}

// useAll carries out one of each kind of reading and writing, past errors.
func useAll(ctx context.Context, path string, count int) error {
	db, first := Open(ctx, path, Options{})
	if first != nil {
		var err error
		if db, err = Open(ctx, path, Options{ReadOnly: true}); err != nil {
			return first
		}
	}
	var pairs []mail.Pair
	for _, side := range mail.Sides {
		list, err := collect(db.Pairs(ctx, "INBOX", side))
		pairs, first = append(pairs, list...), errors.Join(first, err)
		var keys []mail.Key
		for i := 1; i <= count; i += 2 {
			keys = append(keys, pairOf(i).Keys[side])
		}
		_, err = db.PairsByKey(ctx, "INBOX", side, keys)
		_, _, other := db.Extent(ctx, "INBOX", side)
		first = errors.Join(first, err, other)
	}
	_, left := db.Left(ctx)
	_, half := db.HalfPairs(ctx, "INBOX")
	_, counts := db.Counts(ctx)
	first = errors.Join(first, left, half, counts, db.Check(ctx))
	for _, fn := range []func(*Tx) error{
		func(tx *Tx) error {
			for i := range pairs {
				was := pairs[i]
				pairs[i].Flags.System ^= mail.Seen
				if i%3 == 0 {
					pairs[i].Left = mail.LeftRefused
				}
				if err := tx.AlterPair(&was, &pairs[i]); err != nil {
					return err
				}
			}
			return nil
		},
		func(tx *Tx) error {
			p := pairOf(count + 1)
			err := tx.PutPair(&p)
			if err == nil {
				err = tx.DropPair(7)
			}
			if err == nil {
				err = tx.AddIntent(&mail.Intent{Kind: mail.IntentRename, Box: "INBOX"})
			}
			return err
		},
		func(tx *Tx) error { return tx.VoidKeys("INBOX", mail.Local) },
		func(tx *Tx) error { return tx.RenameBox("INBOX", "Other") },
		func(tx *Tx) error { return tx.DropBox("Other") },
	} {
		first = errors.Join(first, db.Update(ctx, false, fn))
	}
	return errors.Join(first, db.Close())
}

// TestVersionBelowZero: a version that cannot be is damage.
func TestVersionBelowZero(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.writer.conn.Script("PRAGMA user_version=-1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrDamaged) || mail.HintOf(err) == "" {
		t.Error(err)
	}
}
