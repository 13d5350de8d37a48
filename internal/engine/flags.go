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
// sides.
func (r *run) flagAll(ctx context.Context, b *boxRun) error {
	f := r.flagger(b)
	defer f.tell()
	f.total = b.plan.Ops.FlagChanges()
	for list := b.plan.Ops.Flags; len(list) > 0; {
		n := r.flagSize(list)
		if err := f.batch(ctx, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	for {
		ids := b.plan.FlagIDs(2 * batchSize)
		if len(ids) == 0 {
			return f.rest()
		}
		pairs, err := r.db.PairsByID(ctx, b.name, ids)
		if err != nil {
			return errors.Join(f.rest(), stateError(err))
		}
		if err := f.batch(ctx, b.plan.FlagOps(pairs)); err != nil {
			return err
		}
	}
}

// flagger sets flags in a mailbox, batch by batch. While one is being remembered, the next is already set.
type flagger struct {
	run         *run
	box         *boxRun
	wait        func() error // for what is being remembered
	done, total int          // 0: not known
	again       bool         // what fails is tried once more, and counts then
	missed      int          // messages that were not there
	late        error        // of what was not remembered
}

// tell says what could not be done, once all is.
func (f *flagger) tell() {
	if f.missed > 0 {
		f.run.note(f.box.name, "%d messages were moved or removed while their flags were being set; the next sync sees to them", f.missed)
	}
}

func (r *run) flagger(b *boxRun) *flagger {
	return &flagger{run: r, box: b, wait: func() error { return nil }}
}

func (f *flagger) batch(ctx context.Context, list []plan.Flags) error {
	did, err := f.run.flagBatch(ctx, f.box, list)
	if err == nil || !f.again || endsRun(err) {
		f.run.count(func(s *Summary) {
			s.FlaggedLocal += did.set[mail.Local]
			s.FlaggedRemote += did.set[mail.Remote]
		})
	}
	if err := errors.Join(f.rest(), err); err != nil {
		return err
	}
	f.missed += len(did.missed)
	f.done += len(list)
	f.run.progress(f.box, PhaseFlags, mail.Local, "flag", f.done, f.total, 0)
	f.wait = f.run.later(ctx, did.commit, did.secure...)
	return nil
}

// rest waits until all is remembered.
func (f *flagger) rest() error {
	err := f.wait()
	f.wait = func() error { return nil }
	f.late = errors.Join(f.late, err)
	return err
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

// later writes to the state database while something else goes on, once what that rests on is durable; the function that it returns waits
// for both. Where the order of all steps counts, in tests, it writes at once.
func (r *run) later(ctx context.Context, commit func(*state.Tx) error, secure ...func() error) (wait func() error) {
	write := func() error {
		for _, fn := range secure {
			if err := fn(); err != nil {
				return err
			}
		}
		return r.update(ctx, true, commit)
	}
	if r.o.crash != nil {
		err := write()
		return func() error { return err }
	}
	ended := make(chan error, 1)
	go func() { ended <- write() }()
	return func() error { return <-ended }
}

// flagged is what came of a batch of flags.
type flagged struct {
	set    [2]int                // how many messages changed, by side; also of a batch that failed
	missed map[*mail.Pair]bool   // a message of these is not there any more: they stay as they are
	secure []func() error        // make that durable
	commit func(*state.Tx) error // remembers it
}

// flagBatch sets flags of which a mailbox has the news, on both sides. The pairs stay as they are until that is remembered.
func (r *run) flagBatch(ctx context.Context, b *boxRun, ops []plan.Flags) (did flagged, err error) {
	was := make([]flagState, len(ops))
	for i, op := range ops {
		was[i] = flagState{op.Pair.Flags, op.Pair.Lacks}
	}
	defer func() {
		if err != nil {
			for i := range ops {
				ops[i].Pair.Lacks = was[i].lacks
			}
		}
	}()
	groups, seen := groupChanges(ops)
	for _, c := range sortedChanges(groups) {
		if err := r.flagGroup(ctx, c, groups[c], &did); err != nil {
			return did, err
		}
	}
	for box, keys := range seen {
		if err := r.secure(ctx, box, *keys); err != nil {
			return did, err
		}
	}
	r.mu.Lock()
	for c, list := range groups {
		for _, op := range list {
			if !did.missed[op.Pair] {
				r.did(r.boxes[c.box], c.side, op.Pair.Keys[c.side], op.Want.Minus(op.Pair.Lacks[c.side]))
			}
		}
	}
	for p := range did.missed {
		r.missed[b.name], r.missed[p.Box] = true, true
	}
	r.mu.Unlock()
	for i, op := range ops {
		if did.missed[op.Pair] {
			op.Pair.Lacks = was[i].lacks
		}
	}
	did.commit = func(tx *state.Tx) error {
		for i, op := range ops {
			if did.missed[op.Pair] {
				continue
			}
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
	}
	return did, nil
}

// groupChanges sorts operations by what they change, and tells the keys of those messages that already are as they should be.
func groupChanges(ops []plan.Flags) (groups map[flagChange][]*plan.Flags, seen map[mail.Box]*[2][]mail.Key) {
	groups, seen = map[flagChange][]*plan.Flags{}, map[mail.Box]*[2][]mail.Key{}
	for i := range ops {
		op := &ops[i]
		for _, side := range mail.Sides {
			c := flagChange{op.Pair.Box, side, op.Want.Minus(op.Now[side]), op.Now[side].Minus(op.Want)}
			if !c.add.Empty() || !c.del.Empty() {
				groups[c] = append(groups[c], op)
				continue
			}
			keys := seen[c.box]
			if keys == nil {
				keys = new([2][]mail.Key)
				seen[c.box] = keys
			}
			keys[side] = append(keys[side], op.Pair.Keys[side])
		}
	}
	return groups, seen
}

// flagState is what changes of a pair.
type flagState struct {
	flags mail.Flags
	lacks [2]mail.Flags
}

// flagGroup sets the same flags on many messages of one side.
func (r *run) flagGroup(ctx context.Context, c flagChange, ops []*plan.Flags, did *flagged) error {
	release := r.hold(c.box)
	now, err := r.setFlags(ctx, c, ops)
	release()
	if err != nil {
		return fmt.Errorf("set flags on the %s side: %w", c.side, err)
	}
	if now.Secure != nil {
		did.secure = append(did.secure, now.Secure)
	}
	for _, op := range ops {
		op.Pair.Lacks[c.side] = op.Pair.Lacks[c.side].Minus(c.add).Union(now.Lacks.And(c.add))
	}
	if !c.add.Minus(now.Lacks).Empty() || !c.del.Empty() {
		did.set[c.side] += len(ops) - len(now.Missing)
	}
	did.miss(c.side, ops, now.Missing)
	return nil
}

// miss notes messages that somebody moved or removed meanwhile. That the flags of such a pair are equal must not be remembered: where the
// message is now, it has those that it had, which would look like a change.
func (d *flagged) miss(side mail.Side, ops []*plan.Flags, keys []mail.Key) {
	if len(keys) == 0 {
		return
	}
	if d.missed == nil {
		d.missed = map[*mail.Pair]bool{}
	}
	gone := make(map[mail.Key]bool, len(keys))
	for _, k := range keys {
		gone[k] = true
	}
	for _, op := range ops {
		if gone[op.Pair.Keys[side]] {
			d.missed[op.Pair] = true
		}
	}
}

// setFlags has the store set flags, in the order of keys.
func (r *run) setFlags(ctx context.Context, c flagChange, ops []*plan.Flags) (did store.Changed, err error) {
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

func sortedChanges(groups map[flagChange][]*plan.Flags) []flagChange {
	list := make([]flagChange, 0, len(groups))
	for c := range groups {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b flagChange) int {
		return cmp.Or(cmp.Compare(a.box, b.box), cmp.Compare(a.side, b.side), cmp.Compare(a.add.String(), b.add.String()), cmp.Compare(a.del.String(), b.del.String()))
	})
	return list
}
