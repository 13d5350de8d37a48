package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

var _ store.Securer = (*Store)(nil)

// risk notes what was under a key before a user changed it in a Maildir: until that is secured, a power cut brings it
// back. was is nil if nothing was there.
func (s *Store) risk(b *mailbox, k mail.Key, was *message) {
	r := mail.Ref{Box: s.fold(b.name), Key: k}
	if _, noted := s.unsafe[r]; noted || s.opts.Kind == IMAP {
		return
	}
	if was != nil {
		m := *was
		was = &m
	}
	s.unsafe[r] = was
}

// durable notes an effect of the store under a key. It makes the name durable, but not what a user wrote.
func (s *Store) durable(b *mailbox, k mail.Key) {
	if r := (mail.Ref{Box: s.fold(b.name), Key: k}); s.unsafe[r] != nil {
		delete(s.unsafe, r)
	}
}

// Secure implements store.Securer. An IMAP account is always secure.
func (s *Store) Secure(ctx context.Context, box mail.Box, keys []mail.Key) error {
	err := s.begin(ctx)
	if err == nil {
		err = s.effect(ctx, Effect{Method: Secure, Box: box}, func(*Effect) error {
			for _, k := range keys {
				delete(s.unsafe, mail.Ref{Box: s.fold(box), Key: k})
			}
			b := s.boxes[s.fold(box)]
			for r := range s.unsafe { // names that are gone
				if r.Box == s.fold(box) && b != nil && b.msgs[r.Key] == nil {
					delete(s.unsafe, r)
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("secure messages of %q: %w", box, err)
	}
	return nil
}

// PowerCut undoes all that users did to the messages of a Maildir and no one secured: deliveries are lost, old flags and
// content are back, and what was removed or moved is where it was. It ends the session.
func (s *Store) PowerCut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
	refs := make([]mail.Ref, 0, len(s.unsafe))
	for r := range s.unsafe {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, func(a, b mail.Ref) int { return cmp.Or(cmp.Compare(a.Box, b.Box), cmp.Compare(a.Key, b.Key)) })
	for _, r := range refs {
		if b := s.boxes[r.Box]; b != nil {
			if m := b.msgs[r.Key]; m != nil {
				s.remove(b, m)
			}
			if was := s.unsafe[r]; was != nil {
				s.insert(b, *was, r.Key)
			}
		}
	}
	clear(s.unsafe)
}

// Stamps implements store.Stamper; in a Maildir, the content under a key can change.
func (s *Store) Stamps(ctx context.Context, box mail.Box, fn func(mail.Key, uint64, int64) error) error {
	if err := s.begin(ctx); err != nil {
		return fmt.Errorf("stamp messages of %q: %w", box, err)
	}
	s.mu.Lock()
	b, err := s.box(box)
	var list []message
	if err == nil {
		for _, m := range b.sorted() {
			list = append(list, *m)
		}
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("stamp messages of %q: %w", box, err)
	}
	for i := range list {
		if err := fn(list[i].key, list[i].stamp, 0); err != nil {
			return err
		}
	}
	return nil
}
