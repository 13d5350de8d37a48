package state

import (
	"context"
	"testing"

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
