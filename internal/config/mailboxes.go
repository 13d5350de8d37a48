package config

import (
	"strings"

	"mailtwin/internal/mail"
)

// Selection says which mailboxes are kept in sync. Each entry is a pattern; later ones win, and one that begins with "!"
// leaves out. "*" stands for any text, "%" for any text without "/", and an entry like `\Junk` for the mailbox with that
// role (RFC 6154). Empty, or beginning with "!": all mailboxes but those that show other mailboxes' messages again.
type Selection []string

// virtual are the roles of mailboxes whose messages are also elsewhere; they take part only when named.
var virtual = []string{`\All`, `\Flagged`, `\Important`}

// Has reports whether a mailbox is kept in sync. role is its SPECIAL-USE attribute or "".
func (s Selection) Has(box mail.Box, role string) bool {
	in := (len(s) == 0 || strings.HasPrefix(s[0], "!")) && !isVirtual(role)
	for _, entry := range s {
		pattern, out := strings.CutPrefix(entry, "!")
		switch {
		case strings.HasPrefix(pattern, `\`):
			if role != "" && strings.EqualFold(pattern, role) {
				in = !out
			}
		case !matches(pattern, box):
		case out:
			in = false
		case !isVirtual(role) || !strings.ContainsAny(pattern, "*%"):
			in = true
		}
	}
	return in
}

func isVirtual(role string) bool {
	for _, v := range virtual {
		if strings.EqualFold(role, v) {
			return true
		}
	}
	return false
}

// matches compares a name with a pattern; INBOX in any case is INBOX (RFC 9051 section 5.1).
func matches(pattern string, box mail.Box) bool {
	if head, rest, ok := strings.Cut(pattern, "/"); strings.EqualFold(head, string(mail.Inbox)) {
		pattern = string(mail.Inbox)
		if ok {
			pattern += "/" + rest
		}
	}
	return match(pattern, string(box))
}

// match compares byte by byte and keeps all places where the pattern so far can end, so that it takes at most the product
// of both lengths.
func match(pattern, name string) bool {
	possible := make([]bool, len(name)+1) // where in name the pattern so far can end
	possible[0] = true
	for i := range len(pattern) {
		next := make([]bool, len(name)+1)
		switch c := pattern[i]; c {
		case '*', '%':
			open := false
			for j := range next {
				if j > 0 && c == '%' && name[j-1] == '/' {
					open = false
				}
				open = open || possible[j]
				next[j] = open
			}
		default:
			for j := 1; j <= len(name); j++ {
				next[j] = possible[j-1] && name[j-1] == c
			}
		}
		possible = next
	}
	return possible[len(name)]
}
