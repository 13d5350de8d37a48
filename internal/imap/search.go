package imap

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"mailtwin/internal/imap/wire"
)

// searchOp takes the answer to UID SEARCH.
type searchOp struct {
	val   SearchResult
	ret   []string // what was asked for
	cmd   *command
	found bool
	plain bool // SEARCH came, not ESEARCH
	count bool // COUNT came
	most  int
}

// UIDSearch searches the mailbox (RFC 9051 section 6.4.4). criteria is IMAP syntax and goes out as it is: nothing that a user
// or a server said may be in it, but flags that are atoms. With ESEARCH (RFC 4731) the answer is compact. When the server says OK and nothing else, Wait
// returns ErrNoAnswer.
func (c *Client) UIDSearch(criteria string, o SearchOptions) *Call[SearchResult] {
	const name = "UID SEARCH"
	if i := strings.IndexFunc(criteria, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 || criteria == "" {
		return ended(c, name, SearchResult{}, fmt.Errorf("send %.40q: not search criteria", criteria))
	}
	op := &searchOp{ret: slices.Clone(o.Return), most: o.Most}
	l := c.newLine("UID SEARCH ")
	if c.Has("ESEARCH") {
		if len(op.ret) == 0 {
			op.ret = []string{"ALL"}
		}
		l.raw("RETURN (")
		for i, r := range op.ret {
			if i > 0 {
				l.raw(" ")
			}
			l.atom(strings.ToUpper(r))
		}
		l.raw(") ")
	}
	call := newCall(c, name, op, &op.val)
	op.cmd = call.cmd
	l.raw(criteria).send(call.cmd)
	return call
}

func (o *searchOp) finish(cmd *command, st Status, err error) error {
	o.val.Status = st
	if err == nil && !o.found && cmd.broken == nil {
		return fmt.Errorf("UID SEARCH: %w", ErrNoAnswer)
	}
	if o.plain || !o.val.All.Empty() { // what was not said follows from the list
		if !o.count {
			o.val.Count = uint32(o.val.All.Len())
		}
		o.val.Min, o.val.Max = o.val.All.Min(), o.val.All.Max()
	}
	return err
}

// add takes what a response tells.
func (o *searchOp) add(set NumSet) {
	if o.most > 0 {
		if o.val.Over = o.val.Over || o.val.All.Len()+set.Len() > o.most; o.val.Over {
			o.val.All = NumSet{}
			return
		}
	}
	if o.val.All.Empty() {
		o.val.All = set
		return
	}
	if most := o.cmd.client.dec.Limits().Numbers; !o.val.All.AddLater(set, most) {
		o.cmd.fail(&wire.LimitError{What: "set of numbers in several responses", Limit: int64(most)})
	}
}

// readSearch takes SEARCH (RFC 3501 section 7.2.5; RFC 7162 section 3.1.5 for the mod-sequence). Several of them add up.
func (c *Client) readSearch() error {
	d := c.dec
	set, err := d.Numbers()
	if err != nil {
		return err
	}
	var modSeq uint64
	if d.Accept('(') {
		if modSeq, err = c.readSearchModSeq(); err != nil {
			return err
		}
	}
	if end, err := d.AtEnd(); err != nil {
		return err
	} else if !end {
		return d.Expect(' ') // neither a number nor the end: the list is not whole
	}
	op, _ := find(c, always[*searchOp])
	if op == nil {
		return nil
	}
	op.found, op.plain = true, true
	op.val.ModSeq = max(op.val.ModSeq, modSeq)
	op.add(set)
	return nil
}

func (c *Client) readSearchModSeq() (uint64, error) {
	d := c.dec
	if _, err := d.Atom(); err != nil {
		return 0, err
	}
	if err := d.Space(); err != nil {
		return 0, err
	}
	n, err := d.Number64()
	if err != nil {
		return 0, err
	}
	if err := d.Expect(')'); err != nil {
		return 0, err
	}
	return n, d.Spaces()
}

// readESearch takes ESEARCH (RFC 4731 section 3.1), which names the command it answers.
func (c *Client) readESearch() error {
	d := c.dec
	var op *searchOp
	if err := d.Spaces(); err != nil {
		return err
	}
	if b, err := d.Peek(); err != nil {
		return err
	} else if b == '(' {
		var tag []byte
		err := d.List(func() error {
			word, err := d.AString()
			if err == nil {
				tag = bytes.Clone(word)
			}
			return err
		})
		if err != nil {
			return err
		}
		op, _ = find(c, func(o *searchOp) bool { return o.cmd.tag == string(tag) })
	} else {
		op, _ = find(c, always[*searchOp])
	}
	var val SearchResult
	count, err := c.readESearchItems(&val)
	if err != nil || op == nil {
		return err
	}
	op.found = true
	op.count = op.count || count
	op.add(val.All)
	op.val.Count += val.Count
	op.val.Min, op.val.Max = max(op.val.Min, val.Min), max(op.val.Max, val.Max)
	op.val.ModSeq = max(op.val.ModSeq, val.ModSeq)
	return nil
}

// readESearchItems takes the results; count says whether COUNT was among them.
func (c *Client) readESearchItems(val *SearchResult) (count bool, err error) {
	d := c.dec
	for {
		if err := d.Spaces(); err != nil {
			return count, err
		}
		if end, err := d.AtEnd(); err != nil || end {
			return count, err
		}
		name, err := c.keyword()
		if err != nil {
			return count, err
		}
		if name == "UID" {
			continue
		}
		if err := d.Space(); err != nil {
			return count, err
		}
		switch name {
		case "ALL":
			val.All, err = d.NumSet()
		case "COUNT":
			count = true
			val.Count, err = d.Number32()
		case "MIN":
			val.Min, err = d.Number32()
		case "MAX":
			val.Max, err = d.Number32()
		case "MODSEQ":
			val.ModSeq, err = d.Number64()
		default:
			err = d.SkipValue()
		}
		if err != nil {
			return count, err
		}
	}
}
