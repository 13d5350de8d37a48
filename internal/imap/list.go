package imap

import (
	"slices"
	"strings"
	"unicode/utf8"

	"mailtwin/internal/imap/wire"
)

// listOp takes the answers to LIST or LSUB.
type listOp struct {
	statusOp
	kind     string // LIST or LSUB
	fn       func(ListItem)
	withData bool           // STATUS was asked for: items wait for it
	items    []ListItem     // in order, when withData
	index    map[string]int // into items, by name
	limits   Limits
	count    int // mailboxes
	octets   int // of their names
}

// List asks for the mailboxes that match (RFC 9051 section 6.3.9; RFC 5258 and 5819 for what o adds) and calls fn for each.
// With o.Status the calls come at the end, when the server has sent the STATUS of each.
func (c *Client) List(ref, pattern string, o ListOptions, fn func(ListItem)) *Call[Status] {
	op := &listOp{kind: "LIST", fn: fn, index: make(map[string]int), limits: c.dec.Limits()}
	l := c.newLine("LIST ").string(ref).raw(" ").string(c.encodePattern(pattern))
	if c.Has("LIST-EXTENDED") {
		op.withData = len(o.Status) > 0 && c.Has("LIST-STATUS")
		l.listReturn(o, op.withData)
	}
	call := newCall(c, "LIST", op, &op.val)
	l.send(call.cmd)
	return call
}

// listReturn appends the return options that the server understands.
func (l *line) listReturn(o ListOptions, status bool) {
	var sep string
	begin := func() {
		if sep == "" {
			l.raw(" RETURN (")
		}
		l.raw(sep)
		sep = " "
	}
	if o.Subscribed {
		begin()
		l.raw("SUBSCRIBED")
	}
	if o.Children {
		begin()
		l.raw("CHILDREN")
	}
	if o.SpecialUse && l.c.Has("SPECIAL-USE") {
		begin()
		l.raw("SPECIAL-USE")
	}
	if status {
		begin()
		l.raw("STATUS ").statusItems(o.Status)
	}
	if sep != "" {
		l.raw(")")
	}
}

// Lsub asks for the subscribed mailboxes (RFC 3501 section 6.3.9), for servers without LIST-EXTENDED.
func (c *Client) Lsub(ref, pattern string, fn func(ListItem)) *Call[Status] {
	op := &listOp{kind: "LSUB", fn: fn, limits: c.dec.Limits()}
	call := newCall(c, "LSUB", op, &op.val)
	c.newLine("LSUB ").string(ref).raw(" ").string(c.encodePattern(pattern)).send(call.cmd)
	return call
}

func (c *Client) encodePattern(pattern string) string {
	if c.utf8.Load() {
		return pattern
	}
	return wire.EncodeUTF7(pattern) // * and % stay as they are
}

func (o *listOp) take(item ListItem) error {
	o.count++
	o.octets += len(item.Raw)
	for _, a := range item.Attrs {
		o.octets += len(a)
	}
	switch {
	case o.count > o.limits.Mailboxes:
		return &wire.LimitError{What: "number of mailboxes", Limit: int64(o.limits.Mailboxes)}
	case o.octets > o.limits.Names:
		return &wire.LimitError{What: "length of the names of mailboxes", Limit: int64(o.limits.Names)}
	case !o.withData:
		o.fn(item)
		return nil
	}
	at, twice := o.index[item.Name]
	if !twice {
		o.index[item.Name] = len(o.items)
	}
	absent := func(a string) bool { return strings.EqualFold(a, `\NonExistent`) }
	// Two spellings of one name are for the caller to judge, if both are of mailboxes.
	if !twice || o.items[at].Raw != item.Raw && !slices.ContainsFunc(item.Attrs, absent) {
		o.items = append(o.items, item)
	}
	return nil
}

func (o *listOp) wantsStatus(box string) bool {
	_, ok := o.index[box]
	return o.withData && ok
}

func (o *listOp) takeStatus(st StatusData) { o.items[o.index[st.Mailbox]].Status = &st }

func (o *listOp) finish(_ *command, st Status, err error) error {
	o.val = st
	for _, item := range o.items {
		o.fn(item)
	}
	o.items, o.index = nil, nil
	return err
}

// readList takes a LIST or LSUB response (RFC 9051 section 7.3.1).
func (c *Client) readList(kind string) error {
	d := c.dec
	if err := d.Space(); err != nil {
		return err
	}
	attrs, err := d.Flags()
	if err != nil {
		return err
	}
	item := ListItem{Attrs: attrs}
	if err := d.Space(); err != nil {
		return err
	}
	delim, ok, err := d.NString()
	if err != nil {
		return err
	}
	if ok && len(delim) > 0 {
		item.Delim = delim[0]
	}
	if err := d.Space(); err != nil {
		return err
	}
	raw, err := d.AString()
	if err != nil {
		return err
	}
	item.Raw = string(raw)
	item.Name, item.Bad = c.decodeName(item.Raw)
	if err := c.skipUnknown(); err != nil { // extended data
		return err
	}
	if op, _ := find(c, func(o *listOp) bool { return o.kind == kind }); op != nil {
		return op.take(item)
	}
	return nil
}

// decodeName returns the name that a server's spelling stands for. One that cannot be decoded is kept as it is, and
// remembered so that it is sent back so.
func (c *Client) decodeName(raw string) (name string, bad bool) {
	if strings.EqualFold(raw, "INBOX") {
		return "INBOX", false
	}
	const most = 10_000 // names to remember: more are a server's fault
	if c.utf8.Load() {
		return raw, !utf8.ValidString(raw)
	}
	name, err := wire.DecodeUTF7(raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		if name != raw && len(c.rawNames) < most {
			c.rawNames[name] = false // a proper name goes before a bad one that looks the same
		}
		return name, false
	}
	if _, known := c.rawNames[raw]; !known && len(c.rawNames) < most {
		c.rawNames[raw] = true
	}
	return raw, true
}
