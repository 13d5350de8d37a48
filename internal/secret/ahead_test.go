package secret

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// TestAhead: what Ahead began is what the next Get returns, errors too; what was stopped is begun again.
func TestAhead(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	failed := errors.New("no")
	s := newSource(0, func(ctx context.Context) (Value, error) {
		switch calls.Add(1) {
		case 1:
			return Value{}, failed
		case 2:
			<-ctx.Done()
			return Value{}, ctx.Err()
		}
		return Of("x"), nil
	})
	s.Ahead(t.Context())
	s.Ahead(t.Context()) // it is under way
	if _, err := s.Get(t.Context()); !errors.Is(err, failed) || calls.Load() != 1 {
		t.Fatalf("%v after %d calls", err, calls.Load())
	}
	ctx, stop := context.WithCancel(t.Context())
	s.Ahead(ctx)
	stop()
	if v, err := s.Get(t.Context()); err != nil || v.Reveal() != "x" || calls.Load() != 3 {
		t.Fatalf("%q %v after %d calls", v.Reveal(), err, calls.Load())
	}
	s.Ahead(t.Context()) // it is known
	if _, err := s.Get(t.Context()); err != nil || calls.Load() != 3 {
		t.Fatalf("%v after %d calls", err, calls.Load())
	}
	slow := newSource(0, func(ctx context.Context) (Value, error) {
		<-ctx.Done()
		return Value{}, ctx.Err()
	})
	slow.Ahead(t.Context())
	gone, stop := context.WithCancel(t.Context())
	stop()
	if _, err := slow.Get(gone); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
