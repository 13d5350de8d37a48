package engine

import (
	"context"
	"fmt"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
)

// wholeEvery is how often a mailbox gets a whole view although deltas would do (rule 10).
const wholeEvery = 7 * 24 * time.Hour

// view lists the mailboxes of both sides, views those that changed, and looks again where messages disappeared.
func (r *run) view(ctx context.Context) error {
	if err := r.list(ctx); err != nil {
		return err
	}
	err := r.each(ctx, func(ctx context.Context, b *boxRun) error {
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
	return r.confirmGone(ctx)
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
	since := b.old.Mark[side]
	if r.suspect != "" || r.wholeDue(b, side) {
		since = ""
	}
	return r.viewSide(ctx, b, side, since)
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
	v, err := r.stores[side].View(ctx, b.name, since)
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
	switch v := v.(type) {
	case mail.Whole:
		err = r.diffWhole(ctx, b, side, v)
		b.now.WholeAt[side] = r.o.Now()
	case mail.Delta:
		var agrees bool
		agrees, err = r.diffDelta(ctx, b, side, v)
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

func (r *run) diffWhole(ctx context.Context, b *boxRun, side mail.Side, v mail.Whole) (err error) {
	marked := r.o.Expunge != plan.ExpungeNone
	if same, err := r.sameSum(ctx, b, side, v, marked); err != nil || same {
		return err
	}
	shown := 0
	all := func(yield func(mail.Entry, error) bool) {
		shown = 0
		for e, err := range v.All {
			shown++
			if !yield(e, err) {
				return
			}
		}
	}
	defer func() {
		if err == nil && v.Total >= 0 && shown < v.Total {
			b.plan.DropGone(side)
			b.open = true
		}
	}()
	for c, err := range plan.Diff(side, r.db.Pairs(ctx, b.name, side), all, marked) {
		if err != nil {
			return err
		}
		b.plan.Add(side, c)
	}
	return nil
}

// sameSum reports whether a whole view shows just what the base has, by their fingerprints: after a sync that changed
// something, the next one sees its echo, and need not compare it pair by pair.
func (r *run) sameSum(ctx context.Context, b *boxRun, side mail.Side, v mail.Whole, marked bool) (bool, error) {
	if marked {
		return false, nil
	}
	want, err := r.db.Sum(ctx, b.name, side)
	if err != nil {
		return false, stateError(err)
	}
	if want == (mail.Sum{}) {
		return false, nil // nothing is known of it
	}
	var sum mail.Sum
	for e, err := range v.All {
		if err != nil {
			return false, err
		}
		sum.Add(e.Key, e.Flags)
	}
	return sum == want, nil
}

// deltaChunk is how many changed messages are looked up in the base at a time.
const deltaChunk = 500

// diffDelta adds the news of a delta; false if its arithmetic does not agree with the number of messages that the mailbox
// has (rule 10).
func (r *run) diffDelta(ctx context.Context, b *boxRun, side mail.Side, v mail.Delta) (agrees bool, err error) {
	total, err := r.db.Count(ctx, b.name, side)
	if err != nil {
		return false, stateError(err)
	}
	chunk := make([]mail.Entry, 0, deltaChunk)
	for e, err := range v.Changed {
		if err != nil {
			return false, err
		}
		if chunk = append(chunk, e); len(chunk) == deltaChunk {
			n, err := r.diffChunk(ctx, b, side, chunk)
			if err != nil {
				return false, err
			}
			total, chunk = total+n, chunk[:0]
		}
	}
	n, err := r.diffChunk(ctx, b, side, chunk)
	if err != nil {
		return false, err
	}
	total += n
	n, err = r.diffGone(ctx, b, side, v)
	total -= n
	return v.Total < 0 || total == v.Total, err
}

// diffChunk adds changed messages in key order; it returns how many arrived.
func (r *run) diffChunk(ctx context.Context, b *boxRun, side mail.Side, chunk []mail.Entry) (arrived int, err error) {
	keys := make([]mail.Key, len(chunk))
	for i, e := range chunk {
		keys[i] = e.Key
	}
	pairs, err := r.db.PairsByKey(ctx, b.name, side, keys)
	if err != nil {
		return 0, stateError(err)
	}
	byKey := make(map[mail.Key]*mail.Pair, len(pairs))
	for i := range pairs {
		byKey[pairs[i].Keys[side]] = &pairs[i]
	}
	marked := r.o.Expunge != plan.ExpungeNone
	for _, e := range chunk {
		p := byKey[e.Key]
		if p == nil {
			arrived++
		} else if !plan.HasNews(side, p, e.Flags, marked) {
			continue
		}
		b.plan.Add(side, plan.Change{Pair: p, Now: e})
	}
	return arrived, nil
}

// diffGone adds what a delta says is gone; it returns how many of the base that were.
func (r *run) diffGone(ctx context.Context, b *boxRun, side mail.Side, v mail.Delta) (gone int, err error) {
	keys := make([]mail.Key, 0, deltaChunk)
	flush := func() error {
		pairs, err := r.db.PairsByKey(ctx, b.name, side, keys)
		if err != nil {
			return stateError(err)
		}
		for i := range pairs {
			b.plan.Add(side, plan.Change{Pair: &pairs[i], Gone: true})
		}
		gone, keys = gone+len(pairs), keys[:0]
		return nil
	}
	for k, err := range v.Gone {
		if err != nil {
			return gone, err
		}
		if keys = append(keys, k); len(keys) == deltaChunk {
			if err := flush(); err != nil {
				return gone, err
			}
		}
	}
	return gone, flush()
}
