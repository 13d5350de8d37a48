// Package wire is the grammar of IMAP (RFC 9051 section 9, RFC 3501 section 9): a decoder for what servers send, helpers
// that encode what clients send, sets of numbers, dates and modified UTF-7. It knows no commands and opens no connections.
//
// The decoder never panics on input, never keeps more than its [Limits] allow, and streams literals. It is more lenient
// than the grammar where servers are known to err: extra spaces, bare line feeds, odd characters in flags.
package wire

import (
	"errors"
	"fmt"
)

// Limits bound what a server can make the client keep. A zero field stands for its default.
type Limits struct {
	Line    int   // octets of one response without its literals; default 1 MiB. Sets of numbers do not count
	String  int   // octets of one string that is kept; default 1 MiB
	Body    int64 // octets of one streamed or skipped literal; default 2 GiB
	Depth   int   // nested parentheses; default 32
	List    int   // members of one list; default 1,000,000
	Numbers int   // numbers or ranges of one set; default 4,000,000

	Responses int   // before a command ends, kept or not; default 6,000,000
	Octets    int64 // before a command ends, bodies that were asked for aside; default 2 GiB
	Mailboxes int   // of one LIST; default 200,000
	Names     int   // octets of the names of one LIST; default 32 MiB
}

// WithDefaults returns l with its zero fields filled in.
func (l Limits) WithDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Line, 1<<20)
	def(&l.String, 1<<20)
	def(&l.Depth, 32)
	def(&l.List, 1_000_000)
	def(&l.Numbers, 4_000_000)
	def(&l.Responses, 6_000_000)
	def(&l.Mailboxes, 200_000)
	def(&l.Names, 32<<20)
	if l.Body <= 0 {
		l.Body = 2 << 30
	}
	if l.Octets <= 0 {
		l.Octets = 2 << 30
	}
	return l
}

// SyntaxError says that a response broke the grammar. The decoder is still on the same line: SkipLine goes on after it.
type SyntaxError struct {
	Want string // what the grammar asks for
	Got  string // what was there instead, shortened
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("parse response: want %s, got %q", e.Want, e.Got)
}

// LimitError says that a response was larger than the Limits allow. The decoder cannot go on.
type LimitError struct {
	What  string
	Limit int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("parse response: %s is over the limit of %d", e.What, e.Limit)
}

// IsSyntax says whether err is a [SyntaxError], so that the response can be skipped and the connection kept.
func IsSyntax(err error) bool {
	if err == nil {
		return false // at no cost: it is asked for each response
	}
	var e *SyntaxError
	return errors.As(err, &e)
}
