package imap

// UIDExpunge removes those of the messages that have \Deleted (UIDPLUS, RFC 4315 section 2.1). Without UIDPLUS it fails with
// errors.ErrUnsupported: EXPUNGE would also remove what others have marked. An empty set does nothing.
func (c *Client) UIDExpunge(set NumSet) *Call[Status] {
	const name = "UID EXPUNGE"
	switch {
	case !c.Has("UIDPLUS"):
		return ended(c, name, Status{}, unsupported("UIDPLUS"))
	case set.Empty():
		return ended(c, name, Status{}, nil)
	}
	return c.simple(name, c.newLine("UID EXPUNGE ").set(set))
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
