package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
)

// moveAll carries out the moves that start from a mailbox. While one batch is being remembered, the next is already moved. A server
// gets larger batches, since each costs a round trip.
func (r *run) moveAll(ctx context.Context, b *boxRun) error {
	for _, side := range mail.Sides {
		m := &movers{run: r, box: b, side: side, wait: func() error { return nil }}
		size := 4 * batchSize
		if r.greet[side].Caps.Named {
			size = batchSize
		}
		var err error
		for _, list := range chunks(b.plan.Ops.Move[side], size) {
			if err = m.batch(ctx, list); err != nil {
				break
			}
		}
		if err = errors.Join(err, m.flush(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// movers moves the messages of one mailbox on one side.
type movers struct {
	run    *run
	box    *boxRun
	side   mail.Side
	commit func(*state.Tx) error // of the last batch; nil: there is none, or it is under way
	wait   func() error          // for the commit that is under way
}

// start begins to remember the last batch.
func (m *movers) start(ctx context.Context) error {
	if m.commit == nil {
		return nil
	}
	err := m.wait()
	m.wait = func() error { return nil }
	if err == nil {
		m.wait = m.run.later(ctx, m.commit)
		m.commit = nil
	}
	return err
}

// flush remembers all that was done.
func (m *movers) flush(ctx context.Context) error {
	err := m.start(ctx)
	err = errors.Join(err, m.wait())
	m.wait = func() error { return nil }
	return err
}

func (m *movers) batch(ctx context.Context, moves []plan.Move) error {
	r, b, side := m.run, m.box, m.side
	moves, err := r.rekey(ctx, b, side, moves)
	if err != nil || len(moves) == 0 {
		return err
	}
	intents, err := r.moveIntents(ctx, b, side, moves)
	if err == nil {
		err = m.start(ctx)
	}
	if err != nil {
		return err
	}
	names := []mail.Box{b.name}
	for _, m := range moves {
		names = append(names, m.To.Box)
	}
	defer r.hold(names...)()
	done, err := r.stores[side].Move(ctx, b.name, intents, false)
	if err != nil {
		return fmt.Errorf("move messages on the %s side: %w", side, err)
	}
	untold := slices.ContainsFunc(done, func(d mail.Done) bool { return d.Key == "" && d.Err == nil })
	if untold {
		if err := m.flush(ctx); err != nil { // so that it is known whose the messages are that will be found
			return err
		}
		if err := r.settleMoves(ctx, side, intents, done); err != nil {
			return err
		}
	}
	if err := r.secureMoves(ctx, b, side, moves); err != nil {
		return err
	}
	m.commit = func(tx *state.Tx) error { return commitMoves(tx, side, moves, intents, done) }
	r.tellMoves(b, side, moves, done)
	if untold { // who looks for messages in the same mailbox next must not take these for theirs
		return m.flush(ctx)
	}
	return nil
}

func commitMoves(tx *state.Tx, side mail.Side, moves []plan.Move, intents []mail.Intent, done []mail.Done) error {
	for i, d := range done {
		if d.Key != "" {
			p := moves[i].Pair
			was := *p
			p.Box, p.Keys[side], p.Keys[side.Other()] = moves[i].To.Box, d.Key, moves[i].To.Entry.Key
			p.Left = mail.LeftNone // it may have vanished before an import
			p.Lacks[side] = p.Lacks[side].Union(d.Lacks)
			if err := tx.AlterPair(&was, p); err != nil {
				return err
			}
		}
		if err := tx.DropIntent(intents[i].ID); err != nil {
			return err
		}
	}
	return nil
}

// tellMoves counts and reports the outcome of a batch.
func (r *run) tellMoves(b *boxRun, side mail.Side, moves []plan.Move, done []mail.Done) {
	moved := 0
	r.mu.Lock()
	for i, d := range done {
		if d.Key != "" {
			moved++
			r.did(r.boxes[moves[i].To.Box], side, d.Key, moves[i].Pair.Flags.Minus(moves[i].Pair.Lacks[side].Union(d.Lacks)))
		}
	}
	r.didRemove(b, side, moved)
	r.mu.Unlock()
	r.dropFlagsOfUnmoved(b, moves, done)
	r.reportUnmoved(b, side, done)
	r.count(func(s *Summary) {
		if side == mail.Local {
			s.MovedLocal += moved
		} else {
			s.MovedRemote += moved
		}
	})
	r.progress(b, PhaseMove, side, "move", moved, len(moves), 0)
}

// rekey takes note of messages that have another key in the same mailbox now: another tool renamed their files, or a user took
// them away and back. There is nothing to be done on the other side. It returns the moves proper.
func (r *run) rekey(ctx context.Context, b *boxRun, side mail.Side, moves []plan.Move) (rest []plan.Move, err error) {
	var keys [2][]mail.Key
	var here []plan.Move
	for _, m := range moves {
		if m.To.Box != b.name {
			rest = append(rest, m)
			continue
		}
		here = append(here, m)
		keys[side.Other()] = append(keys[side.Other()], m.To.Entry.Key)
	}
	if len(here) == 0 {
		return rest, nil
	}
	if err := r.secure(ctx, b.name, keys); err != nil {
		return nil, err
	}
	return rest, r.update(ctx, true, func(tx *state.Tx) error {
		for _, m := range here {
			m.Pair.Keys[side.Other()], m.Pair.Left = m.To.Entry.Key, mail.LeftNone
			if err := tx.PutPair(m.Pair); err != nil {
				return err
			}
		}
		return nil
	})
}

// reportUnmoved tells of moves that a side refused; they stay where they are there.
func (r *run) reportUnmoved(b *boxRun, side mail.Side, done []mail.Done) {
	n, why := 0, error(nil)
	for _, d := range done {
		if d.Err != nil {
			n, why = n+1, d.Err
		}
	}
	if n > 0 {
		r.count(func(s *Summary) { s.Left += n })
		r.report(state.Report{Box: b.name, Kind: "refused", Count: n, Text: fmt.Sprintf("%d messages could not be moved on the %s side: %v", n, side, why), Hint: mail.HintOf(why)})
	}
}

func (r *run) moveIntents(ctx context.Context, b *boxRun, side mail.Side, moves []plan.Move) ([]mail.Intent, error) {
	byBox := map[mail.Box][]int{}
	for i, m := range moves {
		byBox[m.To.Box] = append(byBox[m.To.Box], i)
	}
	intents := make([]mail.Intent, len(moves))
	for to, at := range byBox {
		entries := make([]mail.Entry, len(at))
		for k, i := range at {
			entries[k] = mail.Entry{Key: moves[i].Pair.Keys[side], Flags: moves[i].Pair.Flags, Ident: moves[i].Pair.Ident}
		}
		tokens, err := r.stores[side].Prepare(ctx, to, entries)
		if err != nil {
			return nil, fmt.Errorf("prepare moves on the %s side: %w", side, err)
		}
		for k, i := range at {
			intents[i] = mail.Intent{
				Side: side, Kind: mail.IntentMove, From: mail.Ref{Box: b.name, Key: moves[i].Pair.Keys[side]},
				Box: to, Entry: entries[k], Token: tokens[k], Pair: moves[i].Pair.ID,
			}
		}
	}
	return intents, r.update(ctx, true, func(tx *state.Tx) error {
		for i := range intents {
			if err := tx.AddIntent(&intents[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *run) settleMoves(ctx context.Context, side mail.Side, intents []mail.Intent, done []mail.Done) error {
	var open []mail.Intent
	var at []int
	for i, d := range done {
		if d.Key == "" && d.Err == nil {
			open, at = append(open, intents[i]), append(at, i)
		}
	}
	if len(open) == 0 {
		return nil
	}
	own := map[mail.Ref]bool{}
	for i, d := range done {
		own[mail.Ref{Box: intents[i].Box, Key: d.Key}] = true
	}
	taken := r.taken(ctx, side)
	found, err := r.stores[side].Settle(ctx, open, func(ref mail.Ref) bool { return own[ref] || taken(ref) })
	if err != nil {
		return fmt.Errorf("find moved messages on the %s side: %w", side, err)
	}
	for i, d := range found {
		done[at[i]] = d
	}
	return nil
}

// secureMoves makes the move that the user made on the other side durable: the new names and the removal of the old.
func (r *run) secureMoves(ctx context.Context, b *boxRun, side mail.Side, moves []plan.Move) error {
	other := side.Other()
	byBox := map[mail.Box][2][]mail.Key{b.name: {}}
	for _, m := range moves {
		keys := byBox[m.To.Box]
		keys[other] = append(keys[other], m.To.Entry.Key)
		byBox[m.To.Box] = keys
	}
	for box, keys := range byBox {
		if r.boxes[box].missing[other] {
			continue
		}
		if err := r.secure(ctx, box, keys); err != nil {
			return err
		}
	}
	return nil
}

// dropFlagsOfUnmoved leaves messages whose move came to nothing to the next run, which sees them afresh.
func (r *run) dropFlagsOfUnmoved(b *boxRun, moves []plan.Move, done []mail.Done) {
	stuck := map[*mail.Pair]bool{}
	for i, d := range done {
		if d.Key == "" {
			stuck[moves[i].Pair] = true
			b.open, r.boxes[moves[i].To.Box].open = true, true
		}
	}
	b.plan.DropFlags(stuck)
}
