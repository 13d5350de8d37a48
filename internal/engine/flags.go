package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
)

// flagChange is what changes on one message; messages with the same change share a command.
type flagChange struct {
	box      mail.Box // of the pair, which a move may have changed
	side     mail.Side
	add, del mail.Flags
}

// flagAll makes flags equal and then remembers them. Stopped between the two, the next run sees the same change on both
// sides.
func (r *run) flagAll(ctx context.Context, b *boxRun) error {
	for _, list := range chunks(b.plan.Ops.Flags, 4*batchSize) {
		if err := r.flagBatch(ctx, b, list); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) flagBatch(ctx context.Context, b *boxRun, ops []plan.Flags) error {
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
			return err
		}
	}
	for box, keys := range seen {
		if err := r.secure(ctx, box, keys); err != nil {
			return err
		}
	}
	err := r.update(ctx, true, func(tx *state.Tx) error {
		for _, op := range ops {
			op.Pair.Flags = op.Want
			for _, side := range mail.Sides {
				op.Pair.Lacks[side] = op.Pair.Lacks[side].And(op.Want)
			}
			if err := tx.PutPair(op.Pair); err != nil {
				return err
			}
		}
		return nil
	})
	r.progress(b, PhaseFlags, mail.Local, "flag", len(ops), len(b.plan.Ops.Flags), 0)
	return err
}

// flagGroup sets the same flags on many messages of one side.
func (r *run) flagGroup(ctx context.Context, c flagChange, ops []plan.Flags) error {
	keys := make([]mail.Key, len(ops))
	for i, op := range ops {
		keys[i] = op.Pair.Keys[c.side]
	}
	slices.Sort(keys)
	release := r.hold(c.box)
	lacks, err := r.stores[c.side].SetFlags(ctx, c.box, keys, c.add, c.del)
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
