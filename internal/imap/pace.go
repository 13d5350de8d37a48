package imap

import (
	"errors"
	"io"
	"os"
	"time"
)

// What a server must send of a response that it has begun. A line of 300 bit/s brings three times as much.
const (
	slowest  = 10 // octets a second
	patience = 5  // idle deadlines, before that is asked for
)

// ErrSlow says that a response that had begun came so slowly that it would never have ended: each octet moves the idle deadline,
// and that alone would let a server hold the client for days.
var ErrSlow error = slowError{}

type slowError struct{}

func (slowError) Error() string { return "the server sends too slowly" }

// pace reads responses and gives up on one that trickles. Only the time counts that is spent waiting for the server inside a
// response: neither the rest between two, nor what the client takes to use what came.
type pace struct {
	src     io.Reader
	timeout time.Duration
	got     int64 // octets of the response, or a few more
	spent   time.Duration
	command int64 // octets since a command ended, bodies aside
}

// begin starts with the next response, of which some octets were read ahead.
func (p *pace) begin(ahead int) { p.got, p.spent = int64(ahead), 0 }

func (p *pace) Read(b []byte) (int, error) {
	begun := time.Now()
	n, err := p.src.Read(b)
	if p.got > 0 {
		p.spent += time.Since(begun)
	}
	p.got += int64(n)
	p.command += int64(n)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrTimeout // also for who reads a body
	}
	if err == nil && p.spent > patience*p.timeout && float64(p.got) < slowest*p.spent.Seconds() {
		err = ErrSlow
	}
	return n, err
}
