package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// wild is a history in which mailboxes come, go and are renamed, messages are copied, and calls of the stores fail.
type wild struct {
	*history
	copies map[mail.Hash]int // made by users
	boxes  int               // names given so far
}

// box picks a mailbox of a side; only INBOX is surely there.
func (h *wild) box(side mail.Side) mail.Box {
	names := []mail.Box{"INBOX"}
	for _, b := range h.stores[side].Names() {
		if b != mail.Inbox {
			names = append(names, b)
		}
	}
	return rapid.SampledFrom(names).Draw(h.rt, "box")
}

func (h *wild) side() mail.Side { return mail.Side(rapid.IntRange(0, 1).Draw(h.rt, "side")) }

func (h *wild) deliver() {
	side := h.side()
	h.next++
	data := body(h.next)
	if h.next%3 == 0 {
		data = bare(h.next)
	}
	h.stores[side].Deliver(h.box(side), flags(), data, int64(1_600_000_000+h.next))
}

func (h *wild) move() {
	side, m, ok := h.pick()
	if !ok {
		return
	}
	if to := h.box(side); to != m.Box {
		h.stores[side].MoveUser(m.Box, m.Key, to)
		n := h.moved[m.Ident.Digest]
		n[side]++
		h.moved[m.Ident.Digest] = n
	}
}

func (h *wild) copy() {
	if side, m, ok := h.pick(); ok {
		h.stores[side].CopyUser(m.Box, m.Key, h.box(side))
		h.copies[m.Ident.Digest]++
	}
}

func (h *wild) create() {
	h.boxes++
	name := mail.Box(fmt.Sprintf("Box%d", h.boxes))
	side := h.side()
	if under := h.box(side); under != mail.Inbox && rapid.Bool().Draw(h.rt, "below") {
		name = under + "/" + name
	}
	h.stores[side].CreateUser(name, "")
}

// in lists the messages of a mailbox.
func (h *wild) in(side mail.Side, box mail.Box) []memstore.Message {
	return slices.DeleteFunc(h.stores[side].Dump(), func(m memstore.Message) bool { return m.Box != box })
}

// removeBox removes a mailbox with what is in it, as a user does who wants neither.
func (h *wild) removeBox() {
	side := h.side()
	if box := h.box(side); box != mail.Inbox {
		for _, m := range h.in(side, box) {
			h.deleted[m.Ident.Digest], h.alone[m.Ident.Digest] = true, true
		}
		h.stores[side].RemoveBox(box)
	}
}

// renameBox renames a mailbox: to a sync that is a move of all that is in it.
func (h *wild) renameBox() {
	side := h.side()
	from := h.box(side)
	if from == mail.Inbox {
		return
	}
	before := h.stores[side].Dump()
	h.boxes++
	if !h.stores[side].RenameUser(from, mail.Box(fmt.Sprintf("Box%d", h.boxes))) {
		return
	}
	left := map[mail.Box]bool{}
	for _, b := range h.stores[side].Names() {
		left[b] = true
	}
	for _, m := range before {
		if left[m.Box] {
			continue
		}
		n := h.moved[m.Ident.Digest]
		n[side]++
		h.moved[m.Ident.Digest] = n
		if has, err := h.db.Has(h.t.Context(), side, mail.Ref{Box: m.Box, Key: m.Key}); err != nil || !has {
			h.alone[m.Ident.Digest] = true
		}
	}
}

var wildErrors = map[string]error{
	"unreachable": fmt.Errorf("read: %w", store.ErrUnreachable),
	"refused":     fmt.Errorf("answer NO: %w", store.ErrRefused),
	"epoch":       fmt.Errorf("select: %w", store.ErrEpoch),
	"gone":        fmt.Errorf("select: %w", store.ErrGone),
	"read-only":   fmt.Errorf("select: %w", store.ErrReadOnly),
	"disk":        &fs.PathError{Op: "write", Path: "x", Err: errors.New("input/output error")},
}

// fault syncs while calls of one store fail, before or after they did their work: the n-th, and then every other.
func (h *wild) fault() {
	side := h.side()
	name := rapid.SampledFrom([]string{"unreachable", "refused", "epoch", "gone", "read-only", "disk"}).Draw(h.rt, "error")
	n, often := rapid.IntRange(0, 25).Draw(h.rt, "call"), rapid.Bool().Draw(h.rt, "often")
	calls := 0
	hit := func(memstore.Method) error {
		calls++
		if calls-1 == n || often && calls-1 > n && calls%2 == 0 {
			return wildErrors[name]
		}
		return nil
	}
	h.wrap = func(s mail.Side, st store.Store) store.Store {
		if s != side {
			return st
		}
		g := &memstore.Gate{Store: st, Before: hit}
		if rapid.Bool().Draw(h.rt, "after") {
			g = &memstore.Gate{Store: st, After: hit}
		}
		return g
	}
	_, _ = h.try(nil)
	h.wrap = nil
}

// late syncs while the server executes one effect after the connection is gone: before the next sync sees anything, or after it.
func (h *wild) late() {
	var late *memstore.Late
	h.wrap = func(side mail.Side, st store.Store) store.Store {
		if side == mail.Local {
			return st
		}
		late = &memstore.Late{Store: st}
		late.Lose()
		return late
	}
	_, _ = h.try(nil)
	h.wrap = nil
	if _, err := h.stores[mail.Remote].Hello(context.Background(), ""); err != nil {
		h.rt.Fatal(err)
	}
	if err := late.Land(context.Background()); err != nil && !errors.Is(err, store.ErrGone) && !errors.Is(err, store.ErrEpoch) {
		h.rt.Fatal(err)
	}
	_ = h.stores[mail.Remote].Close()
}

// cure does what the hint says of mailboxes that are missing on one side and kept on the other: creates them again.
func (h *wild) cure(res Result) (cured bool) {
	for _, r := range res.Reports {
		if r.Kind != "mailbox kept" {
			continue
		}
		for _, s := range h.stores {
			if !s.HasBox(r.Box) {
				s.CreateUser(r.Box, "")
				cured = true
			}
		}
	}
	return cured
}

func (h *wild) check() {
	if d := memstore.Difference(h.stores[0].Dump(), h.stores[1].Dump()); d != "" {
		h.rt.Fatalf("sides differ (local first):\n%s", d)
	}
	near, far := h.stores[0].Names(), h.stores[1].Names()
	if !slices.Equal(near, far) {
		h.rt.Fatalf("mailboxes differ: %q, %q", near, far)
	}
	count := map[mail.Hash]int{}
	for _, m := range h.stores[0].Dump() {
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
		n, moves := count[id], h.moved[id]
		most := 1 + h.copies[id]
		if moves[0] > 0 && moves[1] > 0 || h.alone[id] && (moves != [2]int{} || h.deleted[id]) {
			most = 1 << 20
		}
		switch {
		case n == 0 && !h.deleted[id]:
			h.rt.Fatalf("message %d is lost", i)
		case n > most:
			h.rt.Fatalf("message %d is there %d times, %d at most", i, n, most)
		}
		delete(count, id)
	}
	if len(count) > 0 {
		h.rt.Fatalf("%d messages came from nowhere", len(count))
	}
}

// TestHistoriesOfMailboxes lets mailboxes come and go, messages be copied, and calls of the stores fail.
func TestHistoriesOfMailboxes(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		for _, policy := range []plan.DeleteBoxes{plan.DeleteEmptyBoxes, plan.DeleteAllBoxes} {
			t.Run(fmt.Sprintf("%s/%v", name, policy), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(rt *rapid.T) { wildHistory(t, rt, kind, policy) })
			})
		}
	}
}

func wildHistory(t *testing.T, rt *rapid.T, kind [2]memstore.Options, policy plan.DeleteBoxes) {
	h := &wild{
		history: &history{world: newWorld(t, kind[0], kind[1]), rt: rt, deleted: map[mail.Hash]bool{}, moved: map[mail.Hash][2]int{}, alone: map[mail.Hash]bool{}},
		copies:  map[mail.Hash]int{},
	}
	defer func() { _ = h.db.Close() }()
	h.o.AllowDeletes, h.o.DeleteBoxes = true, policy
	steps := map[string]func(*rapid.T){}
	for name, step := range map[string]func(){
		"deliver": h.deliver, "deliver more": h.deliver, "remove": h.remove, "flag": h.flag, "move": h.move, "copy": h.copy, "crash": h.crash,
		"create": h.create, "remove mailbox": h.removeBox, "rename mailbox": h.renameBox, "fault": h.fault, "fault again": h.fault, "late": h.late,
		"sync": func() { _, _ = h.try(nil) },
	} {
		steps[name] = func(rt *rapid.T) { h.rt = rt; rt.Log(name); step() }
	}
	rt.Repeat(steps)
	h.rt = rt
	var res Result
	for range 12 {
		var err error
		if res, err = h.try(nil); err != nil || len(res.Errors) > 0 {
			rt.Fatalf("sync: %v %v", err, res.Errors)
		}
		h.cure(res)
	}
	h.check()
	if res.Summary.Changed() || res.Summary.Adopted > 0 {
		rt.Fatalf("a further sync was not idle: %+v", res.Summary)
	}
}
