package imap

// Expunged says what became of a UID EXPUNGE.
type Expunged struct {
	Status Status
	// Left are the messages of the set that the server did not tell to be gone while the command was on its way: all of them
	// unless QRESYNC is enabled (VANISHED, RFC 7162 section 3.2.10).
	Left NumSet
}

type expungeOp struct{ val Expunged }

func (o *expungeOp) finish(_ *command, st Status, err error) error {
	o.val.Status = st
	return err
}

// UIDExpunge removes those of the messages that have \Deleted (UIDPLUS, RFC 4315 section 2.1). A message that has not, as the
// server sees it, is no error. Without UIDPLUS it fails with errors.ErrUnsupported: EXPUNGE would also remove what others have
// marked. An empty set does nothing.
func (c *Client) UIDExpunge(set NumSet) *Call[Expunged] {
	const name = "UID EXPUNGE"
	switch {
	case !c.Has("UIDPLUS"):
		return ended(c, name, Expunged{}, unsupported("UIDPLUS"))
	case set.Empty():
		return ended(c, name, Expunged{}, nil)
	}
	op := &expungeOp{val: Expunged{Left: set.Clone()}}
	call := newCall(c, name, op, &op.val)
	c.newLine("UID EXPUNGE ").set(set).send(call.cmd)
	return call
}

// Expunge removes every message of the mailbox that has \Deleted, whoever set it (RFC 9051 section 6.4.3).
func (c *Client) Expunge() *Call[Status] { return c.simple("EXPUNGE", c.newLine("EXPUNGE")) }

// simple sends a command that returns nothing but a status.
func (c *Client) simple(name string, l *line) *Call[Status] {
	op := &statusOp{}
	call := newCall(c, name, op, &op.val)
	l.send(call.cmd)
	return call
}
