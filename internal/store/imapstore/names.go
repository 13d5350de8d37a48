package imapstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

var (
	errNoName  = errors.New("the name is empty")
	errPart    = errors.New("the name has an empty component")
	errLevels  = errors.New("the server has no hierarchy")
	errNUL     = errors.New("the name has a NUL")
	errControl = errors.New("the name has control characters")
	errDelim   = errors.New("the name has the character that separates levels on this server")
)

// space is the part of a server's names that is ours: the personal namespace (RFC 2342).
type space struct {
	Prefix  string   // such as "" or "INBOX."
	Delim   byte     // 0: names have no levels
	Foreign []string // prefixes of other users' and shared namespaces
}

// Names returns how the server names mailboxes: what stands before each name but INBOX, and the character between two levels, "" if
// there are none. It is known after Hello.
func (s *Store) Names() (prefix, delim string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.space.Delim != 0 {
		delim = string(rune(s.space.Delim))
	}
	return s.space.Prefix, delim
}

// box translates a server's name. false: the name is not in the personal namespace.
func (p space) box(name string) (mail.Box, bool, error) {
	if strings.EqualFold(name, string(mail.Inbox)) {
		return mail.Inbox, true, nil
	}
	foreign := func(prefix string) bool { return prefix != "" && prefix != p.Prefix && strings.HasPrefix(name, prefix) }
	if slices.ContainsFunc(p.Foreign, foreign) {
		return "", false, nil
	}
	rest, ok := cutPrefix(name, p.Prefix)
	if !ok || rest == "" {
		return "", false, nil
	}
	parts := []string{rest}
	if p.Delim != 0 {
		parts = strings.Split(rest, string(rune(p.Delim)))
	}
	box := mail.JoinBox(parts)
	if slices.Contains(parts, "") {
		return box, true, errPart
	}
	return box, true, nil
}

// cutPrefix removes the namespace's prefix. INBOX in it may be spelled in any case.
func cutPrefix(name, prefix string) (string, bool) {
	if rest, ok := strings.CutPrefix(name, prefix); ok {
		return rest, true
	}
	n := len(mail.Inbox)
	if len(name) < len(prefix) || len(prefix) < n || !strings.EqualFold(prefix[:n], string(mail.Inbox)) {
		return "", false
	}
	if strings.EqualFold(name[:n], prefix[:n]) && name[n:len(prefix)] == prefix[n:] {
		return name[len(prefix):], true
	}
	return "", false
}

// name translates a box to the server's name.
func (p space) name(box mail.Box) (string, error) {
	if box == "" {
		return "", errNoName
	}
	if box == mail.Inbox {
		return string(mail.Inbox), nil
	}
	parts := box.Components()
	for _, part := range parts {
		switch {
		case part == "":
			return "", errPart
		case strings.IndexFunc(part, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0:
			return "", errControl
		case p.Delim != 0 && strings.IndexByte(part, p.Delim) >= 0:
			return "", fmt.Errorf("%w, %q", errDelim, p.Delim)
		}
	}
	if p.Delim == 0 && len(parts) > 1 {
		return "", errLevels
	}
	return p.Prefix + strings.Join(parts, string(rune(p.Delim))), nil
}

// nameOf returns the server's name of a box: as the server listed it, else as we would make it.
func (s *Store) nameOf(box mail.Box) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, ok := s.names[box]; ok {
		return name, nil
	}
	return s.space.name(box)
}
