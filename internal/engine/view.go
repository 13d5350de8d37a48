package engine

import (
	"context"
	"fmt"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// wholeEvery is how often a mailbox gets a whole view although deltas would do (rule 10).
const wholeEvery = 7 * 24 * time.Hour

// view lists the mailboxes of both sides, views those that changed, and looks again where messages disappeared.
func (r *run) view(ctx context.Context) error {
	if err := r.list(ctx); err != nil {
		return err
	}
	if err := r.foresee(ctx); err != nil {
		return err
	}
	defer r.listen(ctx)()
	err := r.each(ctx, func(ctx context.Context, b *boxRun) error {
		defer r.viewAhead(ctx, b, mail.Remote)()
		for _, side := range mail.Sides {
			if err := r.viewFirst(ctx, b, side); err != nil {
				return err
			}
		}
		return r.findEdits(ctx, b)
	})
	if err != nil {
		return err
	}
	if r.unconfirmed = r.mayHaveMoved(); r.unconfirmed {
		return nil
	}
	return r.confirmGone(ctx)
}

// foresee tells stores what is known of the mailboxes that changed, if there are several: messages may have moved between them.
func (r *run) foresee(ctx context.Context) error {
	for _, side := range mail.Sides {
		s, ok := r.stores[side].(store.Foreseer)
		if !ok {
			continue
		}
		var changed []*boxRun
		views := 0
		for _, b := range r.order {
			if b.exists[side] && !r.same(b, side) {
				if views++; r.since(b, side) != "" {
					changed = append(changed, b)
				}
			}
		}
		if len(changed) < 2 { // none moved, or where to cannot be foreseen
			changed = nil
		}
		known := make(map[mail.Box]store.Known, len(changed))
		for _, b := range changed {
			count, highest, err := r.db.Extent(ctx, b.name, side)
			if err != nil {
				return stateError(err)
			}
			known[b.name] = store.Known{Count: count, Highest: highest}
		}
		s.Foresee(known, views)
	}
	return nil
}

// viewAhead asks one side for its view of a mailbox while the other is being looked at; the function that it returns waits for the
// answer, if nobody wanted it.
func (r *run) viewAhead(ctx context.Context, b *boxRun, side mail.Side) (wait func()) {
	if r.o.crash != nil || !b.exists[side] || r.same(b, side) || !b.exists[side.Other()] || r.same(b, side.Other()) {
		return func() {}
	}
	var view mail.View
	var err error
	asked := make(chan struct{})
	since := r.since(b, side)
	look := b.looks()
	go func() {
		defer close(asked)
		view, err = r.stores[side].View(ctx, b.name, since)
	}()
	look.ahead[side] = func() (mail.View, error) {
		<-asked
		return view, err
	}
	return func() {
		<-asked
		look.ahead[side] = nil
		b.takeEarly(side).wait() // a view that nobody wanted
	}
}

// since is the mark from which a side is asked for changes first.
func (r *run) since(b *boxRun, side mail.Side) mail.Mark {
	if r.suspect != "" || r.wholeDue(b, side) {
		return ""
	}
	return b.old.Mark[side]
}

// viewFirst views one side of a mailbox if it may have changed.
func (r *run) viewFirst(ctx context.Context, b *boxRun, side mail.Side) error {
	if !b.exists[side] {
		if b.missing[side] {
			return r.allGone(ctx, b, side)
		}
		return nil
	}
	if r.same(b, side) {
		b.proven[side] = b.old.Mark[side]
		return nil
	}
	return r.viewSide(ctx, b, side, r.since(b, side))
}

// allGone takes every pair of a missing mailbox as gone, so that moves out of it are found.
func (r *run) allGone(ctx context.Context, b *boxRun, side mail.Side) error {
	for p, err := range r.db.Pairs(ctx, b.name, side) {
		if err != nil {
			return stateError(err)
		}
		b.plan.Add(side, plan.Change{Pair: &p, Gone: true})
	}
	return nil
}

// viewSide views one side of a mailbox and adds its news to the plan.
func (r *run) viewSide(ctx context.Context, b *boxRun, side mail.Side, since mail.Mark) error {
	b.plan.Reset(side)
	look := b.looks()
	ask := look.ahead[side]
	if look.ahead[side] = nil; ask == nil {
		ask = func() (mail.View, error) { return r.stores[side].View(ctx, b.name, since) }
	}
	v, err := ask()
	early := b.takeEarly(side)
	defer early.wait()
	if err != nil {
		return err
	}
	head := v.At()
	if head.ID != "" {
		b.now.ID[side] = head.ID
	}
	voided, err := r.checkEpoch(ctx, b, side, head.Epoch)
	if err != nil {
		return err
	}
	if look.voided = look.voided || voided; look.voided { // of either side: pairs that were read before have keys that are void
		early = nil
	}
	switch v := v.(type) {
	case mail.Whole:
		err = r.diffWhole(ctx, b, side, v)
		b.now.WholeAt[side] = r.o.Now()
	case mail.Delta:
		var agrees bool
		agrees, err = r.diffDelta(ctx, b, side, v, early)
		if err == nil && !agrees {
			r.note(b.name, "what the %s side says of its changes does not agree with its number of messages; looking at all of them", side)
			return r.viewSide(ctx, b, side, "")
		}
	}
	if err != nil {
		return err
	}
	b.viewed[side] = true
	if b.proven[side], err = head.End(); err != nil || !voided {
		return err
	}
	return r.viewAgain(ctx, b, side.Other())
}

// viewAgain repeats the view of a side whose news name keys of the other side that have become void meanwhile.
func (r *run) viewAgain(ctx context.Context, b *boxRun, side mail.Side) error {
	switch {
	case b.viewed[side]:
		return r.viewSide(ctx, b, side, b.old.Mark[side])
	case b.missing[side]:
		b.plan.Reset(side)
		return r.allGone(ctx, b, side)
	}
	return nil
}

// checkEpoch makes the pairs of a mailbox half pairs if one side's keys have become void (rule 9): they are paired by content
// again, and what stays unpaired is copied, never deleted.
func (r *run) checkEpoch(ctx context.Context, b *boxRun, side mail.Side, epoch string) (voided bool, err error) {
	old := b.now.Epoch[side]
	if epoch == old {
		return false, nil
	}
	b.now.Epoch[side] = epoch
	if old == "" {
		return false, nil
	}
	r.note(b.name, "the %s side renumbered its messages; they are paired by content again", side)
	if r.o.DryRun {
		return false, fmt.Errorf("plan: the %s side renumbered its messages: a dry run cannot show what pairing them again gives", side)
	}
	b.now.Mark[side] = ""
	if err := r.begin(ctx); err != nil {
		return false, err
	}
	err = r.update(ctx, true, func(tx *state.Tx) error {
		if err := tx.VoidKeys(b.name, side); err != nil {
			return err
		}
		b.old.Epoch, b.old.Mark[side] = b.now.Epoch, ""
		return tx.PutBox(b.old)
	})
	if b.left == nil {
		b.left = map[mail.Left]int{}
	}
	b.left[mail.LeftRenumbered]++
	if len(b.plan.Edited) > 0 { // they name keys that are void
		b.plan.Edited, b.open = nil, true
	}
	return true, err
}
