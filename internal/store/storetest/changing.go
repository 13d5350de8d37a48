package storetest

import (
	"errors"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// testSetFlags: adds and removes in one call, on the messages named and no other, and the content stays the same.
func testSetFlags(f *fixture) {
	box := f.box("Set")
	msgs := f.messages(4)
	for i := range msgs {
		msgs[i].Flags = mail.Flags{System: mail.Flagged | mail.Draft, Keywords: f.keywords("old", "Kept")}
	}
	msgs[1].Flags = mail.Flags{}
	for i, d := range f.put(box, msgs...) {
		msgs[i].Key = d.Key
	}
	before := f.entry(box, msgs[0].Key)
	did, err := f.s.SetFlags(f.ctx, box, keysOf(msgs[:3]),
		mail.Flags{System: mail.Seen | mail.Answered, Keywords: f.keywords("New", "new-er")},
		mail.Flags{System: mail.Flagged, Keywords: f.keywords("old", "absent")})
	f.must(err, "set flags")
	if !did.Lacks.Empty() || len(did.Missing) > 0 {
		f.Errorf("lacks %v; missing %v", did.Lacks, did.Missing)
	}
	seen := mail.Seen | mail.Answered
	msgs[0].Flags = mail.Flags{System: seen | mail.Draft, Keywords: f.keywords("Kept", "New", "new-er")}
	msgs[1].Flags = mail.Flags{System: seen, Keywords: f.keywords("New", "new-er")}
	msgs[2].Flags = msgs[0].Flags
	f.holds(box, msgs...)
	for _, m := range msgs {
		if e := f.entry(box, m.Key); !e.Flags.Equal(m.Flags) {
			f.Errorf("shown with %v, want %v", e.Flags, m.Flags)
		}
	}
	if after := f.entry(box, msgs[0].Key); after.Stamp != before.Stamp {
		f.Errorf("stamp %d, was %d: it looks edited", after.Stamp, before.Stamp)
	}
	del := msgs[0].Flags
	_, err = f.s.SetFlags(f.ctx, box, keysOf(msgs), mail.Flags{}, del)
	f.must(err, "remove flags")
	_, err = f.s.SetFlags(f.ctx, box, keysOf(msgs[:2]), mail.Flags{}, mail.Flags{})
	f.must(err, "change no flags")
	for i := range msgs {
		msgs[i].Flags = msgs[i].Flags.Minus(del)
	}
	f.holds(box, msgs...)
}

// testChangeFlags: flags are added and removed whatever is known of those that messages have, and keywords with them.
func testChangeFlags(f *fixture) {
	s, ok := f.s.(store.FlagChanger)
	if !ok {
		f.Skip("not a store.FlagChanger")
	}
	box := f.box("Change")
	msgs := f.messages(4)
	for i := range msgs[:3] {
		msgs[i].Flags = mail.Flags{System: mail.Draft, Keywords: f.keywords("old")}
	}
	for i, d := range f.put(box, msgs...) {
		msgs[i].Key = d.Key
	}
	add, del := mail.Flags{System: mail.Seen, Keywords: f.keywords("New")}, mail.Flags{System: mail.Draft}
	known := []mail.Flags{msgs[0].Flags, {}, {System: mail.Flagged | mail.Seen}, {}}
	list := []mail.Entry{{Key: f.unknown(msgs[0].Key)}}
	for i, m := range msgs {
		list = append(list, mail.Entry{Key: m.Key, Flags: known[i]})
		msgs[i].Flags = m.Flags.Union(add).Minus(del)
	}
	for range 2 {
		did, err := s.ChangeFlags(f.ctx, box, list, add, del)
		f.must(err, "change flags")
		f.must(did.Secure(), "make flags durable")
		if !did.Lacks.Empty() || !slices.Equal(did.Missing, []mail.Key{list[0].Key}) {
			f.Errorf("lacks %v; missing %v", did.Lacks, did.Missing)
		}
		f.holds(box, msgs...)
	}
	for _, m := range msgs {
		if e := f.entry(box, m.Key); !e.Flags.Equal(m.Flags) {
			f.Errorf("shown with %v, want %v", e.Flags, m.Flags)
		}
	}
}

// testSetFlagsUnknown: what is not there is passed over; a change that is none is no error.
func testSetFlagsUnknown(f *fixture) {
	box := f.box("Unknown")
	msgs := f.deliver(box, f.messages(3)...)
	f.whole(box)
	f.must(f.u.Delete(box, msgs[1].Key), "delete as user")
	keys := append(keysOf(msgs), f.unknown(msgs[0].Key))
	for range 2 {
		did, err := f.s.SetFlags(f.ctx, box, keys, mail.Flags{System: mail.Flagged}, mail.Flags{System: mail.Seen})
		f.must(err, "set flags")
		if slices.Sort(did.Missing); len(did.Missing) > 0 && !slices.Equal(did.Missing, slices.Sorted(slices.Values([]mail.Key{keys[1], keys[3]}))) {
			f.Errorf("missing: %v", did.Missing)
		}
	}
	msgs[0].Flags.System, msgs[2].Flags.System = mail.Flagged, mail.Flagged
	f.holds(box, msgs[0], msgs[2])
	_, err := f.s.SetFlags(f.ctx, box, keys[3:], mail.Flags{System: mail.Flagged}, mail.Flags{})
	f.must(err, "set flags of nothing")
	f.holds(box, msgs[0], msgs[2])
}

// testDelete: the messages named go, others stay, also those that a user marked as deleted.
func testDelete(f *fixture) {
	box := f.box("Delete")
	msgs := f.messages(6)
	msgs[5].Flags.System = mail.Deleted
	msgs = f.deliver(box, msgs...)
	f.whole(box)
	f.must(f.u.Delete(box, msgs[0].Key), "delete as user")
	entries := []mail.Entry{{Key: f.unknown(msgs[0].Key)}}
	for _, m := range msgs[:4] {
		e := m.entry()
		e.Key = m.Key
		entries = append(entries, e)
	}
	left, err := f.s.Delete(f.ctx, box, entries)
	f.must(err, "delete")
	if !f.caps.NoExpunge {
		f.same("left", f.keys(left), nil)
		f.holds(box, msgs[4], msgs[5])
	} else {
		f.same("left", f.keys(left), f.keys(keysOf(msgs[1:4])))
		for i := 1; i < 4; i++ {
			msgs[i].Flags.System |= mail.Deleted
		}
		f.holds(box, msgs[1:]...)
	}
	f.whole(box)
	left, err = f.s.Delete(f.ctx, box, entries[:2])
	if err != nil || len(left) != 0 {
		f.Errorf("delete what is gone: left %q, %v", left, err)
	}
}

// testDeleteSample: a message that is not the one meant is not deleted, if the store can tell.
func testDeleteSample(f *fixture) {
	box := f.box("Sample")
	msgs := f.deliver(box, f.messages(3)...)
	f.whole(box)
	other := identOf([]byte("Subject: another message\r\n\r\nof quite another size\r\n"))
	_, err := f.s.Delete(f.ctx, box, []mail.Entry{
		{Key: msgs[1].Key, Ident: msgs[1].ident()}, {Key: msgs[2].Key, Ident: other},
	})
	switch {
	case err == nil:
		f.Log("the store compares no sample")
	case !errors.Is(err, store.ErrEpoch):
		f.Errorf("delete: %v, want ErrEpoch", err)
	default:
		f.holds(box, msgs...)
	}
}

// moves makes intents to move or copy messages to mailboxes, in turn.
func (f *fixture) moves(from mail.Box, kind mail.IntentKind, msgs []Message, to ...mail.Box) []mail.Intent {
	f.Helper()
	intents := make([]mail.Intent, len(msgs))
	for i, m := range msgs {
		e := m.entry()
		tokens, err := f.s.Prepare(f.ctx, to[i%len(to)], []mail.Entry{e})
		f.must(err, "prepare")
		intents[i] = mail.Intent{
			ID: int64(i + 1), Kind: kind, From: mail.Ref{Box: from, Key: m.Key}, Box: to[i%len(to)], Entry: e, Token: tokens[0],
		}
	}
	return intents
}

// move moves messages, or copies them.
func (f *fixture) move(from, to mail.Box, keep bool, msgs ...Message) []mail.Done {
	f.Helper()
	kind := mail.IntentMove
	if keep {
		kind = mail.IntentCopy
	}
	intents := f.moves(from, kind, msgs, to)
	done, err := f.s.Move(f.ctx, from, intents, keep)
	f.must(err, "move")
	return f.resolve(intents, done)
}

// testMove: content, flags and date go along, to several mailboxes in one call.
func testMove(f *fixture) { f.transfers(mail.IntentMove) }

// testCopy: so they do with a copy, and the source stays.
func testCopy(f *fixture) { f.transfers(mail.IntentCopy) }

func (f *fixture) transfers(kind mail.IntentKind) {
	a, b, c := f.box("A"), f.box("B"), f.box("C with space")
	msgs := f.messages(9)
	for i := range msgs {
		msgs[i].Flags = mail.Flags{System: mail.System(i*5) & mail.AllSystem}
		if i%2 == 0 {
			msgs[i].Flags.Keywords = f.keywords("moved", "Twice")
		}
	}
	for i, d := range f.put(a, msgs...) {
		msgs[i].Key = d.Key
	}
	there := f.deliver(b, f.message(mail.Seen))
	f.whole(a)
	intents := f.moves(a, kind, msgs[:6], b, c)
	done, err := f.s.Move(f.ctx, a, intents, kind == mail.IntentCopy)
	f.must(err, "move")
	f.holds(b, there[0], msgs[0], msgs[2], msgs[4])
	f.holds(c, msgs[1], msgs[3], msgs[5])
	if kind == mail.IntentCopy {
		f.holds(a, msgs...)
	} else {
		f.holds(a, msgs[6:]...)
	}
	for i, d := range f.resolve(intents, done) {
		if d.Key == "" || d.Err != nil {
			f.Errorf("message %d: key %q, %v", i, d.Key, d.Err)
			continue
		}
		f.is(intents[i].Box, d.Key, msgs[i])
		e := f.entry(intents[i].Box, d.Key)
		if !e.Flags.Equal(msgs[i].Flags) || d.Stamp != 0 && e.Stamp != 0 && e.Stamp != d.Stamp {
			f.Errorf("moved with %v, stamp %d; shown with %v, %d", msgs[i].Flags, d.Stamp, e.Flags, e.Stamp)
		}
	}
	for _, box := range []mail.Box{a, b, c} {
		f.whole(box)
	}
}

// testMoveGone: a source that is gone has no outcome, and a target that is gone loses nothing.
func testMoveGone(f *fixture) {
	a, b := f.box("A"), f.box("B")
	msgs := f.deliver(a, f.messages(4)...)
	f.whole(a)
	f.must(f.u.Delete(a, msgs[1].Key), "delete as user")
	lost := msgs[1]
	lost.Key = f.unknown(msgs[0].Key)
	done := f.move(a, b, false, msgs[0], msgs[1], lost, msgs[2])
	for i, d := range done {
		if d.Err != nil || (d.Key != "") != (i == 0 || i == 3) {
			f.Errorf("message %d: key %q, %v", i, d.Key, d.Err)
		}
	}
	f.holds(b, msgs[0], msgs[2])
	f.holds(a, msgs[3])
	intents := f.moves(a, mail.IntentMove, msgs[3:], b)
	intents[0].Box = "No Such"
	done, err := f.s.Move(f.ctx, a, intents, false)
	if err == nil && (len(done) != 1 || done[0].Err == nil) {
		f.Errorf("move to a mailbox that does not exist: %v", fmt.Sprint(done))
	}
	f.holds(a, msgs[3])
}
