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

	mu     sync.Mutex
	turned sync.Cond               // one of queue is done
	unread int                     // of queue that are not
	pairs  map[mail.Key]*mail.Pair // nil: there is none with this key
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
		e.turned.L = &e.mu
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
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case e.queue <- keys:
		e.unread++
	default:
	}
}

func (r *run) readEarly(ctx context.Context, box mail.Box, side mail.Side, e *early, keys []mail.Key) {
	pairs, err := r.db.PairsByKey(ctx, box, side, keys)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unread--
	e.turned.Broadcast()
	if err != nil {
		return // it shows when they are asked for again
	}
	for _, k := range keys {
		e.pairs[k] = nil
	}
	for i := range pairs {
		e.pairs[pairs[i].Keys[side]] = &pairs[i]
	}
}

// find returns the pair with a key; nil if there is none. It waits for what is being read; false: nobody read this one.
func (e *early) find(k mail.Key) (p *mail.Pair, read bool) {
	if e == nil {
		return nil, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		if p, read = e.pairs[k]; read || e.unread == 0 {
			return p, read
		}
		e.turned.Wait()
	}
}

// takeEarly returns what is read of a side since its view was asked for, once; nil if nothing is. No more is read then, and what is being
// read has an end: call wait.
func (b *boxRun) takeEarly(side mail.Side) *early {
	if b.look == nil || b.look.early[side] == nil {
		return nil
	}
	e := b.look.early[side]
	b.look.early[side] = nil
	close(e.queue)
	return e
}

// wait waits until nothing is being read any more.
func (e *early) wait() {
	if e != nil {
		e.all.Wait()
	}
}
