package imap

import (
	"bytes"

	"mailtwin/internal/imap/wire"
)

// dispatch takes an untagged response after "* ". The end of the line stays. Kinds that are not known are skipped.
func (c *Client) dispatch() error {
	d := c.dec
	b, err := d.Peek()
	if err != nil {
		return err
	}
	if b >= '0' && b <= '9' {
		return c.dispatchNumbered()
	}
	name, err := c.keyword()
	if err != nil {
		return err
	}
	switch name {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		return c.readUntaggedStatus(name)
	case "CAPABILITY":
		if !c.tellsCaps() {
			return &wire.LimitError{What: "number of capability lists", Limit: maxCapLists}
		}
		words, err := c.readWords()
		if err == nil {
			c.setCaps(words)
		}
		return err
	case "ENABLED":
		return c.readEnabled()
	case "FLAGS":
		return c.readFlags()
	case "LIST", "LSUB":
		return c.readList(name)
	case "STATUS":
		return c.readMailboxStatus()
	case "SEARCH":
		return c.readSearch()
	case "ESEARCH":
		return c.readESearch()
	case "VANISHED":
		return c.readVanished()
	case "ID":
		return c.readID()
	case "NAMESPACE":
		return c.readNamespace()
	}
	return c.skipUnknown()
}

// skipUnknown skips a response that is not known, literals and all, except for the end of its line.
func (c *Client) skipUnknown() error {
	d := c.dec
	for {
		if err := d.Spaces(); err != nil {
			return err
		}
		if end, err := d.AtEnd(); err != nil || end {
			return err
		}
		if err := d.SkipValue(); wire.IsSyntax(err) {
			// Not even values: nobody asked for it, so nobody loses by it.
			_, err = d.Text()
			return err
		} else if err != nil {
			return err
		}
	}
}

// keyword takes an atom as one of the words that dispatch knows.
func (c *Client) keyword() (string, error) {
	word, err := c.dec.Atom()
	if err != nil {
		return "", err
	}
	return c.dec.Intern(bytes.ToUpper(word)), nil
}

// readWords takes the rest of the line as atoms.
func (c *Client) readWords() ([]string, error) {
	d := c.dec
	var words []string
	for {
		if err := d.Spaces(); err != nil {
			return nil, err
		}
		if end, err := d.AtEnd(); err != nil || end {
			return words, err
		}
		word, err := d.Atom()
		if err != nil {
			return nil, err
		}
		words = append(words, string(word))
	}
}

func (c *Client) dispatchNumbered() error {
	d := c.dec
	n, err := d.Number32()
	if err != nil {
		return err
	}
	if err = d.Space(); err != nil {
		return err
	}
	word, err := d.Atom()
	if err != nil {
		return err
	}
	switch {
	case bytes.EqualFold(word, []byte("FETCH")):
		return c.readFetch(n, 0)
	case bytes.EqualFold(word, []byte("UIDFETCH")): // RFC 9586
		return c.readFetch(0, n)
	case bytes.EqualFold(word, []byte("EXISTS")):
		if op := c.selecting(); op != nil {
			op.val.Exists, op.val.HasExists = n, true
			return nil
		}
		c.unsolicited(Unsolicited{Kind: UnsolicitedExists, Num: n})
		return nil
	case bytes.EqualFold(word, []byte("EXPUNGE")):
		c.unsolicited(Unsolicited{Kind: UnsolicitedExpunge, Num: n})
		return nil
	}
	return c.skipUnknown()
}

// selecting returns the SELECT that the server is working on: it must be the oldest command, because what comes before the
// end of an older one is about the mailbox before.
func (c *Client) selecting() *selectOp {
	if cmd := c.oldest(); cmd != nil {
		op, _ := cmd.op.(*selectOp)
		return op
	}
	return nil
}

// readUntaggedStatus takes an untagged OK, NO, BAD or BYE.
func (c *Client) readUntaggedStatus(kind string) error {
	st, err := c.readStatus()
	if err != nil {
		return err
	}
	c.noteCaps(st)
	if kind == "BYE" {
		text := c.scrub(st.Text)
		c.byeSeen = &Error{Kind: kind, Code: st.Code, Text: text, Hint: hint(st.Code, text)}
		c.unsolicited(Unsolicited{Kind: UnsolicitedBye, Code: st.Code, Text: text})
		return nil
	}
	c.noteAlert(st)
	switch st.Code {
	case "COPYUID": // of MOVE, RFC 6851 section 4.3
		if op, _ := find(c, always[*copyOp]); op != nil {
			op.code(st)
		}
	case "MODIFIED":
		if op, _ := find(c, always[*storeOp]); op != nil {
			op.code(st)
		}
	default:
		if op := c.selecting(); op != nil {
			op.code(st)
		}
	}
	return nil
}

// vanishedSink is an op that takes VANISHED.
type vanishedSink interface {
	wantsVanished() bool
	// vanished says whether the op took the UIDs.
	vanished(uids NumSet, earlier bool) bool
}

// readVanished takes VANISHED (RFC 7162 section 3.2.10).
func (c *Client) readVanished() error {
	d := c.dec
	if err := d.Space(); err != nil {
		return err
	}
	earlier := false
	if b, err := d.Peek(); err != nil {
		return err
	} else if b == '(' {
		earlier = true
		if err := d.SkipValue(); err != nil {
			return err
		}
		if err := d.Space(); err != nil {
			return err
		}
	}
	set, err := d.NumSet()
	if err != nil {
		return err
	}
	if c.giveVanished(set, earlier) {
		return nil
	}
	c.unsolicited(Unsolicited{Kind: UnsolicitedVanished, UIDs: set, Earlier: earlier})
	return nil
}

// giveVanished gives VANISHED to the command that asked for it. What is gone just now may be about the mailbox before,
// unless the SELECT is the oldest command; what was gone earlier is always an answer.
func (c *Client) giveVanished(set NumSet, earlier bool) bool {
	if !earlier {
		if op := c.selecting(); op != nil {
			return op.vanished(set, earlier)
		}
		op, _ := find(c, func(op *expungeOp) bool { op.val.Left.Remove(set); return false })
		return op != nil
	}
	op, _ := find(c, func(s vanishedSink) bool { return s.wantsVanished() })
	return op != nil && op.vanished(set, earlier)
}
