package imap

import (
	"bufio"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mailtwin/internal/imap/wire"
)

// Compress turns compression on in both directions (RFC 4978). It sends the command at once with all that is buffered, and all later
// commands wait until it has ended, because nothing may follow it before its answer. A server that refuses leaves things as they
// are: the error is of the Call alone. Once it is on it stays on.
func (c *Client) Compress() *Call[Status] {
	const name = "COMPRESS"
	op := &compressOp{c: c}
	call := newCall(c, name, op, &op.val)
	l := c.newLine("COMPRESS DEFLATE")
	if err := c.acquire(call.cmd); err != nil {
		call.cmd.complete(err)
		return call
	}
	if c.Compressed() { // by one that was sent just before
		c.take([]byte(call.cmd.tag))
		c.release()
		call.cmd.complete(fmt.Errorf("%s: %w", name, errCompressed))
		return call
	}
	l.write(call.cmd)
	c.flush(context.Background())
	return call
}

var errCompressed = errors.New("the connection is compressed already")

// Compressed says whether compression is on.
func (c *Client) Compressed() bool {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.deflate != nil
}

// compressOp takes the answer to COMPRESS. Until then it keeps the right to write.
type compressOp struct {
	statusOp
	c *Client
}

// finish runs on the reader, right behind the end of the answer: what follows is compressed.
func (o *compressOp) finish(cmd *command, st Status, err error) error {
	defer o.c.release()
	if err == nil {
		o.c.compress()
	}
	return o.statusOp.finish(cmd, st, err)
}

// compress makes both directions compressed from here on. Nothing is being written: the reader holds the right to.
func (c *Client) compress() {
	c.wmu.Lock()
	c.deflate = newDeflater(c.bw, c.stream)
	c.wmu.Unlock()
	c.pace.src = newInflated(&inflatedFrom{
		ahead: c.dec.TakeBuffered(), from: c.stream, raw: c.raw, timeout: c.cfg.Timeout, spoke: time.Now(),
	})
	c.dec.Reset(c.pace)
}

// deflater compresses what goes through the client's buffer.
type deflater struct {
	z   *flate.Writer
	out *bufio.Writer // z writes in small pieces
}

// newDeflater puts compression between a buffer, which must be empty, and where it goes.
func newDeflater(bw *bufio.Writer, to io.Writer) *deflater {
	d := &deflater{out: bufio.NewWriterSize(to, 16<<10)}
	d.z, _ = flate.NewWriter(d.out, flate.DefaultCompression) // the level is one that there is
	bw.Reset(d.z)
	return d
}

// flush lets the server have all that was written: a sync flush.
func (d *deflater) flush() error {
	if err := d.z.Flush(); err != nil {
		return err
	}
	return d.out.Flush()
}

// inflated is the compressed stream of the server. What it gives counts for all limits as what a server without compression would
// send.
type inflated struct {
	z  *inflater
	in *inflatedFrom
}

func newInflated(in *inflatedFrom) *inflated { return &inflated{z: newInflater(in), in: in} }

// Read implements io.Reader.
func (r *inflated) Read(p []byte) (int, error) {
	n, err := r.z.Read(p)
	if n > 0 {
		r.in.silent, r.in.spoke = 0, time.Now()
	}
	if errors.Is(err, errDeflate) {
		err = protocolError("%w", err)
	}
	return n, err
}

// inflatedFrom is what the server sends. That which has no content has limits of its own, since no response would show it.
type inflatedFrom struct {
	ahead   []byte // came with the answer
	from    io.Reader
	raw     *idleConn
	timeout time.Duration
	silent  int       // octets without content, so far
	spoke   time.Time // when there was some last
}

// maxSilent is how many octets may come of which not one is decoded: a block has some 320 octets before its first, and empty blocks
// mark each time that the server flushes.
const maxSilent = 64 << 10

// Read implements io.Reader.
func (r *inflatedFrom) Read(p []byte) (n int, err error) {
	if len(r.ahead) > 0 {
		n = copy(p, r.ahead)
		r.ahead = r.ahead[n:]
	} else if n, err = r.from.Read(p); err != nil {
		return n, err
	}
	r.silent += n
	switch {
	case r.silent > maxSilent:
		return 0, &wire.LimitError{What: "length of compressed data without content", Limit: maxSilent}
	case r.raw.owed(r.spoke) > patience*r.timeout:
		return 0, ErrSlow
	}
	return n, nil
}
