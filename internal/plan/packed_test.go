package plan

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

// told is a plan in words, whatever form its operations have. pairs stand for what is stored.
func told(b *Box, pairs []mail.Pair) []string {
	var list []string
	byID := func(ids []int64) (found []mail.Pair) {
		for _, p := range pairs {
			if slices.Contains(ids, p.ID) {
				found = append(found, p)
			}
		}
		return found
	}
	ops := &b.Ops
	deletes := slices.Clone(ops.Delete)
	for _, side := range mail.Sides {
		for _, op := range append(slices.Clone(ops.Copy[side]), ops.Arrivals[side].Copies(0, ops.Arrivals[side].Len())...) {
			list = append(list, fmt.Sprintf("copy to %v: %+v", op.To, op.From.Entry))
		}
		if got, want := len(ops.Copy[side])+ops.Arrivals[side].Len(), ops.Copies(side); got != want {
			list = append(list, "wrong count of copies")
		}
		deletes = append(deletes, DeleteOps(side, byID(ops.DeleteIDs[side]))...)
	}
	for _, op := range deletes {
		list = append(list, fmt.Sprintf("delete on %v: %d", op.On, op.Pair.ID))
	}
	for _, op := range ops.Forget {
		list = append(list, fmt.Sprintf("forget %d", op.Pair.ID))
	}
	for _, id := range ops.ForgetIDs {
		list = append(list, fmt.Sprintf("forget %d", id))
	}
	flags := slices.Clone(ops.Flags)
	for {
		ids := b.FlagIDs(2)
		if len(ids) == 0 {
			break
		}
		flags = append(flags, b.FlagOps(byID(ids))...)
	}
	for _, op := range flags {
		list = append(list, fmt.Sprintf("flags of %d: %v, now %v and %v", op.Pair.ID, op.Want, op.Now[0], op.Now[1]))
	}
	slices.Sort(list)
	return list
}

// TestPackedIsTheSame: whatever both sides show, however often they are looked at, a plan is the same with packed news and without.
func TestPackedIsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var pairs []mail.Pair
		flagsOf := func(label string) mail.Flags {
			return mail.Flags{System: mail.System(rapid.IntRange(0, 3).Draw(rt, label)), Keywords: rapid.SampledFrom([]string{"", "work"}).Draw(rt, label)}
		}
		for i := range rapid.IntRange(1, 8).Draw(rt, "pairs") {
			p := mail.Pair{ID: int64(i + 1), Box: "A", Keys: [2]mail.Key{mail.Key(fmt.Sprint("l", i)), mail.Key(fmt.Sprint("r", i))}, Flags: flagsOf("base")}
			switch rapid.IntRange(0, 9).Draw(rt, "kind") {
			case 0:
				p.Left, p.Keys[rapid.IntRange(0, 1).Draw(rt, "lacks")] = mail.LeftRefused, ""
			case 1:
				p.Allowed = true
			case 2:
				p.Lacks[rapid.IntRange(0, 1).Draw(rt, "cannot hold")] = mail.Flags{Keywords: "work"}
			}
			pairs = append(pairs, p)
		}
		from := rapid.IntRange(-1, 4).Draw(rt, "from")
		boxes := [2]*Box{NewBox("A"), NewBox("A")}
		boxes[1].Packs, boxes[1].PackFrom = true, from
		both := func(fn func(*Box)) { fn(boxes[0]); fn(boxes[1]) }
		for range rapid.IntRange(1, 4).Draw(rt, "views") {
			side := mail.Side(rapid.IntRange(0, 1).Draw(rt, "side"))
			both(func(b *Box) { b.Reset(side) })
			for i := range pairs {
				if pairs[i].Keys[side] == "" {
					continue
				}
				c := Change{Gone: rapid.IntRange(0, 3).Draw(rt, "gone") == 0}
				if !c.Gone {
					c.Now = mail.Entry{Key: pairs[i].Keys[side], Flags: flagsOf("shows")}
					if !HasNews(side, &pairs[i], c.Now.Flags, false) {
						continue
					}
				}
				both(func(b *Box) {
					p := pairs[i] // each has its own
					c.Pair = &p
					b.Add(side, c)
				})
			}
			for i := range rapid.IntRange(0, 3).Draw(rt, "arrivals") {
				e := mail.Entry{Key: mail.Key(fmt.Sprint("new", i)), Flags: flagsOf("arrives"), Stamp: uint64(rapid.IntRange(0, 1).Draw(rt, "stamp"))}
				e.Ident.Stable = rapid.SampledFrom([]string{"", "emailid:x"}).Draw(rt, "stable")
				both(func(b *Box) { b.Add(side, Change{Now: e}) })
			}
		}
		for _, side := range mail.Sides {
			if boxes[0].HasGone(side) != boxes[1].HasGone(side) || boxes[0].HasArrived(side) != boxes[1].HasArrived(side) || boxes[0].HasCandidates(side) != boxes[1].HasCandidates(side) {
				rt.Fatalf("one is told of news on the %v side, the other is not", side)
			}
			for i := range pairs {
				if boxes[0].IsGone(pairs[i].ID, side) != boxes[1].IsGone(pairs[i].ID, side) {
					rt.Fatalf("pair %d on the %v side", pairs[i].ID, side)
				}
			}
		}
		switch side := mail.Side(rapid.IntRange(0, 1).Draw(rt, "of")); rapid.IntRange(0, 3).Draw(rt, "then") {
		case 0:
			if a, b := boxes[0].DropGone(side), boxes[1].DropGone(side); a != b {
				rt.Fatalf("%d and %d were gone", a, b)
			}
		case 1:
			boxes[1].UnpackArrivals(side)
		case 2:
			var some []mail.Pair
			for _, id := range boxes[1].PackedGone(side) {
				if rapid.Bool().Draw(rt, "unpack") {
					some = append(some, pairs[id-1])
				}
			}
			boxes[1].Unpack(some)
		}
		both(func(b *Box) { b.Merge(Policy{}) })
		if a, b := boxes[0].Ops.Deletes(), boxes[1].Ops.Deletes(); a != b || boxes[0].Ops.Empty() != boxes[1].Ops.Empty() {
			rt.Fatalf("%d and %d deletions", a, b)
		}
		want, got := told(boxes[0], pairs), told(boxes[1], pairs)
		if !slices.Equal(want, got) {
			rt.Fatalf("packed   %q\nunpacked %q", got, want)
		}
	})
}
