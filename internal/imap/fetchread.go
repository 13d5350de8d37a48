package imap

import (
	"bytes"
	"errors"
	"io"

	"mailtwin/internal/imap/wire"
)

// fetchSink is an op that takes FETCH responses.
type fetchSink interface {
	wantsFetch(uid uint32, got have) bool
	takeFetch(m *Message, got have)
}

// fetchReader is what the reader keeps between FETCH responses, so that they need no memory of their own.
type fetchReader struct {
	item   func() error // Client.readFetchItem, bound once
	msg    Message
	got    have
	header []byte
	body   bodyReader
	spool  spool
	given  bool // the message was given away while its body streamed
}

// bodyReader is the Body of a Message. It goes dead when the callback returns.
type bodyReader struct{ r io.Reader }

var errBodyOver = errors.New("read body: the callback it was given to has returned")

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.r == nil {
		return 0, errBodyOver
	}
	return b.r.Read(p)
}

// WriteTo spares io.Copy its buffer.
func (b *bodyReader) WriteTo(w io.Writer) (int64, error) {
	switch r := b.r.(type) {
	case nil:
		return 0, errBodyOver
	case io.WriterTo:
		return r.WriteTo(w)
	default:
		return io.Copy(w, struct{ io.Reader }{r})
	}
}

// readFetch takes a FETCH response (RFC 9051 section 7.5.2) after its name and gives it to the command that asked.
func (c *Client) readFetch(seq, uid uint32) error {
	d, f := c.dec, &c.fetch
	f.msg = Message{Seq: seq, UID: uid}
	f.got, f.given = 0, false
	if uid != 0 {
		f.got = haveUID
	}
	defer f.spool.reset()
	err := d.Space()
	if err == nil {
		err = d.List(f.item)
	}
	if err != nil || f.given {
		return err
	}
	return c.giveFetch()
}

// giveFetch gives a message that has been read to its end.
func (c *Client) giveFetch() error {
	f := &c.fetch
	if f.msg.HasBody {
		r, err := f.spool.open()
		if err != nil {
			c.failBodyFetch(err)
			return nil
		}
		f.body.r = r
		f.msg.Body, f.msg.BodySize = &f.body, f.spool.size
		c.pace.command -= f.spool.size
	}
	defer func() { f.body.r = nil }()
	if op := c.fetchTarget(); op != nil {
		op.takeFetch(&f.msg, f.got)
		return nil
	}
	f.msg.Body, f.msg.HasBody, f.msg.BodySize = nil, false, 0
	c.unsolicited(Unsolicited{Kind: UnsolicitedFetch, Message: &f.msg})
	return nil
}

// fetchTarget returns the op that the response answers: the oldest one that asked for what it has.
func (c *Client) fetchTarget() fetchSink {
	f := &c.fetch
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, cmd := range c.inflight {
		if _, opens := cmd.op.(*selectOp); opens && i > 0 {
			break // what comes before its turn is about the mailbox before
		}
		if op, ok := cmd.op.(fetchSink); ok && op.wantsFetch(f.msg.UID, f.got) {
			return op
		}
	}
	return nil
}

// readFetchItem takes one item with its value. Unknown ones are skipped; values that cannot be understood are left out.
func (c *Client) readFetchItem() error {
	d, f := c.dec, &c.fetch
	word, err := d.ItemName()
	if err != nil {
		return err
	}
	var upper [16]byte
	name := upper[:copy(upper[:], word)]
	for i, b := range name {
		if b >= 'a' && b <= 'z' {
			name[i] = b - 'a' + 'A'
		}
	}
	if b, err := d.Peek(); err != nil {
		return err
	} else if b == '[' {
		return c.readBodyItem(string(name) == "BODY")
	}
	if err := d.Space(); err != nil {
		return err
	}
	switch string(name) {
	case "UID":
		uid, err := d.Number32()
		if err == nil && uid != 0 {
			f.msg.UID = uid
			f.got |= haveUID
		}
		return err
	case "FLAGS":
		f.msg.Flags, err = d.Flags()
		f.msg.HasFlags = err == nil
		f.got |= haveFlags
		return err
	case "MODSEQ":
		f.msg.ModSeq, err = c.readModSeq()
		f.got |= haveModSeq
		return err
	}
	return c.readRareItem(string(name))
}

func (c *Client) readRareItem(name string) error {
	d, f := c.dec, &c.fetch
	switch name {
	case "INTERNALDATE":
		s, ok, err := d.NString()
		if err != nil {
			return err
		}
		f.got |= haveDate
		if ok {
			if t, err := wire.ParseDate(s); err == nil {
				f.msg.InternalDate = t
			}
		}
		return nil
	case "RFC822.SIZE":
		f.got |= haveSize
		if b, err := d.Peek(); err != nil {
			return err
		} else if b < '0' || b > '9' {
			return d.SkipValue()
		}
		n, err := d.Number64()
		f.msg.Size, f.msg.HasSize = int64(n&(1<<63-1)), err == nil
		return err
	case "EMAILID":
		s, err := c.readObjectID()
		f.msg.EmailID = s
		f.got |= haveEmailID
		return err
	case "X-GM-MSGID":
		s, ok, err := d.NString()
		if ok {
			f.msg.GmailMsgID = string(s)
		}
		f.got |= haveGmailID
		return err
	}
	return d.SkipValue()
}

// readModSeq takes a mod-sequence, which FETCH puts into parentheses.
func (c *Client) readModSeq() (uint64, error) {
	d := c.dec
	if !d.Accept('(') {
		return d.Number64()
	}
	n, err := d.Number64()
	if err != nil {
		return 0, err
	}
	return n, d.Expect(')')
}

// readObjectID takes an identifier of RFC 8474, in parentheses, or NIL.
func (c *Client) readObjectID() (string, error) {
	d := c.dec
	b, err := d.Peek()
	if err != nil {
		return "", err
	}
	var id string
	one := func() error {
		s, ok, err := d.NString()
		if ok {
			id = string(s)
		}
		return err
	}
	if b != '(' {
		return id, one()
	}
	err = d.List(one)
	return id, err
}

// readBodyItem takes an item with a section: the body, the header fields, or something that nobody asked for.
func (c *Client) readBodyItem(isBody bool) error {
	d := c.dec
	section, partial, err := d.Section()
	if err != nil {
		return err
	}
	whole := isBody && !partial && len(section) == 0
	header := isBody && len(section) >= 6 && bytes.EqualFold(section[:6], []byte("HEADER"))
	if err := d.Space(); err != nil {
		return err
	}
	switch {
	case whole && c.fetch.got&haveBody == 0 && !c.fetch.given:
		return c.readBody()
	case header && !c.fetch.given:
		return c.readHeader()
	}
	return d.SkipValue()
}

func (c *Client) readHeader() error {
	f := &c.fetch
	s, ok, err := c.dec.NString()
	if err != nil {
		return err
	}
	f.got |= haveHeader
	if ok {
		f.header = append(f.header[:0], s...)
		f.msg.Header = f.header
	}
	return nil
}
