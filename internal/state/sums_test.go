package state

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

// TestSums: however pairs come and go, the sums are those of the pairs that are there.
func TestSums(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		db, err := Memory(ctx)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		boxes := []mail.Box{"A", "B"}
		var ids []int64
		known := map[int64]mail.Pair{} // as they were written once, which may not be how they are
		for range rapid.IntRange(1, 6).Draw(rt, "commits") {
			err := db.Update(ctx, false, func(tx *Tx) error {
				for range rapid.IntRange(1, 6).Draw(rt, "changes") {
					p := pairOf(rapid.IntRange(1, 1e6).Draw(rt, "n"))
					p.Box = rapid.SampledFrom(boxes).Draw(rt, "box")
					p.Flags = mail.Flags{System: mail.System(rapid.IntRange(0, 31).Draw(rt, "flags")), Keywords: "Work"}
					p.Lacks[1] = mail.Flags{Keywords: rapid.SampledFrom([]string{"", "Work"}).Draw(rt, "lacks")}
					switch what := rapid.IntRange(0, 9).Draw(rt, "what"); {
					case what < 5 || len(ids) == 0:
						if err := tx.PutPair(&p); err != nil {
							return err
						}
						ids = append(ids, p.ID)
						known[p.ID] = p
					case what < 6:
						p.ID = rapid.SampledFrom(ids).Draw(rt, "id")
						if err := tx.PutPair(&p); err != nil {
							return err
						}
					case what < 7:
						was := known[rapid.SampledFrom(ids).Draw(rt, "id")]
						altered := was
						altered.Flags, altered.Lacks, altered.Box = p.Flags, p.Lacks, p.Box
						if err := tx.AlterPair(&was, &altered); err != nil {
							return err
						}
						known[was.ID] = altered
					case what < 8:
						if err := tx.DropPair(rapid.SampledFrom(ids).Draw(rt, "id")); err != nil {
							return err
						}
					case what < 9:
						if err := tx.VoidKeys(p.Box, mail.Remote); err != nil {
							return err
						}
					default:
						if err := tx.DropBox(p.Box); err != nil {
							return err
						}
					}
				}
				return nil
			})
			if isConstraint(err) {
				rt.Skip(err) // two pairs with one key
			}
			if err != nil {
				rt.Fatal(err)
			}
			for _, box := range boxes {
				for _, side := range mail.Sides {
					var want mail.Sum
					for p, err := range db.Pairs(ctx, box, side) {
						if err != nil {
							rt.Fatal(err)
						}
						want.Add(p.Keys[side], p.Shown(side))
					}
					if got, err := db.Sum(ctx, box, side); err != nil || got != want {
						rt.Fatalf("%s %v: sum %v, want %v (%v)", box, side, got, want, err)
					}
				}
			}
		}
	})
}
