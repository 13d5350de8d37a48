package imapstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
)

const (
	idleLimit  = 30 * time.Second // a connection that rested longer is asked whether it still lives
	politeness = time.Second      // how long Close waits for the server's farewell
)

var errClosed = errors.New("the store is closed")

// conn is a connection that is logged in. It belongs to one goroutine at a time.
type conn struct {
	client   *imap.Client
	wire     *linkConn
	probed   bool // the link was measured with it
	qresync  bool // enabled
	condstor bool // mod-sequences can be relied on
	rested   time.Time

	box      mail.Box // selected; "": none
	writable bool     // selected with SELECT, and not READ-ONLY
	sel      imap.Selected
	opened   int // how many views this session had taken when the mailbox was opened

	mu     sync.Mutex // guards what the reader counts
	exists int64
}

// heard follows the number of messages. It runs on the client's reader.
func (c *conn) heard(u imap.Unsolicited) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch u.Kind {
	case imap.UnsolicitedExists:
		c.exists = int64(u.Num)
	case imap.UnsolicitedExpunge:
		c.exists--
	case imap.UnsolicitedVanished:
		if !u.Earlier {
			c.exists -= int64(u.UIDs.Len())
		}
	default:
	}
	c.exists = max(c.exists, 0)
}

// total returns how many messages the selected mailbox has.
func (c *conn) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.exists)
}

func (c *conn) has(capability string) bool { return c.client.Has(capability) }

// lease returns a connection for use by the caller alone, one that has the mailbox selected if there is one. It waits
// while all are in use, and connects if none is idle.
func (s *Store) lease(ctx context.Context, box mail.Box) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		c, err := s.takeIdle(box)
		if err == nil && c == nil {
			if c, err = s.dial(ctx, nil); err != nil && ctx.Err() == nil && s.fewer() {
				// Some servers let a user in only so often. The slot is not given back: from now on there are fewer connections.
				select {
				case s.slots <- struct{}{}:
					s.mu.Lock()
					s.less++
					s.mu.Unlock()
					continue
				case <-ctx.Done():
					err = ctx.Err()
				}
			}
		}
		if err != nil {
			<-s.slots
			return nil, err
		}
		if c.rested.IsZero() || s.cfg.Now().Sub(c.rested) < idleLimit {
			return c, nil
		}
		if _, err := c.client.Noop().Wait(ctx); err == nil {
			return c, nil
		}
		s.drop(c)
		if err := ctx.Err(); err != nil {
			<-s.slots
			return nil, err
		}
	}
}

// fewer reports whether other connections are at work, so that it goes on without one more. The caller's slot counts as used.
func (s *Store) fewer() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open) > 0 && !s.closed
}

// takeIdle takes the best idle connection; nil if there is none.
func (s *Store) takeIdle(box mail.Box) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errClosed
	case !s.opened:
		return nil, errNoHello
	case len(s.idle) == 0:
		return nil, nil
	}
	at := slices.IndexFunc(s.idle, func(c *conn) bool { return c.box == box })
	if at < 0 {
		at = slices.IndexFunc(s.idle, func(c *conn) bool { return c.box == "" })
	}
	if at < 0 {
		at = len(s.idle) - 1
	}
	c := s.idle[at]
	s.idle = slices.Delete(s.idle, at, at+1)
	return c, nil
}

// release gives a connection back, or closes it if the error says that it is not usable any more.
func (s *Store) release(c *conn, err error) {
	defer func() { <-s.slots }()
	if broken(err) || c.client.Err() != nil {
		s.drop(c)
		return
	}
	c.rested = s.cfg.Now()
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.idle = append(s.idle, c)
	}
	s.mu.Unlock()
	if closed {
		s.drop(c)
	}
}

// drop closes a connection for good and keeps its counts.
func (s *Store) drop(c *conn) {
	_ = c.client.Close() // nothing is to be lost on it any more
	st := c.client.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[c]; ok {
		delete(s.open, c)
		add(&s.past, st)
	}
}

// dial opens a connection, logs in and enables what there is to enable. also, if not nil, sends further commands in the
// same flight.
func (s *Store) dial(ctx context.Context, also func(*conn)) (*conn, error) {
	c, err := s.reached(ctx)
	if c == nil && err == nil {
		c, err = s.connect(ctx)
	}
	if err != nil {
		return nil, err
	}
	c.client.OnUnsolicited(c.heard)
	s.mu.Lock()
	s.open[c] = struct{}{}
	caps := s.hint.Caps
	s.mu.Unlock()
	if err := s.login(ctx, c, caps, also); err != nil {
		s.drop(c)
		return nil, err
	}
	return c, nil
}

// connect opens a connection, up to the greeting.
func (s *Store) connect(ctx context.Context) (*conn, error) {
	c := &conn{wire: &linkConn{}}
	cfg := s.cfg.Client
	cfg.Dial = s.dialer(c.wire)
	var err error
	if c.client, err = imap.Dial(ctx, cfg); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return c, nil
}

func (s *Store) login(ctx context.Context, c *conn, caps []string, also func(*conn)) error {
	c.client.AssumeCaps(caps)
	c.client.MaskCaps(s.cfg.Mask...)
	begun := time.Now()
	if !c.client.PreAuth() {
		if err := c.client.Authenticate(ctx, s.cfg.Credentials); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
	}
	took := time.Since(begun)
	s.link.trip(took)
	var enable *imap.Call[[]string]
	c.condstor = c.has("CONDSTORE") || c.has("QRESYNC")
	switch {
	case c.has("ENABLE") && c.has("QRESYNC"):
		enable = c.client.Enable("QRESYNC")
	case c.has("ENABLE") && c.has("CONDSTORE"):
		enable = c.client.Enable("CONDSTORE")
	}
	if also != nil {
		also(c)
	}
	begun = time.Now()
	if s.squeezes(c, took) {
		c.wire.squeezed.Store(true)
		c.client.Compress() // what comes of it is of no interest: without, all is as it was
	}
	if enable == nil {
		return nil
	}
	enabled, err := enable.Wait(ctx)
	s.link.trip(time.Since(begun))
	if broken(err) {
		return fmt.Errorf("log in: %w", err)
	}
	// Some servers say OK and do not tell what they enabled.
	says := len(enabled) == 0 || slices.ContainsFunc(enabled, func(e string) bool { return strings.EqualFold(e, "QRESYNC") })
	c.qresync = err == nil && c.has("QRESYNC") && says
	return nil
}

// Close implements store.Store. Connections that are in use end with their calls, which fail from now on.
func (s *Store) Close() error {
	s.dropReached()
	s.mu.Lock()
	s.closed = true
	if s.endLife != nil {
		s.endLife()
	}
	idle := s.idle
	s.idle = nil
	busy := make([]*conn, 0, len(s.open))
	for c := range s.open {
		if !slices.Contains(idle, c) {
			busy = append(busy, c)
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), politeness)
	defer cancel()
	var farewells sync.WaitGroup
	for _, c := range idle { // all at a time: it takes a round trip (RFC 9051 section 3.4)
		farewells.Go(func() {
			_, _ = c.client.Logout().Wait(ctx) // it may go unanswered
			s.drop(c)
		})
	}
	farewells.Wait()
	for _, c := range busy {
		s.drop(c)
	}
	return nil
}
