package imapstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Settle implements store.Store. It looks at all messages at or above the UIDNEXT of the tokens (rule 6). What is not found
// may still be under way in the server, so it looks again until two looks agree.
func (s *Store) Settle(ctx context.Context, intents []mail.Intent, taken func(mail.Ref) bool) ([]mail.Done, error) {
	done := make([]mail.Done, len(intents))
	groups := map[mail.Box][]int{}
	for i := range intents {
		groups[intents[i].Box] = append(groups[intents[i].Box], i)
	}
	last := -1
	for look := 0; len(groups) > 0 && look < maxLooks; look++ {
		seen := 0
		for box, group := range groups {
			n, open, err := s.settleIn(ctx, box, intents, group, done, taken)
			if err != nil {
				return nil, fmt.Errorf("settle effects in %q: %w", box, err)
			}
			seen += n
			if len(open) == 0 {
				delete(groups, box)
			}
		}
		if seen == last || len(groups) == 0 {
			break
		}
		last = seen
		if err := pause(ctx, s.cfg.Wait); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// maxLooks bounds the looks at mailboxes in which more arrives all the time.
const maxLooks = 10

// settleIn settles the intents of one mailbox; it returns how many messages it looked at, and the intents that are open.
func (s *Store) settleIn(ctx context.Context, box mail.Box, intents []mail.Intent, group []int, done []mail.Done, taken func(mail.Ref) bool) (seen int, open []int, err error) {
	err = s.read(ctx, box, func(c *conn) error {
		seen, open = 0, nil
		if err := s.enter(ctx, c, box, imap.SelectOptions{}); err != nil {
			return err
		}
		low := uint32(0)
		for _, i := range group {
			validity, next, ok := parseToken(intents[i].Token)
			if ok && validity == c.sel.UIDValidity { // else void
				open = append(open, i)
				if low == 0 || next < low {
					low = next
				}
			}
		}
		if len(open) == 0 || low >= c.sel.UIDNext && c.sel.UIDNext != 0 {
			return nil
		}
		l := &looker{c: c, box: box, taken: taken, holds: mail.AnyFlags}
		if st, ok := s.holds(box); ok {
			l.holds = st
		}
		if err := l.look(ctx, low); err != nil {
			return err
		}
		seen = len(l.found)
		open, err = l.match(ctx, intents, open, done)
		return err
	})
	if errors.Is(err, store.ErrGone) {
		return 0, nil, nil
	}
	return seen, open, err
}

// looker knows the messages of a mailbox that may be what effects made.
type looker struct {
	c     *conn
	box   mail.Box
	taken func(mail.Ref) bool
	holds mail.Storable
	found []*candidate
}

type candidate struct {
	uid   uint32
	ident mail.Ident
	used  bool
}

func (l *looker) look(ctx context.Context, low uint32) error {
	err := fetchAll(ctx, l.c, imap.NumRange(low, maxUID), idItems(false), func(m *imap.Message) error {
		if m.UID < low { // "n:*" always has the last message
			return nil
		}
		id, err := identOf(m)
		if err == nil && (l.taken == nil || !l.taken(mail.Ref{Box: l.box, Key: mail.UIDKey(m.UID)})) {
			l.found = append(l.found, &candidate{uid: m.UID, ident: id})
		}
		return err
	})
	slices.SortFunc(l.found, func(a, b *candidate) int { return int(a.uid) - int(b.uid) })
	return err
}

// match gives intents their messages and returns those that have none.
func (l *looker) match(ctx context.Context, intents []mail.Intent, group []int, done []mail.Done) (open []int, err error) {
	if err := l.digest(ctx, intents, group); err != nil {
		return nil, err
	}
	given := map[mail.Key]bool{} // by earlier looks
	for i := range done {
		if intents[i].Box == l.box {
			given[done[i].Key] = true
		}
	}
	for _, c := range l.found {
		c.used = given[mail.UIDKey(c.uid)]
	}
	for _, i := range group {
		if done[i].Key != "" {
			continue
		}
		_, next, _ := parseToken(intents[i].Token)
		at := slices.IndexFunc(l.found, func(c *candidate) bool {
			return !c.used && c.uid >= next && matches(intents[i].Entry.Ident, c.ident)
		})
		if at < 0 {
			open = append(open, i)
			continue
		}
		l.found[at].used = true
		_, lacks := flagNames(l.holds, intents[i].Entry.Flags)
		done[i] = mail.Done{Box: l.box, Key: mail.UIDKey(l.found[at].uid), Lacks: lacks}
	}
	return open, nil
}

// matches reports whether a message is the one that was to be made. A size alone proves nothing.
func matches(want, is mail.Ident) bool {
	if !want.Digest.IsZero() && !is.Digest.IsZero() {
		return want.Digest == is.Digest
	}
	return !want.MessageID.IsZero() && want.MessageID == is.MessageID && (want.Size == 0 || want.Size == is.Size)
}

// digest reads those candidates of which Message-ID and size do not say enough: there are several, or none has a Message-ID.
func (l *looker) digest(ctx context.Context, intents []mail.Intent, group []int) error {
	type evidence struct {
		id   mail.Hash
		size int64
	}
	wanted, wantedIDs := map[evidence]int{}, map[mail.Hash]bool{}
	for _, i := range group {
		id := intents[i].Entry.Ident
		if !id.Digest.IsZero() {
			wanted[evidence{id.MessageID, id.Size}]++
			wantedIDs[id.MessageID] = true
		}
	}
	have := map[evidence]int{}
	for _, c := range l.found {
		have[evidence{c.ident.MessageID, c.ident.Size}]++
	}
	byUID := map[uint32]*candidate{}
	var set imap.NumSet
	for _, c := range l.found {
		e := evidence{c.ident.MessageID, c.ident.Size}
		clear := !e.id.IsZero() && wanted[e] == 1 && have[e] == 1
		if wantedIDs[e.id] && !clear && c.ident.Digest.IsZero() {
			byUID[c.uid] = c
			set.Add(c.uid)
		}
	}
	return fetchAll(ctx, l.c, set, idItems(true), func(m *imap.Message) error {
		id, err := identOf(m)
		if c := byUID[m.UID]; err == nil && c != nil && m.HasBody {
			c.ident = id
		}
		return err
	})
}
