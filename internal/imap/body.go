package imap

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a body is kept in memory when its UID comes after it.
const spoolMemory = 64 << 10

// readBody takes the value of BODY[]. When everything that the command asked for is known the body streams into the
// callback; else it is kept until the response has been read.
func (c *Client) readBody() error {
	d, f := c.dec, &c.fetch
	b, err := d.Peek()
	if err != nil {
		return err
	}
	f.got |= haveBody
	if b != '{' && b != '~' {
		s, ok, err := d.NString()
		if err != nil || !ok {
			return err // NIL: the message has no body
		}
		f.msg.HasBody = true
		if _, err := f.spool.Write(s); err != nil {
			return c.bodyLost(err)
		}
		return nil
	}
	lit, err := d.OpenLiteral(d.Limits().Body)
	if err != nil {
		return err
	}
	defer func() { f.body.r = nil }()
	op, stream := c.bodyTarget()
	switch {
	case op == nil || op.cmd.broken != nil: // nobody wants it
		if f.given = op != nil; !f.given {
			f.got &^= haveBody
		}
	case stream:
		f.given = true
		f.body.r = lit
		f.msg.Body, f.msg.BodySize, f.msg.HasBody = &f.body, lit.Size(), true
		c.pace.command -= lit.Size()
		op.takeFetch(&f.msg, f.got)
	default:
		f.msg.HasBody = true
		if _, err := lit.WriteTo(&f.spool); err != nil && lit.Left() > 0 {
			if closeErr := lit.Close(); closeErr != nil {
				return closeErr
			}
			return c.bodyLost(err)
		}
	}
	return lit.Close()
}

// bodyLost notes that a body could not be kept, and makes the rest of its response go nowhere.
func (c *Client) bodyLost(err error) error {
	c.failBodyFetch(err)
	c.fetch.given = true
	return nil
}

func (c *Client) failBodyFetch(err error) {
	if op, _ := c.bodyTarget(); op != nil {
		op.cmd.fail(fmt.Errorf("keep body: %w", err))
	}
}

// bodyTarget returns the command that the body is for, as far as that can be known, and whether it may stream: nothing that
// was asked for is still to come.
func (c *Client) bodyTarget() (op *fetchOp, stream bool) {
	f := &c.fetch
	op, _ = find(c, func(o *fetchOp) bool {
		return o.asked&haveBody != 0 && (f.msg.UID == 0 || o.set.Contains(f.msg.UID))
	})
	return op, op != nil && op.asked&^f.got == 0
}

// spool keeps one body: in memory as long as it is small, else in a temporary file.
type spool struct {
	mem  []byte
	file *os.File
	size int64
}

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && len(s.mem)+len(p) <= spoolMemory {
		s.mem = append(s.mem, p...)
		s.size += int64(len(p))
		return len(p), nil
	}
	if s.file == nil {
		if err := s.begin(); err != nil {
			return 0, err
		}
	}
	n, err := s.file.Write(p)
	s.size += int64(n)
	return n, err
}

// begin moves what is in memory to a file.
func (s *spool) begin() error {
	file, err := os.CreateTemp("", "mailtwin-body-*")
	if err != nil {
		return err
	}
	s.file = file
	_ = os.Remove(file.Name()) // where the system allows it; else close removes it
	_, err = file.Write(s.mem)
	return err
}

// open returns what was written, from its start.
func (s *spool) open() (io.Reader, error) {
	if s.file == nil {
		return bytes.NewReader(s.mem), nil
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return s.file, err
}

// reset makes the spool empty.
func (s *spool) reset() {
	if s.file != nil {
		_ = s.file.Close() // nothing in it is wanted any more
		_ = os.Remove(s.file.Name())
		s.file = nil
	}
	s.mem, s.size = s.mem[:0], 0
}

func (s *spool) close() {
	s.reset()
	s.mem = nil
}
