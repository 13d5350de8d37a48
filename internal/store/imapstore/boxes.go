package imapstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// listing is a list of all mailboxes with their state, asked for and perhaps not answered yet.
type listing struct {
	client  *imap.Client
	modseqs bool
	items   []imap.ListItem
	call    *imap.Call[imap.Status]
}

// list asks for all mailboxes; with LIST-STATUS (RFC 5819) one command tells the state of all.
func (s *Store) list(c *conn) *listing {
	l := &listing{client: c.client, modseqs: c.condstor}
	o := imap.ListOptions{SpecialUse: true, Status: l.statusItems()}
	l.call = c.client.List("", "*", o, func(it imap.ListItem) { l.items = append(l.items, it) })
	return l
}

func (l *listing) statusItems() []string {
	items := []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY"}
	if l.modseqs {
		items = append(items, "HIGHESTMODSEQ")
	}
	return items
}

// wait waits for the list; what it did not tell of the state of mailboxes is asked in one flight.
func (l *listing) wait(ctx context.Context) error {
	if _, err := l.call.Wait(ctx); err != nil {
		return err
	}
	const flight = 1000 // commands that may be under way: each takes memory
	type asked struct {
		item *imap.ListItem
		call *imap.Call[imap.StatusData]
	}
	var calls []asked
	wait := func() error {
		a := calls[0]
		calls = calls[1:]
		st, err := a.call.Wait(ctx)
		if err == nil {
			a.item.Status = &st
		} else if broken(err) {
			return err
		}
		return nil
	}
	for i := range l.items {
		it := &l.items[i]
		if it.Status != nil || notThere(it.Attrs) || !sendable(it.Name) {
			continue
		}
		if calls = append(calls, asked{it, l.client.Status(it.Name, l.statusItems()...)}); len(calls) == flight {
			if err := wait(); err != nil {
				return err
			}
		}
	}
	for len(calls) > 0 {
		if err := wait(); err != nil {
			return err
		}
	}
	return nil
}

// renameHint is what can be done about a mailbox whose name cannot be used.
const renameHint = `rename it on the server, or leave it out of mailboxes with "!" and its name`

// sendable reports whether a name can be sent at all.
func sendable(name string) bool { return !strings.Contains(name, "\x00") }

// notThere reports whether a name cannot be opened.
func notThere(attrs []string) bool {
	return slices.ContainsFunc(attrs, func(a string) bool {
		return strings.EqualFold(a, `\Noselect`) || strings.EqualFold(a, `\NonExistent`)
	})
}

var roles = []string{`\All`, `\Archive`, `\Drafts`, `\Flagged`, `\Important`, `\Junk`, `\Sent`, `\Trash`}

// roleOf returns the SPECIAL-USE attribute (RFC 6154), spelled as in the RFC; "" for none.
func roleOf(attrs []string) string {
	for _, r := range roles {
		if slices.ContainsFunc(attrs, func(a string) bool { return strings.EqualFold(a, r) }) {
			return r
		}
	}
	return ""
}

// Boxes implements store.Store.
func (s *Store) Boxes(ctx context.Context) ([]store.Status, error) {
	s.mu.Lock()
	l := s.listed
	s.listed = nil
	s.mu.Unlock()
	if l == nil {
		err := s.read(ctx, "", func(c *conn) error {
			if c.box != "" {
				s.leave(c, c.box) // of the mailbox that it has open, a session tells what it saw there last
			}
			l = s.list(c)
			return l.wait(ctx)
		})
		if err != nil {
			return nil, fmt.Errorf("list mailboxes: %w", err)
		}
	}
	return s.statuses(l), nil
}

// statuses translates a list. Names that come to one mailbox are told, not merged.
func (s *Store) statuses(l *listing) []store.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.names)
	s.special = map[string]mail.Box{}
	at := map[mail.Box]int{}
	raws := map[mail.Box]string{}
	var list []store.Status
	for i := range l.items {
		it := &l.items[i]
		if notThere(it.Attrs) {
			continue
		}
		box, ours, err := s.space.box(it.Name)
		if !ours {
			continue
		}
		if err == nil && !utf8.ValidString(it.Name) {
			err = errors.New("its name is not UTF-8")
			box = mail.Box(strings.ToValidUTF8(string(box), "?"))
		}
		if err == nil && !sendable(it.Name) {
			err = errNUL
		}
		if before, ok := at[box]; ok {
			if raws[box] != it.Raw && box != mail.Inbox {
				err := fmt.Errorf("list mailbox %q: the server has it under two names, %q and %q", box, raws[box], it.Raw)
				list[before].Err = mail.WithHint(err, renameHint)
			}
			continue
		}
		at[box] = len(list)
		s.names[box], raws[box] = it.Name, it.Raw
		delete(s.told, box)
		st := store.Status{Box: box, Role: roleOf(it.Attrs), Total: -1}
		if err != nil {
			st.Err = mail.WithHint(fmt.Errorf("list mailbox %q: %w", box, err), renameHint)
		}
		if d := it.Status; d != nil {
			st.Total = int(d.Messages)
			if d.Has&imap.HasUIDValidity != 0 {
				st.Epoch = epoch(d.UIDValidity)
			}
			const all = imap.HasUIDValidity | imap.HasUIDNext | imap.HasMessages
			if d.Has&all == all {
				s.told[box] = state{d.UIDValidity, d.UIDNext, d.HighestModSeq, d.Messages}
				st.Mark = s.told[box].mark()
			}
		}
		s.filled[box] = st.Total > 0
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b store.Status) int { return strings.Compare(string(a.Box), string(b.Box)) })
	for _, st := range list {
		if _, ok := s.special[st.Role]; !ok && st.Role != "" && st.Err == nil {
			s.special[st.Role] = st.Box
		}
	}
	return list
}
