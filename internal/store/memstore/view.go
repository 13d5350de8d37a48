package memstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sort"
	"strconv"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// View implements store.Store. It shows the mailbox as it was when View was called, however late it is read. A Delta
// also tells of messages that came and went since the mark, as servers do (RFC 7162 section 3.2.5.2).
func (s *Store) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	if err := s.begin(ctx); err != nil {
		return nil, fmt.Errorf("view mailbox %q: %w", box, err)
	}
	if err := s.hook(ctx, Read{Method: View, Box: box}); err != nil {
		return nil, fmt.Errorf("view mailbox %q: %w", box, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seen, s.fold(box))
	b, err := s.box(box)
	if err != nil {
		return nil, fmt.Errorf("view mailbox %q: %w", box, err)
	}
	s.seen[s.fold(box)] = s.epoch(b)
	head := mail.Head{
		Box: b.name, Epoch: s.epoch(b), Total: len(b.msgs), Storable: s.opts.Storable, ReadOnly: b.readOnly,
		End: s.end(ctx, b.name, s.mark(b)),
	}
	if s.opts.StableIDs {
		head.ID = "mailbox-" + strconv.FormatUint(uint64(b.id), 10)
	}
	if seq, ok := s.since(b, since); ok && s.opts.Delta {
		entries, gone := s.changes(b, seq)
		return mail.Delta{
			Head:    head,
			Changed: show(ctx, s, box, entries, func(e mail.Entry) mail.Key { return e.Key }),
			Gone:    show(ctx, s, box, gone, func(k mail.Key) mail.Key { return k }),
		}, nil
	}
	msgs := b.sorted()
	if n := s.opts.Limit; n > 0 && len(msgs) > n {
		msgs = msgs[len(msgs)-n:]
	}
	entries := make([]mail.Entry, len(msgs))
	for i, m := range msgs {
		entries[i] = s.entry(m)
	}
	return mail.Whole{Head: head, All: show(ctx, s, box, entries, func(e mail.Entry) mail.Key { return e.Key })}, nil
}

// changes lists what changed after a modification, in the order of keys.
func (s *Store) changes(b *mailbox, seq uint64) (entries []mail.Entry, gone []mail.Key) {
	log := b.log[sort.Search(len(b.log), func(i int) bool { return b.log[i].seq > seq }):]
	keys := make([]mail.Key, len(log))
	for i, c := range log {
		keys[i] = c.key
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if m := b.msgs[k]; m != nil {
			entries = append(entries, s.entry(m))
		} else {
			gone = append(gone, k)
		}
	}
	return entries, gone
}

// show yields a list, with the hook for reads before each.
func show[T any](ctx context.Context, s *Store, box mail.Box, list []T, key func(T) mail.Key) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, x := range list {
			if err := s.hook(ctx, Read{Method: View, Box: box, Key: key(x)}); err != nil {
				var none T
				yield(none, fmt.Errorf("view mailbox %q: %w", box, err))
				return
			}
			if !yield(x, nil) {
				return
			}
		}
	}
}

func (s *Store) end(ctx context.Context, box mail.Box, mark mail.Mark) func() (mail.Mark, error) {
	return func() (mail.Mark, error) {
		if err := s.hook(ctx, Read{Method: End, Box: box}); err != nil {
			return "", fmt.Errorf("end view of mailbox %q: %w", box, err)
		}
		if s.opts.Unproven {
			return "", nil
		}
		return mark, nil
	}
}

// Echo implements store.Echoer.
func (s *Store) Echo(ctx context.Context, list []store.Echo) ([]mail.Mark, error) {
	marks := make([]mail.Mark, len(list))
	for i, q := range list {
		err := s.begin(ctx)
		if err == nil {
			err = s.hook(ctx, Read{Method: Echo, Box: q.Box})
		}
		if err == nil {
			marks[i] = s.echo(q)
		}
		if err != nil {
			return marks, fmt.Errorf("look at mailbox %q again: %w", q.Box, err)
		}
	}
	return marks, nil
}

func (s *Store) echo(q store.Echo) mail.Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(q.Box)
	if err != nil {
		return ""
	}
	seq, ok := s.since(b, q.Since)
	if !ok || !s.opts.Delta || s.opts.Unproven || len(b.msgs) != q.Want.Total {
		return ""
	}
	expected := map[mail.Key]mail.Flags{}
	for k, f := range q.Want.All() {
		expected[k] = f
	}
	changed, _ := s.changes(b, seq)
	for _, e := range changed {
		if f, ok := expected[e.Key]; !ok || !f.Equal(e.Flags) {
			return ""
		}
	}
	return s.mark(b)
}
