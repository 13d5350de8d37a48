package state

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

// TestAlterPair alters pairs that are as they were read, that others changed since, that went to another mailbox, and that are gone:
// the rows end as PutPair would leave them.
func TestAlterPair(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := open(t)
	fill(t, db, 600)
	read := func() (pairs []mail.Pair) {
		for p, err := range db.Pairs(ctx, "INBOX", mail.Remote) {
			if err != nil {
				t.Fatal(err)
			}
			pairs = append(pairs, p)
		}
		return pairs
	}
	was := read()
	write(t, db, func(tx *Tx) error {
		changed := was[1]
		changed.Flags = mail.Flags{System: mail.Flagged, Keywords: "$Work"}
		if err := tx.PutPair(&changed); err != nil {
			return err
		}
		changed = was[2]
		changed.Keys[mail.Remote] = ""
		if err := tx.PutPair(&changed); err != nil {
			return err
		}
		return tx.DropPair(was[3].ID)
	})
	want := map[int64]mail.Pair{}
	write(t, db, func(tx *Tx) error {
		for i := range was {
			p := was[i]
			p.Flags.System |= mail.Seen
			p.Lacks[mail.Local].Keywords = "$Work"
			switch i {
			case 4:
				p.Box = "Archive"
			case 5, 6: // they exchange keys
				p.Keys[mail.Remote] = was[11-i].Keys[mail.Remote]
			case 7:
				p.Keys[mail.Local] = "new"
			case 8:
				p.Keys[mail.Remote], p.Left = "", mail.LeftRefused
			}
			want[p.ID] = p
			if err := tx.AlterPair(&was[i], &p); err != nil {
				return err
			}
		}
		return nil
	})
	delete(want, was[3].ID)
	delete(want, was[4].ID)
	delete(want, was[8].ID)
	for _, p := range read() {
		if p != want[p.ID] {
			t.Errorf("%+v, want %+v", p, want[p.ID])
		}
		delete(want, p.ID)
	}
	if len(want) > 0 {
		t.Errorf("%d are missing", len(want))
	}
	if n, err := db.Count(ctx, "Archive", mail.Local); err != nil || n != 1 {
		t.Errorf("%d moved: %v", n, err)
	}
}

// TestAlterStale: one pair among many that is stored in another way than it was read, has gone, or takes a key that another one gives
// away, changes nothing in what becomes of all of them, and of the sums, wherever it is: statements are for 64, 8 and 1 rows, of up to 256
// at a time.
func TestAlterStale(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const many = 2*perWrite + 64 + 8 + 3
	for name, test := range map[string]struct {
		meanwhile func(tx *Tx, p mail.Pair) error // as it is stored
		alter     func(p, next *mail.Pair)        // besides flags
		shift     bool                            // all get another key
		gone      bool
	}{
		"as it was": {},
		"stale": {meanwhile: func(tx *Tx, p mail.Pair) error {
			p.Flags = mail.Flags{System: mail.Answered, Keywords: "$Work"}
			return tx.PutPair(&p)
		}},
		"under another key": {meanwhile: func(tx *Tx, p mail.Pair) error {
			p.Keys[mail.Local] += "other"
			return tx.PutPair(&p)
		}},
		"gone":                            {meanwhile: func(tx *Tx, p mail.Pair) error { return tx.DropPair(p.ID) }, gone: true},
		"keys are exchanged among others": {shift: true, alter: func(p, next *mail.Pair) { p.Keys, next.Keys = next.Keys, p.Keys }},
		"gone among others":               {shift: true, meanwhile: func(tx *Tx, p mail.Pair) error { return tx.DropPair(p.ID) }, gone: true},
		"keys are exchanged":              {alter: func(p, next *mail.Pair) { p.Keys, next.Keys = next.Keys, p.Keys }},
	} {
		for _, at := range []int{0, 63, 130, perWrite - 2, many - 2} {
			db := open(t)
			fill(t, db, many)
			was, err := collect(db.Pairs(ctx, "INBOX", mail.Remote))
			if err != nil {
				t.Fatal(err)
			}
			if test.meanwhile != nil {
				write(t, db, func(tx *Tx) error { return test.meanwhile(tx, was[at]) })
			}
			now := append([]mail.Pair(nil), was...)
			for i := range now {
				now[i].Flags.System |= mail.Seen
				if test.shift {
					now[i].Keys[mail.Local] += "shifted"
				}
			}
			if test.alter != nil {
				test.alter(&now[at], &now[at+1])
			}
			write(t, db, func(tx *Tx) error {
				for i := range now {
					if err := tx.AlterPair(&was[i], &now[i]); err != nil {
						return err
					}
				}
				return nil
			})
			want := map[int64]mail.Pair{}
			for _, p := range now {
				want[p.ID] = p
			}
			if test.gone {
				delete(want, was[at].ID)
			}
			for _, side := range mail.Sides {
				var sum mail.Sum
				n := 0
				for p, err := range db.Pairs(ctx, "INBOX", side) {
					if err != nil || p != want[p.ID] {
						t.Fatalf("%s, at %d: %+v, want %+v (%v)", name, at, p, want[p.ID], err)
					}
					sum.Add(p.Keys[side], p.Shown(side))
					n++
				}
				if got, err := db.Sum(ctx, "INBOX", side); n != len(want) || err != nil || got != sum {
					t.Errorf("%s, at %d: %d of %d, sum %v, want %v (%v)", name, at, n, len(want), got, sum, err)
				}
			}
			if err := db.Check(ctx); err != nil {
				t.Errorf("%s, at %d: %v", name, at, err)
			}
			_ = db.Close()
		}
	}
}

// TestKeysGoRound: pairs that take each other's keys, in whatever order and circles, end with them, those too that are not stored as they
// were read, and nothing is there twice. A key of a pair that keeps it is an error, and changes nothing.
func TestKeysGoRound(t *testing.T) {
	t.Parallel()
	const count = 9
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		db, err := Memory(ctx)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		var was []mail.Pair
		err = db.Update(ctx, false, func(tx *Tx) error {
			for i := range count {
				p := pairOf(i + 1)
				if err := tx.PutPair(&p); err != nil {
					return err
				}
				was = append(was, p)
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		places := rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7, 8}).Draw(rt, "places")
		stale := rapid.SliceOfNDistinct(rapid.IntRange(0, count-1), 0, 3, rapid.ID).Draw(rt, "stale")
		foreign := rapid.IntRange(0, 3).Draw(rt, "foreign") == 0
		err = db.Update(ctx, false, func(tx *Tx) error {
			for _, i := range stale {
				p := was[i]
				p.Flags.System = mail.Draft
				if err := tx.PutPair(&p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		before, err := collect(db.Pairs(ctx, "INBOX", mail.Local))
		if err != nil {
			rt.Fatal(err)
		}
		want := map[int64]mail.Pair{}
		err = db.Update(ctx, false, func(tx *Tx) error {
			for i := range was {
				p := was[i]
				p.Keys[mail.Remote], p.Left = was[places[i]].Keys[mail.Remote], mail.LeftRefused
				if foreign && i == count-1 {
					p.Keys[mail.Remote] = was[places[0]].Keys[mail.Remote]
				}
				if err := tx.AlterPair(&was[i], &p); err != nil {
					return err
				}
				want[p.ID] = p
			}
			return nil
		})
		if foreign {
			if !isConstraint(err) {
				rt.Fatal(err)
			}
			for clear(want); len(before) > 0; before = before[1:] {
				want[before[0].ID] = before[0]
			}
		} else if err != nil {
			rt.Fatal(err)
		}
		for _, side := range mail.Sides {
			pairs, err := collect(db.Pairs(ctx, "INBOX", side))
			if err != nil || len(pairs) != len(want) {
				rt.Fatal(len(pairs), err)
			}
			for _, p := range pairs {
				if p != want[p.ID] {
					rt.Fatalf("%+v, want %+v", p, want[p.ID])
				}
			}
		}
		if err := db.Check(ctx); err != nil {
			rt.Fatal(err)
		}
	})
}

func BenchmarkAlterPair(b *testing.B) {
	benchmarkFlags(b, func(tx *Tx, was, p *mail.Pair) error { return tx.AlterPair(was, p) })
}

func BenchmarkReplacePair(b *testing.B) {
	benchmarkFlags(b, func(tx *Tx, _, p *mail.Pair) error { return tx.PutPair(p) })
}

// benchmarkFlags writes 5,000 pairs with other flags.
func benchmarkFlags(b *testing.B, put func(tx *Tx, was, p *mail.Pair) error) {
	db := open(b)
	fill(b, db, 5000)
	pairs, err := collect(db.Pairs(context.Background(), "INBOX", mail.Remote))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		write(b, db, func(tx *Tx) error {
			for i := range pairs {
				was := pairs[i]
				pairs[i].Flags.System ^= mail.Flagged
				if err := put(tx, &was, &pairs[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
}
