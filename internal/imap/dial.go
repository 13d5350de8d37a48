package imap

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"mailtwin/internal/imap/wire"
)

// Dial connects, reads the greeting, and does STARTTLS when asked for. It refuses a server that greets with BYE, that sends
// anything in the clear after its answer to STARTTLS, or that greets with PREAUTH where STARTTLS was asked for: none of
// them could be trusted (RFC 9051 section 11.1).
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	c, err := dial(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("connect to %s: %w", cfg.Address, err)
	}
	return c, nil
}

func dial(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	host, _, err := net.SplitHostPort(cfg.Address)
	if err != nil {
		return nil, err
	}
	if cfg.ServerName == "" {
		cfg.ServerName = host
	}
	open := cfg.Dial
	if open == nil {
		open = (&net.Dialer{Timeout: cfg.Timeout}).DialContext
	}
	conn, err := open(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, connError(err)
	}
	c := newClient(cfg, conn)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err = c.greet(ctx)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close() // the first error tells more
		return nil, err
	}
	c.raw.setWaiting(false)
	go c.read()
	return c, nil
}

func newClient(cfg Config, conn net.Conn) *Client {
	c := &Client{
		cfg: cfg, own: make(chan struct{}, 1), dead: make(chan struct{}), readerDone: make(chan struct{}),
		rawNames: make(map[string]bool),
	}
	c.raw = &idleConn{Conn: conn, timeout: cfg.Timeout, wrote: &c.unwaited}
	c.stream = c.raw
	c.fetch.item = c.readFetchItem
	c.raw.setWaiting(true)
	c.pace = &pace{src: c.raw, timeout: cfg.Timeout}
	c.dec = wire.NewDecoder(c.pace, cfg.Limits)
	c.bw = bufio.NewWriterSize(c.raw, 64<<10)
	if cfg.Trace != nil {
		c.dec.Trace(c.traceServer)
	}
	return c
}

// greet brings the connection to the state in which the reader may start.
func (c *Client) greet(ctx context.Context) error {
	if c.cfg.Security == TLS {
		if err := c.startTLS(ctx); err != nil {
			return err
		}
	}
	if err := c.readGreeting(); err != nil {
		return err
	}
	if c.cfg.Security != StartTLS {
		return nil
	}
	if c.preAuth {
		return fmt.Errorf("%w: the server greets with PREAUTH, which rules it out", ErrStartTLS)
	}
	if err := c.askStartTLS(); err != nil {
		return err
	}
	// Nothing that came in the clear counts.
	c.caps = capabilities{masked: c.caps.masked}
	return c.startTLS(ctx)
}

func (c *Client) startTLS(ctx context.Context) error {
	tc := &tls.Config{}
	if c.cfg.TLS != nil {
		tc = c.cfg.TLS.Clone()
	}
	tc.ServerName = c.cfg.ServerName
	tc.MinVersion = max(tc.MinVersion, tls.VersionTLS12)
	conn := tls.Client(c.raw, tc)
	limited, cancel := context.WithTimeoutCause(ctx, patience*c.cfg.Timeout, ErrSlow)
	defer cancel()
	if err := conn.HandshakeContext(limited); err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			err = ErrSlow
		}
		return fmt.Errorf("set up TLS: %w", connError(err))
	}
	c.pace = &pace{src: conn, timeout: c.cfg.Timeout}
	c.dec.Reset(c.pace)
	c.bw.Reset(conn)
	c.stream, c.secure = conn, true
	return nil
}

// readGreeting reads the first response (RFC 9051 section 7.1.4 and 7.1.5).
func (c *Client) readGreeting() error {
	d := c.dec
	if err := d.Expect('*'); err != nil {
		return greetingError(err)
	}
	if err := d.Space(); err != nil {
		return greetingError(err)
	}
	word, err := d.Atom()
	if err != nil {
		return greetingError(err)
	}
	kind := strings.ToUpper(string(word))
	st, err := c.readStatus()
	if err == nil {
		err = d.EndLine()
	}
	if err != nil {
		return greetingError(err)
	}
	switch kind {
	case "OK":
	case "PREAUTH":
		c.preAuth = true
		c.caps.user = true
	case "BYE":
		return &Error{Kind: "BYE", Code: st.Code, Text: st.Text, Hint: hint(st.Code, st.Text)}
	default:
		return fmt.Errorf("read greeting: %w: it does not speak IMAP: %.40q", ErrProtocol, kind)
	}
	c.noteCaps(st)
	return nil
}

func greetingError(err error) error {
	if wire.IsSyntax(err) {
		return fmt.Errorf("read greeting: the server does not speak IMAP: %w", err)
	}
	return fmt.Errorf("read greeting: %w", connError(err))
}

// askStartTLS sends STARTTLS and reads up to its answer.
func (c *Client) askStartTLS() error {
	const tag = "s0"
	if c.cfg.Trace != nil {
		c.cfg.Trace('C', []byte(tag+" STARTTLS"))
	}
	if _, err := c.raw.Write([]byte(tag + " STARTTLS\r\n")); err != nil {
		return connError(err)
	}
	c.roundTrips.Add(1)
	c.unwaited.Store(false)
	for range 100 {
		kind, st, err := c.startTLSAnswer(tag)
		switch {
		case wire.IsSyntax(err):
			return fmt.Errorf("%w: %w", ErrStartTLS, err)
		case err != nil:
			return fmt.Errorf("ask for STARTTLS: %w", connError(err))
		case kind == "":
			continue
		case kind != "OK":
			e := &Error{Command: "STARTTLS", Kind: kind, Code: st.Code, Text: st.Text, Hint: hint(st.Code, st.Text)}
			return fmt.Errorf("%w: %w", ErrStartTLS, e)
		case c.dec.Buffered() > 0:
			return fmt.Errorf("%w: the server sent more before TLS began", ErrStartTLS)
		}
		return nil
	}
	return fmt.Errorf("%w: the server does not answer it", ErrStartTLS)
}

// startTLSAnswer reads one response; kind is "" when it was not the answer.
func (c *Client) startTLSAnswer(tag string) (kind string, st Status, err error) {
	d := c.dec
	word, err := d.Atom()
	if err != nil {
		return "", st, err
	}
	if string(word) != tag {
		if string(word) != "*" {
			return "", st, &wire.SyntaxError{Want: "answer to STARTTLS", Got: string(word)}
		}
		return "", st, d.SkipLine()
	}
	if err = d.Space(); err != nil {
		return "", st, err
	}
	if word, err = d.Atom(); err != nil {
		return "", st, err
	}
	kind = strings.ToUpper(string(word))
	if st, err = c.readStatus(); err != nil {
		return "", st, err
	}
	return kind, st, d.EndLine()
}
