package storetest

import (
	"errors"
	"math/rand/v2"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// testViewWhole: order, flags, keywords, total, mark.
func testViewWhole(f *fixture) {
	box := f.box("Whole")
	msgs := f.messages(40)
	for i := range msgs {
		msgs[i].Flags.System = mail.System(i) & mail.AllSystem
		if f.UserKeywords && i%3 == 0 {
			msgs[i].Flags.Keywords = f.keywords("Work", "$Forwarded")
		}
	}
	msgs = f.deliver(box, msgs...)
	f.must(f.u.Delete(box, msgs[7].Key), "delete as user")
	f.must(f.u.Delete(box, msgs[39].Key), "delete as user")
	f.age()
	v := f.whole(box)
	if v.ReadOnly || v.Storable.Flags.System != mail.AllSystem {
		f.Errorf("read-only %v, storable %v", v.ReadOnly, v.Storable)
	}
	if v.mark == "" && f.Marks {
		f.Error("the view proves no mark")
	}
	if again := f.whole(box); again.mark != v.mark || again.Epoch != v.Epoch {
		f.Errorf("unchanged, but mark %q, epoch %q after %q, %q", again.mark, again.Epoch, v.mark, v.Epoch)
	}
}

func testViewEmpty(f *fixture) {
	box := f.box("Empty")
	f.age()
	v := f.whole(box)
	if w := f.view(box, v.mark); len(w.entries) != 0 || len(w.gone) != 0 {
		f.Errorf("an empty mailbox has %v, gone %v", w.entries, w.gone)
	}
	f.whole(mail.Inbox)
}

// testViewBreak: a view need not be read to its end.
func testViewBreak(f *fixture) {
	box := f.box("Break")
	f.deliver(box, f.messages(20)...)
	for range 3 {
		v, err := f.s.View(f.ctx, box, "")
		f.must(err, "view")
		w, ok := v.(mail.Whole)
		if !ok {
			f.Fatal("no whole view")
		}
		for _, err := range w.All {
			f.must(err, "read view")
			break
		}
	}
	_, err := f.s.View(f.ctx, box, "")
	f.must(err, "view and not read it")
	f.whole(box)
	f.put(box, f.message(0))
	f.whole(box)
}

// testViewGone: ErrGone is told apart from everything else.
func testViewGone(f *fixture) {
	box := f.box("Gone")
	m := f.deliver(box, f.message(0))
	k := f.unknown(m[0].Key)
	for what, err := range map[string]error{
		"view":    second(f.s.View(f.ctx, "No Such", "")),
		"prepare": second(f.s.Prepare(f.ctx, "No Such", []mail.Entry{m[0].entry()})),
		"fetch": f.s.Fetch(f.ctx, "No Such", []mail.Key{k}, func(mail.Entry, mail.Body) error {
			return errors.New("there is nothing to fetch")
		}),
		"delete mailbox": f.s.DeleteBox(f.ctx, "No Such"),
		"rename mailbox": f.s.RenameBox(f.ctx, "No Such", "Such"),
	} {
		if !errors.Is(err, store.ErrGone) {
			f.Errorf("%s in a mailbox that does not exist: %v, want ErrGone", what, err)
		}
	}
	f.whole(box)
}

func second[T any](_ T, err error) error { return err }

// testViewForeign: a mark that the store cannot have made tells nothing.
func testViewForeign(f *fixture) {
	box := f.box("Foreign")
	f.deliver(box, f.messages(3)...)
	for _, mark := range []mail.Mark{"nonsense", "1", "\x00\xff", "1:2:3:4"} {
		v := f.view(box, mark)
		if v.delta {
			f.Errorf("a Delta since %q", mark)
		}
		f.agrees(box, v.entries)
	}
}

// testDelta: a whole view, brought up to date with deltas, is the whole view of later.
func testDelta(f *fixture) {
	box, other := f.box("Delta"), f.box("Other")
	f.deliver(box, f.messages(12)...)
	f.age()
	first := f.whole(box)
	entries, mark := first.entries, first.mark
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 6 {
		changed := 0
		for range round * 2 { // none in the first
			changed += f.change(random, box, other)
		}
		f.age()
		v := f.view(box, mark)
		if want := f.Delta && mark != ""; v.delta != want && (want || !f.SomeDeltas) {
			f.Fatalf("delta %v", v.delta)
		}
		if v.delta && len(v.entries) > changed { // of what is gone, servers may tell more (RFC 7162 section 3.2.5.2)
			f.Errorf("%d changes, but the delta shows %d", changed, len(v.entries))
		}
		entries, mark = applied(entries, v), v.mark
		f.agrees(box, entries)
		if v.Total != -1 && v.Total != len(entries) {
			f.Errorf("total %d, want %d", v.Total, len(entries))
		}
		if v.mark == "" && f.Delta {
			f.Error("the delta proves no mark")
		}
	}
	f.agrees(box, applied(first.entries, f.view(box, first.mark)))
}

// change does one thing as the user, and returns how many messages it concerns at most.
func (f *fixture) change(r *rand.Rand, box, other mail.Box) int {
	f.Helper()
	list := f.list(box)
	kind := r.IntN(5)
	if len(list) == 0 {
		kind = 0
	}
	var m Message
	if len(list) > 0 {
		m = list[r.IntN(len(list))]
	}
	switch kind {
	case 0:
		f.deliver(box, f.message(mail.Seen))
	case 1:
		f.must(f.u.Delete(box, m.Key), "delete as user")
	case 2:
		f.must(f.u.Move(box, m.Key, other), "move as user")
	case 3:
		if back := f.list(other); len(back) > 0 {
			f.must(f.u.Move(other, back[0].Key, box), "move back as user")
		}
	default:
		f.must(f.u.SetFlags(box, m.Key, mail.System(r.IntN(32))), "set flags as user")
	}
	return 1
}

// testDeltaOld: a mark is good for more than one view, and what the store did itself is seen too.
func testDeltaOld(f *fixture) {
	box := f.box("Old")
	m := f.deliver(box, f.messages(6)...)
	f.age()
	old := f.whole(box)
	f.must(f.u.Delete(box, m[2].Key), "delete as user")
	f.put(box, f.message(mail.Answered))
	_, err := f.s.SetFlags(f.ctx, box, keysOf(m[:2]), mail.Flags{System: mail.Flagged}, mail.Flags{})
	f.must(err, "set flags")
	f.age()
	for range 2 {
		v := f.view(box, old.mark)
		f.agrees(box, applied(old.entries, v))
		if last := f.view(box, v.mark); last.delta && len(last.entries)+len(last.gone) > 0 {
			f.Errorf("changed %v, gone %v since nothing changed", last.entries, last.gone)
		}
	}
}

// testEpoch: after a change of epoch the old mark gives a whole view, and nothing happens by old keys.
func testEpoch(f *fixture) {
	r, ok := f.u.(Renumberer)
	if !ok {
		f.Skip("mailboxes keep their epoch")
	}
	box := f.box("Epoch")
	m := f.deliver(box, f.messages(5)...)
	f.must(f.u.Delete(box, m[1].Key), "delete as user")
	f.age()
	old := f.whole(box)
	f.must(r.Renumber(box), "renumber")
	left := f.list(box)
	_, err := f.s.Delete(f.ctx, box, []mail.Entry{{Key: m[3].Key}})
	if !errors.Is(err, store.ErrEpoch) {
		f.Errorf("delete by a key of the last epoch: %v, want ErrEpoch", err)
	}
	_, err = f.s.SetFlags(f.ctx, box, keysOf(m), mail.Flags{System: mail.Answered}, mail.Flags{})
	if !errors.Is(err, store.ErrEpoch) {
		f.Errorf("set flags by keys of the last epoch: %v, want ErrEpoch", err)
	}
	f.holds(box, left...)
	if st := f.status(box); f.Marks && st.Mark == old.mark {
		f.Error("the mark of the last epoch is still told")
	}
	v := f.view(box, old.mark)
	if v.delta || v.Epoch == old.Epoch || f.Marks && v.mark == old.mark {
		f.Errorf("delta %v, epoch %q after %q, mark %q after %q", v.delta, v.Epoch, old.Epoch, v.mark, old.mark)
	}
	f.agrees(box, v.entries)
}
