package engine

import (
	"context"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
)

// revive has mailboxes created again that one side removed and in which something arrived on the other (rule 14). Moves into one
// that stays missing wait, since there is no mailbox that they could go to.
func (r *run) revive() {
	surely := !r.anyFailed() && !r.dropped && len(r.o.Only) == 0 // else its messages may have moved to where nobody looked
	for _, b := range r.order {
		side, missing := b.missingOn()
		if !missing || b.err != nil {
			continue
		}
		doomed := r.o.DeleteBoxes == plan.DeleteAllBoxes && b.plan.HasGone(side) // they are deleted first
		if surely && !doomed && b.plan.Revive(side) {
			b.missing[side], b.revived[side] = false, true
			r.note(b.name, "something arrived in it; it is created again on the %s side, with its messages", side)
			continue
		}
		for _, from := range r.order {
			if from.plan.DropMovesTo(side, b.name) > 0 {
				from.open, b.open = true, true
			}
		}
		if len(b.plan.Candidates(side.Other())) > 0 {
			b.open = true
		}
	}
}

// forgetKeys makes durable that the keys of a mailbox which is about to be created again are void.
func (r *run) forgetKeys(ctx context.Context, b *boxRun, side mail.Side) error {
	if !b.revived[side] {
		return nil
	}
	return r.update(ctx, true, func(tx *state.Tx) error {
		if err := tx.VoidKeys(b.name, side); err != nil {
			return err
		}
		b.old.Known[side], b.old.Mark[side], b.old.Epoch[side] = false, "", ""
		b.now.Known[side], b.now.Mark[side], b.now.Epoch[side] = false, "", ""
		return tx.PutBox(b.old)
	})
}
