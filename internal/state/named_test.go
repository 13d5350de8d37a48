package state

import (
	"bytes"
	"context"
	"os"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

// TestPairsByKey: whatever keys are asked for, dense or not, in any order and more than once, those pairs come that have them, in order.
func TestPairsByKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := open(t)
	fill(t, db, 400)
	has := map[mail.Key]bool{}
	write(t, db, func(tx *Tx) error {
		for p, err := range db.Pairs(ctx, "INBOX", mail.Remote) {
			if err != nil {
				return err
			}
			if has[p.Keys[mail.Remote]] = p.ID%7 != 0; p.ID%7 != 0 {
				continue
			}
			if err := tx.DropPair(p.ID); err != nil {
				return err
			}
		}
		return nil
	})
	row := func(from, step, n int) (keys []mail.Key) {
		for i := range n {
			keys = append(keys, mail.UIDKey(uint32(from+step*i))) //nolint:gosec // small
		}
		return keys
	}
	check := func(t interface{ Fatalf(string, ...any) }, keys []mail.Key) {
		want := 0
		seen := map[mail.Key]bool{}
		for _, k := range keys {
			if has[k] && !seen[k] {
				want++
			}
			seen[k] = true
		}
		pairs, err := db.PairsByKey(ctx, "INBOX", mail.Remote, keys)
		if err != nil || len(pairs) != want {
			t.Fatalf("%d pairs, want %d: %v", len(pairs), want, err)
		}
		last := mail.Key("")
		for _, p := range pairs {
			k := p.Keys[mail.Remote]
			if !seen[k] || !has[k] || k <= last {
				t.Fatalf("%q after %q", k, last)
			}
			last = k
		}
	}
	for step := 1; step <= 3; step++ {
		keys := row(7, step, 100)
		if dense := isDense(keys); dense != (step < 3) {
			t.Errorf("every %d. key: dense %v", step, dense)
		}
		check(t, keys)
	}
	rapid.Check(t, func(rt *rapid.T) {
		from := rapid.IntRange(1, 380).Draw(rt, "from")
		step := rapid.IntRange(1, 3).Draw(rt, "step")
		keys := row(from, step, rapid.IntRange(0, 150).Draw(rt, "n"))
		for range rapid.IntRange(0, 3).Draw(rt, "more") {
			keys = append(keys, mail.Key(rapid.SampledFrom([]string{"x", "0000000005", string(mail.UIDKey(77))}).Draw(rt, "key")))
		}
		check(rt, keys)
	})
}

// TestExtent: the number of keys of a side, and the highest.
func TestExtent(t *testing.T) {
	t.Parallel()
	db := open(t)
	if n, high, err := db.Extent(t.Context(), "INBOX", mail.Remote); n != 0 || high != "" || err != nil {
		t.Error(n, high, err)
	}
	fill(t, db, 12)
	write(t, db, func(tx *Tx) error {
		p := pairOf(99)
		p.Keys[mail.Remote] = ""
		return tx.PutPair(&p)
	})
	for _, side := range mail.Sides {
		want, keys := []int{13, 12}[side], []mail.Key{pairOf(99).Keys[mail.Local], mail.UIDKey(12)}
		if n, high, err := db.Extent(t.Context(), "INBOX", side); n != want || high != keys[side] || err != nil {
			t.Error(side, n, high, err)
		}
	}
}

// TestPairsByID: pairs come once each, however often they are asked for, in the order of their ids.
func TestPairsByID(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 10)
	pairs, err := db.PairsByID(t.Context(), "INBOX", []int64{9, 3, 99, 3, 7})
	if err != nil || len(pairs) != 3 || pairs[0].ID != 3 || pairs[1].ID != 7 || pairs[2].ID != 9 {
		t.Error(pairs, err)
	}
	if pairs, err := db.PairsByID(t.Context(), "Other", []int64{3}); err != nil || len(pairs) != 0 {
		t.Error(pairs, err)
	}
}

// TestPairsByKeyDamaged: wherever a key that is asked for, among all others, or that lies between them is damaged to one that is not asked
// for, the pairs come whole, or an error.
func TestPairsByKeyDamaged(t *testing.T) {
	t.Parallel()
	const count = 400
	path, good := written(t, count)
	var keys []mail.Key
	for uid := uint32(2); uid <= count; uid += 2 {
		keys = append(keys, mail.UIDKey(uid))
	}
	found, told := 0, 0
	for _, uid := range []uint32{200, 201} {
		for at := 0; ; at++ {
			n := bytes.Index(good[at:], []byte(mail.UIDKey(uid)))
			if n < 0 {
				break
			}
			at += n
			bad := bytes.Clone(good)
			copy(bad[at:], mail.UIDKey(301)) // one that is there, and not asked for
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := Open(t.Context(), path, Options{ReadOnly: true})
			if err != nil {
				continue // it was something else
			}
			pairs, err := db.PairsByKey(t.Context(), "INBOX", mail.Remote, keys)
			if found++; err != nil {
				told++
			} else if len(pairs) != len(keys) {
				t.Errorf("key %d at %d: %d pairs without an error", uid, at, len(pairs))
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if found < 4 || told < 4 { // in the table and in the index
		t.Errorf("%d places, %d errors", found, told)
	}
}
