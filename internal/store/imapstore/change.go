package imapstore

import (
	"context"
	"fmt"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// SetFlags implements store.Store.
func (s *Store) SetFlags(ctx context.Context, box mail.Box, keys []mail.Key, add, del mail.Flags) (did store.Changed, err error) {
	err = s.change(ctx, box, highest(keys), func(c *conn) error {
		holds := storable(c.sel.PermanentFlags)
		var names []string
		names, did.Lacks = flagNames(holds, add)
		gone, _ := flagNames(holds, del)
		var calls []*imap.Call[imap.StoreResult]
		all := setOf(keys)
		for _, set := range all.Split(maxSet) {
			if len(names) > 0 {
				calls = append(calls, c.client.UIDStore(set, imap.StoreOptions{Mode: imap.Add, Flags: names, Silent: true}))
			}
			if len(gone) > 0 {
				calls = append(calls, c.client.UIDStore(set, imap.StoreOptions{Mode: imap.Remove, Flags: gone, Silent: true}))
			}
		}
		if err := waitAll(ctx, calls); err != nil || len(calls) == 0 {
			return err
		}
		for _, call := range calls {
			if res, _ := call.Result(); res.Status.Code == "MESSAGELIMIT" { // RFC 9738
				return fmt.Errorf("the server changed only a part of %d messages: %s", all.Len(), res.Status.Text)
			}
		}
		did.Missing, err = s.missing(ctx, c, all, calls)
		return err
	})
	if err != nil {
		return store.Changed{}, fmt.Errorf("set flags in %q: %w", box, err)
	}
	return did, nil
}

// missing returns the messages of a set that are not there any more, after their flags were stored. A server that keeps MODSEQ tells of each
// message that it changes, even if silent (RFC 7162 section 3.1.3); one of which it tells nothing had these flags, or is not there:
// that is asked, unless the server was seen to change messages without a word.
func (s *Store) missing(ctx context.Context, c *conn, set imap.NumSet, calls []*imap.Call[imap.StoreResult]) ([]mail.Key, error) {
	if !c.condstor || c.sel.HighestModSeq == 0 {
		return nil, nil
	}
	var told, there imap.NumSet
	for _, call := range calls {
		res, _ := call.Result()
		for _, m := range res.Messages {
			told.Add(m.UID)
		}
	}
	if told.Empty() && s.silent.Load() {
		return nil, nil
	}
	quiet := without(set, told)
	untold := false
	for _, part := range quiet.Split(maxSet) {
		st, err := c.client.UIDFetch(part, imap.FetchItems{ModSeq: true}, imap.FetchOptions{}, func(m *imap.Message) error {
			there.Add(m.UID)
			untold = untold || m.ModSeq > c.sel.HighestModSeq // it changed since the mailbox was opened
			return nil
		}).Wait(ctx)
		if refusal(err) != nil || st.Code == "MESSAGELIMIT" {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
	}
	s.silent.Store(told.Empty() && untold)
	var missing []mail.Key
	for uid := range without(quiet, there).All() {
		missing = append(missing, mail.UIDKey(uid))
	}
	return missing, nil
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

// Move implements store.Store: MOVE (RFC 6851), else COPY and expunge.
func (s *Store) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	done := make([]mail.Done, len(intents))
	if len(intents) == 0 {
		return done, nil
	}
	groups := map[mail.Box][]int{}
	var order []mail.Box
	var removed []mail.Entry
	for i := range intents {
		in := &intents[i]
		if len(groups[in.Box]) == 0 {
			order = append(order, in.Box)
		}
		groups[in.Box] = append(groups[in.Box], i)
		if !keep {
			removed = append(removed, mail.Entry{Key: in.From.Key, Ident: in.Entry.Ident})
		}
	}
	err := s.removing(ctx, from, removed, func(c *conn) error {
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

// errNoMove keeps a message where it is: with the source only marked there would be two.
var errNoMove = fmt.Errorf("%w: the server can neither move nor remove single messages", store.ErrRefused)

// canExpunge reports whether plain EXPUNGE may remove messages, before they are copied elsewhere.
func (s *Store) canExpunge(ctx context.Context, c *conn, set imap.NumSet) (bool, error) {
	if s.cfg.Expunge != ExpungePlain {
		return false, nil
	}
	marked, err := c.client.UIDSearch("DELETED", imap.SearchOptions{}).Wait(ctx)
	if err != nil {
		return false, err
	}
	return without(marked.All, set).Empty(), nil
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
