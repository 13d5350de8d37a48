package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// How a mailbox is known again under another name: by the store's own id of it, or by its keys of which at most one in ten may be gone,
// with a sample of the messages under them. On stores whose keys are numbers the highest of those that are left must be among
// the sample, and the same.
const (
	mayBeGone  = 10 // one in so many
	sampleSize = 32
)

// proves reports whether b is, on one side, what the base knows as a. A name alone proves nothing; only what was empty, below a
// mailbox that was renamed, is taken for what has its name there.
func (r *run) proves(ctx context.Context, a, b *boxRun, side mail.Side, below bool) (bool, error) {
	st, epoch := b.status[side], a.old.Epoch[side]
	if epoch == "" || st.Epoch != "" && st.Epoch != epoch {
		return false, nil
	}
	n, err := r.db.Count(ctx, a.name, side)
	if err != nil {
		return false, stateError(err)
	}
	if n == 0 && (below || a.old.ID[side] == "") {
		return below, nil
	}
	s := &sample{every: max(1, n/sampleSize), left: n - n/mayBeGone}
	if st.Total >= 0 && st.Total < s.left {
		return false, nil
	}
	err = r.survivors(ctx, a, b, side, n, s)
	if err == nil && !s.told && s.count >= s.left && len(s.pairs) > 0 {
		err = r.compareSample(ctx, b, side, s)
	}
	switch {
	case err == nil:
		return s.same, nil
	case errors.Is(err, context.Canceled), errors.Is(err, store.ErrUnreachable), errors.Is(err, store.ErrLogin), errors.Is(err, errState):
		return false, describeRename(a, b, side, err)
	}
	r.note(b.name, "%v", describeRename(a, b, side, err)) // the view will say what is wrong with it
	return false, nil
}

// sample is what is left of a base, and some messages of it, spread evenly, with the highest key last.
type sample struct {
	every, left int // one in so many; how many must be left
	count       int
	told        bool // the store says by itself whether it is the mailbox
	pairs       []mail.Pair
	last        mail.Pair
	same        bool
}

func (s *sample) add(p mail.Pair) {
	if p.Left != mail.LeftAltered { // its identity is that of one side only
		if s.last = p; s.count%s.every == 0 {
			s.pairs = append(s.pairs, p)
		}
	}
	s.count++
}

func (s *sample) end() {
	if n := len(s.pairs); s.last.ID != 0 && (n == 0 || s.pairs[n-1].ID != s.last.ID) {
		s.pairs = append(s.pairs, s.last)
	}
}

// survivors counts the messages of the base that are still there.
func (r *run) survivors(ctx context.Context, a, b *boxRun, side mail.Side, n int, s *sample) error {
	defer s.end()
	base := r.db.Pairs(ctx, a.name, side)
	mark, st := a.old.Mark[side], b.status[side]
	if n > 0 && mark != "" && st.Mark == mark && (st.Total < 0 || st.Total == n) { // nothing changed
		for p, err := range base {
			if err != nil {
				return stateError(err)
			}
			s.add(p)
		}
		return nil
	}
	v, err := r.stores[side].View(ctx, b.name, mark)
	if err != nil || v.At().Epoch != a.old.Epoch[side] {
		return err
	}
	if id := v.At().ID; id != "" && a.old.ID[side] != "" {
		s.told, s.same = true, id == a.old.ID[side]
		return nil
	}
	switch v := v.(type) {
	case mail.Whole:
		err = s.amongWhole(side, v, base)
	case mail.Delta:
		err = s.exceptGone(side, v, base)
	}
	if err == nil {
		_, err = v.At().End()
	}
	if err != nil {
		s.count = 0
	}
	return err
}

// amongWhole takes those that a whole view shows.
func (s *sample) amongWhole(side mail.Side, v mail.Whole, base iter.Seq2[mail.Pair, error]) error {
	return join(side, base, v.All, func(e mail.Entry) mail.Key { return e.Key }, func(p *mail.Pair, shown bool) {
		if p != nil && shown {
			s.add(*p)
		}
	})
}

// exceptGone takes all but those that a delta says are gone. The number of messages must agree with what it tells.
func (s *sample) exceptGone(side mail.Side, v mail.Delta, base iter.Seq2[mail.Pair, error]) error {
	arrived := 0
	err := join(side, base, v.Changed, func(e mail.Entry) mail.Key { return e.Key }, func(p *mail.Pair, _ bool) {
		if p == nil {
			arrived++
		}
	})
	if err == nil {
		err = join(side, base, v.Gone, func(k mail.Key) mail.Key { return k }, func(p *mail.Pair, gone bool) {
			if p != nil && !gone {
				s.add(*p)
			}
		})
	}
	if v.Total >= 0 && s.count+arrived != v.Total {
		s.count = 0
	}
	return err
}

// join goes through a base and a list, both in the order of keys. fn gets each pair, and whether the list has its key; and no pair
// for what only the list has.
func join[T any](side mail.Side, base iter.Seq2[mail.Pair, error], list iter.Seq2[T, error], key func(T) mail.Key, fn func(p *mail.Pair, listed bool)) error {
	next, stop := iter.Pull2(list)
	defer stop()
	x, err, more := next()
	for p, perr := range base {
		if perr != nil {
			return stateError(perr)
		}
		for more && err == nil && key(x) < p.Keys[side] {
			fn(nil, true)
			x, err, more = next()
		}
		listed := more && err == nil && key(x) == p.Keys[side]
		if err != nil {
			return err
		}
		fn(&p, listed)
		if listed {
			x, err, more = next()
		}
	}
	for more && err == nil {
		fn(nil, true)
		_, err, more = next()
	}
	return err
}

// compareSample compares what the store shows of the sample with what the base knows.
func (r *run) compareSample(ctx context.Context, b *boxRun, side mail.Side, s *sample) error {
	want := make(map[mail.Key]*mail.Pair, len(s.pairs))
	keys := make([]mail.Key, len(s.pairs))
	for i := range s.pairs {
		keys[i] = s.pairs[i].Keys[side]
		want[keys[i]] = &s.pairs[i]
	}
	highest := keys[len(keys)-1]
	named := r.greet[side].Caps.Named
	same, top := 0, false
	slices.Sort(keys)
	err := r.stores[side].Identify(ctx, b.name, keys, false, func(k mail.Key, id mail.Ident) error {
		if p := want[k]; p != nil && alike(p.Ident, id, named) {
			same++
			top = top || k == highest
		}
		return nil
	})
	s.same = err == nil && same >= len(keys)-len(keys)/mayBeGone && (top || named)
	return err
}

// alike reports whether a message is the one that the base knows under its key. Where keys are names, which no other message has,
// size and Message-ID will do: dates of files change.
func alike(known, is mail.Ident, named bool) bool {
	if !known.Digest.IsZero() && !is.Digest.IsZero() {
		return known.Digest == is.Digest
	}
	if known.MessageID != is.MessageID || known.Size == 0 || known.Size != is.Size {
		return false
	}
	return named || known.Date != 0 && known.Date == is.Date
}

// describeRename is what an error in the search for renames is about.
func describeRename(a, b *boxRun, side mail.Side, err error) error {
	return fmt.Errorf("compare mailbox %q with what was %q on the %s side: %w", b.name, a.name, side, err)
}
