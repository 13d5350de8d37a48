package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"mailtwin/internal/imap/wire"
)

// Appender is an APPEND command being written (RFC 9051 section 6.3.12). It holds up all other commands until Finish, which
// must be called whatever Add returned. One goroutine uses it.
type Appender struct {
	c     *Client
	box   string
	call  *Call[AppendResult]
	op    *appendOp
	owned bool // the writer is ours, until Finish
	multi bool
	added int
	over  bool
	err   error
}

// appendOp takes the answer to APPEND.
type appendOp struct {
	val  AppendResult
	sent atomic.Int32
}

// Append begins an APPEND command. Nothing is sent before the first Add.
func (c *Client) Append(box string) *Appender {
	op := &appendOp{}
	return &Appender{
		c: c, box: box, op: op, call: newCall(c, "APPEND", op, &op.val), multi: c.Has("MULTIAPPEND"),
	}
}

// Multi says whether Add may be called more than once (MULTIAPPEND, RFC 3502).
func (a *Appender) Multi() bool { return a.multi }

var errAppend = errors.New("one APPEND takes one message here")

// Add sends one message while it reads it. Up to 4096 octets with LITERAL-, up to 1 MiB with LITERAL+ (RFC 7888), it does not
// wait for the server; else for its consent, whose refusal it returns. A body that does not have exactly m.Size octets, or
// cannot be read, ends the connection: a command that has begun can be taken back in no other way. So does the end of ctx.
func (a *Appender) Add(ctx context.Context, m AppendMessage) error {
	switch {
	case a.over:
		return fmt.Errorf("APPEND: %w", errors.New("it is finished"))
	case a.err != nil:
		return a.err
	case a.added > 0 && !a.multi:
		return fmt.Errorf("APPEND: %w", errAppend)
	case m.Size < 0 || m.Body == nil:
		return errors.New("APPEND: no message")
	}
	a.err = a.add(ctx, m)
	return a.err
}

func (a *Appender) add(ctx context.Context, m AppendMessage) error {
	c, cmd := a.c, a.call.cmd
	if a.added > 0 && cmd.ended() {
		return a.refused() // what follows would be taken for a new command
	}
	head, now, err := a.head(m)
	if err != nil {
		return fmt.Errorf("APPEND: %w", err) // nothing of it was sent
	}
	stop := context.AfterFunc(ctx, func() { c.fail(fmt.Errorf("APPEND: %w", context.Cause(ctx))) })
	defer stop()
	if a.added == 0 {
		if err := a.begin(); err != nil {
			return err
		}
	}
	a.added++
	if !now {
		c.ask(cmd)
		defer c.ask(nil)
	}
	if err := c.write(head); err != nil {
		return fmt.Errorf("APPEND: %w", err)
	}
	if !now {
		if _, ok := c.awaitContinuation(ctx, cmd); !ok {
			return a.refused()
		}
	}
	if err := a.sendBody(m); err != nil {
		err = fmt.Errorf("APPEND: %w", err)
		c.fail(err)
		return err
	}
	a.op.sent.Add(1)
	return nil
}

// begin takes the writer and sends the start of the command.
func (a *Appender) begin() error {
	c, cmd := a.c, a.call.cmd
	l := c.newLine("APPEND ").mailbox(a.box)
	if l.err != nil || len(l.cuts) > 0 {
		// A name that needs the consent of its own: no server made it, so no server will take it.
		return fmt.Errorf("APPEND: the name of the mailbox cannot be sent: %w", errors.ErrUnsupported)
	}
	if err := c.acquire(cmd); err != nil {
		return err
	}
	a.owned = true
	if c.cfg.Trace != nil {
		c.cfg.Trace('C', append([]byte(cmd.tag+" "), l.shown...))
	}
	return c.write(append([]byte(cmd.tag+" "), l.buf...))
}

// head returns what comes before the octets of a message, and whether they may follow at once.
func (a *Appender) head(m AppendMessage) (head []byte, now bool, err error) {
	b := []byte{' '}
	if len(m.Flags) > 0 {
		var flags []string
		for _, f := range m.Flags {
			if !strings.EqualFold(f, `\Recent`) { // the server's own (RFC 3501 section 2.3.2)
				flags = append(flags, f)
			}
		}
		if b, err = wire.AppendFlags(b, flags); err != nil {
			return nil, false, err
		}
		b = append(b, ' ')
	}
	if !m.Date.IsZero() {
		b = append(wire.AppendDate(b, m.Date), ' ')
	}
	if m.Binary && a.c.Has("BINARY") {
		b = append(b, '~')
	}
	now = a.c.literalNow(m.Size)
	b = append(b, '{')
	b = strconv.AppendInt(b, m.Size, 10)
	if now {
		b = append(b, '+')
	}
	if a.c.cfg.Trace != nil {
		a.c.cfg.Trace('C', append(append([]byte("..."), b...), '}'))
	}
	return append(b, "}\r\n"...), now, nil
}

// sendBody sends exactly m.Size octets.
func (a *Appender) sendBody(m AppendMessage) error {
	c := a.c
	if c.bodyBuf == nil {
		c.bodyBuf = make([]byte, 32<<10)
	}
	for left := m.Size; left > 0; {
		n, err := m.Body.Read(c.bodyBuf[:min(left, int64(len(c.bodyBuf)))])
		if n > 0 {
			left -= int64(n)
			if err := c.write(c.bodyBuf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) && left > 0 {
			return fmt.Errorf("send message: it ended after %d of %d octets: %w", m.Size-left, m.Size, io.ErrUnexpectedEOF)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("send message: %w", err)
		}
	}
	var one [1]byte
	for range 10 {
		k, err := m.Body.Read(one[:])
		switch {
		case k > 0:
			return fmt.Errorf("send message: it has more than %d octets", m.Size)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("send message: %w", err)
		}
	}
	return fmt.Errorf("send message: %w", io.ErrNoProgress)
}

// refused returns why the command ended while it was being written.
func (a *Appender) refused() error {
	if err := a.call.cmd.err; err != nil {
		return err
	}
	err := fmt.Errorf("APPEND: %w", protocolError("it ended before it was sent"))
	a.c.fail(err)
	return err
}

// Finish ends the command and returns its Call. Without a message added nothing is sent; the call then has the error of the
// Add that failed, if one did.
func (a *Appender) Finish() *Call[AppendResult] {
	if a.over {
		return a.call
	}
	a.over = true
	if !a.owned {
		a.call.cmd.complete(a.err)
		return a.call
	}
	defer a.c.release()
	// After a refused synchronising literal the server has forgotten the command: an empty line would be one of its own.
	if a.err == nil || int(a.op.sent.Load()) == a.added {
		_ = a.c.write([]byte("\r\n")) // the command fails with the connection
	}
	return a.call
}

func (o *appendOp) finish(_ *command, st Status, err error) error {
	o.val.Status = st
	if err != nil || st.Code != "APPENDUID" {
		return err
	}
	f := strings.Fields(st.Args)
	if len(f) != 2 {
		return nil
	}
	validity, ok := wire.ParseNumber32(f[0])
	sent := int(o.sent.Load())
	uids, bad := expand(f[1], sent)
	if ok && validity != 0 && bad == nil && len(uids) == sent {
		o.val.UIDValidity, o.val.UIDs, o.val.Has = validity, uids, true
	}
	return nil
}
