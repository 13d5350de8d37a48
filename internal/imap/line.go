package imap

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mailtwin/internal/imap/wire"
)

// line is a command being written: everything after its tag. Literals cut it, because the server may have to agree to each.
type line struct {
	c     *Client
	buf   []byte
	shown []byte // for the trace: without secrets
	cuts  []int  // ends of the parts after which a continuation request must come
	err   error
}

func (c *Client) newLine(name string) *line {
	l := &line{c: c}
	return l.raw(name)
}

// raw appends syntax, which never holds anything that a user or a server said.
func (l *line) raw(parts ...string) *line {
	for _, p := range parts {
		l.buf = append(l.buf, p...)
		if l.c.cfg.Trace != nil {
			l.shown = append(l.shown, p...)
		}
	}
	return l
}

func (l *line) number(n uint64) *line { return l.raw(strconv.FormatUint(n, 10)) }

func (l *line) set(s NumSet) *line {
	mark := len(l.buf)
	l.buf = s.AppendTo(l.buf)
	if l.c.cfg.Trace != nil {
		l.shown = append(l.shown, l.buf[mark:]...)
	}
	return l
}

func (l *line) flags(flags []string) *line {
	b, err := wire.AppendFlags(nil, flags)
	l.note(err)
	return l.raw(string(b))
}

func (l *line) note(err error) {
	if l.err == nil {
		l.err = err
	}
}

// atom appends s, which the caller of the package gave and must be an atom.
func (l *line) atom(s string) *line {
	if !wire.IsAtom(s) {
		l.note(fmt.Errorf("send %.40q: not an atom", s))
	}
	return l.raw(s)
}

// string appends s as a quoted string or a literal.
func (l *line) string(s string) *line { return l.text(s, s) }

// secret is string for what the trace must not show.
func (l *line) secret(s string) *line { return l.text(s, "***") }

func (l *line) text(s, shown string) *line {
	if l.c.cfg.Trace != nil {
		l.shown = wire.AppendQuoted(l.shown, shown)
	}
	if wire.Quotable(s, l.c.utf8.Load()) {
		l.buf = wire.AppendQuoted(l.buf, s)
		return l
	}
	if strings.IndexByte(s, 0) >= 0 {
		l.note(errors.New("send string: it holds a NUL"))
	}
	l.buf = append(l.buf, '{')
	l.buf = strconv.AppendInt(l.buf, int64(len(s)), 10)
	if l.c.literalNow(int64(len(s))) {
		l.buf = append(l.buf, "+}\r\n"...)
	} else {
		l.buf = append(l.buf, "}\r\n"...)
		l.cuts = append(l.cuts, len(l.buf))
	}
	l.buf = append(l.buf, s...)
	return l
}

// literalPlusMost is how much goes without the server's agreement under LITERAL+: beyond it a refusal comes too late.
const literalPlusMost = 1 << 20

// literalNow says whether a literal of this size may be sent without waiting (RFC 7888).
func (c *Client) literalNow(size int64) bool {
	return (size <= 4096 && c.Has("LITERAL-")) || (size <= literalPlusMost && c.Has("LITERAL+"))
}

// mailbox appends the name of a mailbox as the server spells it.
func (l *line) mailbox(name string) *line { return l.string(l.c.encodeName(name)) }

// encodeName returns the server's spelling of a name.
func (c *Client) encodeName(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	c.mu.Lock()
	raw := c.rawNames[name]
	c.mu.Unlock()
	if raw || c.utf8.Load() {
		return name
	}
	return wire.EncodeUTF7(name)
}

// send writes the line as the command cmd. When it cannot, cmd ends with the reason.
func (l *line) send(cmd *command) {
	c := l.c
	if l.err != nil {
		cmd.complete(fmt.Errorf("%s: %w", cmd.name, l.err))
		return
	}
	if err := c.acquire(cmd); err != nil {
		cmd.complete(err)
		return
	}
	defer c.release()
	l.write(cmd)
}

// acquire makes cmd the one command that is being written, and puts it in flight.
func (c *Client) acquire(cmd *command) error {
	select {
	case c.own <- struct{}{}:
	case <-c.dead:
		return fmt.Errorf("%s: %w", cmd.name, c.Err())
	}
	if err := c.register(cmd); err != nil {
		<-c.own
		return err
	}
	return nil
}

func (c *Client) release() { <-c.own }

// write writes the line with a continuation request after each cut. Errors end the connection and so the command.
func (l *line) write(cmd *command) {
	c := l.c
	if c.cfg.Trace != nil {
		c.cfg.Trace('C', append([]byte(cmd.tag+" "), l.shown...))
	}
	l.buf = append(l.buf, "\r\n"...)
	if len(l.cuts) > 0 {
		c.ask(cmd)
		defer c.ask(nil)
	}
	out := append([]byte(cmd.tag), ' ')
	start := 0
	for _, cut := range l.cuts {
		if c.write(append(out, l.buf[start:cut]...)) != nil {
			return
		}
		if _, ok := c.awaitContinuation(context.Background(), cmd); !ok {
			return
		}
		out, start = out[:0], cut
	}
	_ = c.write(append(out, l.buf[start:]...)) // the command fails with the connection
}
