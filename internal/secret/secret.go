// Package secret gets passwords and access tokens: from commands that the user chose and from the terminal. Start with
// [Command] or [Prompt]. A secret never shows itself: [Value] prints as "(secret)" however it is printed, so that it cannot
// end up in a log, an error or a configuration that is shown.
package secret

import (
	"context"
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
	known, at := s.value, s.at
	s.mu.Unlock()
	if known != nil && (s.keep == 0 || time.Since(at) < s.keep) {
		return *known, nil
	}
	v, err := s.get(ctx)
	if err != nil {
		return Value{}, err
	}
	s.mu.Lock()
	s.value, s.at = &v, time.Now()
	s.mu.Unlock()
	return v, nil
}

// Reveal is Get for callers that take a plain string, such as an IMAP client's credentials.
func (s *Source) Reveal(ctx context.Context) (string, error) {
	v, err := s.Get(ctx)
	return v.Reveal(), err
}
