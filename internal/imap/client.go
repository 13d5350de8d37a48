package imap

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"mailtwin/internal/imap/wire"
)

// Client is a connection to an IMAP server. Its methods may be called from several goroutines; what they send keeps the
// order in which they were called.
type Client struct {
	cfg     Config
	raw     *idleConn
	stream  io.ReadWriter // raw, or TLS over it
	pace    *pace         // of the reader
	dec     *wire.Decoder
	preAuth bool
	secure  bool // TLS is in force

	own     chan struct{} // held while one command is being written
	wmu     sync.Mutex    // guards bw and deflate
	bw      *bufio.Writer
	deflate *deflater // behind bw; nil: not compressed

	bodyBuf []byte // of the holder of own

	dirty          atomic.Bool // bw may hold octets
	unwaited       atomic.Bool // octets left since somebody waited
	roundTrips     atomic.Int64
	utf8           atomic.Bool // UTF8=ACCEPT is enabled
	authenticating atomic.Bool // continuation requests hold secrets
	byeSeen        *Error      // of the reader
	open           bool        // of the reader: a mailbox is selected
	capLists       int         // of the reader: that came
	responses      int         // of the reader: since a command ended
	fetch          fetchReader // of the reader

	mu       sync.Mutex
	nextTag  uint64
	inflight []*command // in the order they were sent
	err      error      // why the connection ended; set once
	stopped  bool       // the reader has ended
	asking   *command   // waits for a continuation request
	selected string     // mailbox last selected
	rawNames map[string]bool
	secrets  []string
	onUnsol  func(Unsolicited)
	caps     capabilities

	dead       chan struct{} // closed when err is set
	readerDone chan struct{}
}

// Close ends the connection at once. Outstanding calls fail with ErrClosed, after their callbacks have returned. It may be
// called twice and from anywhere.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	return nil
}

// Done is closed when the reader has ended: no callback runs after that.
func (c *Client) Done() <-chan struct{} { return c.readerDone }

// Err returns why the connection ended, nil while it has not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// PreAuth says whether the server greeted with PREAUTH: the user is logged in already.
func (c *Client) PreAuth() bool { return c.preAuth }

// Encrypted says whether TLS protects the connection.
func (c *Client) Encrypted() bool { return c.secure }

// Stats returns what went over the wire so far.
func (c *Client) Stats() Stats {
	return Stats{BytesIn: c.raw.in.Load(), BytesOut: c.raw.out.Load(), RoundTrips: c.roundTrips.Load()}
}

// OnUnsolicited sets what receives data that no command asked for. It runs on the reader and must not block for long.
func (c *Client) OnUnsolicited(fn func(Unsolicited)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onUnsol = fn
}

func (c *Client) unsolicited(u Unsolicited) {
	c.mu.Lock()
	fn := c.onUnsol
	c.mu.Unlock()
	if fn != nil {
		fn(u)
	}
}

// fail ends the connection for the given reason, if it has not ended. The reader then ends what is in flight.
func (c *Client) fail(err error) {
	err = c.hide(err)
	c.mu.Lock()
	if c.err == nil {
		c.err = err
		close(c.dead)
	}
	c.mu.Unlock()
	_ = c.raw.Close() // the plain connection: a farewell of TLS could block
}

// register puts a command in flight and gives it its tag.
func (c *Client) register(cmd *command) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return fmt.Errorf("%s: %w", cmd.name, c.err)
	}
	if c.stopped {
		return fmt.Errorf("%s: %w", cmd.name, net.ErrClosed)
	}
	c.nextTag++
	cmd.tag = fmt.Sprintf("t%d", c.nextTag)
	c.inflight = append(c.inflight, cmd)
	return nil
}

// take removes the command with this tag from those in flight.
func (c *Client) take(tag []byte) *command {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, cmd := range c.inflight {
		if cmd.tag == string(tag) {
			c.inflight = append(c.inflight[:i], c.inflight[i+1:]...)
			if len(c.inflight) == 0 || !c.inflight[0].sent {
				c.raw.setWaiting(false)
			}
			return cmd
		}
	}
	return nil
}

// write buffers octets. They leave with the next flush, or when the buffer is full.
func (c *Client) write(p []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.dirty.Store(true)
	if _, err := c.bw.Write(p); err != nil {
		return c.writeFailed(err)
	}
	return nil
}

func (c *Client) writeFailed(err error) error {
	err = connError(err)
	c.fail(err)
	return err
}

// flush sends what is buffered. When ctx ends meanwhile the connection does too. Errors show in the commands.
func (c *Client) flush(ctx context.Context) {
	if !c.dirty.Load() {
		return
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { c.fail(fmt.Errorf("send: %w", context.Cause(ctx))) })
		defer stop()
	}
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if !c.dirty.Load() {
		return
	}
	c.mu.Lock()
	for _, cmd := range c.inflight {
		cmd.sent = true
	}
	if len(c.inflight) > 0 {
		c.raw.setWaiting(true)
	}
	c.mu.Unlock()
	err := c.bw.Flush()
	if err == nil && c.deflate != nil {
		err = c.deflate.flush()
	}
	if err != nil {
		_ = c.writeFailed(err)
		return
	}
	c.dirty.Store(false)
}

// await waits for a continuation request for cmd, which must have been made c.asking before the server could answer. ok is
// false when the command ended instead.
func (c *Client) awaitContinuation(ctx context.Context, cmd *command) (text []byte, ok bool) {
	c.flush(ctx)
	if c.unwaited.Swap(false) {
		c.roundTrips.Add(1)
	}
	select {
	case text = <-cmd.cont:
		return text, true
	default:
	}
	select {
	case text = <-cmd.cont:
		return text, true
	case <-cmd.done:
		return nil, false
	case <-ctx.Done():
		c.fail(fmt.Errorf("wait for %s: %w", cmd.name, context.Cause(ctx)))
		<-cmd.done
		return nil, false
	}
}

// ask makes cmd the one that continuation requests are for; nil: none.
func (c *Client) ask(cmd *command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cmd != nil && cmd.cont == nil {
		cmd.cont = make(chan []byte, 1)
	}
	c.asking = cmd
}
