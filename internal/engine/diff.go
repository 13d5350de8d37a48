package engine

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
)

// diffWhole adds the news of a whole view. A view that shows less than there is says nothing of what it leaves out (rule 10).
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
	return sum == want && v.Total <= sum.Count(), nil // one that shows less than there is may have more news
}

// deltaChunk is how many changed messages are looked up in the base at a time.
const deltaChunk = 1000

// diffDelta adds the news of a delta, of which the pairs of some keys were read early; false if its arithmetic does not agree with the
// number of messages that the mailbox has (rule 10).
func (r *run) diffDelta(ctx context.Context, b *boxRun, side mail.Side, v mail.Delta, early *early) (agrees bool, err error) {
	total, err := r.db.Count(ctx, b.name, side)
	if err != nil {
		return false, stateError(err)
	}
	arrived, err := r.diffChanged(ctx, b, side, v, early)
	if err != nil {
		return false, err
	}
	gone, err := r.diffGone(ctx, b, side, v)
	return v.Total < 0 || total+arrived-gone == v.Total, err
}

// diffChanged adds what a delta says is changed; it returns how many arrived.
func (r *run) diffChanged(ctx context.Context, b *boxRun, side mail.Side, v mail.Delta, early *early) (arrived int, err error) {
	a := r.flagAhead(ctx, b, side, v)
	defer func() { err = errors.Join(err, a.end()) }()
	chunk := make([]mail.Entry, 0, r.o.deltaChunk)
	for e, err := range v.Changed {
		if err != nil {
			return 0, err
		}
		if chunk = append(chunk, e); len(chunk) == r.o.deltaChunk {
			n, err := r.diffChunk(ctx, b, side, chunk, early, a)
			if err != nil {
				return 0, err
			}
			arrived, chunk = arrived+n, chunk[:0]
		}
	}
	n, err := r.diffChunk(ctx, b, side, chunk, early, a.rest())
	return arrived + n, err
}

// pairsByKey looks up many pairs in two halves at the same time, and returns them so.
func (r *run) pairsByKey(ctx context.Context, box mail.Box, side mail.Side, keys []mail.Key) (pairs [2][]mail.Pair, err error) {
	half := len(keys) / 2
	if half < deltaChunk/4 {
		half = 0
	}
	var g errgroup.Group
	if half > 0 {
		g.Go(func() (err error) {
			pairs[0], err = r.db.PairsByKey(ctx, box, side, keys[:half])
			return err
		})
	}
	pairs[1], err = r.db.PairsByKey(ctx, box, side, keys[half:])
	if gerr := g.Wait(); err == nil {
		err = gerr
	}
	return pairs, stateError(err)
}

// diffChunk adds changed messages in key order, to what is done ahead or to the plan; it returns how many arrived.
func (r *run) diffChunk(ctx context.Context, b *boxRun, side mail.Side, chunk []mail.Entry, early *early, a *flagsAhead) (arrived int, err error) {
	keys := make([]mail.Key, 0, len(chunk))
	for _, e := range chunk {
		if _, ok := early.find(e.Key); !ok {
			keys = append(keys, e.Key)
		}
	}
	pairs, err := r.pairsByKey(ctx, b.name, side, keys)
	if err != nil {
		return 0, err
	}
	byKey := make(map[mail.Key]*mail.Pair, len(pairs[0])+len(pairs[1]))
	for _, half := range pairs {
		for i := range half {
			byKey[half[i].Keys[side]] = &half[i]
		}
	}
	marked := r.o.Expunge != plan.ExpungeNone
	for _, e := range chunk {
		p, _ := early.find(e.Key)
		if p == nil {
			p = byKey[e.Key]
		}
		if p == nil {
			arrived++
		} else if !plan.HasNews(side, p, e.Flags, marked) {
			continue
		}
		if c := (plan.Change{Pair: p, Now: e}); !a.takes(c) {
			b.plan.Add(side, c)
		}
	}
	a.flush(ctx)
	return arrived, nil
}

// diffGone adds what a delta says is gone; it returns how many of the base that were.
func (r *run) diffGone(ctx context.Context, b *boxRun, side mail.Side, v mail.Delta) (gone int, err error) {
	keys := make([]mail.Key, 0, deltaChunk)
	flush := func() error {
		pairs, err := r.pairsByKey(ctx, b.name, side, keys)
		if err != nil {
			return err
		}
		for _, half := range pairs {
			for i := range half {
				b.plan.Add(side, plan.Change{Pair: &half[i], Gone: true})
			}
			gone += len(half)
		}
		keys = keys[:0]
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
