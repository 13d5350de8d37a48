package engine

import (
	"context"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// batchSize is how many messages share an intent commit, the syncs of a store and the final commit.
const batchSize = 500

// apply carries the plan out, in an order in which stopping anywhere loses nothing: everything new is safe on both sides before
// anything is removed.
func (r *run) apply(ctx context.Context) error {
	if !r.anythingToDo() {
		return nil
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	steps := []struct {
		phase Phase
		do    func(context.Context, *boxRun) error
	}{
		{PhaseMailboxes, r.createBox},
		{PhaseCopy, r.adoptAndForget},
		{PhaseCopy, func(ctx context.Context, b *boxRun) error { return r.copyTo(ctx, b, mail.Local) }},
		{PhaseCopy, func(ctx context.Context, b *boxRun) error { return r.copyTo(ctx, b, mail.Remote) }},
		{PhaseMove, r.moveAll},
		{PhaseFlags, r.flagAll},
		{PhaseDelete, r.removeTwins},
		{PhaseDelete, r.deleteAll},
	}
	last := phaseCount
	for _, s := range steps {
		if s.phase != last {
			r.phase(s.phase)
			last = s.phase
		}
		if s.phase == PhaseDelete && r.anyFailed() {
			r.postponeDeletes()
		}
		if s.phase == PhaseMailboxes {
			if err := r.createBoxes(ctx); err != nil {
				return err
			}
		}
		if err := r.each(ctx, s.do); err != nil {
			return err
		}
		if s.phase == PhaseMailboxes {
			if err := r.rememberEpochs(ctx); err != nil {
				return err
			}
		}
	}
	r.reopen()
	return r.removeBoxes(ctx)
}

func (r *run) anythingToDo() bool {
	return slices.ContainsFunc(r.order, func(b *boxRun) bool {
		return b.err == nil && (!b.plan.Ops.Empty() || len(b.twins) > 0 || r.wantsBox(b) || r.wantsRemoval(b))
	})
}

// postponeDeletes leaves deletions to the next run when something before them failed.
func (r *run) postponeDeletes() {
	for _, b := range r.order {
		if b.plan.Ops.Deletes() > 0 {
			b.plan.Ops.DropDeletes()
			b.open = true
		}
	}
}

// adoptAndForget writes pairs that need no effect. Those made of two half pairs go with what they replace, in one transaction.
func (r *run) adoptAndForget(ctx context.Context, b *boxRun) error {
	ops := &b.plan.Ops
	var halves, whole []plan.Adopt
	for _, op := range ops.Adopt {
		if op.Pair.ID != 0 {
			halves = append(halves, op)
		} else {
			whole = append(whole, op)
		}
	}
	if err := r.secureAdopted(ctx, b, halves); err != nil {
		return err
	}
	if len(ops.Forget)+len(ops.ForgetIDs)+len(ops.Leave)+len(halves) > 0 {
		if err := r.update(ctx, true, func(tx *state.Tx) error { return forget(tx, ops, halves) }); err != nil {
			return err
		}
	}
	for _, list := range chunks(whole, batchSize) {
		if err := r.secureAdopted(ctx, b, list); err != nil {
			return err
		}
		if err := r.update(ctx, true, func(tx *state.Tx) error { return adopt(tx, list) }); err != nil {
			return err
		}
	}
	r.count(func(s *Summary) { s.Adopted += len(ops.Adopt) })
	r.reportAltered(b, ops.Adopt)
	return nil
}

func forget(tx *state.Tx, ops *plan.Ops, halves []plan.Adopt) error {
	for _, op := range ops.Forget {
		if err := tx.DropPair(op.Pair.ID); err != nil {
			return err
		}
	}
	for _, id := range ops.ForgetIDs {
		if err := tx.DropPair(id); err != nil {
			return err
		}
	}
	for _, op := range ops.Leave {
		op.Pair.Keys[op.On.Other()], op.Pair.Left = "", mail.LeftExpunged
		if err := tx.PutPair(op.Pair); err != nil {
			return err
		}
	}
	return adopt(tx, halves)
}

func adopt(tx *state.Tx, list []plan.Adopt) error {
	for _, op := range list {
		if err := tx.PutPair(op.Pair); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) secureAdopted(ctx context.Context, b *boxRun, list []plan.Adopt) error {
	for _, part := range chunks(list, batchSize) {
		var keys [2][]mail.Key
		for _, op := range part {
			for _, side := range mail.Sides {
				keys[side] = append(keys[side], op.Pair.Keys[side])
			}
		}
		if err := r.secure(ctx, b.name, keys); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) reportAltered(b *boxRun, list []plan.Adopt) {
	n := 0
	for _, op := range list {
		if op.Pair.Left == mail.LeftAltered {
			n++
		}
	}
	if n > 0 {
		r.note(b.name, "%d messages are on both sides with different content; they are kept as they are", n)
	}
}

// secure makes what a mail reader wrote durable before a row rests on it (rule 1).
func (r *run) secure(ctx context.Context, box mail.Box, keys [2][]mail.Key) error {
	for _, side := range mail.Sides {
		if s, ok := r.stores[side].(store.Securer); ok {
			if err := s.Secure(ctx, box, keys[side]); err != nil {
				return fmt.Errorf("make messages durable on the %s side: %w", side, err)
			}
		}
	}
	return nil
}

// chunks cuts a list into pieces of at most n.
func chunks[T any](list []T, n int) [][]T {
	if len(list) == 0 {
		return nil
	}
	return slices.Collect(slices.Chunk(list, n))
}

func (r *run) progress(b *boxRun, p Phase, side mail.Side, verb string, done, total int, bytes int64) {
	r.o.Events(Event{Kind: EventProgress, Account: r.o.Account, Phase: p, Box: b.name, Side: side, Verb: verb, Done: done, Total: total, Bytes: bytes})
}
