package memstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

type truncated struct {
	store.Store
	keep int64
	once sync.Once
}

// TruncateBody returns a store that ends the first body it hands out after keep bytes, or one byte before its end if
// that comes first, while Body.Size tells the true size.
func TruncateBody(s store.Store, keep int64) store.Store { return &truncated{Store: s, keep: keep} }

func (t *truncated) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	return t.Store.Fetch(ctx, box, keys, func(e mail.Entry, b mail.Body) error {
		if b.Size > 0 {
			t.once.Do(func() { b.Reader = io.LimitReader(b.Reader, min(t.keep, b.Size-1)) })
		}
		return fn(e, b)
	})
}

type keyless struct{ store.Store }

// DropKeys returns a store that tells no keys of what Put and Move did, though it says that it can (Caps.Keys): the
// answer of a server that lost its APPENDUID or COPYUID on the way.
func DropKeys(s store.Store) store.Store { return keyless{s} }

func (k keyless) Put(ctx context.Context, box mail.Box, intents []mail.Intent, bodies store.Bodies) ([]mail.Done, error) {
	return dropped(k.Store.Put(ctx, box, intents, bodies))
}

func (k keyless) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	return dropped(k.Store.Move(ctx, from, intents, keep))
}

func dropped(done []mail.Done, err error) ([]mail.Done, error) {
	for i := range done {
		done[i].Key, done[i].Stamp = "", 0
	}
	return done, err
}

type vanishing struct {
	store.Store
	victim *Store
	once   sync.Once
}

// VanishDuringFetch returns a store in which a user removes all other messages that were asked for while the first one
// of the first Fetch is read. victim is the store below s.
func VanishDuringFetch(s store.Store, victim *Store) store.Store {
	return &vanishing{Store: s, victim: victim}
}

func (v *vanishing) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	return v.Store.Fetch(ctx, box, keys, func(e mail.Entry, b mail.Body) error {
		v.once.Do(func() {
			for _, k := range keys {
				if k != e.Key {
					v.victim.DeleteUser(box, k)
				}
			}
		})
		return fn(e, b)
	})
}

// Late is a store whose server goes on after the connection died: once Lose was called, the next Put, Move or Delete
// takes what it needs, fails with ErrUnreachable and does nothing, until Land carries it out behind everyone's back.
type Late struct {
	store.Store
	mu   sync.Mutex
	lose bool
	land []func(context.Context) error
}

// Lose makes the next Put, Move or Delete a late one.
func (l *Late) Lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = true
}

// Land carries out what is late, oldest first. The store below must have a session.
func (l *Late) Land(ctx context.Context) error {
	l.mu.Lock()
	land := l.land
	l.land = nil
	l.mu.Unlock()
	for _, fn := range land {
		if err := fn(ctx); err != nil {
			return err
		}
	}
	return nil
}

// losing reports whether this call is to be a late one.
func (l *Late) losing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.lose
	l.lose = false
	return was
}

// lost keeps a call for later.
func (l *Late) lost(fn func(context.Context) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.land = append(l.land, fn)
	return fmt.Errorf("read answer: %w: connection reset", store.ErrUnreachable)
}

type heldBody struct {
	i     int
	entry mail.Entry
	data  []byte
}

// Put implements store.Store.
func (l *Late) Put(ctx context.Context, box mail.Box, intents []mail.Intent, bodies store.Bodies) ([]mail.Done, error) {
	if !l.losing() {
		return l.Store.Put(ctx, box, intents, bodies)
	}
	var held []heldBody
	err := bodies(ctx, func(i int, e mail.Entry, b mail.Body) error {
		data, err := read(b)
		held = append(held, heldBody{i, e, data})
		return err
	})
	if err != nil {
		return nil, err
	}
	intents = slices.Clone(intents)
	return nil, l.lost(func(ctx context.Context) error {
		_, err := l.Store.Put(ctx, box, intents, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
			for _, h := range held {
				if err := each(h.i, h.entry, mail.Body{Size: int64(len(h.data)), Reader: bytes.NewReader(h.data)}); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	})
}

// Move implements store.Store.
func (l *Late) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	if !l.losing() {
		return l.Store.Move(ctx, from, intents, keep)
	}
	intents = slices.Clone(intents)
	return nil, l.lost(func(ctx context.Context) error {
		_, err := l.Store.Move(ctx, from, intents, keep)
		return err
	})
}

// Delete implements store.Store.
func (l *Late) Delete(ctx context.Context, box mail.Box, entries []mail.Entry) ([]mail.Key, error) {
	if !l.losing() {
		return l.Store.Delete(ctx, box, entries)
	}
	entries = slices.Clone(entries)
	return nil, l.lost(func(ctx context.Context) error {
		_, err := l.Store.Delete(ctx, box, entries)
		return err
	})
}
