package imapstore

import (
	"context"
	"time"
)

// reach is a connection that is opened before Hello asks for one.
type reach struct {
	begun time.Time
	stop  context.CancelFunc
	done  chan struct{}
	c     *conn
	err   error
}

// patience is for how long a connection without login is of use; servers wait for one some minutes.
const patience = 20 * time.Second

// Reach begins to connect, so that Hello waits less: while the server greets, the caller can get ready. Hello returns its error, Close
// ends it.
func (s *Store) Reach(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	r := &reach{begun: s.cfg.Now(), stop: stop, done: make(chan struct{})}
	s.mu.Lock()
	known := s.ahead != nil || s.closed
	if !known {
		s.ahead = r
	}
	s.mu.Unlock()
	if known {
		stop()
		return
	}
	go func() {
		defer close(r.done)
		r.c, r.err = s.connect(ctx)
	}()
}

// reached returns the connection that Reach opened, once; nil if there is none, or it is too old to be of use.
func (s *Store) reached(ctx context.Context) (*conn, error) {
	s.mu.Lock()
	r := s.ahead
	s.ahead = nil
	s.mu.Unlock()
	if r == nil {
		return nil, nil
	}
	select {
	case <-r.done:
	case <-ctx.Done():
	}
	r.stop()
	<-r.done
	if s.cfg.Now().Sub(r.begun) > patience { // an error may be as old
		if r.c != nil {
			_ = r.c.client.Close()
		}
		return nil, ctx.Err()
	}
	return r.c, r.err
}

// lifetime is a context that ends with Close, for what goes on beside the call that began it.
func (s *Store) lifetime() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil || s.life.Err() != nil { // Hello may follow Close
		s.life, s.endLife = context.WithCancel(context.Background())
	}
	return s.life
}

// dropReached closes a connection that nobody asked for.
func (s *Store) dropReached() {
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if c, _ := s.reached(stopped); c != nil {
		_ = c.client.Close()
	}
}
