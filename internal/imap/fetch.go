package imap

import (
	"strings"
)

// have is the set of items that a FETCH response had, or that a command asked for.
type have uint16

const (
	haveUID have = 1 << iota
	haveFlags
	haveDate
	haveSize
	haveModSeq
	haveEmailID
	haveGmailID
	haveHeader
	haveBody
)

// fetchOp takes the answers to a UID FETCH.
type fetchOp struct {
	statusOp
	set        NumSet
	asked      have
	fn         func(*Message) error
	onVanished func(NumSet, bool)
	cmd        *command
}

// wantsFetch says whether a response with these items is an answer. A response without the body or the header that was
// asked for is not: servers report changed flags at any time.
func (o *fetchOp) wantsFetch(uid uint32, got have) bool {
	if must := o.asked & (haveBody | haveHeader); got&must != must {
		return false
	}
	if rest := o.asked &^ haveUID; rest != 0 && got&rest == 0 {
		return false
	}
	return uid != 0 && o.set.Contains(uid)
}

func (o *fetchOp) takeFetch(m *Message, _ have) {
	if o.fn == nil || o.cmd.broken != nil {
		return
	}
	if err := o.fn(m); err != nil {
		o.cmd.fail(err)
	}
}

func (o *fetchOp) wantsVanished() bool { return o.onVanished != nil }

func (o *fetchOp) vanished(uids NumSet, earlier bool) bool {
	if o.onVanished != nil {
		o.onVanished(uids, earlier)
	}
	return o.onVanished != nil
}

// UIDFetch sends UID FETCH (RFC 9051 section 6.4.9) and calls fn for each message of the answer. With Body, fn is called
// while the body streams, with all other items known: a server that sends them after the body makes it pass through a
// temporary file. What fn leaves unread is skipped. An error of fn ends the calls, not the connection, and is what Wait
// returns. Without Body, fn is called once for each response, so there may be several for one message. An empty set does
// nothing.
func (c *Client) UIDFetch(set NumSet, items FetchItems, o FetchOptions, fn func(*Message) error) *Call[Status] {
	const name = "UID FETCH"
	if set.Empty() {
		return ended(c, name, Status{}, nil)
	}
	l := c.newLine("UID FETCH ").set(set)
	op := &fetchOp{set: set.Clone(), fn: fn, onVanished: o.OnVanished}
	op.asked = l.fetchItems(items)
	if o.ChangedSince > 0 {
		l.raw(" (CHANGEDSINCE ").number(o.ChangedSince)
		if o.Vanished {
			l.raw(" VANISHED")
		}
		l.raw(")")
	}
	call := newCall(c, name, op, &op.val)
	op.cmd = call.cmd
	l.send(call.cmd)
	return call
}

// fetchItems appends the items, the body last so that everything is known when it streams, and returns what to expect.
func (l *line) fetchItems(items FetchItems) have {
	asked := haveUID
	l.raw(" (UID")
	add := func(want bool, item string, bit have) {
		if want {
			l.raw(" ", item)
			asked |= bit
		}
	}
	add(items.Flags, "FLAGS", haveFlags)
	add(items.InternalDate, "INTERNALDATE", haveDate)
	add(items.Size, "RFC822.SIZE", haveSize)
	add(items.ModSeq && l.c.Has("CONDSTORE"), "MODSEQ", haveModSeq)
	add(items.EmailID && l.c.Has("OBJECTID"), "EMAILID", haveEmailID)
	add(items.GmailMsgID && l.c.Has("X-GM-EXT-1"), "X-GM-MSGID", haveGmailID)
	if items.HeaderTo > 0 {
		add(true, "BODY.PEEK[HEADER]<0.", haveHeader)
		l.number(uint64(items.HeaderTo)).raw(">")
	} else if len(items.Header) > 0 {
		add(true, "BODY.PEEK[HEADER.FIELDS (", haveHeader)
		for i, field := range items.Header {
			if i > 0 {
				l.raw(" ")
			}
			l.atom(strings.ToUpper(field))
		}
		l.raw(")]")
	}
	add(items.Body, "BODY.PEEK[]", haveBody)
	l.raw(")")
	return asked
}
