package imapstore

import (
	"context"
	"fmt"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// SetFlags implements store.Store.
func (s *Store) SetFlags(ctx context.Context, box mail.Box, keys []mail.Key, add, del mail.Flags) (lacks mail.Flags, err error) {
	err = s.change(ctx, box, func(c *conn) error {
		holds := storable(c.sel.PermanentFlags)
		var names []string
		names, lacks = flagNames(holds, add)
		gone, _ := flagNames(holds, del)
		var calls []*imap.Call[imap.StoreResult]
		for _, set := range setOf(keys).Split(maxSet) {
			if len(names) > 0 {
				calls = append(calls, c.client.UIDStore(set, imap.StoreOptions{Mode: imap.Add, Flags: names, Silent: true}))
			}
			if len(gone) > 0 {
				calls = append(calls, c.client.UIDStore(set, imap.StoreOptions{Mode: imap.Remove, Flags: gone, Silent: true}))
			}
		}
		return waitAll(ctx, calls)
	})
	if err != nil {
		return mail.Flags{}, fmt.Errorf("set flags in %q: %w", box, err)
	}
	return lacks, nil
}

// waitAll waits for all calls and returns the first error.
func waitAll[T any](ctx context.Context, calls []*imap.Call[T]) (first error) {
	for _, call := range calls {
		if _, err := call.Wait(ctx); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, box mail.Box, entries []mail.Entry) (left []mail.Key, err error) {
	if len(entries) == 0 {
		return nil, nil
	}
	err = s.change(ctx, box, func(c *conn) (err error) {
		if err := s.sample(ctx, c, entries); err != nil {
			return err
		}
		keys := make([]mail.Key, len(entries))
		for i := range entries {
			keys[i] = entries[i].Key
		}
		set := setOf(keys)
		gone := true
		switch trash := s.cfg.DeleteTo != "" && s.cfg.DeleteTo != box; {
		case trash && (c.has("MOVE") || c.has("UIDPLUS")):
			err = s.toTrash(ctx, c, set)
		case trash: // what cannot be removed from here would be copied there in each run
			gone, err = false, mark(ctx, c, set)
		default:
			gone, err = s.expunge(ctx, c, set)
		}
		if err == nil && !gone {
			left = keys
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("delete messages of %q: %w", box, err)
	}
	return left, nil
}

// toTrash moves messages to where deleted ones go.
func (s *Store) toTrash(ctx context.Context, c *conn, set imap.NumSet) error {
	name, err := s.nameOf(s.cfg.DeleteTo)
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

// transfer moves messages to a mailbox, or copies them if keep: MOVE (RFC 6851), else COPY and the removal of what was copied.
func (s *Store) transfer(ctx context.Context, c *conn, set imap.NumSet, name string, keep bool) (imap.CopyResult, error) {
	if !keep && c.has("MOVE") {
		return c.client.UIDMove(set, name).Wait(ctx)
	}
	res, err := c.client.UIDCopy(set, name).Wait(ctx)
	if err != nil || keep {
		return res, err
	}
	if res.Has { // then only what it names was copied
		var copied imap.NumSet
		for _, uid := range res.Src {
			if set.Contains(uid) {
				copied.Add(uid)
			}
		}
		set = copied
	}
	_, err = s.expunge(ctx, c, set)
	return res, err
}

// mark sets \Deleted.
func mark(ctx context.Context, c *conn, set imap.NumSet) error {
	var calls []*imap.Call[imap.StoreResult]
	for _, part := range set.Split(maxSet) {
		calls = append(calls, c.client.UIDStore(part, imap.StoreOptions{Mode: imap.Add, Flags: []string{`\Deleted`}, Silent: true}))
	}
	return waitAll(ctx, calls)
}

// expunge removes messages for good; false if they could only be marked (rule 11).
func (s *Store) expunge(ctx context.Context, c *conn, set imap.NumSet) (gone bool, err error) {
	parts := set.Split(maxSet)
	var marks []*imap.Call[imap.StoreResult]
	var calls []*imap.Call[imap.Status]
	for _, part := range parts {
		marks = append(marks, c.client.UIDStore(part, imap.StoreOptions{Mode: imap.Add, Flags: []string{`\Deleted`}, Silent: true}))
		if c.has("UIDPLUS") {
			calls = append(calls, c.client.UIDExpunge(part))
		}
	}
	err = waitAll(ctx, marks)
	if xerr := waitAll(ctx, calls); err == nil {
		err = xerr
	}
	if err != nil || c.has("UIDPLUS") {
		return err == nil, err
	}
	if s.cfg.Expunge != ExpungePlain {
		return false, nil
	}
	if ours, err := onlyMarked(ctx, c, set); err != nil || !ours {
		return false, err // somebody else's would go too
	}
	_, err = c.client.Expunge().Wait(ctx)
	return err == nil, err
}

// onlyMarked reports whether no other message is marked as deleted.
func onlyMarked(ctx context.Context, c *conn, set imap.NumSet) (bool, error) {
	marked, err := c.client.UIDSearch("DELETED", imap.SearchOptions{}).Wait(ctx)
	if err != nil {
		return false, err
	}
	for uid := range marked.All.All() {
		if !set.Contains(uid) {
			return false, nil
		}
	}
	return true, nil
}

// sample compares the first and the highest message with what is known of them, before anything is removed (rule 9): a server that
// was restored may show other messages under the same UIDs.
func (s *Store) sample(ctx context.Context, c *conn, entries []mail.Entry) error {
	known := map[uint32]mail.Ident{}
	highest := entries[0]
	for _, e := range entries {
		if e.Key > highest.Key {
			highest = e
		}
	}
	var set imap.NumSet
	for _, e := range []mail.Entry{entries[0], highest} {
		if uid, ok := e.Key.UID(); ok && e.Ident != (mail.Ident{}) {
			known[uid] = e.Ident
			set.Add(uid)
		}
	}
	if set.Empty() {
		return nil
	}
	var doubt imap.NumSet
	err := fetchAll(ctx, c, set, idItems(false), func(m *imap.Message) error {
		is, err := identOf(m)
		if want := known[m.UID]; err == nil && !surely(want, is) {
			doubt.Add(m.UID)
		}
		return err
	})
	if err != nil || doubt.Empty() {
		return err
	}
	return fetchAll(ctx, c, doubt, idItems(true), func(m *imap.Message) error {
		is, err := identOf(m)
		if want := known[m.UID]; err == nil && (want.Digest.IsZero() || want.Digest != is.Digest) {
			err = fmt.Errorf("%w: message %d is another one than was synced", store.ErrEpoch, m.UID)
		}
		return err
	})
}

// surely reports whether a message is the known one without reading it.
func surely(want, is mail.Ident) bool {
	switch {
	case want.Stable != "" && is.Stable != "" && want.Stable == is.Stable:
		return true
	case want.Size != 0 && want.Size != is.Size:
		return false
	case !want.MessageID.IsZero() || !is.MessageID.IsZero():
		return want.MessageID == is.MessageID
	}
	return want.Date == is.Date
}

// Move implements store.Store: MOVE (RFC 6851), else COPY and expunge.
func (s *Store) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	done := make([]mail.Done, len(intents))
	err := s.change(ctx, from, func(c *conn) error {
		groups := map[mail.Box][]int{}
		var order []mail.Box
		var entries []mail.Entry
		for i := range intents {
			in := &intents[i]
			if len(groups[in.Box]) == 0 {
				order = append(order, in.Box)
			}
			groups[in.Box] = append(groups[in.Box], i)
			entries = append(entries, mail.Entry{Key: in.From.Key, Ident: in.Entry.Ident})
		}
		if len(entries) == 0 {
			return nil
		}
		if !keep {
			if err := s.sample(ctx, c, entries); err != nil {
				return err
			}
		}
		for _, to := range order {
			if err := s.moveTo(ctx, c, to, intents, groups[to], keep, done); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("move messages from %q: %w", from, err)
	}
	return done, nil
}

// moveTo moves messages to one mailbox.
func (s *Store) moveTo(ctx context.Context, c *conn, to mail.Box, intents []mail.Intent, group []int, keep bool, done []mail.Done) error {
	name, err := s.nameOf(to)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrGone, err)
	}
	byUID := make(map[uint32]int, len(group))
	var set imap.NumSet
	for _, i := range group {
		if uid, ok := intents[i].From.Key.UID(); ok {
			byUID[uid] = i
			set.Add(uid)
		}
	}
	if !keep && !c.has("MOVE") && !c.has("UIDPLUS") {
		if can, err := s.canExpunge(ctx, c, set); err != nil || !can {
			for _, i := range group {
				done[i].Err = errNoMove
			}
			return err
		}
	}
	for _, part := range set.Split(maxSet) {
		res, err := s.transfer(ctx, c, part, name, keep)
		if e := refusal(err); e != nil && (e.Code == "TRYCREATE" || e.Code == "NONEXISTENT") {
			return fmt.Errorf("%w: %w", store.ErrGone, err)
		}
		if err != nil {
			return err
		}
		believe(res, part, intents, byUID, done)
	}
	return nil
}

// errNoMove keeps a message where it is: with the source only marked there would be two.
var errNoMove = fmt.Errorf("%w: the server can neither move nor remove single messages", store.ErrRefused)

// canExpunge reports whether plain EXPUNGE may remove messages, before they are copied elsewhere.
func (s *Store) canExpunge(ctx context.Context, c *conn, set imap.NumSet) (bool, error) {
	if s.cfg.Expunge != ExpungePlain {
		return false, nil
	}
	return onlyMarked(ctx, c, set)
}

// believe takes the UIDs of COPYUID, if they can be believed (rule 7).
func believe(res imap.CopyResult, part imap.NumSet, intents []mail.Intent, byUID map[uint32]int, done []mail.Done) {
	if !res.Has || len(res.Src) != len(res.Dst) ||
		imap.NumSetOf(res.Src...).Len() != len(res.Src) || imap.NumSetOf(res.Dst...).Len() != len(res.Dst) {
		return
	}
	for k, src := range res.Src {
		i, ok := byUID[src]
		if !ok || !part.Contains(src) {
			continue
		}
		if validity, next, ok := parseToken(intents[i].Token); ok && validity == res.UIDValidity && res.Dst[k] >= next {
			done[i].Key = mail.UIDKey(res.Dst[k])
		}
	}
}
