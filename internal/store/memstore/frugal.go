package memstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// ErrTwice is what a Frugal store answers when it is asked for a body that it has told before.
var ErrTwice = errors.New("asked for the same body twice")

// Frugal is a store that tells each body once in a run, be it by Fetch or by a full Identify: a run begins with Hello. A
// call that asks for one again fails with ErrTwice before it tells anything.
type Frugal struct {
	store.Store
	mu    sync.Mutex
	told  map[mail.Ref]bool
	twice []mail.Ref
}

// NewFrugal makes a store frugal.
func NewFrugal(s store.Store) *Frugal { return &Frugal{Store: s, told: map[mail.Ref]bool{}} }

// Twice lists what was asked for again, since the store was made: for tests of code that goes on after errors.
func (f *Frugal) Twice() []mail.Ref {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.twice)
}

// Hello implements store.Store.
func (f *Frugal) Hello(ctx context.Context, hint string) (store.Greeting, error) {
	f.mu.Lock()
	clear(f.told)
	f.mu.Unlock()
	return f.Store.Hello(ctx, hint)
}

// Identify implements store.Store.
func (f *Frugal) Identify(ctx context.Context, box mail.Box, keys []mail.Key, full bool, fn func(mail.Key, mail.Ident) error) error {
	if !full {
		return f.Store.Identify(ctx, box, keys, full, fn)
	}
	if err := f.check(box, keys); err != nil {
		return err
	}
	return f.Store.Identify(ctx, box, keys, full, func(k mail.Key, id mail.Ident) error {
		f.tell(box, k)
		return fn(k, id)
	})
}

// Fetch implements store.Store.
func (f *Frugal) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	if err := f.check(box, keys); err != nil {
		return err
	}
	return f.Store.Fetch(ctx, box, keys, func(e mail.Entry, b mail.Body) error {
		f.tell(box, e.Key)
		return fn(e, b)
	})
}

func (f *Frugal) check(box mail.Box, keys []mail.Key) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.twice)
	for _, k := range keys {
		if r := (mail.Ref{Box: box, Key: k}); f.told[r] {
			f.twice = append(f.twice, r)
		}
	}
	if len(f.twice) > n {
		return fmt.Errorf("read %d messages of %q: %w", len(f.twice)-n, box, ErrTwice)
	}
	return nil
}

func (f *Frugal) tell(box mail.Box, k mail.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told[mail.Ref{Box: box, Key: k}] = true
}
