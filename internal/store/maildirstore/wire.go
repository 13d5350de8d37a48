package maildirstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// chunk is the size of the buffers through which messages stream.
const chunk = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// copyLocal copies a body of known size, in wire form, as it is stored: CRLF becomes LF, all else stays.
func copyLocal(to io.Writer, from io.Reader, size int64) error {
	pooled := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	buf := *pooled
	total, held := int64(0), 0 // a CR at the end of buf may belong to a line end
	for {
		n, err := io.ReadFull(from, buf[held:])
		total += int64(n)
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return err
		}
		text := buf[:held+n]
		held = 0
		if n := len(text); !ended && text[n-1] == '\r' {
			text, held = text[:n-1], 1
		}
		text = withoutCR(text)
		if ended && total != size {
			return fmt.Errorf("read body: %w: %d bytes of %d", io.ErrUnexpectedEOF, total, size)
		}
		if len(text) > 0 {
			if _, err := to.Write(text); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
		buf[0] = '\r' // if it is held
	}
}

// withoutCR takes the CR of each CRLF out of p, in place.
func withoutCR(p []byte) []byte {
	at := bytes.IndexByte(p, '\r')
	if at < 0 {
		return p
	}
	for rest := p[at:]; ; {
		if len(rest) == 1 || rest[1] != '\n' {
			p[at] = '\r'
			at++
		}
		rest = rest[1:]
		next := bytes.IndexByte(rest, '\r')
		if next < 0 {
			return p[:at+copy(p[at:], rest)]
		}
		at += copy(p[at:], rest[:next])
		rest = rest[next:]
	}
}

// toWire reads a stored message in wire form: an LF that no CR precedes becomes CRLF.
type toWire struct {
	from    io.Reader
	raw     []byte // a part of buf
	buf     []byte
	last    byte // before raw
	pending bool // the LF of a CRLF that did not fit
	err     error
}

// Read implements io.Reader.
func (r *toWire) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if r.pending {
			p[n], r.pending, r.last = '\n', false, '\n'
			n++
			continue
		}
		if len(r.raw) == 0 {
			if r.err != nil || n > 0 {
				break
			}
			var k int
			k, r.err = r.from.Read(r.buf)
			r.raw = r.buf[:k]
			continue
		}
		i := bytes.IndexByte(r.raw, '\n')
		if i < 0 {
			i = len(r.raw)
		}
		if i > 0 {
			k := copy(p[n:], r.raw[:i])
			r.last, r.raw, n = r.raw[k-1], r.raw[k:], n+k
			continue
		}
		r.raw = r.raw[1:]
		if r.last == '\r' {
			p[n], r.last = '\n', '\n'
		} else {
			p[n], r.pending = '\r', true
		}
		n++
	}
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

// wireSize counts the bytes that a message has in wire form.
func wireSize(from io.Reader) (size int64, err error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	last := byte(0)
	for {
		n, err := from.Read(*buf)
		p := (*buf)[:n]
		size += int64(n)
		for len(p) > 0 {
			i := bytes.IndexByte(p, '\n')
			if i < 0 {
				last = p[len(p)-1]
				break
			}
			if i > 0 {
				last = p[i-1]
			}
			if last != '\r' {
				size++
			}
			last, p = '\n', p[i+1:]
		}
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}
