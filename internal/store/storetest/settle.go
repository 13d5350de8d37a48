package storetest

import (
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

func none(mail.Ref) bool { return false }

// settle asks for the keys of intents, as after a crash.
func (f *fixture) settle(intents []mail.Intent, taken func(mail.Ref) bool) []mail.Key {
	f.Helper()
	f.reopen()
	done, err := f.s.Settle(f.ctx, intents, taken)
	f.must(err, "settle")
	if len(done) != len(intents) {
		f.Fatalf("%d outcomes for %d intents", len(done), len(intents))
	}
	keys := make([]mail.Key, len(done))
	for i, d := range done {
		if d.Err != nil {
			f.Errorf("settle intent %d: %v", i, d.Err)
		}
		keys[i] = d.Key
	}
	return keys
}

// testSettlePut: messages that were put are found, others are not, even if the mailbox had their like before.
func testSettlePut(f *fixture) {
	a, b := f.box("A"), f.box("B")
	msgs := f.messages(6)
	f.deliver(a, msgs[1])
	f.deliver(b, msgs[3])
	intents := append(f.prepared(a, msgs[:3]), f.prepared(b, msgs[3:])...)
	_, err := f.s.Put(f.ctx, a, intents[:3], bodies(msgs[:3], 0, 2))
	f.must(err, "put messages")
	_, err = f.s.Put(f.ctx, b, intents[3:], bodies(msgs[3:], 1))
	f.must(err, "put messages")
	f.deliver(a, f.message(0))
	keys := f.settle(intents, none)
	for i, k := range keys {
		switch i {
		case 0, 2, 4:
			f.is(intents[i].Box, k, msgs[i])
		default:
			if k != "" {
				f.Errorf("message %d was not put, but is settled as %q", i, k)
			}
		}
	}
	if again := f.settle(intents, none); !slices.Equal(again, keys) {
		f.Errorf("settled as %q, then as %q", keys, again)
	}
	if got := f.settle(nil, none); len(got) != 0 {
		f.Errorf("settled %q of nothing", got)
	}
}

// testSettleTwins: as many keys as there are messages, each once.
func testSettleTwins(f *fixture) {
	box := f.box("Twins")
	m := f.message(0)
	msgs := []Message{m, m, m}
	intents := f.prepared(box, msgs)
	_, err := f.s.Put(f.ctx, box, intents, bodies(msgs, 0, 1))
	f.must(err, "put messages")
	got := slices.DeleteFunc(f.settle(intents, none), func(k mail.Key) bool { return k == "" })
	f.same("settled", f.keys(got), f.keys(keysOf(f.list(box))))
}

// testSettleTaken: what belongs to a pair is no candidate.
func testSettleTaken(f *fixture) {
	box := f.box("Taken")
	msgs := f.messages(2)
	intents := f.prepared(box, msgs)
	done, err := f.s.Put(f.ctx, box, intents, bodies(msgs, 0, 1))
	f.must(err, "put messages")
	done = f.resolve(intents, done)
	keys := f.settle(intents, func(r mail.Ref) bool { return r == mail.Ref{Box: box, Key: done[0].Key} })
	if keys[0] != "" || keys[1] != done[1].Key {
		f.Errorf("settled %q, want none and %q", keys, done[1].Key)
	}
}

// testSettleMove: the same for moves and copies.
func testSettleMove(f *fixture) {
	a, b := f.box("A"), f.box("B")
	msgs := f.deliver(a, f.messages(5)...)
	f.deliver(b, msgs[3])
	f.whole(a)
	intents := f.moves(a, mail.IntentMove, msgs[:2], b)
	intents = append(intents, f.moves(a, mail.IntentCopy, msgs[2:], b)...)
	_, err := f.s.Move(f.ctx, a, intents[:1], false)
	f.must(err, "move")
	_, err = f.s.Move(f.ctx, a, intents[2:3], true)
	f.must(err, "copy")
	keys := f.settle(intents, none)
	f.is(b, keys[0], msgs[0])
	f.is(b, keys[2], msgs[2])
	for _, i := range []int{1, 3, 4} {
		if keys[i] != "" {
			f.Errorf("message %d is where it was, but is settled as %q", i, keys[i])
		}
	}
	f.holds(a, msgs[1:]...)
	f.holds(b, msgs[0], msgs[2], msgs[3])
}

// testSettleNamed: where tokens name messages, Settle needs nothing else.
func testSettleNamed(f *fixture) {
	if !f.caps.Named {
		f.Skip("tokens do not name messages")
	}
	box := f.box("Named")
	m := f.message(0)
	msgs := []Message{m, m, f.message(0)}
	intents := f.prepared(box, msgs)
	_, err := f.s.Put(f.ctx, box, intents, bodies(msgs, 1, 2))
	f.must(err, "put messages")
	for i := range intents {
		intents[i].Entry = mail.Entry{}
	}
	keys := f.settle(intents, none)
	if keys[0] != "" {
		f.Errorf("message 0 was not put, but is settled as %q", keys[0])
	}
	f.is(box, keys[1], msgs[1])
	f.is(box, keys[2], msgs[2])
}

// testSecure: securing changes nothing, and passes over what is gone.
func testSecure(f *fixture) {
	s, ok := f.s.(store.Securer)
	if !ok {
		f.Skip("the store needs no securing")
	}
	box := f.box("Secure")
	msgs := f.deliver(box, f.messages(3)...)
	f.age()
	v := f.whole(box)
	keys := append(keysOf(msgs), f.unknown(msgs[0].Key))
	f.must(s.Secure(f.ctx, box, keys), "secure")
	if w := f.whole(box); w.mark != v.mark {
		f.Errorf("securing changes the mark from %q to %q", v.mark, w.mark)
	}
	f.must(f.u.Delete(box, msgs[0].Key), "delete as user")
	f.must(s.Secure(f.ctx, box, keys), "secure what is gone")
	f.must(s.Secure(f.ctx, box, nil), "secure nothing")
	f.holds(box, msgs[1:]...)
}

// testSettleEpoch: intents are void in another epoch.
func testSettleEpoch(f *fixture) {
	r, ok := f.u.(Renumberer)
	if !ok {
		f.Skip("mailboxes keep their epoch")
	}
	box := f.box("Epoch")
	msgs := f.messages(3)
	intents := f.prepared(box, msgs)
	_, err := f.s.Put(f.ctx, box, intents, bodies(msgs, 0, 1, 2))
	f.must(err, "put messages")
	f.must(r.Renumber(box), "renumber")
	for i, k := range f.settle(intents, none) {
		if k != "" {
			f.Errorf("message %d is settled as %q in another epoch", i, k)
		}
	}
	f.holds(box, msgs...)
}
