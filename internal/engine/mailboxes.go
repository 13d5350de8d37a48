package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// wantsBox reports whether a mailbox is to be created on one side.
func (r *run) wantsBox(b *boxRun) bool {
	return r.createOn(b, mail.Local) || r.createOn(b, mail.Remote)
}

func (r *run) createOn(b *boxRun, side mail.Side) bool {
	return !b.exists[side] && b.exists[side.Other()] && !b.missing[side]
}

// createBox creates a mailbox where it is new.
func (r *run) createBox(ctx context.Context, b *boxRun) error {
	for _, side := range mail.Sides {
		if !r.createOn(b, side) {
			continue
		}
		if err := r.forgetKeys(ctx, b, side); err != nil {
			return err
		}
		if err := r.stores[side].CreateBox(ctx, b.name, b.now.Role); err != nil {
			return fmt.Errorf("create it on the %s side: %w", side, err)
		}
		v, err := r.stores[side].View(ctx, b.name, "")
		if err != nil {
			return fmt.Errorf("open it on the %s side: %w", side, err)
		}
		if err := r.created(b, side, v.At().Epoch, v.At().Total); err != nil {
			return err
		}
	}
	return nil
}

// created notes that a mailbox came into being on one side.
func (r *run) created(b *boxRun, side mail.Side, epoch string, total int) error {
	b.exists[side] = true
	if total != 0 {
		return fmt.Errorf("create it on the %s side: %w: it came into being meanwhile, the next sync looks at it", side, store.ErrEpoch)
	}
	b.now.Epoch[side] = epoch // keys that it gives from now on are of this epoch
	r.o.Events(Event{Kind: EventOp, Account: r.o.Account, Phase: PhaseMailboxes, Box: b.name, Side: side, Verb: "create mailbox", Count: 1})
	return nil
}

// createBoxes creates mailboxes in one go where a store can do that.
func (r *run) createBoxes(ctx context.Context) error {
	for _, side := range mail.Sides {
		s, ok := r.stores[side].(store.Creator)
		if !ok {
			continue
		}
		var boxes []*boxRun
		var list []store.Creation
		for _, b := range r.order {
			if b.err != nil || !r.createOn(b, side) {
				continue
			}
			if err := r.forgetKeys(ctx, b, side); err != nil {
				return err
			}
			boxes, list = append(boxes, b), append(list, store.Creation{Box: b.name, Role: b.now.Role})
		}
		if len(list) == 0 {
			continue
		}
		for i, made := range s.CreateBoxes(ctx, list) {
			err := made.Err
			if err != nil {
				err = fmt.Errorf("create it on the %s side: %w", side, err)
			} else {
				err = r.created(boxes[i], side, made.Epoch, made.Total)
			}
			if err := r.fail(boxes[i], err); err != nil {
				return err
			}
		}
	}
	return nil
}

// rememberEpochs makes durable to which epochs the keys belong that the intents which follow will name: else an interrupted
// copy would be paired by keys that stand for other messages by now.
func (r *run) rememberEpochs(ctx context.Context) error {
	var fresh []*boxRun
	for _, b := range r.order {
		if b.err == nil && b.old.Epoch != b.now.Epoch {
			fresh = append(fresh, b)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return r.update(ctx, true, func(tx *state.Tx) error {
		for _, b := range fresh {
			b.old.Epoch = b.now.Epoch
			if err := tx.PutBox(b.old); err != nil {
				return err
			}
		}
		return nil
	})
}

// missingOn returns the side on which a mailbox that both had is missing.
func (b *boxRun) missingOn() (mail.Side, bool) {
	for _, side := range mail.Sides {
		if b.missing[side] {
			return side, true
		}
	}
	return 0, false
}

// wantsRemoval reports whether a mailbox that is missing on one side may be removed on the other in this run (rule 14).
func (r *run) wantsRemoval(b *boxRun) bool {
	if _, missing := b.missingOn(); !missing || b.name == mail.Inbox || b.err != nil {
		return false
	}
	switch r.o.DeleteBoxes {
	case plan.DeleteAllBoxes:
		return true
	case plan.DeleteEmptyBoxes:
		return b.old.EmptyRuns >= 1
	}
	return false
}

// removeBoxes removes mailboxes, children before their parents, and reports those that stay.
func (r *run) removeBoxes(ctx context.Context) error {
	order := slices.Clone(r.order)
	slices.Reverse(order)
	for _, b := range order {
		if !r.wantsRemoval(b) || b.open {
			continue
		}
		empty, err := r.empty(ctx, b)
		if err != nil {
			return err
		}
		if !empty {
			continue
		}
		side, _ := b.missingOn()
		side = side.Other()
		switch err := r.stores[side].DeleteBox(ctx, b.name); {
		case errors.Is(err, store.ErrNotEmpty):
			continue
		case err != nil && !errors.Is(err, store.ErrGone):
			if err := r.fail(b, fmt.Errorf("remove it on the %s side: %w", side, err)); err != nil {
				return err
			}
			continue
		}
		b.exists[side] = false
		r.o.Events(Event{Kind: EventOp, Account: r.o.Account, Phase: PhaseDelete, Box: b.name, Side: side, Verb: "remove mailbox", Count: 1})
	}
	return nil
}

// empty reports whether the remaining side of a missing mailbox has no message, as far as this run knows.
func (r *run) empty(ctx context.Context, b *boxRun) (bool, error) {
	side, _ := b.missingOn()
	side = side.Other()
	if len(b.plan.Candidates(side)) > 0 {
		return false, nil
	}
	n, err := r.db.Count(ctx, b.name, side)
	return n == 0, stateError(err)
}

// reportKept tells of mailboxes that are missing on one side and stay on the other; it returns how many hold messages.
func (r *run) reportKept(ctx context.Context) (int, error) {
	kept := 0
	for _, b := range r.order {
		side, missing := b.missingOn()
		if !missing || !b.exists[side.Other()] {
			continue
		}
		empty, err := r.empty(ctx, b)
		if err != nil {
			return kept, err
		}
		b.now.EmptyRuns = 0
		if empty && b.err == nil {
			b.now.EmptyRuns = b.old.EmptyRuns + 1
			continue
		}
		kept++
		text := fmt.Sprintf("the mailbox is missing on the %s side; it and its messages are kept on the %s side", side, side.Other())
		r.report(state.Report{
			Box: b.name, Kind: "mailbox kept", Count: 1, Text: text,
			Hint: fmt.Sprintf(`remove it on the %s side too, create it again on the %s side, or set delete_mailboxes = "all"`, side.Other(), side),
		})
	}
	return kept, nil
}
