package engine

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
	"mailtwin/internal/store/memstore"
)

// history is a random life of an account: users on both sides, syncs, crashes, and a model of what must be there.
type history struct {
	*world
	rt      *rapid.T
	next    int
	deleted map[mail.Hash]bool   // by a user, on any side
	moved   map[mail.Hash][2]int // by users, how often on each side
	alone   map[mail.Hash]bool   // a user touched it before both sides surely had it: it may come back, or stay where it was too
	loose   bool                 // the past was lost or renumbered: a deletion may come back
}

var historyBoxes = []mail.Box{"INBOX", "Archive", "Work/2024"}

func (h *history) pick() (mail.Side, memstore.Message, bool) {
	side := mail.Side(rapid.IntRange(0, 1).Draw(h.rt, "side"))
	all := h.stores[side].Dump()
	if len(all) == 0 {
		return side, memstore.Message{}, false
	}
	m := all[rapid.IntRange(0, len(all)-1).Draw(h.rt, "message")]
	if has, err := h.db.Has(h.t.Context(), side, mail.Ref{Box: m.Box, Key: m.Key}); err != nil || !has {
		h.alone[m.Ident.Digest] = true
	}
	return side, m, true
}

func (h *history) deliver() {
	side := mail.Side(rapid.IntRange(0, 1).Draw(h.rt, "side"))
	h.next++
	data := body(h.next)
	if h.next%3 == 0 {
		data = bare(h.next)
	}
	h.stores[side].Deliver(rapid.SampledFrom(historyBoxes).Draw(h.rt, "box"), flags(), data, int64(1_600_000_000+h.next))
}

func (h *history) remove() {
	if side, m, ok := h.pick(); ok {
		h.stores[side].DeleteUser(m.Box, m.Key)
		h.deleted[m.Ident.Digest] = true
	}
}

func (h *history) flag() {
	if side, m, ok := h.pick(); ok {
		f := flags(rapid.SampledFrom([]string{`\Seen`, `\Flagged`, `\Answered`, "work"}).Draw(h.rt, "flag"))
		if rapid.Bool().Draw(h.rt, "set") {
			h.stores[side].SetFlagsUser(m.Box, m.Key, f, mail.Flags{})
		} else {
			h.stores[side].SetFlagsUser(m.Box, m.Key, mail.Flags{}, f)
		}
	}
}

func (h *history) move() {
	side, m, ok := h.pick()
	to := rapid.SampledFrom(historyBoxes).Draw(h.rt, "to")
	if ok && to != m.Box {
		h.stores[side].MoveUser(m.Box, m.Key, to)
		n := h.moved[m.Ident.Digest]
		n[side]++
		h.moved[m.Ident.Digest] = n
	}
}

func (h *history) crash() { h.crashAt(rapid.IntRange(0, 40).Draw(h.rt, "crash")) }

// powerCut undoes what users did in Maildirs and nobody synced. Mail that was delivered there and copied nowhere yet is gone
// with it, and no fault of a sync; what was removed may be back.
func (h *history) powerCut() {
	before := [2]map[mail.Hash]bool{h.digests(mail.Local), h.digests(mail.Remote)}
	for _, s := range h.stores {
		s.PowerCut()
	}
	for _, side := range mail.Sides {
		now := h.digests(side)
		for id := range before[side] {
			if !now[id] && !before[side.Other()][id] {
				h.deleted[id] = true
			}
		}
	}
}

func (h *history) digests(side mail.Side) map[mail.Hash]bool {
	ids := map[mail.Hash]bool{}
	for _, m := range h.stores[side].Dump() {
		ids[m.Ident.Digest] = true
	}
	return ids
}

// check says what is wrong: both sides must be equal, nothing that no user deleted may be missing, and nothing may be there
// twice that was not moved on both sides.
func (h *history) check() {
	local, remote := h.stores[0].Dump(), h.stores[1].Dump()
	if d := memstore.Difference(local, remote); d != "" {
		h.rt.Fatalf("sides differ (local first):\n%s", d)
	}
	count := map[mail.Hash]int{}
	for _, m := range local {
		count[m.Ident.Digest]++
	}
	for i := 1; i <= h.next; i++ {
		data := body(i)
		if i%3 == 0 {
			data = bare(i)
		}
		d := mail.NewDigester()
		_, _ = d.Write(data)
		id := d.Ident().Digest
		switch n, moves := count[id], h.moved[id]; {
		case n == 0 && !h.deleted[id]:
			h.rt.Fatalf("message %d is lost", i)
		case n > 1 && (moves[0] == 0 || moves[1] == 0) && !h.loose && (!h.alone[id] || moves == [2]int{}):
			h.rt.Fatalf("message %d is there %d times", i, n)
		case n > 0 && h.deleted[id] && moves == [2]int{} && !h.loose && !h.alone[id]:
			h.rt.Fatalf("message %d came back", i)
		}
		delete(count, id)
	}
	if len(count) > 0 {
		h.rt.Fatalf("%d messages came from nowhere", len(count))
	}
}

// TestHistories lets two users and many crashes work on an account and compares the end with the model.
func TestHistories(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				h := &history{world: newWorld(t, kind[0], kind[1]), rt: rt, deleted: map[mail.Hash]bool{}, moved: map[mail.Hash][2]int{}, alone: map[mail.Hash]bool{}}
				defer func() { _ = h.db.Close() }()
				h.o.AllowDeletes = true
				steps := map[string]func(*rapid.T){}
				for name, step := range map[string]func(){
					"deliver": h.deliver, "deliver more": h.deliver, "remove": h.remove, "flag": h.flag, "move": h.move, "crash": h.crash,
				} {
					steps[name] = func(rt *rapid.T) { h.rt = rt; step() }
				}
				steps["sync"] = func(rt *rapid.T) {
					h.rt = rt
					if res, err := h.try(nil); err != nil || len(res.Errors) > 0 {
						rt.Fatalf("sync: %v %v", err, res.Errors)
					}
				}
				rt.Repeat(steps)
				for range 3 {
					if res, err := h.try(nil); err != nil || len(res.Errors) > 0 {
						rt.Fatalf("sync: %v %v", err, res.Errors)
					}
				}
				h.check()
				if res, err := h.try(nil); err != nil || res.Summary.Changed() || res.Summary.Adopted > 0 {
					rt.Fatalf("a further sync was not idle: %+v %v", res.Summary, err)
				}
			})
		})
	}
}

// TestHistoriesWithLosses adds lost states, new epochs and power cuts: deletions may come back then, but nothing may be lost
// or doubled.
func TestHistoriesWithLosses(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				h := &history{world: newWorld(t, kind[0], kind[1]), rt: rt, deleted: map[mail.Hash]bool{}, moved: map[mail.Hash][2]int{}, alone: map[mail.Hash]bool{}, loose: true}
				defer func() { _ = h.db.Close() }()
				h.o.AllowDeletes = true
				steps := map[string]func(*rapid.T){}
				for name, step := range map[string]func(){
					"deliver": h.deliver, "remove": h.remove, "flag": h.flag, "move": h.move, "crash": h.crash,
					"lose state": h.newState, "power cut": h.powerCut,
					"new epoch": func() {
						side := mail.Side(rapid.IntRange(0, 1).Draw(h.rt, "side"))
						if box := rapid.SampledFrom(historyBoxes).Draw(h.rt, "box"); kind[side].Kind == memstore.IMAP && h.stores[side].HasBox(box) {
							h.stores[side].NewEpoch(box)
						}
					},
					"sync": func() {
						if res, err := h.try(nil); err != nil || len(res.Errors) > 0 {
							h.rt.Fatalf("sync: %v %v", err, res.Errors)
						}
					},
				} {
					steps[name] = func(rt *rapid.T) { h.rt = rt; step() }
				}
				rt.Repeat(steps)
				for range 4 {
					if res, err := h.try(nil); err != nil || len(res.Errors) > 0 {
						rt.Fatalf("sync: %v %v", err, res.Errors)
					}
				}
				h.check()
			})
		})
	}
}

func ExampleSummary_Changed() {
	fmt.Println(Summary{Adopted: 3}.Changed(), Summary{CopiedToLocal: 1}.Changed())
	// Output: false true
}
