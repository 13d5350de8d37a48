package imap

import (
	"fmt"
	"strconv"
	"strings"

	"mailtwin/internal/imap/wire"
)

// selectOp takes what the server says of a mailbox that it opens.
type selectOp struct {
	val        Selected
	readOnly   bool
	onFetch    func(Message)
	onVanished func(NumSet, bool)
	onOpen     func(Selected)
	c          *Client
	closed     bool // CLOSED came: what follows is about the new mailbox
	stray      int  // what came before it while another mailbox was open
}

// Select opens a mailbox (RFC 9051 sections 6.3.2 and 6.3.3, RFC 7162 sections 3.1.8 and 3.2.5). CONDSTORE and QRESYNC are
// sent only to servers that have them.
func (c *Client) Select(box string, o SelectOptions) *Call[Selected] {
	name := "SELECT"
	if o.ReadOnly {
		name = "EXAMINE"
	}
	l := c.newLine(name + " ").mailbox(box)
	switch {
	case o.QResync != nil && o.QResync.UIDValidity != 0 && o.QResync.ModSeq != 0 && c.Has("QRESYNC"):
		l.raw(" (QRESYNC (").number(uint64(o.QResync.UIDValidity)).raw(" ").number(o.QResync.ModSeq)
		if !o.QResync.Known.Empty() {
			l.raw(" ").set(o.QResync.Known)
		}
		l.raw("))")
	case (o.Condstore || o.QResync != nil) && c.Has("CONDSTORE"):
		l.raw(" (CONDSTORE)")
	}
	op := &selectOp{readOnly: o.ReadOnly, onFetch: o.OnFetch, onVanished: o.OnVanished, onOpen: o.OnOpen, c: c}
	call := newCall(c, name, op, &op.val)
	c.setSelected(box)
	l.send(call.cmd)
	return call
}

func (c *Client) setSelected(box string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.selected = box
}

// Unselect leaves the mailbox without expunging anything: UNSELECT (RFC 3691), else EXAMINE of the same mailbox, after
// which nothing can be expunged either. CLOSE is never sent.
func (c *Client) Unselect() *Call[Status] {
	c.mu.Lock()
	box := c.selected
	c.mu.Unlock()
	if c.Has("UNSELECT") {
		op := &unselectOp{c: c}
		call := newCall(c, "UNSELECT", op, &op.val)
		c.newLine("UNSELECT").send(call.cmd)
		return call
	}
	if box == "" {
		return ended(c, "UNSELECT", Status{}, nil)
	}
	op := &statusOp{}
	call := newCall(c, "EXAMINE", op, &op.val)
	c.newLine("EXAMINE ").mailbox(box).send(call.cmd)
	return call
}

// unselectOp notes that no mailbox is open.
type unselectOp struct {
	statusOp
	c *Client
}

func (o *unselectOp) finish(cmd *command, st Status, err error) error {
	if err == nil {
		o.c.open = false
	}
	return o.statusOp.finish(cmd, st, err)
}

func (o *selectOp) finish(_ *command, st Status, err error) error {
	o.code(st)
	if o.readOnly {
		o.val.ReadOnly = true
	}
	if err == nil && o.stray > 0 && !o.closed {
		err = fmt.Errorf("SELECT: %w", protocolError("changes without saying of which mailbox"))
	}
	o.c.open = err == nil
	if err == nil && o.onOpen != nil {
		o.onOpen(o.val)
	}
	return err
}

// current says whether what the server says is about the new mailbox. While another one was open that is so only after the
// code CLOSED (RFC 7162 section 3.2.11): flags of the old mailbox must not end up in the new one.
func (o *selectOp) current() bool {
	if o.c.open && !o.closed {
		o.stray++
		return false
	}
	return true
}

// code takes a response code.
func (o *selectOp) code(st Status) {
	switch st.Code {
	case "UIDVALIDITY":
		o.val.UIDValidity, _ = wire.ParseNumber32(st.Args)
	case "UIDNEXT":
		o.val.UIDNext, _ = wire.ParseNumber32(st.Args)
	case "HIGHESTMODSEQ":
		o.val.HighestModSeq, _ = strconv.ParseUint(st.Args, 10, 64) // 0 when it is nonsense: none
	case "NOMODSEQ":
		o.val.HighestModSeq = 0
	case "PERMANENTFLAGS":
		o.val.PermanentFlags = append([]string{}, strings.Fields(strings.Trim(st.Args, "()"))...)
	case "READ-ONLY":
		o.val.ReadOnly = true
	case "READ-WRITE":
		o.val.ReadOnly = false
	case "MAILBOXID":
		o.val.MailboxID = strings.Trim(st.Args, " ()")
	case "UIDNOTSTICKY":
		o.val.UIDNotSticky = true
	case "CLOSED":
		o.closed = true
	}
}

func (o *selectOp) wantsFetch(uid uint32, got have) bool {
	return o.onFetch != nil && uid != 0 && got&(haveFlags|haveModSeq) != 0 && o.current()
}

func (o *selectOp) takeFetch(m *Message, _ have) { o.onFetch(*m) }

func (o *selectOp) wantsVanished() bool { return o.onVanished != nil }

func (o *selectOp) vanished(uids NumSet, earlier bool) bool {
	if o.onVanished == nil || (!earlier && !o.current()) {
		return false
	}
	o.onVanished(uids, earlier)
	return true
}

// readFlags takes FLAGS.
func (c *Client) readFlags() error {
	if err := c.dec.Space(); err != nil {
		return err
	}
	flags, err := c.dec.Flags()
	if op := c.selecting(); op != nil && err == nil {
		op.val.Flags = flags
	}
	return err
}
