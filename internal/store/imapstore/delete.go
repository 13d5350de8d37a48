package imapstore

import (
	"context"
	"fmt"
	"strings"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
)

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, box mail.Box, entries []mail.Entry) (left []mail.Key, err error) {
	if len(entries) == 0 {
		return nil, nil
	}
	to, err := s.deleteTo(ctx)
	if err != nil {
		return nil, fmt.Errorf("delete messages of %q: %w", box, err)
	}
	err = s.removing(ctx, box, entries, func(c *conn) (err error) {
		keys := make([]mail.Key, len(entries))
		for i := range entries {
			keys[i] = entries[i].Key
		}
		set := setOf(keys)
		var kept imap.NumSet
		switch trash := to != "" && to != box; {
		case trash && (c.has("MOVE") || c.has("UIDPLUS")):
			err = s.toTrash(ctx, c, set, to)
		case trash: // what cannot be removed from here would be copied there in each run
			kept, _, err = mark(ctx, c, set)
		default:
			kept, err = s.expunge(ctx, c, set)
		}
		for uid := range kept.All() {
			left = append(left, mail.UIDKey(uid))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("delete messages of %q: %w", box, err)
	}
	return left, nil
}

// deleteTo returns where deleted messages go, "" for nowhere. A role is looked up in the server's list (RFC 6154); without one
// there it is the mailbox that is called so, which may have to be made.
func (s *Store) deleteTo(ctx context.Context) (mail.Box, error) {
	role := string(s.cfg.DeleteTo)
	if !strings.HasPrefix(role, `\`) {
		return s.cfg.DeleteTo, nil
	}
	s.mu.Lock()
	listed := s.special != nil
	s.mu.Unlock()
	if !listed {
		if _, err := s.Boxes(ctx); err != nil {
			return "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if box, ok := s.special[role]; ok {
		return box, nil
	}
	to := mail.Box(role[1:])
	for box := range s.names {
		if strings.EqualFold(string(box), string(to)) && (s.names[to] == "" || box == to) {
			return box, nil
		}
	}
	return to, nil
}

// toTrash moves messages to where deleted ones go.
func (s *Store) toTrash(ctx context.Context, c *conn, set imap.NumSet, to mail.Box) error {
	name, err := s.nameOf(to)
	if err != nil {
		return err
	}
	for _, part := range set.Split(maxSet) {
		_, err := s.transfer(ctx, c, part, name, false)
		if e := refusal(err); e != nil && e.Code == "TRYCREATE" {
			if _, err = c.client.Create(name, "").Wait(ctx); err == nil {
				_, err = s.transfer(ctx, c, part, name, false)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// expunge removes messages for good, and returns those that could only be marked (rule 11).
func (s *Store) expunge(ctx context.Context, c *conn, set imap.NumSet) (left imap.NumSet, err error) {
	if !c.has("UIDPLUS") {
		left, others, err := mark(ctx, c, set)
		if err != nil || s.cfg.Expunge != ExpungePlain || others || left.Empty() {
			return left, err // somebody else's would go too
		}
		_, err = c.client.Expunge().Wait(ctx)
		return imap.NumSet{}, err
	}
	var marks []*imap.Call[imap.StoreResult]
	var calls []*imap.Call[imap.Expunged]
	for _, part := range set.Split(maxSet) {
		marks = append(marks, setDeleted(c, part))
		calls = append(calls, c.client.UIDExpunge(part))
	}
	err = waitAll(ctx, marks)
	for _, call := range calls {
		is, werr := call.Wait(ctx)
		left.AddSet(is.Left)
		if err == nil {
			err = werr
		}
	}
	if err != nil || left.Empty() {
		return left, err
	}
	return s.insist(ctx, c, left)
}

// insist expunges what the server did not tell to be gone. A server that works on all commands of a flight with one view of the
// mailbox does not see the mark that was set before, if somebody else changed the mailbox meanwhile (Dovecot); UID EXPUNGE says
// OK all the same. So each command waits for the one before.
func (s *Store) insist(ctx context.Context, c *conn, set imap.NumSet) (left imap.NumSet, err error) {
	for try := range 2 {
		if left, err = there(ctx, c, set); err != nil || left.Empty() || try > 0 {
			return left, err
		}
		for _, part := range left.Split(maxSet) {
			if _, err := setDeleted(c, part).Wait(ctx); err != nil {
				return left, err
			}
			if _, err := c.client.UIDExpunge(part).Wait(ctx); err != nil {
				return left, err
			}
		}
	}
	return left, nil
}

// there returns which of the messages are in the mailbox.
func there(ctx context.Context, c *conn, set imap.NumSet) (found imap.NumSet, err error) {
	var calls []*imap.Call[imap.SearchResult]
	for _, part := range set.Split(maxSet) {
		calls = append(calls, c.client.UIDSearch("UID "+part.String(), imap.SearchOptions{}))
	}
	for _, call := range calls {
		is, err := call.Wait(ctx)
		if err != nil {
			return found, err
		}
		found.AddSet(is.All)
	}
	return both(set, found), nil
}

func setDeleted(c *conn, set imap.NumSet) *imap.Call[imap.StoreResult] {
	return c.client.UIDStore(set, imap.StoreOptions{Mode: imap.Add, Flags: []string{`\Deleted`}, Silent: true})
}

// mark sets \Deleted. It returns which of the messages are there, and whether others have the flag too.
func mark(ctx context.Context, c *conn, set imap.NumSet) (there imap.NumSet, others bool, err error) {
	var calls []*imap.Call[imap.StoreResult]
	for _, part := range set.Split(maxSet) {
		calls = append(calls, setDeleted(c, part))
	}
	if err := waitAll(ctx, calls); err != nil {
		return there, false, err
	}
	marked, err := c.client.UIDSearch("DELETED", imap.SearchOptions{}).Wait(ctx)
	there = both(set, marked.All)
	return there, !without(marked.All, set).Empty(), err
}

// both returns what is in both sets, in time proportional to their ranges: a server may name four billion messages.
func both(a, b imap.NumSet) imap.NumSet { return without(a, without(a, b)) }
