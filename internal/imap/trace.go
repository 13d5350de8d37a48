package imap

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"mailtwin/internal/imap/wire"
)

// keepSecret makes the client leave s out of whatever it shows, as it is and as it is sent. Very short ones are left in: hiding
// them would show them.
func (c *Client) keepSecret(s string) {
	if len(s) < 3 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	quoted := string(wire.AppendQuoted(nil, s))
	for _, form := range []string{s, quoted[1 : len(quoted)-1], base64.StdEncoding.EncodeToString([]byte(s))} {
		printed := strconv.Quote(form) // errors quote what a server said
		for _, f := range []string{printed[1 : len(printed)-1], form} {
			if !slices.Contains(c.secrets, f) {
				c.secrets = append(c.secrets, f)
			}
		}
	}
}

// hidden is an error that had a secret in its text: a server may say anything.
type hidden struct {
	error
	text string
}

func (h hidden) Error() string { return h.text }
func (h hidden) Unwrap() error { return h.error }

// hide takes the secrets out of an error.
func (c *Client) hide(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if clean := c.scrub(text); clean != text {
		return hidden{err, clean}
	}
	return err
}

// scrub takes the secrets out of what a server said: some repeat the command that they refuse.
func (c *Client) scrub(s string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, secret := range c.secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return s
}

// traceServer shows a line of the server.
func (c *Client) traceServer(line []byte) {
	if bytes.HasPrefix(line, []byte("+ ")) && c.authenticating.Load() {
		line = []byte("+ ***")
	}
	c.cfg.Trace('S', []byte(c.scrub(string(line))))
}
