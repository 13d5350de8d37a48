package imap

// Create makes a mailbox (RFC 9051 section 6.3.4). specialUse, as "\Sent", is its role (RFC 6154 section 3), sent only to
// servers with CREATE-SPECIAL-USE; "" is none.
func (c *Client) Create(box, specialUse string) *Call[Status] {
	l := c.newLine("CREATE ").mailbox(box)
	if specialUse != "" && c.Has("CREATE-SPECIAL-USE") {
		l.raw(" (USE ").flags([]string{specialUse}).raw(")")
	}
	return c.simple("CREATE", l)
}

// Delete removes a mailbox with all messages in it (RFC 9051 section 6.3.5).
func (c *Client) Delete(box string) *Call[Status] {
	return c.simple("DELETE", c.newLine("DELETE ").mailbox(box))
}

// Rename gives a mailbox a new name (RFC 9051 section 6.3.6). Renaming INBOX moves its messages instead.
func (c *Client) Rename(from, to string) *Call[Status] {
	return c.simple("RENAME", c.newLine("RENAME ").mailbox(from).raw(" ").mailbox(to))
}

// Subscribe adds a mailbox to the subscribed ones (RFC 9051 section 6.3.7).
func (c *Client) Subscribe(box string) *Call[Status] {
	return c.simple("SUBSCRIBE", c.newLine("SUBSCRIBE ").mailbox(box))
}

// Unsubscribe takes a mailbox from the subscribed ones (RFC 9051 section 6.3.8).
func (c *Client) Unsubscribe(box string) *Call[Status] {
	return c.simple("UNSUBSCRIBE", c.newLine("UNSUBSCRIBE ").mailbox(box))
}
