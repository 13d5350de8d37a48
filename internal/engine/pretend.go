package engine

import (
	"context"
	"slices"
	"strings"
	"sync"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// pretend is a store some mailboxes of which are shown under the names that a sync would give them. It is only read.
type pretend struct {
	store.Store
	ops []renaming

	mu  sync.Mutex
	old map[mail.Box]mail.Box // by the new name; as listed
}

// pretended returns a store with other names, that still says what is edited if the store does.
func pretended(s store.Store, ops []renaming) store.Store {
	p := &pretend{Store: s, ops: ops, old: map[mail.Box]mail.Box{}}
	if st, ok := s.(store.Stamper); ok {
		return &pretendStamper{p, st}
	}
	return p
}

// Boxes implements store.Store.
func (p *pretend) Boxes(ctx context.Context) ([]store.Status, error) {
	list, err := p.Store.Boxes(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range list {
		to := p.name(list[i].Box)
		p.old[to] = list[i].Box
		list[i].Box = to
	}
	slices.SortFunc(list, func(a, b store.Status) int { return strings.Compare(string(a.Box), string(b.Box)) })
	return list, err
}

// name is what a mailbox would be called: by the rename of itself, or else by that of the nearest mailbox above it.
func (p *pretend) name(box mail.Box) mail.Box {
	best := renaming{}
	for _, op := range p.ops {
		if (op.from == box || within(box, op.from)) && len(op.from) > len(best.from) {
			best = op
		}
	}
	return best.to + box[len(best.from):]
}

func (p *pretend) real(box mail.Box) mail.Box {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.old[box]; ok {
		return old
	}
	return box
}

// View implements store.Store.
func (p *pretend) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	return p.Store.View(ctx, p.real(box), since)
}

// Identify implements store.Store.
func (p *pretend) Identify(ctx context.Context, box mail.Box, keys []mail.Key, full bool, fn func(mail.Key, mail.Ident) error) error {
	return p.Store.Identify(ctx, p.real(box), keys, full, fn)
}

// Fetch implements store.Store.
func (p *pretend) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	return p.Store.Fetch(ctx, p.real(box), keys, fn)
}

// Counts implements store.Counted.
func (p *pretend) Counts() store.Counts {
	if c, ok := p.Store.(store.Counted); ok {
		return c.Counts()
	}
	return store.Counts{}
}

type pretendStamper struct {
	*pretend
	stamper store.Stamper
}

// Stamps implements store.Stamper.
func (p *pretendStamper) Stamps(ctx context.Context, box mail.Box, fn func(mail.Key, uint64, int64) error) error {
	return p.stamper.Stamps(ctx, p.real(box), fn)
}
