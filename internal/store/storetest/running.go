package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"mailtwin/internal/mail"
)

// testCancelled: no call of a cancelled context changes anything, and the store can be used on.
func testCancelled(f *fixture) {
	box, other := f.box("Cancelled"), f.box("Other")
	msgs := f.deliver(box, f.messages(3)...)
	f.whole(box)
	put := f.prepared(box, f.messages(1))
	moves := f.moves(box, mail.IntentMove, msgs[:1], other)
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	for what, err := range map[string]error{
		"list":     second(f.s.Boxes(ctx)),
		"view":     second(f.s.View(ctx, box, "")),
		"fetch":    f.s.Fetch(ctx, box, keysOf(msgs), func(mail.Entry, mail.Body) error { return nil }),
		"identify": f.s.Identify(ctx, box, keysOf(msgs), true, func(mail.Key, mail.Ident) error { return nil }),
		"put": second(f.s.Put(ctx, box, put, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
			return bodies(msgs, 0)(f.ctx, each)
		})),
		"move":           second(f.s.Move(ctx, box, moves, false)),
		"copy":           second(f.s.Move(ctx, box, moves, true)),
		"set flags":      second(f.s.SetFlags(ctx, box, keysOf(msgs), mail.Flags{System: mail.Seen}, mail.Flags{})),
		"delete":         second(f.s.Delete(ctx, box, []mail.Entry{{Key: msgs[0].Key, Ident: msgs[0].ident()}})),
		"create mailbox": f.s.CreateBox(ctx, "Made", ""),
		"delete mailbox": f.s.DeleteBox(ctx, other),
		"rename mailbox": f.s.RenameBox(ctx, other, "Renamed"),
		"settle":         second(f.s.Settle(ctx, put, none)),
	} {
		if !errors.Is(err, context.Canceled) {
			f.Errorf("%s: %v, want that the context was cancelled", what, err)
		}
	}
	f.holds(box, msgs...)
	f.holds(other)
	list := f.boxes()
	for name, want := range map[mail.Box]bool{"Made": false, "Renamed": false, other: true, box: true} {
		if _, there := list[name]; there != want {
			f.Errorf("mailbox %q listed: %v, want %v", name, there, want)
		}
	}
	f.whole(box)
}

// testCancelledPut: a cancelled batch writes nothing further, and what it wrote is found.
func testCancelledPut(f *fixture) {
	box := f.box("During")
	msgs := f.messages(5)
	intents := f.prepared(box, msgs)
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	_, err := f.s.Put(ctx, box, intents, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		if err := bodies(msgs, 0, 1)(f.ctx, each); err != nil {
			return err
		}
		cancel()
		return bodies(msgs, 2, 3, 4)(f.ctx, each)
	})
	if !errors.Is(err, context.Canceled) {
		f.Errorf("put: %v, want that the context was cancelled", err)
	}
	f.settled(box, intents, msgs)
	for _, m := range f.list(box) {
		if !slices.ContainsFunc(msgs[:2], func(w Message) bool { return identOf(w.Data) == identOf(m.Data) }) {
			f.Errorf("written after the context was cancelled: %s", short(m.Data))
		}
	}
}

// testConcurrent: several goroutines, each with a mailbox of its own, and one that lists.
func testConcurrent(f *fixture) {
	const workers, rounds = 4, 3
	boxes := make([]mail.Box, workers)
	msgs := make([][]Message, workers)
	for w := range workers {
		boxes[w] = f.box(mail.Box(fmt.Sprintf("Worker %d", w)))
		msgs[w] = f.messages(4 * rounds)
	}
	errs := make([]error, workers+1)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for r := 0; r < rounds && errs[w] == nil; r++ {
				errs[w] = f.work(boxes[w], msgs[w][4*r:4*r+4])
			}
		})
	}
	wg.Go(func() {
		for r := 0; r < rounds && errs[workers] == nil; r++ {
			_, errs[workers] = f.s.Boxes(f.ctx)
		}
	})
	wg.Wait()
	f.must(errors.Join(errs...), "work")
	for w, box := range boxes {
		var want []Message
		for i, m := range msgs[w] {
			m.Flags.System = mail.Flagged
			if i%4 != 0 || f.caps.NoExpunge {
				if i%4 == 0 {
					m.Flags.System |= mail.Deleted
				}
				want = append(want, m)
			}
		}
		f.holds(box, want...)
		f.whole(box)
	}
}

// work puts messages, flags them, reads them and deletes the first.
func (f *fixture) work(box mail.Box, msgs []Message) error {
	intents := make([]mail.Intent, len(msgs))
	entries := make([]mail.Entry, len(msgs))
	for i, m := range msgs {
		entries[i] = m.entry()
	}
	tokens, err := f.s.Prepare(f.ctx, box, entries)
	if err != nil {
		return err
	}
	for i := range msgs {
		intents[i] = mail.Intent{ID: int64(i + 1), Box: box, Entry: entries[i], Token: tokens[i]}
	}
	if _, err = f.s.Put(f.ctx, box, intents, bodies(msgs, upTo(len(msgs))...)); err != nil {
		return err
	}
	done, err := f.s.Settle(f.ctx, intents, none)
	if err != nil {
		return err
	}
	keys := make([]mail.Key, len(done))
	for i, d := range done {
		keys[i], entries[i].Key = d.Key, d.Key
	}
	if _, err = f.s.SetFlags(f.ctx, box, keys, mail.Flags{System: mail.Flagged}, mail.Flags{System: mail.Seen}); err != nil {
		return err
	}
	read := 0
	err = f.s.Identify(f.ctx, box, keys, true, func(_ mail.Key, id mail.Ident) error {
		for _, e := range entries {
			if e.Ident.Digest == id.Digest {
				read++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if read != len(msgs) {
		return fmt.Errorf("read %d of %d messages in %q", read, len(msgs), box)
	}
	_, err = f.s.Delete(f.ctx, box, entries[:1])
	return err
}
