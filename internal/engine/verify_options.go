package engine

import "mailtwin/internal/mail"

// VerifyOptions say how thoroughly Verify looks.
type VerifyOptions struct {
	Full bool // fetch and hash every body of both sides, not only those that are cheap to read
}

// Finding is one difference that Verify found.
type Finding struct {
	Box  mail.Box
	Side mail.Side // the side that differs from what both agreed on
	Key  mail.Key
	Kind string // "missing", "extra", "flags differ", "content differs", "mailbox missing", "mailbox unreadable", "not synced yet"
	Text string // details for people
}

// Report is what Verify found; no findings: equal.
type Report struct {
	Findings            []Finding
	Mailboxes, Messages int
	Hashed              [2]int // bodies read, by side
}
