package state

import (
	"context"
	"errors"
	"sync"

	"mailtwin/internal/state/sqlite"
)

// pool has the connections that read. There are as many as are used at a time.
type pool struct {
	uri string

	mu     sync.Mutex
	idle   []*sqlite.Conn
	closed bool
}

// smallCache keeps less than the two megabytes for each that are usual: pairs are read in the order in which they are stored, mostly.
const smallCache = "PRAGMA cache_size=-512"

var errClosed = errors.New("the state database is closed")

// mostIdle is how many connections are kept that nobody uses.
const mostIdle = 4

func newPool(uri string) *pool { return &pool{uri: uri} }

// with lends a connection to fn.
func (p *pool) with(fn func(*sqlite.Conn) error) error {
	c, err := p.take()
	if err != nil {
		return err
	}
	defer p.give(c)
	return fn(c)
}

// moment lends a connection to fn, which sees all that it reads as it was at one moment. To begin with each query anew takes longer than to
// look for a row, too.
func (p *pool) moment(fn func(*sqlite.Conn) error) error {
	c, err := p.take()
	if err != nil {
		return explain("begin to read", err)
	}
	defer p.give(c)
	if _, err := c.Exec("BEGIN"); err != nil {
		return explain("begin to read", err)
	}
	err = fn(c)
	if _, ended := c.Exec("ROLLBACK"); err == nil { // it only read
		err = explain("end reading", ended)
	}
	return err
}

func (p *pool) take() (*sqlite.Conn, error) {
	p.mu.Lock()
	closed := p.closed
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	c, err := sqlite.Open(p.uri)
	if err != nil {
		return nil, err
	}
	if _, err := c.Exec(smallCache); err != nil {
		_ = c.Close() // it has done nothing
		return nil, err
	}
	return c, nil
}

func (p *pool) give(c *sqlite.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && len(p.idle) < mostIdle && c.Idle() { // else what it reads would be of the past
		p.idle = append(p.idle, c)
		return
	}
	_ = c.Close() // it only read
}

// Query carries a query out on a connection of its own.
func (p *pool) Query(ctx context.Context, query string, args []any, fn func(*sqlite.Row) error) error {
	return p.with(func(c *sqlite.Conn) error { return c.Query(ctx, query, args, fn) })
}

// close closes the connections; those that are lent, when they come back.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first error
	for _, c := range p.idle {
		if err := c.Close(); first == nil {
			first = err
		}
	}
	p.idle, p.closed = nil, true
	return first
}
