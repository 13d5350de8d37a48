package engine

import (
	"context"
	"sync"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// early reads the pairs of messages that a view is going to show as changed, while the server still tells of them. It is a matter of
// time alone: what it did not read is read later.
type early struct {
	queue chan []mail.Key
	asked int
	all   sync.WaitGroup

	mu    sync.Mutex
	pairs map[mail.Key]*mail.Pair // nil: there is none with this key
}

// earlyWorkers is how many read at the same time; a view that follows uses as many.
const earlyWorkers = 2

// listen has the stores tell what their views are going to show, until stop is called.
func (r *run) listen(ctx context.Context) (stop func()) {
	if r.o.crash != nil || r.o.DryRun {
		return func() {}
	}
	var tellers []store.Teller
	for _, side := range mail.Sides {
		if s, ok := r.stores[side].(store.Teller); ok {
			s.Tell(func(box mail.Box, keys []mail.Key) { r.told(ctx, r.boxes[box], side, keys) })
			tellers = append(tellers, s)
		}
	}
	return func() {
		for _, s := range tellers {
			s.Tell(nil)
		}
	}
}

// told begins to read pairs. The store calls it from one goroutine for each view, before that returns; whoever asked for the view calls
// takeEarly.
func (r *run) told(ctx context.Context, b *boxRun, side mail.Side, keys []mail.Key) {
	if b == nil {
		return
	}
	look := b.looks()
	e := look.early[side]
	if e == nil {
		e = &early{queue: make(chan []mail.Key, 64), pairs: map[mail.Key]*mail.Pair{}}
		look.early[side] = e
		for range earlyWorkers {
			e.all.Go(func() {
				for keys := range e.queue {
					r.readEarly(ctx, b.name, side, e, keys)
				}
			})
		}
	}
	if e.asked += len(keys); e.asked > r.o.packFrom { // more would not be kept
		return
	}
	select {
	case e.queue <- keys:
	default:
	}
}

func (r *run) readEarly(ctx context.Context, box mail.Box, side mail.Side, e *early, keys []mail.Key) {
	pairs, err := r.db.PairsByKey(ctx, box, side, keys)
	if err != nil {
		return // it shows when they are asked for again
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, k := range keys {
		e.pairs[k] = nil
	}
	for i := range pairs {
		e.pairs[pairs[i].Keys[side]] = &pairs[i]
	}
}

// takeEarly returns what was read of a side since its view was asked for, once; nil if nothing was.
func (b *boxRun) takeEarly(side mail.Side) map[mail.Key]*mail.Pair {
	if b.look == nil || b.look.early[side] == nil {
		return nil
	}
	e := b.look.early[side]
	b.look.early[side] = nil
	close(e.queue)
	e.all.Wait()
	return e.pairs
}
