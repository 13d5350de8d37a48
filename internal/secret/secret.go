// Package secret gets passwords and access tokens: from commands that the user chose and from the terminal. Start with
// [Command] or [Prompt]. A secret never shows itself: [Value] prints as "(secret)" however it is printed, so that it cannot
// end up in a log, an error or a configuration that is shown.
package secret

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Value is a secret. Only Reveal tells it.
type Value struct{ text string }

const hidden = "(secret)"

// Of wraps a secret.
func Of(text string) Value { return Value{text} }

// Reveal returns the secret itself, for the one place that sends it.
func (v Value) Reveal() string { return v.text }

func (v Value) String() string { return hidden }

// GoString implements fmt.GoStringer, for %#v.
func (v Value) GoString() string { return hidden }

// Format implements fmt.Formatter, so that no verb reaches the text.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue implements slog.LogValuer.
func (v Value) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler, for JSON and TOML.
func (v Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Source gets a secret once and remembers it in memory. It may be used from several goroutines: they wait for the first.
type Source struct {
	get  func(context.Context) (Value, error)
	keep time.Duration // 0: for good

	turn  chan struct{} // holds one token; a mutex that can be waited for with a context
	mu    sync.Mutex
	value *Value
	at    time.Time
	early chan got // what Ahead began, for the next Get
}

type got struct {
	value Value
	err   error
}

func newSource(keep time.Duration, get func(context.Context) (Value, error)) *Source {
	s := &Source{get: get, keep: keep, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// Get returns the secret. It blocks while the command runs or the user types, unless ctx ends. An error is not remembered.
func (s *Source) Get(ctx context.Context) (Value, error) {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return Value{}, ctx.Err()
	}
	s.mu.Lock()
	known, early := s.known(), s.early
	s.early = nil
	s.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	v, err := s.take(ctx, early)
	if err != nil {
		return Value{}, err
	}
	s.mu.Lock()
	s.value, s.at = &v, time.Now()
	s.mu.Unlock()
	return v, nil
}

// known returns the secret if it is remembered, else nil. The caller holds mu.
func (s *Source) known() *Value {
	if s.value != nil && s.keep != 0 && time.Since(s.at) >= s.keep {
		return nil
	}
	return s.value
}

// take waits for what Ahead began, if it did and was not stopped since, else gets the secret.
func (s *Source) take(ctx context.Context, early <-chan got) (Value, error) {
	if early != nil {
		select {
		case g := <-early:
			if !errors.Is(g.err, context.Canceled) {
				return g.value, g.err
			}
		case <-ctx.Done():
			return Value{}, ctx.Err()
		}
	}
	return s.get(ctx)
}

// Ahead begins to get the secret, unless it is known, so that Get waits less. The next Get returns what came of it, errors too. It ends
// with ctx.
func (s *Source) Ahead(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known() != nil || s.early != nil {
		return
	}
	early := make(chan got, 1)
	s.early = early
	go func() {
		v, err := s.get(ctx)
		early <- got{v, err}
	}()
}

// Reveal is Get for callers that take a plain string, such as an IMAP client's credentials.
func (s *Source) Reveal(ctx context.Context) (string, error) {
	v, err := s.Get(ctx)
	return v.Reveal(), err
}
