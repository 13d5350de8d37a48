package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// flagChange is what changes on one message; messages with the same change share a command.
type flagChange struct {
	box      mail.Box // of the pair, which a move may have changed
	side     mail.Side
	add, del mail.Flags
}

// flagAll makes flags equal and then remembers them. Stopped between the two, the next run sees the same change on both
// sides. While one batch is being remembered, the next is already set.
func (r *run) flagAll(ctx context.Context, b *boxRun) error {
	wait := func() error { return nil }
	done, total := 0, b.plan.Ops.FlagChanges()
	batch := func(list []plan.Flags) error {
		commit, err := r.flagBatch(ctx, list)
		if err := errors.Join(wait(), err); err != nil {
			wait = func() error { return nil }
			return err
		}
		done += len(list)
		r.progress(b, PhaseFlags, mail.Local, "flag", done, total, 0)
		wait = r.later(ctx, commit)
		return nil
	}
	for list := b.plan.Ops.Flags; len(list) > 0; {
		n := r.flagSize(list)
		if err := batch(list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	for {
		ids := b.plan.FlagIDs(2 * batchSize)
		if len(ids) == 0 {
			return wait()
		}
		pairs, err := r.db.PairsByID(ctx, b.name, ids)
		if err != nil {
			return errors.Join(wait(), stateError(err))
		}
		if err := batch(b.plan.FlagOps(pairs)); err != nil {
			return err
		}
	}
}

// flagSize is how many of some changes go into the next batch. A server gets larger ones, since each costs a round trip; on the other
// side the last one is smaller, since nothing goes on while it is being remembered.
func (r *run) flagSize(list []plan.Flags) int {
	n := len(list)
	for _, side := range mail.Sides {
		if !r.greet[side].Caps.Named && !list[0].Want.Equal(list[0].Now[side]) {
			return min(n, 4*batchSize)
		}
	}
	return min(n, max(batchSize, min(n*3/5, 6*batchSize)))
}

// later writes to the state database while something else goes on; the function that it returns waits for that. Where the order of
// all steps counts, in tests, it writes at once.
func (r *run) later(ctx context.Context, commit func(*state.Tx) error) (wait func() error) {
	if r.o.crash != nil {
		err := r.update(ctx, true, commit)
		return func() error { return err }
	}
	ended := make(chan error, 1)
	go func() { ended <- r.update(ctx, true, commit) }()
	return func() error { return <-ended }
}

// flagBatch sets flags on both sides. It returns what is to be remembered.
func (r *run) flagBatch(ctx context.Context, ops []plan.Flags) (commit func(*state.Tx) error, err error) {
	was := make([]flagState, len(ops))
	for i, op := range ops {
		was[i] = flagState{op.Pair.Flags, op.Pair.Lacks}
	}
	groups := map[flagChange][]plan.Flags{}
	seen := map[mail.Box][2][]mail.Key{}
	for _, op := range ops {
		keys := seen[op.Pair.Box]
		for _, side := range mail.Sides {
			c := flagChange{op.Pair.Box, side, op.Want.Minus(op.Now[side]), op.Now[side].Minus(op.Want)}
			if c.add.Empty() && c.del.Empty() {
				keys[side] = append(keys[side], op.Pair.Keys[side])
				continue
			}
			groups[c] = append(groups[c], op)
		}
		seen[op.Pair.Box] = keys
	}
	for _, c := range sortedChanges(groups) {
		if err := r.flagGroup(ctx, c, groups[c]); err != nil {
			return nil, err
		}
	}
	for box, keys := range seen {
		if err := r.secure(ctx, box, keys); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	for c, list := range groups {
		for _, op := range list {
			r.did(r.boxes[c.box], c.side, op.Pair.Keys[c.side], op.Want.Minus(op.Pair.Lacks[c.side]))
		}
	}
	r.mu.Unlock()
	return func(tx *state.Tx) error {
		for i, op := range ops {
			old := *op.Pair
			old.Flags, old.Lacks = was[i].flags, was[i].lacks
			op.Pair.Flags = op.Want
			for _, side := range mail.Sides {
				op.Pair.Lacks[side] = op.Pair.Lacks[side].And(op.Want)
			}
			if err := tx.AlterPair(&old, op.Pair); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// flagState is what changes of a pair.
type flagState struct {
	flags mail.Flags
	lacks [2]mail.Flags
}

// flagGroup sets the same flags on many messages of one side.
func (r *run) flagGroup(ctx context.Context, c flagChange, ops []plan.Flags) error {
	release := r.hold(c.box)
	lacks, err := r.setFlags(ctx, c, ops)
	release()
	if err != nil {
		return fmt.Errorf("set flags on the %s side: %w", c.side, err)
	}
	for _, op := range ops {
		op.Pair.Lacks[c.side] = op.Pair.Lacks[c.side].Minus(c.add).Union(lacks.And(c.add))
	}
	if c.add.Minus(lacks).Empty() && c.del.Empty() {
		return nil
	}
	r.count(func(s *Summary) {
		if c.side == mail.Local {
			s.FlaggedLocal += len(ops)
		} else {
			s.FlaggedRemote += len(ops)
		}
	})
	return nil
}

// setFlags has the store set flags, in the order of keys.
func (r *run) setFlags(ctx context.Context, c flagChange, ops []plan.Flags) (lacks mail.Flags, err error) {
	if s, ok := r.stores[c.side].(store.FlagChanger); ok {
		entries := make([]mail.Entry, len(ops))
		for i, op := range ops {
			entries[i] = mail.Entry{Key: op.Pair.Keys[c.side], Flags: op.Now[c.side].Minus(op.Pair.Lacks[c.side]), Stamp: stampFor(op.Pair, c.side)}
		}
		slices.SortFunc(entries, func(a, b mail.Entry) int { return compareKeys(a.Key, b.Key) })
		return s.ChangeFlags(ctx, c.box, entries, c.add, c.del)
	}
	keys := make([]mail.Key, len(ops))
	for i, op := range ops {
		keys[i] = op.Pair.Keys[c.side]
	}
	slices.Sort(keys)
	return r.stores[c.side].SetFlags(ctx, c.box, keys, c.add, c.del)
}

// stampFor returns the stamp of a side's copy, as far as it is known.
func stampFor(p *mail.Pair, side mail.Side) uint64 {
	if side == mail.Local {
		return p.Stamp
	}
	return 0
}

func sortedChanges(groups map[flagChange][]plan.Flags) []flagChange {
	list := make([]flagChange, 0, len(groups))
	for c := range groups {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b flagChange) int {
		return cmp.Or(cmp.Compare(a.box, b.box), cmp.Compare(a.side, b.side), cmp.Compare(a.add.String(), b.add.String()), cmp.Compare(a.del.String(), b.del.String()))
	})
	return list
}
