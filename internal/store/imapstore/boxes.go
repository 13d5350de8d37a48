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
	calls := map[int]*imap.Call[imap.StatusData]{}
	for i := range l.items {
		if it := &l.items[i]; it.Status == nil && !notThere(it.Attrs) {
			calls[i] = l.client.Status(it.Name, l.statusItems()...)
		}
	}
	for i := range l.items {
		if calls[i] == nil {
			continue
		}
		st, err := calls[i].Wait(ctx)
		if err == nil {
			l.items[i].Status = &st
		} else if broken(err) {
			return err
		}
	}
	return nil
}

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
	at := map[mail.Box]int{}
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
		if before, ok := at[box]; ok {
			if s.names[box] != it.Name {
				list[before].Err = fmt.Errorf("list mailbox %q: the server has it under two names, %q and %q", box, s.names[box], it.Name)
			}
			continue
		}
		at[box] = len(list)
		s.names[box] = it.Name
		st := store.Status{Box: box, Role: roleOf(it.Attrs), Total: -1}
		if err != nil {
			st.Err = fmt.Errorf("list mailbox %q: %w", box, err)
		}
		if d := it.Status; d != nil {
			st.Total = int(d.Messages)
			const all = imap.HasUIDValidity | imap.HasUIDNext | imap.HasMessages
			if d.Has&all == all {
				st.Mark = state{d.UIDValidity, d.UIDNext, d.HighestModSeq, d.Messages}.mark()
			}
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b store.Status) int { return strings.Compare(string(a.Box), string(b.Box)) })
	return list
}

// CreateBox implements store.Store.
func (s *Store) CreateBox(ctx context.Context, box mail.Box, role string) error {
	err := s.effect(ctx, "", func(c *conn) error {
		name, err := s.nameOf(box)
		if err != nil {
			return err
		}
		if box == mail.Inbox {
			return nil
		}
		if !c.has("CREATE-SPECIAL-USE") {
			role = ""
		}
		create, subscribe := c.client.Create(name, role), c.client.Subscribe(name)
		_, err = create.Wait(ctx)
		if _, serr := subscribe.Wait(ctx); broken(serr) && err == nil {
			err = serr
		}
		if e := refusal(err); e == nil {
			return err
		} else if e.Code == "ALREADYEXISTS" {
			return nil
		}
		if there, lerr := s.exists(ctx, c, name); lerr == nil && there {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("create mailbox %q: %w", box, err)
	}
	return nil
}

// RenameBox implements store.Store.
func (s *Store) RenameBox(ctx context.Context, from, to mail.Box) error {
	err := s.effect(ctx, "", func(c *conn) error {
		old, err := s.nameOf(from)
		if err != nil {
			return fmt.Errorf("%w: %w", store.ErrGone, err)
		}
		s.mu.Lock()
		name, err := s.space.name(to)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		if there, err := s.exists(ctx, c, name); err != nil || there {
			return errors.Join(err, errExists)
		}
		s.leave(c, from)
		if _, err = c.client.Rename(old, name).Wait(ctx); err != nil {
			return s.absent(ctx, c, old, err)
		}
		subscribe, unsubscribe := c.client.Subscribe(name), c.client.Unsubscribe(old)
		for _, call := range []*imap.Call[imap.Status]{subscribe, unsubscribe} {
			if _, err := call.Wait(ctx); broken(err) {
				return err
			}
		}
		s.forget(from)
		return nil
	})
	if err != nil {
		return fmt.Errorf("rename mailbox %q to %q: %w", from, to, err)
	}
	return nil
}

var errExists = errors.New("a mailbox of that name exists")

// forget drops what is known of a mailbox and those below it.
func (s *Store) forget(box mail.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.names {
		if name == box || strings.HasPrefix(string(name), string(box)+"/") {
			delete(s.names, name)
		}
	}
	delete(s.epochs, box)
	delete(s.nexts, box)
	delete(s.holding, box)
}

// leave closes a mailbox on a connection that has it open.
func (s *Store) leave(c *conn, box mail.Box) {
	if c.box == box || strings.HasPrefix(string(c.box), string(box)+"/") {
		c.box = ""
		_ = c.client.Unselect() // what follows waits for it
	}
}

// DeleteBox implements store.Store: it is renamed aside first, so that nothing can be delivered between the look and the
// deletion (rule 14). A mailbox with others below it cannot be, since they would come along.
func (s *Store) DeleteBox(ctx context.Context, box mail.Box) error {
	err := s.effect(ctx, box, func(c *conn) error {
		name, err := s.nameOf(box)
		if err != nil {
			return fmt.Errorf("%w: %w", store.ErrGone, err)
		}
		s.leave(c, box)
		if err := s.mustBeEmpty(ctx, c, name); err != nil {
			return err
		}
		aside := name
		if !s.hasBelow(ctx, c, name) {
			fresh := fmt.Sprintf("%s-mailtwin-%d", name, s.cfg.Now().UnixNano())
			if _, err := c.client.Rename(name, fresh).Wait(ctx); err == nil {
				aside = fresh
			} else if broken(err) {
				return err
			}
		}
		err = s.mustBeEmpty(ctx, c, aside)
		if err == nil {
			_, err = c.client.Delete(aside).Wait(ctx)
		}
		if err != nil && aside != name && !broken(err) {
			_, back := c.client.Rename(aside, name).Wait(ctx)
			return errors.Join(err, back)
		}
		if err == nil {
			_, uerr := c.client.Unsubscribe(name).Wait(ctx)
			if broken(uerr) {
				err = uerr
			}
			s.forget(box)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete mailbox %q: %w", box, err)
	}
	return nil
}

func (s *Store) mustBeEmpty(ctx context.Context, c *conn, name string) error {
	st, err := c.client.Status(name, "MESSAGES").Wait(ctx)
	if err != nil {
		return s.absent(ctx, c, name, err)
	}
	if st.Messages > 0 {
		return store.ErrNotEmpty
	}
	return nil
}

func (s *Store) hasBelow(ctx context.Context, c *conn, name string) bool {
	s.mu.Lock()
	delim := s.space.Delim
	s.mu.Unlock()
	if delim == 0 {
		return false
	}
	prefix, found := name+string(rune(delim)), false
	_, err := c.client.List("", prefix+"*", imap.ListOptions{}, func(it imap.ListItem) {
		found = found || strings.HasPrefix(it.Name, prefix)
	}).Wait(ctx)
	return found || err != nil
}

// effect runs an effect that needs no open mailbox. It is never repeated.
func (s *Store) effect(ctx context.Context, box mail.Box, fn func(*conn) error) error {
	if s.cfg.ReadOnly {
		return errReadOnly
	}
	c, err := s.lease(ctx, box)
	if err != nil {
		return s.fault(ctx, err)
	}
	err = fn(c)
	s.release(c, err)
	return s.fault(ctx, err)
}
