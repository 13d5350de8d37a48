package imap

import (
	"slices"
	"strings"
)

// capabilities are what the server has, guarded by Client.mu.
type capabilities struct {
	said    []string // what the server said last, upper case; nil: nothing yet
	after   bool     // said after the user was logged in
	user    bool     // the user is logged in
	assumed []string // from an earlier session, nil: none
	masked  map[string]bool
}

// impliedByRev2 are the extensions that IMAP4rev2 took in (RFC 9051 appendix E), whose commands a server that offers it
// understands without ENABLE.
var impliedByRev2 = []string{
	"ENABLE", "ESEARCH", "IDLE", "LIST-EXTENDED", "LIST-STATUS", "LITERAL-", "MOVE", "NAMESPACE", "SASL-IR", "SPECIAL-USE",
	"STATUS=SIZE", "UIDPLUS", "UNSELECT",
}

// current returns the list in force.
func (k *capabilities) current() []string {
	if k.assumed != nil && !k.after {
		return k.assumed
	}
	return k.said
}

func (k *capabilities) has(list []string, name string) bool {
	name = strings.ToUpper(name)
	if k.masked[name] {
		return false
	}
	if slices.Contains(list, name) {
		return true
	}
	switch {
	case name == "CONDSTORE":
		return slices.Contains(list, "QRESYNC") && !k.masked["QRESYNC"]
	case slices.Contains(impliedByRev2, name):
		return slices.Contains(list, "IMAP4REV2") && !k.masked["IMAP4REV2"]
	}
	return false
}

// Has says whether the server has a capability, in any case of letters, by what it said last. QRESYNC implies CONDSTORE
// (RFC 7162 section 3.2.3), IMAP4rev2 implies what it took in.
func (c *Client) Has(capability string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.caps.has(c.caps.current(), capability)
}

// hasNow is Has by what the server said on this connection, for what must be known before logging in.
func (c *Client) hasNow(capability string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.caps.has(c.caps.said, capability)
}

// Caps returns the capabilities, in upper case and without masked ones, as the server listed them.
func (c *Client) Caps() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, name := range c.caps.current() {
		if !c.caps.masked[name] {
			out = append(out, name)
		}
	}
	return out
}

// MaskCaps makes the client act as if the server did not have these capabilities.
func (c *Client) MaskCaps(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.caps.masked == nil {
		c.caps.masked = make(map[string]bool)
	}
	for _, name := range names {
		c.caps.masked[strings.ToUpper(name)] = true
	}
}

// AssumeCaps sets what the server is taken to have, remembered from an earlier session, until it says what it has after the
// log-in. Authenticate then does not wait for that.
func (c *Client) AssumeCaps(caps []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.caps.assumed = upper(caps)
}

// maxCapLists is how many lists of capabilities are looked at on one connection: they are dear to keep.
const maxCapLists = 1000

// tellsCaps counts a list of capabilities, and says whether it is still to be looked at.
func (c *Client) tellsCaps() bool {
	c.capLists++
	return c.capLists <= maxCapLists
}

// setCaps notes what the server said.
func (c *Client) setCaps(words []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.caps.said = upper(words)
	c.caps.after = c.caps.user
}

// loggedIn notes that the user is logged in: what the server says from now on is what it has.
func (c *Client) loggedIn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.caps.user = true
}

// capsKnown says whether the server has said what it has, in its present state.
func (c *Client) capsKnown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.caps.said != nil && c.caps.after == c.caps.user
}

func upper(words []string) []string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		if w != "" {
			out = append(out, strings.ToUpper(w))
		}
	}
	return out
}
