package imap

import (
	"fmt"
	"strings"
)

// statusDataOp takes the answer to STATUS.
type statusDataOp struct {
	val   StatusData
	found bool
}

// Status asks for the state of a mailbox (RFC 9051 section 6.3.11): items are names like "UIDNEXT". HIGHESTMODSEQ, MAILBOXID
// and SIZE are sent only to servers that have them. When the server says OK and nothing else, Wait returns ErrNoAnswer.
func (c *Client) Status(box string, items ...string) *Call[StatusData] {
	op := &statusDataOp{val: StatusData{Mailbox: box}}
	l := c.newLine("STATUS ").mailbox(box).raw(" ").statusItems(items)
	call := newCall(c, "STATUS", op, &op.val)
	l.send(call.cmd)
	return call
}

func (o *statusDataOp) finish(cmd *command, _ Status, err error) error {
	if err == nil && !o.found && cmd.broken == nil {
		return fmt.Errorf("STATUS: %w", ErrNoAnswer)
	}
	return err
}

func (o *statusDataOp) wantsStatus(box string) bool { return !o.found && sameBox(o.val.Mailbox, box) }

func (o *statusDataOp) takeStatus(st StatusData) {
	st.Mailbox = o.val.Mailbox
	o.val, o.found = st, true
}

func sameBox(a, b string) bool {
	return a == b || (strings.EqualFold(a, "INBOX") && strings.EqualFold(b, "INBOX"))
}

// statusItems appends the items in parentheses, without those that the server would refuse.
func (l *line) statusItems(items []string) *line {
	needs := map[string]string{"HIGHESTMODSEQ": "CONDSTORE", "MAILBOXID": "OBJECTID", "SIZE": "STATUS=SIZE"}
	var kept []string
	for _, item := range items {
		item = strings.ToUpper(item)
		if need := needs[item]; need == "" || l.c.Has(need) {
			kept = append(kept, item)
		}
	}
	if len(kept) == 0 {
		kept = []string{"MESSAGES"} // the grammar wants one
	}
	l.raw("(")
	for i, item := range kept {
		if i > 0 {
			l.raw(" ")
		}
		l.atom(item)
	}
	return l.raw(")")
}

// statusSink is an op that takes STATUS responses.
type statusSink interface {
	wantsStatus(box string) bool
	takeStatus(st StatusData)
}

// readMailboxStatus takes a STATUS response.
func (c *Client) readMailboxStatus() error {
	d := c.dec
	if err := d.Space(); err != nil {
		return err
	}
	raw, err := d.AString()
	if err != nil {
		return err
	}
	name, _ := c.decodeName(string(raw))
	st := StatusData{Mailbox: name}
	if err := d.Space(); err != nil {
		return err
	}
	if err := d.List(func() error { return c.readStatusItem(&st) }); err != nil {
		return err
	}
	if op, _ := find(c, func(s statusSink) bool { return s.wantsStatus(name) }); op != nil {
		op.takeStatus(st)
		return nil
	}
	// Some servers answer in the letters of their own: then the order tells.
	if op, _ := find(c, func(o *statusDataOp) bool { return !o.found && strings.EqualFold(o.val.Mailbox, name) }); op != nil {
		op.takeStatus(st)
	}
	return nil
}

func (c *Client) readStatusItem(st *StatusData) error {
	d := c.dec
	word, err := d.Atom()
	if err != nil {
		return err
	}
	name := strings.ToUpper(string(word))
	if err := d.Space(); err != nil {
		return err
	}
	if name == "MAILBOXID" {
		st.MailboxID, err = c.readObjectID()
		st.Has |= HasMailboxID
		return err
	}
	if b, err := d.Peek(); err != nil {
		return err
	} else if b < '0' || b > '9' {
		return d.SkipValue() // NIL, or an item of another kind
	}
	n, err := d.Number64()
	if err == nil {
		st.set(name, n)
	}
	return err
}

func (st *StatusData) set(name string, n uint64) {
	number := func(to *uint32, bit StatusHas) {
		if n <= 1<<32-1 {
			*to = uint32(n)
			st.Has |= bit
		}
	}
	switch name {
	case "MESSAGES":
		number(&st.Messages, HasMessages)
	case "UIDNEXT":
		number(&st.UIDNext, HasUIDNext)
	case "UIDVALIDITY":
		number(&st.UIDValidity, HasUIDValidity)
	case "UNSEEN":
		number(&st.Unseen, HasUnseen)
	case "RECENT":
		number(&st.Recent, HasRecent)
	case "HIGHESTMODSEQ":
		st.HighestModSeq = n
		st.Has |= HasHighestModSeq
	case "SIZE":
		st.Size = int64(n & (1<<63 - 1))
		st.Has |= HasSize
	}
}
