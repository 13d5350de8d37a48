package maildirstore

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// chunk is the size of the buffers through which messages stream.
const chunk = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}

// toLocal writes a body that arrives in wire form as it is stored: CRLF becomes LF, all else stays.
type toLocal struct {
	to io.Writer
	cr bool // the last chunk ended with a CR that was held back
	n  int64
}

func (w *toLocal) write(p []byte) error {
	n, err := w.to.Write(p)
	w.n += int64(n)
	return err
}

var cr = []byte{'\r'}

// Write implements io.Writer.
func (w *toLocal) Write(p []byte) (int, error) {
	total := len(p)
	if w.cr && total > 0 {
		w.cr = false
		if p[0] != '\n' {
			if err := w.write(cr); err != nil {
				return 0, err
			}
		}
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\r')
		if i < 0 {
			return total, w.write(p)
		}
		if i == len(p)-1 {
			w.cr = true
			return total, w.write(p[:i])
		}
		keep := i
		if p[i+1] != '\n' {
			keep = i + 1
		}
		if keep > 0 {
			if err := w.write(p[:keep]); err != nil {
				return 0, err
			}
		}
		p = p[i+1:]
	}
	return total, nil
}

// finish writes what was held back.
func (w *toLocal) finish() error {
	if !w.cr {
		return nil
	}
	w.cr = false
	return w.write(cr)
}

// copyLocal copies a body of known size to a file and returns the size on disk.
func copyLocal(to io.Writer, from io.Reader, size int64) (int64, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	joined := buffers.Get().(*[]byte)
	defer buffers.Put(joined)
	out := &gather{to: to, buf: (*joined)[:0]}
	w := &toLocal{to: out}
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{from}, *buf)
	if err == nil && n != size {
		err = fmt.Errorf("read body: %w: %d bytes of %d", io.ErrUnexpectedEOF, n, size)
	}
	if err == nil {
		err = w.finish()
	}
	if err == nil {
		err = out.flush()
	}
	return w.n, err
}

// gather joins the small pieces between line ends to large writes.
type gather struct {
	to  io.Writer
	buf []byte
}

// Write implements io.Writer.
func (g *gather) Write(p []byte) (int, error) {
	if len(g.buf)+len(p) > cap(g.buf) {
		if err := g.flush(); err != nil {
			return 0, err
		}
		if len(p) >= cap(g.buf) {
			return g.to.Write(p)
		}
	}
	g.buf = append(g.buf, p...)
	return len(p), nil
}

func (g *gather) flush() error {
	if len(g.buf) == 0 {
		return nil
	}
	_, err := g.to.Write(g.buf)
	g.buf = g.buf[:0]
	return err
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
