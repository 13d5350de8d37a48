package memstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

var (
	errInbox  = errors.New("INBOX stays where it is")
	errExists = errors.New("the mailbox exists")
	errInside = errors.New("a mailbox cannot be moved into itself")
	errNoName = errors.New("the name is empty")
)

// CreateBox implements store.Store.
func (s *Store) CreateBox(ctx context.Context, box mail.Box, role string) error {
	err := s.begin(ctx)
	if err == nil {
		err = s.effect(ctx, Effect{Method: CreateBox, Box: box}, func(*Effect) error { return s.create(box, role) })
	}
	if err != nil {
		return fmt.Errorf("create mailbox %q: %w", box, err)
	}
	return nil
}

func (s *Store) create(box mail.Box, role string) error {
	if box == "" {
		return errNoName
	}
	if s.boxes[s.fold(box)] == nil {
		s.add(box).role = role
	}
	return nil
}

// DeleteBox implements store.Store. Mailboxes below it stay.
func (s *Store) DeleteBox(ctx context.Context, box mail.Box) error {
	err := s.begin(ctx)
	if err == nil {
		err = s.effect(ctx, Effect{Method: DeleteBox, Box: box}, func(*Effect) error {
			b, err := s.box(box)
			switch {
			case err != nil:
				return err
			case s.opts.Kind == IMAP && box == mail.Inbox:
				return errInbox
			case len(b.msgs) > 0:
				return store.ErrNotEmpty
			}
			s.drop(box)
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("delete mailbox %q: %w", box, err)
	}
	return nil
}

func (s *Store) drop(box mail.Box) {
	delete(s.boxes, s.fold(box))
	delete(s.seen, s.fold(box))
}

// RenameBox implements store.Store. Keys, epochs and marks stay as they are.
func (s *Store) RenameBox(ctx context.Context, from, to mail.Box) error {
	err := s.begin(ctx)
	if err == nil {
		err = s.effect(ctx, Effect{Method: RenameBox, Box: from, To: to}, func(*Effect) error {
			if _, err := s.box(from); err != nil {
				return err
			}
			return s.rename(from, to)
		})
	}
	if err != nil {
		return fmt.Errorf("rename mailbox %q to %q: %w", from, to, err)
	}
	return nil
}

// rename moves a mailbox and what is below it, all or nothing.
func (s *Store) rename(from, to mail.Box) error {
	switch {
	case to == "":
		return errNoName
	case from == mail.Inbox || to == mail.Inbox:
		return errInbox
	case strings.HasPrefix(string(to), string(from)+"/"):
		return errInside
	}
	moved := map[mail.Box]mail.Box{}
	for _, b := range s.boxes {
		rest, ok := strings.CutPrefix(string(s.fold(b.name)), string(s.fold(from)))
		if ok && (rest == "" || rest[0] == '/') {
			moved[b.name] = to + b.name[len(b.name)-len(rest):]
		}
	}
	for _, name := range moved {
		if b := s.boxes[s.fold(name)]; b != nil {
			if _, ok := moved[b.name]; !ok {
				return errExists
			}
		}
	}
	taken := map[mail.Box]*mailbox{}
	for old, name := range moved {
		taken[name] = s.boxes[s.fold(old)]
		s.drop(old)
	}
	for name, b := range taken {
		b.name = name
		s.boxes[s.fold(name)] = b
	}
	return nil
}
