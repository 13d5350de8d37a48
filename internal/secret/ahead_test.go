package secret

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
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

// TestAheadIsAlone: two never run at the same time, and a secret that is out of date is not made young by a failure.
func TestAheadIsAlone(t *testing.T) {
	t.Parallel()
	var at, most, calls atomic.Int32
	begun := make(chan struct{}, 10)
	goOn := make(chan struct{})
	s := newSource(time.Nanosecond, func(context.Context) (Value, error) {
		most.Store(max(most.Load(), at.Add(1)))
		defer at.Add(-1)
		begun <- struct{}{}
		<-goOn
		if calls.Add(1) == 2 {
			return Value{}, errors.New("no")
		}
		return Of("x"), nil
	})
	s.Ahead(t.Context())
	<-begun
	done := make(chan error)
	get := func() {
		_, err := s.Get(t.Context())
		done <- err
	}
	go get()
	s.Ahead(t.Context())
	goOn <- struct{}{}
	<-begun // what Ahead got is too old by now
	s.Ahead(t.Context())
	goOn <- struct{}{}
	if err := <-done; err == nil {
		t.Error("an old secret became young")
	}
	go get()
	<-begun
	goOn <- struct{}{}
	if err := <-done; err != nil || most.Load() != 1 {
		t.Errorf("%v, %d at the same time", err, most.Load())
	}
}
