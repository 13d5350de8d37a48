package memstore

import (
	"maps"
	"slices"

	"mailtwin/internal/mail"
)

// Snapshot is the whole state of a store at one time: a backup. It never changes.
type Snapshot struct {
	root  string
	run   int64
	boxes map[mail.Box]*mailbox
	attic []Message
}

// Snapshot copies the state of the store.
func (s *Store) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Snapshot{root: s.root, run: s.run, boxes: clone(s.boxes), attic: slices.Clone(s.attic)}
}

// Restore brings back what a snapshot holds: messages with their keys, mailboxes with their epochs, and the marker. What
// came since is gone. Numbers that the store gives out go on from where they are, so that no UID, name, stamp or mark
// comes twice; marks of before are void where something changed since the snapshot. For a restore that turns UIDNEXT
// back, call NewEpoch too: that is how stores show it. The open session stays open.
func (s *Store) Restore(from Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.boxes
	clear(s.unsafe)
	s.root, s.run, s.boxes, s.attic = from.root, from.run, clone(from.boxes), slices.Clone(from.attic)
	byEpoch := make(map[uint32]*mailbox, len(now))
	for _, b := range now {
		byEpoch[b.validity] = b
	}
	for _, b := range s.boxes {
		was := byEpoch[b.validity]
		if was != nil {
			b.next = max(b.next, was.next)
		}
		if was == nil || was.modseq != b.modseq {
			s.seq++
			b.modseq, b.floor, b.log = s.seq, s.seq, nil
		}
	}
}

// Clone returns another store in the same state, without hooks and session: the same calls then do the same to both.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Store{
		opts: s.opts, salt: s.salt, root: s.root, run: s.run, boxes: clone(s.boxes), seen: map[mail.Box]string{},
		seq: s.seq, epochs: s.epochs, names: s.names, ids: s.ids, attic: slices.Clone(s.attic),
		unsafe: maps.Clone(s.unsafe),
	}
}

func clone(boxes map[mail.Box]*mailbox) map[mail.Box]*mailbox {
	boxes = maps.Clone(boxes)
	for fold, b := range boxes {
		c := *b
		order := b.sorted()
		msgs := make([]message, len(order))
		c.order = make([]*message, len(order))
		c.msgs = make(map[mail.Key]*message, len(order))
		for i, m := range order {
			msgs[i] = *m
			c.order[i], c.msgs[m.key] = &msgs[i], &msgs[i]
		}
		c.log = slices.Clip(c.log) // both sides only append
		boxes[fold] = &c
	}
	return boxes
}
