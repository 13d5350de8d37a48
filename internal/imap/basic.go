package imap

import (
	"bytes"
	"slices"
	"strings"
)

// Capability asks what the server has (RFC 9051 section 6.1.1); Has and Caps know it when the call is over.
func (c *Client) Capability() *Call[Status] { return c.simple("CAPABILITY", c.newLine("CAPABILITY")) }

// Noop does nothing, but servers tell news before they answer (RFC 9051 section 6.1.2).
func (c *Client) Noop() *Call[Status] { return c.simple("NOOP", c.newLine("NOOP")) }

// Logout says good-bye (RFC 9051 section 6.1.3). The connection ends by it; Close is still due.
func (c *Client) Logout() *Call[Status] { return c.simple("LOGOUT", c.newLine("LOGOUT")) }

// enableOp takes ENABLED.
type enableOp struct {
	val []string
}

// Enable turns extensions on (RFC 5161), before a mailbox is selected, and returns what the server says was turned on. Some
// servers do as they are told without saying so (iCloud), so an empty answer is not proof of the contrary.
func (c *Client) Enable(caps ...string) *Call[[]string] {
	if len(caps) == 0 {
		return ended[[]string](c, "ENABLE", nil, nil)
	}
	l := c.newLine("ENABLE")
	for _, name := range caps {
		if strings.ContainsAny(name, "=") { // UTF8=ACCEPT
			before, after, _ := strings.Cut(name, "=")
			l.raw(" ").atom(before).raw("=").atom(after)
			continue
		}
		l.raw(" ").atom(name)
	}
	op := &enableOp{}
	call := newCall(c, "ENABLE", op, &op.val)
	l.send(call.cmd)
	return call
}

func (c *Client) readEnabled() error {
	words, err := c.readWords()
	if err != nil {
		return err
	}
	words = upper(words)
	if slices.Contains(words, "UTF8=ACCEPT") {
		c.utf8.Store(true)
	}
	if op, _ := find(c, always[*enableOp]); op != nil {
		op.val = append(op.val, words...)
	}
	return nil
}

// idOp takes ID.
type idOp struct{ val map[string]string }

// ID tells the server who the client is, and asks who the server is (RFC 2971). No fields: NIL. The keys of the answer are in
// lower case; a server that says nothing gives an empty map.
func (c *Client) ID(fields map[string]string) *Call[map[string]string] {
	l := c.newLine("ID ")
	if len(fields) == 0 {
		l.raw("NIL")
	} else {
		keys := make([]string, 0, len(fields))
		for k := range fields {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for i, k := range keys {
			l.raw([]string{" ", "("}[btoi(i == 0)]).string(k).raw(" ").string(fields[k])
		}
		l.raw(")")
	}
	op := &idOp{val: map[string]string{}}
	call := newCall(c, "ID", op, &op.val)
	l.send(call.cmd)
	return call
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *Client) readID() error {
	d := c.dec
	if err := d.Space(); err != nil {
		return err
	}
	if none, err := d.Nil(); err != nil || none {
		return err
	}
	op, _ := find(c, always[*idOp])
	var key string
	n := 0
	return d.List(func() error {
		s, _, err := d.NString()
		if err != nil {
			return err
		}
		if n++; n%2 == 1 {
			key = string(bytes.ToLower(s))
		} else if op != nil && n <= 60 { // RFC 2971 section 3.3 allows 30 pairs
			op.val[key] = string(s)
		}
		return nil
	})
}

// namespaceOp takes NAMESPACE.
type namespaceOp struct{ val Namespaces }

// Namespace asks for the namespaces (RFC 2342).
func (c *Client) Namespace() *Call[Namespaces] {
	op := &namespaceOp{}
	call := newCall(c, "NAMESPACE", op, &op.val)
	c.newLine("NAMESPACE").send(call.cmd)
	return call
}

func (c *Client) readNamespace() error {
	d := c.dec
	var all [3][]Namespace
	for i := range all {
		if err := d.Space(); err != nil {
			return err
		}
		none, err := d.Nil()
		if err != nil {
			return err
		}
		if none {
			continue
		}
		err = d.List(func() error {
			ns, err := c.readOneNamespace()
			if err == nil && len(all[i]) < 1000 {
				all[i] = append(all[i], ns)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if op, _ := find(c, always[*namespaceOp]); op != nil {
		op.val = Namespaces{Personal: all[0], Other: all[1], Shared: all[2]}
	}
	return nil
}

// readOneNamespace takes (prefix delimiter) and skips the extensions after it.
func (c *Client) readOneNamespace() (Namespace, error) {
	d := c.dec
	var ns Namespace
	n := 0
	err := d.List(func() error {
		n++
		switch n {
		case 1:
			raw, err := d.AString()
			if err == nil {
				ns.Prefix, _ = c.decodeName(string(raw))
			}
			return err
		case 2:
			s, ok, err := d.NString()
			if ok && len(s) > 0 {
				ns.Delim = s[0]
			}
			return err
		}
		return d.SkipValue()
	})
	return ns, err
}
