package memstore

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
)

// Message is one message as Dump tells of it.
type Message struct {
	Box    mail.Box
	Key    mail.Key
	Flags  mail.Flags
	Date   int64      // internal date, seconds since 1970
	Ident  mail.Ident // all that can be known
	Data   []byte     // wire form; not to be changed
	Stamp  uint64
	Marked bool // it has \Deleted
}

func (m *message) dump(box mail.Box) Message {
	return Message{
		Box: box, Key: m.key, Flags: m.flags, Date: m.date, Ident: m.ident(), Data: m.body.data, Stamp: m.stamp,
		Marked: m.flags.System&mail.Deleted != 0,
	}
}

// String tells a message apart from others for people: mailbox, beginning of the digest, flags and date, but no key.
func (m Message) String() string {
	return fmt.Sprintf("%s %x %v %d", m.Box, m.Ident.Digest[:4], m.Flags, m.Date)
}

// order compares messages by all that is the same on two stores that are in sync.
func order(a, b Message) int {
	return cmp.Or(cmp.Compare(a.Box, b.Box), bytes.Compare(a.Ident.Digest[:], b.Ident.Digest[:]),
		cmp.Compare(a.Flags.System, b.Flags.System), cmp.Compare(a.Flags.Keywords, b.Flags.Keywords),
		cmp.Compare(a.Date, b.Date))
}

// Dump returns all messages, sorted by mailbox, content, flags, date and key: the dumps of two stores in sync are the
// same except for keys, stamps and stable ids.
func (s *Store) Dump() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Message
	for _, b := range s.boxes {
		for _, m := range b.msgs {
			all = append(all, m.dump(b.name))
		}
	}
	slices.SortFunc(all, func(a, b Message) int { return cmp.Or(order(a, b), compare(a.Key, b.Key)) })
	return all
}

// Names returns the names of all mailboxes, sorted.
func (s *Store) Names() []mail.Box {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []mail.Box
	for _, b := range s.boxes {
		names = append(names, b.name)
	}
	slices.Sort(names)
	return names
}

// Attic returns the messages that Delete removed for good, in that order, with the mailboxes that they were in. It is
// empty unless the store has the option Attic.
func (s *Store) Attic() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attic)
}

// Difference lists what only one of two dumps has, a line for each, "" if they agree. Keys, stamps and stable ids do not
// count.
func Difference(a, b []Message) string {
	var out []byte
	for len(a) > 0 || len(b) > 0 {
		switch c := head(a, b); {
		case c < 0:
			out, a = fmt.Appendf(out, "only first:  %v\n", a[0]), a[1:]
		case c > 0:
			out, b = fmt.Appendf(out, "only second: %v\n", b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return string(out)
}

func head(a, b []Message) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return order(a[0], b[0])
}
