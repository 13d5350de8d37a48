package mail

import "strings"

// Box is a mailbox's name: a UTF-8 path with "/" between components. A "/" inside a component is written %2F and "%" is
// %25. The personal namespace's prefix is stripped. INBOX is always spelled so.
type Box string

// Inbox is the one mailbox that every account has (RFC 9051 section 5.1).
const Inbox Box = "INBOX"

// JoinBox makes a box of components as users see them, escaping what must be.
func JoinBox(components []string) Box {
	escaped := make([]string, len(components))
	for i, c := range components {
		escaped[i] = boxEscaper.Replace(c)
	}
	if len(escaped) > 0 && strings.EqualFold(escaped[0], string(Inbox)) {
		escaped[0] = string(Inbox)
	}
	return Box(strings.Join(escaped, "/"))
}

// Components returns the parts of the name, unescaped.
func (b Box) Components() []string {
	parts := strings.Split(string(b), "/")
	for i, p := range parts {
		parts[i] = boxUnescaper.Replace(p)
	}
	return parts
}

// Parent returns the box one level up; "" at the top.
func (b Box) Parent() Box {
	i := strings.LastIndexByte(string(b), '/')
	if i < 0 {
		return ""
	}
	return b[:i]
}

var (
	boxEscaper   = strings.NewReplacer("%", "%25", "/", "%2F")
	boxUnescaper = strings.NewReplacer("%25", "%", "%2F", "/", "%2f", "/")
)
