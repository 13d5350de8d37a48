package memstore

import (
	"context"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
)

// Settle implements store.Store. In a Maildir the file with the prepared name tells. In an IMAP account it is a message
// that came since Prepare, belongs to no pair, and has the digest of the entry, or, if that is not known, its Message-ID
// and, if known, its size; no message serves two intents. A move whose source is still there has not happened,
// unless the store has no MOVE: then the copy was made. The source stays: its key may be of another epoch by now.
func (s *Store) Settle(ctx context.Context, intents []mail.Intent, taken func(mail.Ref) bool) ([]mail.Done, error) {
	err := s.begin(ctx)
	if err == nil {
		err = s.hook(ctx, Read{Method: Settle})
	}
	done := make([]mail.Done, len(intents))
	used := map[mail.Ref]bool{}
	for i := 0; i < len(intents) && err == nil; i++ {
		in := &intents[i]
		var m *message
		where := in.Box
		found := s.candidates(in)
		if len(found) == 0 && s.opts.Kind == Maildir {
			where, found = s.anywhere(in.Token)
		}
		for _, c := range found {
			ref := mail.Ref{Box: where, Key: c.key}
			if !used[ref] && (taken == nil || !taken(ref)) {
				m, used[ref] = &c, true
				break
			}
		}
		if m == nil {
			continue
		}
		done[i] = mail.Done{Box: where, Key: m.key, Stamp: m.stamp, Lacks: s.opts.Storable.Lacks(in.Entry.Flags)}
	}
	if err != nil {
		return nil, fmt.Errorf("settle effects: %w", err)
	}
	return done, nil
}

// candidates returns copies of the messages that may be what an intent made, in the order of keys.
func (s *Store) candidates(in *mail.Intent) []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(in.Box)
	if err != nil {
		return nil
	}
	if s.opts.Kind == Maildir {
		if m := b.msgs[mail.Key(in.Token)]; m != nil {
			return []message{*m}
		}
		return nil
	}
	epoch, next, ok := parse(in.Token)
	if !ok || epoch != s.epoch(b) || in.Kind == mail.IntentMove && !s.opts.NoMove && s.has(in.From) {
		return nil
	}
	order := b.sorted()
	from, _ := slices.BinarySearchFunc(order, next, func(m *message, k mail.Key) int { return compare(m.key, k) })
	var list []message
	for _, m := range order[from:] {
		if matches(in.Entry.Ident, m.body.id()) {
			list = append(list, *m)
		}
	}
	return list
}

// anywhere looks for a message by its name in all mailboxes.
func (s *Store) anywhere(name mail.Token) (mail.Box, []message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.boxes {
		if m := b.msgs[mail.Key(name)]; m != nil {
			return b.name, []message{*m}
		}
	}
	return "", nil
}

// has reports whether a message is there.
func (s *Store) has(r mail.Ref) bool {
	b := s.boxes[s.fold(r.Box)]
	return b != nil && b.msgs[r.Key] != nil
}

// matches reports whether a message is the one that was to be made, as far as is known of that. A size alone proves
// nothing.
func matches(want, is mail.Ident) bool {
	if !want.Digest.IsZero() {
		return want.Digest == is.Digest
	}
	return !want.MessageID.IsZero() && want.MessageID == is.MessageID && (want.Size == 0 || want.Size == is.Size)
}
