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

// reaching is a store that counts its connections.
type reaching struct {
	*Store
	opened, closed atomic.Int32
	ahead          atomic.Int64 // how far its clock is ahead
}

func newReaching(t *testing.T) *reaching {
	t.Helper()
	d, user := imaptest.Shared(t)
	r := &reaching{}
	cfg := config(d, user)
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }
	cfg.Client.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		r.opened.Add(1)
		return counted{c, &r.closed}, nil
	}
	r.Store = New(cfg)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// left waits until so many connections are open; another goroutine may be closing one.
func (r *reaching) left(t *testing.T, n int32) {
	t.Helper()
	for begun := time.Now(); r.opened.Load()-r.closed.Load() != n; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d of %d connections closed, %d should be open", r.closed.Load(), r.opened.Load(), n)
		}
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

// TestReach: Hello takes the connection that Reach opened; what was begun while the server greeted goes on until Close.
func TestReach(t *testing.T) {
	t.Parallel()
	s := newReaching(t)
	greeted := make(chan context.Context, 1)
	s.cfg.Reached = func(ctx context.Context) { greeted <- ctx }
	ctx, stop := context.WithCancel(t.Context())
	s.Reach(ctx)
	s.Reach(ctx)
	if _, err := s.Hello(ctx, ""); err != nil || s.opened.Load() != 1 {
		t.Fatalf("%v after %d connections", err, s.opened.Load())
	}
	stop()
	life := <-greeted
	if life.Err() != nil { // a password command may take longer than the greeting
		t.Error(life.Err())
	}
	if _ = s.Close(); life.Err() == nil {
		t.Error("Close does not end it")
	}
	s.left(t, 0)
}

// TestReachTooOld: a connection, or an error, of long ago is of no use.
func TestReachTooOld(t *testing.T) {
	t.Parallel()
	s := newReaching(t)
	s.Reach(t.Context())
	s.ahead.Store(int64(time.Minute))
	if _, err := s.Hello(t.Context(), ""); err != nil || s.opened.Load() != 2 {
		t.Fatalf("%v after %d connections", err, s.opened.Load())
	}
	s.left(t, 1)
}

// TestReachUnused: Close closes what nobody took, before or after the greeting.
func TestReachUnused(t *testing.T) {
	t.Parallel()
	for _, wait := range []time.Duration{0, time.Millisecond, 50 * time.Millisecond} {
		s := newReaching(t)
		s.Reach(t.Context())
		time.Sleep(wait)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s.left(t, 0)
	}
}

// TestReachFails: Hello returns the error.
func TestReachFails(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	s := newReaching(t)
	s.cfg.Client.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, refused }
	s.Reach(t.Context())
	if _, err := s.Hello(t.Context(), ""); !errors.Is(err, refused) {
		t.Error(err)
	}
}
