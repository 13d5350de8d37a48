package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// plan finds out which messages are the same, then lets package plan decide, and asks the guard.
func (r *run) plan(ctx context.Context) error {
	if err := r.each(ctx, r.pairArrivals); err != nil {
		return err
	}
	boxes, byName := r.planBoxes()
	for _, side := range mail.Sides {
		if err := r.findMoves(ctx, side, boxes, byName); err != nil {
			return err
		}
	}
	if err := r.confirmUnmoved(ctx); err != nil {
		return err
	}
	r.revive()
	policy := plan.Policy{Expunge: r.o.Expunge, DeleteBoxes: r.o.DeleteBoxes, CopyBack: r.o.CopyBack, Hints: r.suspect != ""}
	for _, b := range r.order {
		if b.err == nil {
			b.plan.Merge(policy)
		}
	}
	return r.guard(ctx, boxes)
}

func (r *run) planBoxes() ([]*plan.Box, map[mail.Box]*plan.Box) {
	var boxes []*plan.Box
	byName := map[mail.Box]*plan.Box{}
	for _, b := range r.order {
		if b.err == nil {
			boxes = append(boxes, b.plan)
			byName[b.name] = b.plan
		}
	}
	return boxes, byName
}

// pairArrivals pairs what arrived on both sides of a mailbox by content, before anything is copied.
func (r *run) pairArrivals(ctx context.Context, b *boxRun) error {
	if b.exists == [2]bool{} {
		return nil // half pairs of it are forgotten with it
	}
	for _, side := range mail.Sides {
		if err := r.findTwins(ctx, b, side); err != nil {
			return err
		}
	}
	if b.left[mail.LeftRenumbered]+b.left[mail.LeftRefused]+b.left[mail.LeftDeleting]+b.left[mail.LeftExpunged]+b.left[mail.LeftReplaced]+b.left[mail.LeftVanished] > 0 {
		halves, err := r.db.HalfPairs(ctx, b.name)
		if err != nil {
			return stateError(err)
		}
		b.plan.AddHalves(halves, r.retry)
	}
	if !b.plan.HasCandidates(mail.Local) || !b.plan.HasCandidates(mail.Remote) {
		return nil
	}
	var sides [2][]*plan.Arrival
	for _, side := range mail.Sides {
		b.plan.UnpackArrivals(side)
		sides[side] = b.plan.Candidates(side)
	}
	for _, side := range mail.Sides {
		if err := r.identify(ctx, b.name, side, unidentified(sides[side], true), false); err != nil {
			return err
		}
	}
	for {
		matches, doubt := plan.MatchArrivals(b.plan)
		if len(doubt[0])+len(doubt[1]) == 0 {
			b.plan.AdoptMatches(matches)
			return nil
		}
		for _, side := range mail.Sides {
			if err := r.identify(ctx, b.name, side, doubt[side], true); err != nil {
				return err
			}
		}
	}
}

// unidentified returns those of which nobody asked yet who they are, or how large exactly.
func unidentified(list []*plan.Arrival, exactly bool) []*plan.Arrival {
	return slices.DeleteFunc(slices.Clone(list), func(a *plan.Arrival) bool {
		return a.Half != nil || a.Asked && (!exactly || !a.Entry.Rough) || !a.Entry.Ident.Digest.IsZero()
	})
}

// identify asks a store for the identity of arrivals. One that is not there any more is left to the next run.
func (r *run) identify(ctx context.Context, box mail.Box, side mail.Side, list []*plan.Arrival, full bool) error {
	if len(list) == 0 {
		return nil
	}
	byKey := make(map[mail.Key]*plan.Arrival, len(list))
	keys := make([]mail.Key, len(list))
	for i, a := range list {
		byKey[a.Entry.Key], keys[i] = a, a.Entry.Key
	}
	err := r.stores[side].Identify(ctx, box, keys, full, func(k mail.Key, id mail.Ident) error {
		a := byKey[k]
		if a == nil {
			return nil
		}
		date := a.Entry.Ident.Date
		a.Entry.Ident = id.Merge(a.Entry.Ident)
		if date != 0 {
			a.Entry.Ident.Date = date
		}
		a.Asked, a.Entry.Rough = true, false
		delete(byKey, k)
		return nil
	})
	if err != nil {
		return fmt.Errorf("identify messages on the %s side: %w", side, err)
	}
	for _, a := range byKey {
		a.Vanished()
		r.leaveOpen(r.boxes[box])
	}
	return nil
}

// findMoves pairs what arrived on a side with what disappeared there, over all mailboxes.
func (r *run) findMoves(ctx context.Context, side mail.Side, boxes []*plan.Box, byName map[mail.Box]*plan.Box) error {
	lost, err := r.lost(ctx, side)
	if err != nil {
		return err
	}
	all := slices.Concat(boxes, lost)
	if !slices.ContainsFunc(all, func(b *plan.Box) bool { return b.HasGone(side) }) || !slices.ContainsFunc(boxes, func(b *plan.Box) bool { return b.HasArrived(side) }) {
		return nil
	}
	for _, b := range boxes {
		if err := r.unpack(ctx, b, side); err != nil {
			return err
		}
	}
	err = r.each(ctx, func(ctx context.Context, b *boxRun) error {
		free := slices.DeleteFunc(slices.Clone(b.plan.Arrived[side]), func(a *plan.Arrival) bool { return !a.Free() })
		return r.identify(ctx, b.name, side, unidentified(free, false), false)
	})
	if err != nil {
		return err
	}
	for {
		moves, doubt := plan.MatchMoves(side, all)
		if len(doubt) == 0 {
			moves = slices.DeleteFunc(moves, r.mustWait)
			r.findStale(ctx, side, moves)
			plan.AddMoves(byName, moves)
			return nil
		}
		if err := r.resolve(ctx, side, boxes, doubt); err != nil {
			return err
		}
	}
}

// findStale finds the moves whose keywords came along as letters that mean something else in the other mailbox: most mail readers know
// nothing of them.
func (r *run) findStale(ctx context.Context, side mail.Side, moves []plan.Move) {
	s, ok := r.stores[side].(store.Speller)
	if !ok {
		return
	}
	for i := range moves {
		m := &moves[i]
		had := m.Pair.Flags.Minus(m.Pair.Lacks[side])
		if m.To.Box != m.Pair.Box && had.Keywords != m.To.Entry.Flags.Keywords {
			m.Stale = s.SameLetters(ctx, m.Pair.Box, had, mail.Ref{Box: m.To.Box, Key: m.To.Entry.Key})
		}
	}
}

// unpack makes what arrived in a mailbox and what is gone from it ready to be matched.
func (r *run) unpack(ctx context.Context, b *plan.Box, side mail.Side) error {
	b.UnpackArrivals(side)
	pairs, err := r.db.PairsByID(ctx, b.Name, b.PackedGone(side))
	if err != nil {
		return stateError(err)
	}
	b.Unpack(pairs)
	return nil
}

// lost returns the mailboxes that are missing on a side and could not be looked at on the other, with all pairs gone.
func (r *run) lost(ctx context.Context, side mail.Side) (boxes []*plan.Box, err error) {
	for _, b := range r.order {
		if b.err == nil || !b.missing[side] {
			continue
		}
		lost := plan.NewBox(b.name)
		for p, err := range r.db.Pairs(ctx, b.name, side) {
			if err != nil {
				return nil, stateError(err)
			}
			lost.Add(side, plan.Change{Pair: &p, Gone: true})
		}
		boxes = append(boxes, lost)
	}
	return boxes, nil
}

// mustWait leaves a move out of a mailbox that could not be looked at to the next run. Its arrival must not be copied: the message
// would be twice on the other side, since nothing is deleted in a mailbox for being missing.
func (r *run) mustWait(m plan.Move) bool {
	if r.boxes[m.Pair.Box].err == nil {
		return false
	}
	r.boxes[m.To.Box].open = true
	return true
}

// guard holds deletions back (rules 12 and 13).
func (r *run) guard(ctx context.Context, boxes []*plan.Box) error {
	if r.anyFailed() {
		for _, b := range r.order {
			if b.plan.Ops.Deletes() > 0 {
				b.plan.Ops.DropDeletes()
				b.open = true
				r.note(b.name, "deletions wait for the next sync: a mailbox could not be looked at")
			}
		}
		return nil
	}
	if !slices.ContainsFunc(boxes, func(b *plan.Box) bool { return b.Ops.Deletes() > 0 }) || r.o.AllowDeletes {
		return nil
	}
	known, err := r.db.Counts(ctx)
	if err != nil {
		return stateError(err)
	}
	held := plan.Check(r.o.Limits, boxes, known, r.account.HoldDeletes)
	if len(held) == 0 || !r.o.DryRun && r.o.Confirm != nil && r.o.Confirm(held) {
		return nil
	}
	for _, b := range r.order {
		if b.plan.HoldBack(held) {
			b.open = true
		}
	}
	for _, h := range held {
		r.count(func(s *Summary) { s.HeldBack += h.Count })
		text := fmt.Sprintf("will not delete %s on the %s side", h.Why, h.Side)
		if h.Why == r.account.HoldDeletes {
			text = fmt.Sprintf("will not delete %d of %d messages on the %s side: %s", h.Count, h.Of, h.Side, h.Why)
		}
		hint := strings.TrimSuffix(fmt.Sprintf("if that is right: mailtwin sync --allow-deletes %s/%s", r.o.Account, h.Box), "/")
		if h.Vanished {
			text = fmt.Sprintf("will not delete %d messages on the %s side: %s", h.Count, h.Side, h.Why)
			hint += fmt.Sprintf("; to copy them back: mailtwin sync --copy-back %s/%s", r.o.Account, h.Box)
		}
		r.report(state.Report{Box: h.Box, Kind: "held back", Count: h.Count, Text: text, Hint: hint})
		r.o.Events(Event{Kind: EventHeld, Account: r.o.Account, Box: h.Box, Side: h.Side, Count: h.Count, Text: text})
	}
	return nil
}
