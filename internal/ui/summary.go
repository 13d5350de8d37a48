package ui

import (
	"strings"

	"mailtwin/internal/engine"
)

// Line is a summary in one line: "3 new, 2 flags, 1 deleted, 41 mailboxes, 0.4 s". Parts that are zero are left out; if
// nothing was done it says so.
func Line(s engine.Summary) string {
	parts := work(s)
	if len(parts) == 0 {
		parts = append(parts, "nothing to do")
	}
	parts = append(parts, trouble(s)...)
	parts = append(parts, count(s.Mailboxes, "mailbox", "mailboxes"), seconds(s.Seconds))
	text := strings.Join(parts, ", ")
	if s.DryRun {
		return "dry run, nothing was changed; a sync would be: " + text
	}
	return text
}

// work lists what was done.
func work(s engine.Summary) (parts []string) {
	for _, p := range []struct {
		n         int
		one, many string
	}{
		{s.CopiedToLocal + s.CopiedToRemote, "new", "new"},
		{s.MovedLocal + s.MovedRemote, "moved", "moved"},
		{s.RenamedLocal + s.RenamedRemote, "mailbox renamed", "mailboxes renamed"},
		{s.FlaggedLocal + s.FlaggedRemote, "flag", "flags"},
		{s.DeletedLocal + s.DeletedRemote, "deleted", "deleted"},
		{s.Adopted, "already on both sides", "already on both sides"},
	} {
		if p.n > 0 {
			parts = append(parts, count(p.n, p.one, p.many))
		}
	}
	return parts
}

// trouble lists what was not done.
func trouble(s engine.Summary) (parts []string) {
	if s.HeldBack > 0 {
		parts = append(parts, count(s.HeldBack, "deletion held back", "deletions held back"))
	}
	if s.Left > 0 {
		parts = append(parts, number(s.Left)+" left")
	}
	if s.Errors > 0 {
		parts = append(parts, count(s.Errors, "error", "errors"))
	}
	return parts
}
