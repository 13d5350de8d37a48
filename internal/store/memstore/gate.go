package memstore

import (
	"context"
	"sync"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Gate is a store whose calls can be made to fail before or after what they do. It works on any store.Store.
type Gate struct {
	store.Store
	Before func(Method) error // an error is returned instead of the call
	After  func(Method) error // an error is returned instead of the result of a call that succeeded
}

// FailOnce returns a store whose first call of a method fails with err and does nothing.
func FailOnce(s store.Store, method Method, err error) *Gate {
	return &Gate{Store: s, Before: once(method, err)}
}

// FailAfter returns a store whose first call of a method that succeeds fails with err nonetheless: the connection died
// before the answer came.
func FailAfter(s store.Store, method Method, err error) *Gate {
	return &Gate{Store: s, After: once(method, err)}
}

func once(method Method, err error) func(Method) error {
	var o sync.Once
	return func(m Method) (result error) {
		if m == method {
			o.Do(func() { result = err })
		}
		return result
	}
}

// do runs a call between the two hooks.
func (g *Gate) do(m Method, call func() error) error {
	if g.Before != nil {
		if err := g.Before(m); err != nil {
			return err
		}
	}
	if err := call(); err != nil {
		return err
	}
	if g.After != nil {
		return g.After(m)
	}
	return nil
}

// get is do for calls with a result, which is lost with an error.
func get[T any](g *Gate, m Method, call func() (T, error)) (T, error) {
	var result T
	err := g.do(m, func() (err error) {
		result, err = call()
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return result, nil
}

// Hello implements store.Store.
func (g *Gate) Hello(ctx context.Context, hint string) (store.Greeting, error) {
	return get(g, Hello, func() (store.Greeting, error) { return g.Store.Hello(ctx, hint) })
}

// SetRoot implements store.Store.
func (g *Gate) SetRoot(ctx context.Context, id string, run int64) error {
	return g.do(SetRoot, func() error { return g.Store.SetRoot(ctx, id, run) })
}

// Boxes implements store.Store.
func (g *Gate) Boxes(ctx context.Context) ([]store.Status, error) {
	return get(g, Boxes, func() ([]store.Status, error) { return g.Store.Boxes(ctx) })
}

// View implements store.Store.
func (g *Gate) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	return get(g, View, func() (mail.View, error) { return g.Store.View(ctx, box, since) })
}

// Identify implements store.Store.
func (g *Gate) Identify(ctx context.Context, box mail.Box, keys []mail.Key, full bool, fn func(mail.Key, mail.Ident) error) error {
	return g.do(Identify, func() error { return g.Store.Identify(ctx, box, keys, full, fn) })
}

// Fetch implements store.Store.
func (g *Gate) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	return g.do(Fetch, func() error { return g.Store.Fetch(ctx, box, keys, fn) })
}

// Prepare implements store.Store.
func (g *Gate) Prepare(ctx context.Context, box mail.Box, entries []mail.Entry) ([]mail.Token, error) {
	return get(g, Prepare, func() ([]mail.Token, error) { return g.Store.Prepare(ctx, box, entries) })
}

// Put implements store.Store.
func (g *Gate) Put(ctx context.Context, box mail.Box, intents []mail.Intent, bodies store.Bodies) ([]mail.Done, error) {
	return get(g, Put, func() ([]mail.Done, error) { return g.Store.Put(ctx, box, intents, bodies) })
}

// Move implements store.Store.
func (g *Gate) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	return get(g, Move, func() ([]mail.Done, error) { return g.Store.Move(ctx, from, intents, keep) })
}

// SetFlags implements store.Store.
func (g *Gate) SetFlags(ctx context.Context, box mail.Box, keys []mail.Key, add, del mail.Flags) (store.Changed, error) {
	return get(g, SetFlags, func() (store.Changed, error) { return g.Store.SetFlags(ctx, box, keys, add, del) })
}

// Delete implements store.Store.
func (g *Gate) Delete(ctx context.Context, box mail.Box, entries []mail.Entry) ([]mail.Key, error) {
	return get(g, Delete, func() ([]mail.Key, error) { return g.Store.Delete(ctx, box, entries) })
}

// CreateBox implements store.Store.
func (g *Gate) CreateBox(ctx context.Context, box mail.Box, role string) error {
	return g.do(CreateBox, func() error { return g.Store.CreateBox(ctx, box, role) })
}

// DeleteBox implements store.Store.
func (g *Gate) DeleteBox(ctx context.Context, box mail.Box) error {
	return g.do(DeleteBox, func() error { return g.Store.DeleteBox(ctx, box) })
}

// RenameBox implements store.Store.
func (g *Gate) RenameBox(ctx context.Context, from, to mail.Box) error {
	return g.do(RenameBox, func() error { return g.Store.RenameBox(ctx, from, to) })
}

// Secure implements store.Securer, by doing nothing if the store below does not.
func (g *Gate) Secure(ctx context.Context, box mail.Box, keys []mail.Key) error {
	return g.do(Secure, func() error {
		if s, ok := g.Store.(store.Securer); ok {
			return s.Secure(ctx, box, keys)
		}
		return nil
	})
}

// Settle implements store.Store.
func (g *Gate) Settle(ctx context.Context, intents []mail.Intent, taken func(mail.Ref) bool) ([]mail.Done, error) {
	return get(g, Settle, func() ([]mail.Done, error) { return g.Store.Settle(ctx, intents, taken) })
}
