package imap

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Credentials are what the user has to log in with.
type Credentials struct {
	// Mechanism is a SASL mechanism or LOGIN, the command; "": the best that both sides have. That is EXTERNAL with a client
	// certificate and no password, OAUTHBEARER or XOAUTH2 with a token, else SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, LOGIN and
	// CRAM-MD5, which goes before PLAIN where nothing is encrypted.
	Mechanism string
	User      string
	Password  func(context.Context) (string, error) // nil: none
	Token     func(context.Context) (string, error) // OAuth 2.0 access token; nil: none
}

// Authenticate logs in and learns the server's capabilities, unless they were assumed (AssumeCaps), when they are asked for
// without waiting. An [*AuthError] means that the server refused; the connection is still good then. A password never goes
// out unencrypted unless Config.Security is Plain.
func (c *Client) Authenticate(ctx context.Context, cr Credentials) error {
	if c.preAuth {
		return c.learnCaps(ctx)
	}
	if !c.secure && c.cfg.Security != Plain {
		return errors.New("log in: the connection is not encrypted")
	}
	if !c.capsKnown() {
		if _, err := c.Capability().Wait(ctx); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
	}
	mechanism, err := c.chooseMechanism(cr)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	secret, err := secretFor(ctx, mechanism, cr)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	c.keepSecret(secret)
	if mechanism == "LOGIN" {
		_, err = c.Login(cr.User, secret).Wait(ctx)
	} else {
		err = c.sasl(ctx, mechanism, cr.User, secret)
	}
	if err != nil {
		var refusal *Error
		if errors.As(err, &refusal) && refusal.Kind == "NO" && c.Err() == nil {
			return &AuthError{Mechanism: mechanism, Err: refusal}
		}
		return fmt.Errorf("log in with %s: %w", mechanism, err)
	}
	return c.learnCaps(ctx)
}

// learnCaps asks for the capabilities unless the server has said them since the user was logged in.
func (c *Client) learnCaps(ctx context.Context) error {
	if c.capsKnown() {
		return nil
	}
	call := c.Capability()
	c.mu.Lock()
	assumed := c.caps.assumed != nil
	c.mu.Unlock()
	if assumed {
		return nil
	}
	if _, err := call.Wait(ctx); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return nil
}

// loginOp notes that the user is logged in before the capabilities in the same response are looked at.
type loginOp struct {
	statusOp
	c *Client
}

func (o *loginOp) finish(cmd *command, st Status, err error) error {
	if err == nil {
		o.c.loggedIn()
		o.c.noteCaps(st)
	}
	return o.statusOp.finish(cmd, st, err)
}

// Login sends the LOGIN command (RFC 9051 section 6.2.3).
func (c *Client) Login(user, password string) *Call[Status] {
	if !c.secure && c.cfg.Security != Plain {
		return ended(c, "LOGIN", Status{}, errors.New("the connection is not encrypted"))
	}
	c.keepSecret(password)
	op := &loginOp{c: c}
	call := newCall(c, "LOGIN", op, &op.val)
	c.newLine("LOGIN ").string(user).raw(" ").secret(password).send(call.cmd)
	return call
}

// chooseMechanism returns the mechanism to use.
func (c *Client) chooseMechanism(cr Credentials) (string, error) {
	if cr.Mechanism != "" {
		return strings.ToUpper(cr.Mechanism), nil
	}
	var order []string
	switch cert := c.cfg.TLS != nil && (len(c.cfg.TLS.Certificates) > 0 || c.cfg.TLS.GetClientCertificate != nil); {
	case cr.Token != nil:
		order = []string{"OAUTHBEARER", "XOAUTH2"}
	case cr.Password == nil && cert:
		order = []string{"EXTERNAL"}
	case c.secure:
		order = []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5"}
	default:
		order = []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"}
	}
	for _, m := range order {
		if c.hasNow("AUTH="+m) || (m == "LOGIN" && !c.hasNow("LOGINDISABLED")) {
			return m, nil
		}
	}
	return "", fmt.Errorf("the server offers none of %s: %w", strings.Join(order, ", "), errors.ErrUnsupported)
}

// secretFor returns the password or the token that a mechanism needs.
func secretFor(ctx context.Context, mechanism string, cr Credentials) (string, error) {
	get, what := cr.Password, "password"
	switch mechanism {
	case "EXTERNAL":
		return "", nil
	case "OAUTHBEARER", "XOAUTH2":
		get, what = cr.Token, "token"
	}
	if get == nil {
		return "", fmt.Errorf("no %s for %s", what, mechanism)
	}
	secret, err := get(ctx)
	if err != nil {
		return "", fmt.Errorf("get %s: %w", what, err)
	}
	return secret, nil
}

// sasl runs AUTHENTICATE (RFC 9051 section 6.2.2, with the initial response of RFC 4959).
func (c *Client) sasl(ctx context.Context, name, user, secret string) error {
	m, err := newMechanism(name, user, secret, c.cfg.Address)
	if err != nil {
		return err
	}
	l := c.newLine("AUTHENTICATE ").atom(name)
	if l.err != nil {
		return l.err
	}
	first, hasFirst, err := m.start()
	if err != nil {
		return err
	}
	c.keepSecret(base64.StdEncoding.EncodeToString(first))
	if hasFirst && c.hasNow("SASL-IR") {
		ir := "=" // an empty one
		if len(first) > 0 {
			ir = base64.StdEncoding.EncodeToString(first)
		}
		l.raw(" ")
		l.buf = append(l.buf, ir...)
		l.shown = append(l.shown, "***"...)
		hasFirst = false
	}
	op := &loginOp{c: c}
	call := newCall(c, "AUTHENTICATE", op, &op.val)
	if err := c.acquire(call.cmd); err != nil {
		return err
	}
	defer c.release()
	c.ask(call.cmd)
	c.authenticating.Store(true)
	defer c.authenticating.Store(false)
	defer c.ask(nil)
	l.write(call.cmd)
	if !hasFirst {
		first = nil
	}
	if err := c.exchange(ctx, call, m, first, hasFirst); err != nil {
		return err
	}
	if err := m.finish(); err != nil {
		c.fail(fmt.Errorf("AUTHENTICATE: %w", err)) // the server could not show who it is
		return err
	}
	return nil
}

// exchange answers the server's challenges until the command ends.
func (c *Client) exchange(ctx context.Context, call *Call[Status], m mechanism, first []byte, hasFirst bool) error {
	var failed error
	for range 20 {
		text, ok := c.awaitContinuation(ctx, call.cmd)
		if !ok {
			_, err := call.Wait(ctx)
			if failed != nil {
				err = failed
			}
			return err
		}
		var answer []byte
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
		switch {
		case hasFirst && err == nil && len(challenge) == 0:
			answer, hasFirst = first, false
		case hasFirst || err != nil:
			err = errors.New("the server's challenge cannot be understood")
		default:
			answer, err = m.next(challenge)
		}
		line := "*\r\n" // gives up
		if err == nil {
			line = base64.StdEncoding.EncodeToString(answer) + "\r\n"
		} else {
			failed = fmt.Errorf("AUTHENTICATE: %w", err)
		}
		if c.cfg.Trace != nil {
			c.cfg.Trace('C', []byte("***"))
		}
		if err := c.write([]byte(line)); err != nil {
			return err
		}
	}
	err := protocolError("authentication without an end")
	c.fail(err)
	return err
}
