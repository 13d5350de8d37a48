// Package secret gets passwords and access tokens: from commands that the user chose and from the terminal. Start with
// [Command] or [Prompt]. A secret never shows itself: [Value] prints as "(secret)" however it is printed, so that it cannot
// end up in a log, an error or a configuration that is shown.
package secret

import (
	"context"
	"fmt"
	"log/slog"
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
	value *Value        // the holder of the turn has these
	at    time.Time     // of value, or failed
	early error         // what Ahead failed with, for the next Get
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
	if s.known() {
		return *s.value, nil
	}
	if err := s.early; err != nil {
		if s.early = nil; time.Since(s.at) < soon {
			return Value{}, err
		}
	}
	if err := s.take(ctx); err != nil {
		return Value{}, err
	}
	return *s.value, nil
}

// known reports whether the secret is remembered. The caller has the turn.
func (s *Source) known() bool {
	return s.value != nil && (s.keep == 0 || time.Since(s.at) < s.keep)
}

// take gets the secret. The caller has the turn.
func (s *Source) take(ctx context.Context) error {
	v, err := s.get(ctx)
	s.value, s.at = nil, time.Now()
	if err == nil {
		s.value = &v
	}
	return err
}

// soon is for how long an error of Ahead is one of the Get that follows.
const soon = 30 * time.Second

// Ahead begins to get the secret, unless it is known or somebody is at it, so that a Get soon after waits less. That returns what came
// of it, an error too. It ends with ctx, and then counts for nothing.
func (s *Source) Ahead(ctx context.Context) {
	select {
	case <-s.turn:
	default:
		return
	}
	if s.known() {
		s.turn <- struct{}{}
		return
	}
	go func() {
		defer func() { s.turn <- struct{}{} }()
		if s.early = s.take(ctx); ctx.Err() != nil {
			s.early = nil
		}
	}()
}

// Reveal is Get for callers that take a plain string, such as an IMAP client's credentials.
func (s *Source) Reveal(ctx context.Context) (string, error) {
	v, err := s.Get(ctx)
	return v.Reveal(), err
}
