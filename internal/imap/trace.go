package imap

import (
	"bytes"
	"strings"
)

// keepSecret makes the client leave s out of whatever it shows. Very short ones are left in: hiding them would show them.
func (c *Client) keepSecret(s string) {
	if len(s) < 3 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range c.secrets {
		if known == s {
			return
		}
	}
	c.secrets = append(c.secrets, s)
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
