package engine

import (
	"context"
	"errors"
	"sync/atomic"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store"
)

// aheadSize is how many are set at a time. While they are being remembered, the next are already set, which takes about as long.
const aheadSize = 2 * batchSize

// flagsAhead sets flags in a mailbox while it is still being found out which others changed. Where one side tells what changed since a
// mark, and the other has not changed, the flags of a pair depend on nothing that the plan could still bring, so that both go on at the
// same time, and no list of all changes is kept. Nothing is removed, so there is nothing to guard. What fails is left to the plan, and
// told when that is carried out.
type flagsAhead struct {
	begun   bool // something was handed over
	flags   *flagger
	side    mail.Side // that has the news
	waiting []plan.Flags
	queue   chan []plan.Flags // nil: all is done at once
	ended   chan struct{}

	stuck  atomic.Bool  // nothing more is tried, nor taken
	undone []plan.Flags // once it has ended
	err    error        // that ends the run, once it has ended
}

// flagAhead begins; nil where flags must wait for the plan.
func (r *run) flagAhead(ctx context.Context, b *boxRun, side mail.Side, v mail.Delta) *flagsAhead {
	other := side.Other()
	_, quick := r.stores[other].(store.FlagChanger) // else larger batches are better
	if !quick || r.o.DryRun || r.o.Expunge != plan.ExpungeNone || !b.exists[other] || b.viewed[other] || !r.same(b, other) || b.look.voided {
		return nil
	}
	for _, err := range v.Gone { // disappearances take a second look at all mailboxes, best at such as were left alone
		_ = err // it shows when they are asked for
		return nil
	}
	a := &flagsAhead{flags: r.flagger(b), side: side}
	a.flags.again = true
	if r.o.crash == nil { // else the order of all steps counts
		a.queue, a.ended = make(chan []plan.Flags, 2), make(chan struct{})
		go func() {
			defer close(a.ended)
			a.work(ctx)
		}()
	}
	return a
}

// rest is for what remains of a list of changes; nil if all of it was short: few changes are not worth it.
func (a *flagsAhead) rest() *flagsAhead {
	if a == nil || !a.begun {
		return nil
	}
	return a
}

// takes takes a change, if it can be carried out by itself.
func (a *flagsAhead) takes(c plan.Change) bool {
	if a == nil || a.stuck.Load() || c.Pair == nil || c.Pair.Left != mail.LeftNone || c.Pair.Keys[mail.Local] == "" || c.Pair.Keys[mail.Remote] == "" {
		return false
	}
	a.waiting = append(a.waiting, plan.FlagsOf(a.side, c))
	return true
}

// flush hands over what was taken. It waits while too much is waiting.
func (a *flagsAhead) flush(ctx context.Context) {
	if a == nil || len(a.waiting) == 0 {
		return
	}
	a.begun = true
	list := a.waiting
	a.waiting = nil
	if a.queue != nil {
		a.queue <- list
		return
	}
	for len(list) > 0 {
		list = a.some(ctx, list, false)
	}
}

// work sets flags until there are no more.
func (a *flagsAhead) work(ctx context.Context) {
	var list []plan.Flags
	for more := true; more || len(list) > 0; {
		if list, more = a.next(list, more); len(list) > 0 {
			list = a.some(ctx, list, more)
		}
	}
	a.fail(a.flags.rest())
}

// next adds what is waiting to a list, and waits for it if there is nothing yet. It reports whether there may be more.
func (a *flagsAhead) next(list []plan.Flags, more bool) ([]plan.Flags, bool) {
	for more && len(list) < aheadSize {
		var some []plan.Flags
		if len(list) == 0 {
			some, more = <-a.queue
		} else {
			select {
			case some, more = <-a.queue:
			default:
				return list, true
			}
		}
		list = append(list, some...)
	}
	return list, more
}

// some carries out the first of a list; it returns the rest.
func (a *flagsAhead) some(ctx context.Context, list []plan.Flags, more bool) (rest []plan.Flags) {
	n := min(len(list), aheadSize)
	if !more {
		n = a.flags.run.flagSize(list)
	}
	if !a.stuck.Load() {
		err := a.flags.run.begin(ctx)
		if err == nil {
			err = a.flags.batch(ctx, list[:n])
		}
		a.fail(err)
	}
	if a.stuck.Load() {
		a.undone = append(a.undone, list[:n]...)
	}
	return list[n:]
}

// fail notes an error. One of the mailbox shows again when the plan is carried out, unless it comes late.
func (a *flagsAhead) fail(err error) {
	if err == nil {
		return
	}
	a.stuck.Store(true)
	if endsRun(err) {
		a.err = errors.Join(a.err, err)
	}
}

// end waits until all is done, and leaves to the plan what is not.
func (a *flagsAhead) end() error {
	if a == nil {
		return nil
	}
	if a.queue == nil {
		a.fail(a.flags.rest())
	} else {
		close(a.queue)
		<-a.ended
	}
	a.flags.tell()
	for _, op := range a.undone {
		a.flags.box.plan.Add(a.side, plan.Change{Pair: op.Pair, Now: mail.Entry{Key: op.Pair.Keys[a.side], Flags: op.Now[a.side]}})
	}
	if a.flags.late != nil { // what it was is set, and must be seen again
		return a.flags.late
	}
	return a.err
}
