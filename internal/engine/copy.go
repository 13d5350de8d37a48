package engine

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
)

// copyTo copies all messages of a mailbox that one side lacks, batch by batch: intents, effect, commit. The commit of a batch and the
// intents of a later one share a transaction.
func (r *run) copyTo(ctx context.Context, b *boxRun, to mail.Side) error {
	total := b.plan.Ops.Copies(to)
	if total == 0 {
		return nil
	}
	c := &copier{run: r, box: b, to: to, total: total}
	copyAll := c.inOrder
	if r.greet[to].Caps.Named && r.o.crash == nil { // who chooses the names has put them in order already
		copyAll = c.together
	}
	err := copyAll(ctx)
	return errors.Join(err, c.flush(ctx))
}

// copier copies the messages of one mailbox to one side.
type copier struct {
	run   *run
	box   *boxRun
	to    mail.Side
	total int

	mu    sync.Mutex // guards what follows
	done  int
	bytes int64
	after []func(*state.Tx) error // what is to be committed, with the next intents or at the end
}

// batches yields what is to be copied in portions.
func (c *copier) batches(yield func([]plan.Copy) bool) {
	ops := &c.box.plan.Ops
	for _, list := range chunks(ops.Copy[c.to], batchSize) {
		if !yield(list) {
			return
		}
	}
	packed := &ops.Arrivals[c.to]
	for first := 0; first < packed.Len(); first += batchSize {
		if !yield(packed.Copies(first, min(first+batchSize, packed.Len()))) {
			return
		}
	}
}

// atOnce is how many batches of one mailbox are under way together: while one is made durable and remembered, the other is sent.
const atOnce = 2

// together copies several batches at a time. Where one fails, no other begins, but one that is under way goes on: what it got is worth
// having, and if the server is lost, it fails by itself and keeps what came whole.
func (c *copier) together(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(atOnce)
	var failed atomic.Bool
	for list := range c.batches {
		if failed.Load() {
			break
		}
		g.Go(func() error {
			if failed.Load() || ctx.Err() != nil { // it had to wait for one that failed
				return ctx.Err()
			}
			err := c.identify(ctx, list)
			if err == nil {
				err = c.batch(ctx, list)
			}
			if err != nil {
				failed.Store(true)
			}
			return err
		})
	}
	return g.Wait()
}

// inOrder copies one batch after the other, so that messages get their keys in the order that they had. While one is sent, the next
// is read through, if its identity is needed.
func (c *copier) inOrder(ctx context.Context) error {
	next, stop := iter.Pull(c.batches)
	defer stop()
	list, more := next()
	err := c.identify(ctx, list)
	for more && err == nil {
		following, others := next()
		ready := c.ahead(ctx, following)
		err = c.batch(ctx, list)
		err = errors.Join(err, ready())
		list, more = following, others
	}
	return err
}

// ahead identifies messages while something else goes on; the function that it returns waits for that. In tests that count the steps
// it does so afterwards.
func (c *copier) ahead(ctx context.Context, list []plan.Copy) (wait func() error) {
	if c.run.o.crash != nil || len(list) == 0 {
		return func() error { return c.identify(ctx, list) }
	}
	ended := make(chan error, 1)
	go func() { ended <- c.identify(ctx, list) }()
	return func() error { return <-ended }
}

// take returns what is to be committed, and forgets it; add remembers it.
func (c *copier) take() []func(*state.Tx) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	after := c.after
	c.after = nil
	return after
}

func (c *copier) add(after ...func(*state.Tx) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = append(c.after, after...)
}

func runAll(tx *state.Tx, list []func(*state.Tx) error) error {
	for _, fn := range list {
		if err := fn(tx); err != nil {
			return err
		}
	}
	return nil
}

// flush commits what the last batch left.
func (c *copier) flush(ctx context.Context) error {
	after := c.take()
	if len(after) == 0 {
		return nil
	}
	return c.run.update(ctx, true, func(tx *state.Tx) error { return runAll(tx, after) })
}
