package memstore

import (
	"strings"

	"mailtwin/internal/mail"
)

func compare(a, b mail.Key) int { return strings.Compare(string(a), string(b)) }

// The methods of this file are what a user, or another program, does to the mail. They need no session, call no hook and
// ignore what is not there.

// Deliver adds a message in wire form and returns its key. The mailbox is made if it is missing; date is in seconds
// since 1970. The store keeps data, which must not be changed afterwards.
func (s *Store) Deliver(box mail.Box, flags mail.Flags, data []byte, date int64) mail.Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	flags = flags.Minus(s.opts.Storable.Lacks(flags))
	b := s.add(box)
	k := s.insert(b, message{flags: flags, date: date, body: &body{data: data}}, "").key
	s.risk(b, k, nil)
	return k
}

// with calls fn for a message that is there and may change, under the lock.
func (s *Store) with(box mail.Box, k mail.Key, fn func(b *mailbox, m *message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.boxes[s.fold(box)]; b != nil && b.msgs[k] != nil {
		s.risk(b, k, b.msgs[k])
		fn(b, b.msgs[k])
	}
}

// SetFlagsUser adds and removes flags of a message.
func (s *Store) SetFlagsUser(box mail.Box, k mail.Key, add, del mail.Flags) {
	add = add.Minus(s.opts.Storable.Lacks(add))
	s.with(box, k, func(b *mailbox, _ *message) {
		s.setFlags(b, k, func(f mail.Flags) mail.Flags { return f.Minus(del).Union(add) })
	})
}

// DeleteUser removes a message for good.
func (s *Store) DeleteUser(box mail.Box, k mail.Key) {
	s.with(box, k, s.remove)
}

// carry is transfer by a user.
func (s *Store) carry(src *mailbox, m *message, dst *mailbox, want mail.Key, take bool) mail.Key {
	k := s.transfer(src, m, dst, want, take).key
	s.risk(dst, k, nil)
	return k
}

// MoveUser moves a message and returns its new key: the next UID, or in a Maildir the same name unless it is in use
// there or the store has FreshNames. The mailbox to is made if it is missing.
func (s *Store) MoveUser(box mail.Box, k mail.Key, to mail.Box) (moved mail.Key) {
	s.with(box, k, func(b *mailbox, m *message) {
		want := k
		if s.opts.FreshNames {
			want = ""
		}
		moved = s.carry(b, m, s.add(to), want, true)
	})
	return moved
}

// CopyUser copies a message and returns the key of the copy. The mailbox to is made if it is missing.
func (s *Store) CopyUser(box mail.Box, k mail.Key, to mail.Box) (copied mail.Key) {
	s.with(box, k, func(b *mailbox, m *message) {
		copied = s.carry(b, m, s.add(to), "", false)
	})
	return copied
}

// CopyUserAs is CopyUser with a name that the copy gets in a Maildir, as programs give that copy whole folders.
func (s *Store) CopyUserAs(box mail.Box, k mail.Key, to mail.Box, want mail.Key) (copied mail.Key) {
	s.with(box, k, func(b *mailbox, m *message) {
		copied = s.carry(b, m, s.add(to), want, false)
	})
	return copied
}

// Rekey gives a message another key in its mailbox: another name, as some mail readers do with each change of flags, or
// another UID, as programs do that replace a message by itself.
func (s *Store) Rekey(box mail.Box, k mail.Key) (fresh mail.Key) {
	s.with(box, k, func(b *mailbox, m *message) {
		fresh = s.carry(b, m, b, "", true)
	})
	return fresh
}

// Edit replaces the content of a message and returns its key: the same with another stamp in a Maildir, else the new UID
// of a message with the same flags and date, since IMAP knows no other way (RFC 9051 section 2.3.1.1).
func (s *Store) Edit(box mail.Box, k mail.Key, data []byte) (edited mail.Key) {
	s.with(box, k, func(b *mailbox, m *message) {
		if s.opts.Kind == IMAP {
			n := *m
			n.body, n.stable = &body{data: data}, ""
			s.remove(b, m)
			edited = s.insert(b, n, "").key
			return
		}
		s.ids++
		m.body, m.stamp, edited = &body{data: data}, s.ids, k
		if !s.opts.QuietEdits {
			s.touch(b, k)
		}
	})
	return edited
}

// CreateUser makes a mailbox, unless there is one, and gives it a role, unless that is "".
func (s *Store) CreateUser(box mail.Box, role string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.add(box); role != "" {
		b.role = role
	}
}

// RemoveBox removes a mailbox with all that is in it. INBOX cannot be removed from an IMAP account.
func (s *Store) RemoveBox(box mail.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Kind == Maildir || box != mail.Inbox {
		delete(s.boxes, s.fold(box))
	}
}

// RenameUser renames a mailbox and what is below it, and reports whether that was possible.
func (s *Store) RenameUser(from, to mail.Box) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.boxes[s.fold(from)] != nil && s.rename(from, to) == nil
}

// NewEpoch renumbers a mailbox: a new UIDVALIDITY and UIDs from 1 on. In a Maildir, which has no epochs of mailboxes,
// all files get other names.
func (s *Store) NewEpoch(box mail.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.boxes[s.fold(box)]
	if b == nil {
		return
	}
	old := b.sorted()
	s.epochs++
	s.seq++
	b.validity, b.next, b.floor, b.log = s.epochs, 1, s.seq, nil
	b.msgs, b.order, b.messy = make(map[mail.Key]*message, len(old)), nil, false
	b.modseq = s.seq
	for _, m := range old {
		s.insert(b, *m, "")
	}
}

// SameEpoch gives a mailbox the UIDVALIDITY of another one, as servers do that take the time for it.
func (s *Store) SameEpoch(box, as mail.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, like := s.boxes[s.fold(box)], s.boxes[s.fold(as)]; b != nil && like != nil {
		b.validity = like.validity
	}
}

// SetMarker writes the marker of a Maildir, as another account or an old backup would; id "" removes it.
func (s *Store) SetMarker(id string, run int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Kind == Maildir {
		s.root, s.run = id, run
	}
}

// SetReadOnly makes a mailbox read-only, or writable again.
func (s *Store) SetReadOnly(box mail.Box, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.boxes[s.fold(box)]; b != nil {
		b.readOnly = on
	}
}

// Spoil makes a mailbox fail with err wherever it is used, and the list say so, until it is spoiled with nil.
func (s *Store) Spoil(box mail.Box, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.boxes[s.fold(box)]; b != nil {
		b.err = err
	}
}

// HasBox reports whether there is such a mailbox.
func (s *Store) HasBox(box mail.Box) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.boxes[s.fold(box)] != nil
}
