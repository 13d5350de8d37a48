package imapstore

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"mailtwin/internal/imap/imaptest"
)

// TestReach: Hello takes the connection that Reach opened, unless it is too old, and its error; Close closes one that nobody took.
func TestReach(t *testing.T) {
	t.Parallel()
	d, user := imaptest.Shared(t)
	var dials, opened, closed atomic.Int32
	now := time.Now()
	open := func(t *testing.T) *Store {
		cfg := config(d, user)
		cfg.Now = func() time.Time { return now }
		cfg.Client.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			opened.Add(1)
			return counted{c, &closed}, nil
		}
		s := New(cfg)
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s := open(t)
	greeted := make(chan context.Context, 1)
	s.cfg.Reached = func(ctx context.Context) { greeted <- ctx }
	ctx, stop := context.WithCancel(t.Context())
	s.Reach(ctx)
	s.Reach(ctx)
	if _, err := s.Hello(ctx, ""); err != nil || dials.Load() != 1 {
		t.Fatalf("%v after %d connections", err, dials.Load())
	}
	stop()
	if life := <-greeted; life.Err() != nil { // a password command may take longer than the greeting
		t.Error(life.Err())
	} else if _ = s.Close(); life.Err() == nil {
		t.Error("Close does not end it")
	}
	closed.Store(0)
	opened.Store(0)
	s = open(t)
	s.Reach(t.Context())
	now = now.Add(time.Minute)
	if _, err := s.Hello(t.Context(), ""); err != nil || dials.Load() != 3 || closed.Load() != 1 {
		t.Fatalf("%v after %d connections, %d closed", err, dials.Load(), closed.Load())
	}
	s = open(t)
	s.Reach(t.Context())
	time.Sleep(time.Millisecond) // before or after the greeting
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); opened.Load()-closed.Load() != 1; time.Sleep(time.Millisecond) { // it may be closed by another goroutine
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d of %d connections closed", closed.Load(), opened.Load())
		}
	}
	refused := errors.New("refused")
	s = open(t)
	s.cfg.Client.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, refused }
	s.Reach(t.Context())
	if _, err := s.Hello(t.Context(), ""); !errors.Is(err, refused) {
		t.Error(err)
	}
}

// counted counts how many connections were closed.
type counted struct {
	net.Conn
	closed *atomic.Int32
}

func (c counted) Close() error {
	err := c.Conn.Close()
	if err == nil {
		c.closed.Add(1)
	}
	return err
}
