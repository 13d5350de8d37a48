package imapstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

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
		_, err = c.client.Create(name, role).Wait(ctx)
		if e := refusal(err); e != nil && e.Code != "ALREADYEXISTS" {
			there, lerr := s.exists(ctx, c, name)
			if lerr == nil && !there && role != "" { // some roles are not to be had (RFC 6154 section 3)
				_, err = c.client.Create(name, "").Wait(ctx)
			}
			if lerr == nil && there {
				err = nil
			}
		} else if e != nil {
			err = nil
		}
		if err != nil {
			return err
		}
		_, err = c.client.Subscribe(name).Wait(ctx)
		return ifBroken(err)
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
		if from == mail.Inbox || to == mail.Inbox {
			return errInbox // its messages would move and it would stay (RFC 9051 section 6.3.6)
		}
		if within(to, from) {
			return errInside
		}
		if there, err := s.exists(ctx, c, name); err != nil {
			return err
		} else if there {
			return errExists
		}
		s.leave(c, from)
		if _, err = c.client.Rename(old, name).Wait(ctx); err != nil {
			return s.absent(ctx, c, old, err)
		}
		s.forget(from)
		return s.resubscribe(ctx, c, old, name)
	})
	if err != nil {
		return fmt.Errorf("rename mailbox %q to %q: %w", from, to, err)
	}
	return nil
}

var (
	errExists = errors.New("a mailbox of that name exists")
	errInbox  = errors.New("INBOX stays where it is")
	errInside = errors.New("a mailbox cannot be moved into itself")
)

// ifBroken passes over what the server refuses.
func ifBroken(err error) error {
	if broken(err) {
		return err
	}
	return nil
}

// resubscribe lets the subscriptions of a mailbox and of those below it follow its new name.
func (s *Store) resubscribe(ctx context.Context, c *conn, old, name string) error {
	names := []string{name}
	below, err := s.below(ctx, c, name)
	if err != nil {
		return ifBroken(err)
	}
	var calls []*imap.Call[imap.Status]
	for _, n := range append(names, below...) {
		calls = append(calls, c.client.Subscribe(n), c.client.Unsubscribe(old+strings.TrimPrefix(n, name)))
	}
	for _, call := range calls {
		if _, err := call.Wait(ctx); broken(err) {
			return err
		}
	}
	return nil
}

// forget drops what is known of a mailbox and those below it.
func (s *Store) forget(box mail.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.names {
		if within(name, box) {
			delete(s.names, name)
		}
	}
	inside := func(name mail.Box) bool { return within(name, box) }
	maps.DeleteFunc(s.epochs, func(name mail.Box, _ uint32) bool { return inside(name) })
	maps.DeleteFunc(s.nexts, func(name mail.Box, _ uint32) bool { return inside(name) })
	maps.DeleteFunc(s.floors, func(name mail.Box, _ uint32) bool { return inside(name) })
	maps.DeleteFunc(s.holding, func(name mail.Box, _ mail.Storable) bool { return inside(name) })
	maps.DeleteFunc(s.filled, func(name mail.Box, _ bool) bool { return inside(name) })
	maps.DeleteFunc(s.told, func(name mail.Box, _ state) bool { return inside(name) })
	for _, name := range s.special {
		if inside(name) {
			s.special = nil // to be listed again
			break
		}
	}
	for _, c := range s.idle {
		if within(c.box, box) {
			c.box = "" // to be opened again: another mailbox may get the name
		}
	}
}

// within reports whether a mailbox is another one or below it.
func within(box, top mail.Box) bool {
	return box == top || strings.HasPrefix(string(box), string(top)+"/")
}

// leave closes a mailbox on a connection that has it open.
func (s *Store) leave(c *conn, box mail.Box) {
	if within(c.box, box) {
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
		if box == mail.Inbox {
			return errInbox
		}
		s.leave(c, box)
		if err := s.mustBeEmpty(ctx, c, name); err != nil {
			return err
		}
		aside := name
		below, err := s.below(ctx, c, name)
		if err != nil {
			return err
		}
		if len(below) == 0 {
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

// below lists the names below a mailbox.
func (s *Store) below(ctx context.Context, c *conn, name string) (names []string, err error) {
	s.mu.Lock()
	delim := s.space.Delim
	s.mu.Unlock()
	if delim == 0 {
		return nil, nil
	}
	prefix := name + string(rune(delim))
	_, err = c.client.List("", prefix+"*", imap.ListOptions{}, func(it imap.ListItem) {
		if strings.HasPrefix(it.Name, prefix) && it.Name != prefix {
			names = append(names, it.Name)
		}
	}).Wait(ctx)
	return names, err
}
