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

// deleteAll removes messages, after everything else. A deletion needs no intent: stopped before its commit, the next run
// sees that neither side has the message.
func (r *run) deleteAll(ctx context.Context, b *boxRun) (err error) {
	done, total := 0, b.plan.Ops.Deletes()
	wait := func() error { return nil }
	defer func() { err = errors.Join(err, wait()) }()
	batch := func(list []plan.Delete) error {
		commit, err := r.deleteBatch(ctx, b, list)
		werr := wait()
		wait = func() error { return nil }
		if err = errors.Join(werr, err); err != nil {
			return err
		}
		if commit != nil { // while it is being remembered, the next batch goes
			wait = r.later(ctx, commit)
		}
		done += len(list)
		r.progress(b, PhaseDelete, mail.Remote, "delete", done, total, 0)
		return nil
	}
	size := r.deleteSize(mail.Remote, len(b.plan.Ops.Delete))
	if !slices.ContainsFunc(b.plan.Ops.Delete, func(op plan.Delete) bool { return op.On[mail.Remote] }) {
		size = r.deleteSize(mail.Local, 0)
	}
	for _, list := range chunks(b.plan.Ops.Delete, size) {
		if err := batch(list); err != nil {
			return err
		}
	}
	for _, side := range mail.Sides {
		for _, ids := range chunks(b.plan.Ops.DeleteIDs[side], r.deleteSize(side, len(b.plan.Ops.DeleteIDs[side]))) {
			pairs, err := r.db.PairsByID(ctx, b.name, ids)
			if err != nil {
				return stateError(err)
			}
			if err := batch(plan.DeleteOps(side, pairs)); err != nil {
				return err
			}
		}
	}
	return nil
}

// deleteSize is how many of some messages are deleted at a time: of a server many, since each batch costs round trips, but in two
// batches, so that one is remembered while the server is at work on the other.
func (r *run) deleteSize(on mail.Side, of int) int {
	if r.greet[on].Caps.Named {
		return 2 * batchSize
	}
	return min(max(5*batchSize, (of+1)/2), 10*batchSize)
}

// deleteBatch deletes messages. It returns what is to be remembered; nil for nothing.
func (r *run) deleteBatch(ctx context.Context, b *boxRun, ops []plan.Delete) (commit func(*state.Tx) error, err error) {
	ops, err = r.verifyBefore(ctx, b, stillWanted(b, ops))
	if err != nil || len(ops) == 0 {
		return nil, err
	}
	if err := r.secureGone(ctx, b); err != nil {
		return nil, err
	}
	marked := [2]map[mail.Key]bool{{}, {}} // left on a side, marked only
	for _, side := range mail.Sides {
		left, err := r.deleteOn(ctx, b, side, ops)
		if err != nil {
			return nil, err
		}
		for _, k := range left {
			marked[side][k] = true
		}
	}
	return func(tx *state.Tx) error {
		for _, op := range ops {
			if err := commitDelete(tx, op, marked); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// stillWanted leaves out old versions whose new ones were not copied.
func stillWanted(b *boxRun, ops []plan.Delete) []plan.Delete {
	return slices.DeleteFunc(slices.Clone(ops), func(op plan.Delete) bool {
		skip := op.Replaced && op.Pair.Left != mail.LeftReplaced
		b.open = b.open || skip
		return skip
	})
}

// secureGone makes disappearances durable before the other side follows them.
func (r *run) secureGone(ctx context.Context, b *boxRun) error {
	var none [2][]mail.Key
	if b.missing != [2]bool{} {
		return nil
	}
	return r.secure(ctx, b.name, none)
}

func (r *run) deleteOn(ctx context.Context, b *boxRun, side mail.Side, ops []plan.Delete) (left []mail.Key, err error) {
	n := 0
	for i := range ops {
		if ops[i].On[side] {
			n++
		}
	}
	entries := make([]mail.Entry, 0, n)
	for _, op := range ops {
		if op.On[side] {
			e := mail.Entry{Key: op.Pair.Keys[side], Flags: op.Pair.Flags, Ident: op.Pair.Ident}
			if op.Pair.Left == mail.LeftAltered {
				e.Ident = mail.Ident{} // it is that of one side only
			}
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return nil, nil
	}
	slices.SortFunc(entries, func(a, b mail.Entry) int { return compareKeys(a.Key, b.Key) })
	left, err = r.stores[side].Delete(ctx, b.name, entries)
	if err != nil {
		return nil, fmt.Errorf("delete messages on the %s side: %w", side, err)
	}
	if len(left) > 0 {
		r.note(b.name, "%d messages are only marked as deleted on the %s side: it cannot expunge single messages", len(left), side)
		r.report(state.Report{Box: b.name, Kind: "delete pending", Count: len(left), Text: fmt.Sprintf("%d messages are only marked as deleted on the %s side", len(left), side), Hint: `expunge = "plain" permits to expunge them`})
	}
	r.mu.Lock()
	r.didRemove(b, side, len(entries)-len(left))
	r.mu.Unlock()
	r.count(func(s *Summary) {
		if side == mail.Local {
			s.DeletedLocal += len(entries) - len(left)
		} else {
			s.DeletedRemote += len(entries) - len(left)
		}
	})
	return left, nil
}

func compareKeys(a, b mail.Key) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// commitDelete drops the pair, or keeps what is left of it as a half pair.
func commitDelete(tx *state.Tx, op plan.Delete, marked [2]map[mail.Key]bool) error {
	p := op.Pair
	both := op.On[mail.Local] && op.On[mail.Remote]
	for _, side := range mail.Sides {
		keep := mail.LeftNone
		switch {
		case op.On[side] && marked[side][p.Keys[side]]:
			keep = mail.LeftDeleting
		case !both && !op.On[side] && p.Flags.System&mail.Deleted != 0 && op.Expunges:
			keep = mail.LeftExpunged
		}
		if keep != mail.LeftNone {
			p.Keys[side.Other()], p.Left = "", keep
			p.Flags.System |= mail.Deleted
			return tx.PutPair(p)
		}
	}
	return tx.DropPair(p.ID)
}

// verifyBefore reads what is about to be deleted where a pair was made without comparing contents, and holds back what
// turns out to differ.
func (r *run) verifyBefore(ctx context.Context, b *boxRun, ops []plan.Delete) ([]plan.Delete, error) {
	bad := map[*mail.Pair]bool{}
	for _, side := range mail.Sides {
		byKey := map[mail.Key]*mail.Pair{}
		var keys []mail.Key
		for _, op := range ops {
			if op.Pair.Left == mail.LeftAltered {
				bad[op.Pair] = !r.o.AllowDeletes
				continue
			}
			if op.On[side] && !op.Pair.Verified && !op.Pair.Ident.Digest.IsZero() {
				keys, byKey[op.Pair.Keys[side]] = append(keys, op.Pair.Keys[side]), op.Pair
			}
		}
		if len(keys) == 0 {
			continue
		}
		slices.Sort(keys)
		err := r.stores[side].Identify(ctx, b.name, keys, true, func(k mail.Key, id mail.Ident) error {
			if p := byKey[k]; p != nil && id.Digest != p.Ident.Digest {
				bad[p] = true
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("compare messages before deleting them on the %s side: %w", side, err)
		}
	}
	n := 0
	for _, is := range bad {
		if is {
			n++
		}
	}
	if n == 0 {
		return ops, nil
	}
	b.open = true
	r.count(func(s *Summary) { s.HeldBack += n })
	r.report(state.Report{
		Box: b.name, Kind: "held back", Count: n, Text: fmt.Sprintf("will not delete %d messages: their content differs from that of the copy that is gone", n),
		Hint: fmt.Sprintf("to delete them all the same: mailtwin sync --allow-deletes %s/%s", r.o.Account, b.name),
	})
	return slices.DeleteFunc(ops, func(op plan.Delete) bool { return bad[op.Pair] }), nil
}
