package imap

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// idleConn is a connection whose deadline moves with each octet in either direction, so that a slow transfer goes on for as
// long as it takes and a dead one ends. It counts octets.
type idleConn struct {
	net.Conn
	timeout time.Duration
	in, out atomic.Int64
	last    atomic.Int64 // when an octet was last written, Unix nanoseconds
	wrote   *atomic.Bool

	mu      sync.Mutex
	waiting bool // an answer is due
}

// setWaiting says whether an answer is due, and gives the server the whole timeout from now.
func (c *idleConn) setWaiting(waiting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !waiting && !c.waiting {
		return
	}
	c.waiting = waiting
	c.setReadDeadline()
}

func (c *idleConn) setReadDeadline() {
	var t time.Time
	if c.waiting {
		t = time.Now().Add(c.timeout)
	}
	_ = c.SetReadDeadline(t) // fails on a closed connection only, where Read fails too
}

func (c *idleConn) Read(p []byte) (int, error) {
	for {
		c.mu.Lock()
		c.setReadDeadline()
		c.mu.Unlock()
		n, err := c.Conn.Read(p)
		c.in.Add(int64(n))
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && c.stillMoving() {
			continue
		}
		return n, err
	}
}

// stillMoving says whether a read timed out too early: octets were written meanwhile, or no answer is due any more.
func (c *idleConn) stillMoving() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.waiting || time.Since(time.Unix(0, c.last.Load())) < c.timeout
}

// owed returns how long an answer has been due, since then or since something was last written; 0 if none is.
func (c *idleConn) owed(since time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waiting {
		return 0
	}
	if wrote := time.Unix(0, c.last.Load()); wrote.After(since) {
		since = wrote
	}
	return time.Since(since)
}

func (c *idleConn) Write(p []byte) (int, error) {
	const chunk = 16 << 10 // small enough for a slow line to move one within the timeout
	total := 0
	for len(p) > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return total, err
		}
		n, err := c.Conn.Write(p[:min(len(p), chunk)])
		if n > 0 {
			c.out.Add(int64(n))
			c.last.Store(time.Now().UnixNano())
			c.wrote.Store(true)
			total += n
			p = p[n:]
		}
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return total, err
		}
	}
	return total, nil
}
