package memstore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// mailbox holds messages by key. The order of keys is restored when it is asked for, and the log tells what changed
// since a mark without looking at the rest.
type mailbox struct {
	name     mail.Box
	role     string
	id       uint32 // stays when it is renamed or renumbered
	readOnly bool
	err      error  // the mailbox cannot be synced
	validity uint32 // UIDVALIDITY
	next     uint32 // UIDNEXT
	modseq   uint64 // the last modification
	floor    uint64 // marks below it are void
	msgs     map[mail.Key]*message
	order    []*message // all of msgs, and perhaps dead ones; see sorted
	messy    bool       // order is not in order
	log      []change   // ascending
}

type change struct {
	seq uint64
	key mail.Key
}

type message struct {
	key    mail.Key
	flags  mail.Flags
	date   int64
	stamp  uint64
	stable string
	body   *body
	dead   bool
}

// body is the content of a message and of its copies; it never changes.
type body struct {
	data  []byte
	once  sync.Once
	ident mail.Ident
}

var digesters = sync.Pool{New: func() any { return mail.NewDigester() }}

// id returns the digest, canonical size and Message-ID, computed when first asked for.
func (b *body) id() mail.Ident {
	b.once.Do(func() {
		d, _ := digesters.Get().(*mail.Digester)
		d.Reset()
		_, _ = d.Write(b.data)
		b.ident = d.Ident()
		digesters.Put(d)
	})
	return b.ident
}

// fold is what a mailbox is found by.
func (s *Store) fold(name mail.Box) mail.Box {
	if s.opts.CaseInsensitive {
		return mail.Box(strings.ToLower(string(name)))
	}
	return name
}

// box finds a mailbox for an operation of this session.
func (s *Store) box(name mail.Box) (*mailbox, error) {
	fold := s.fold(name)
	b := s.boxes[fold]
	if b == nil {
		return nil, store.ErrGone
	}
	if b.err != nil {
		return nil, b.err
	}
	if seen, ok := s.seen[fold]; ok && seen != s.epoch(b) {
		return nil, store.ErrEpoch
	}
	return b, nil
}

// writable finds a mailbox for an effect.
func (s *Store) writable(name mail.Box) (*mailbox, error) {
	b, err := s.box(name)
	if err == nil && b.readOnly {
		return nil, store.ErrReadOnly
	}
	return b, err
}

// add makes a mailbox, unless there is one.
func (s *Store) add(name mail.Box) *mailbox {
	fold := s.fold(name)
	if b := s.boxes[fold]; b != nil {
		return b
	}
	s.epochs++
	s.seq++
	b := &mailbox{
		name: name, id: s.epochs, validity: s.epochs, next: 1, modseq: s.seq, floor: s.seq,
		msgs: map[mail.Key]*message{},
	}
	s.boxes[fold] = b
	return b
}

func (s *Store) epoch(b *mailbox) string {
	if s.opts.Kind == Maildir {
		return s.root
	}
	return strconv.FormatUint(uint64(b.validity), 10)
}

func (s *Store) mark(b *mailbox) mail.Mark {
	return mail.Mark(strconv.FormatUint(b.modseq, 10) + "@" + s.epoch(b))
}

// since returns the modification that a mark stands for; false if it says nothing about what is there now.
func (s *Store) since(b *mailbox, m mail.Mark) (uint64, bool) {
	seq, epoch, ok := strings.Cut(string(m), "@")
	n, err := strconv.ParseUint(seq, 10, 64)
	return n, ok && err == nil && epoch == s.epoch(b) && n >= b.floor && n <= b.modseq
}

// touch records that something changed under a key.
func (s *Store) touch(b *mailbox, k mail.Key) {
	s.seq++
	b.modseq = s.seq
	b.log = append(b.log, change{s.seq, k})
}

// name makes a name that no file of this store ever had.
func (s *Store) name() mail.Key {
	s.names++
	// An odd factor permutes the 32-bit numbers: names come in no order of arrival, and none comes twice.
	return mail.Key(fmt.Sprintf("%08x.%s", s.names*0x9e3779b1^s.salt, s.opts.Name))
}

// insert puts a message into a mailbox under the wanted key, or under a fresh one if that is "" or in use.
func (s *Store) insert(b *mailbox, m message, want mail.Key) *message {
	switch {
	case s.opts.Kind == IMAP:
		m.key = mail.UIDKey(b.next)
		b.next++
	case want == "" || b.msgs[want] != nil:
		m.key = s.name()
	default:
		m.key = want
	}
	if s.opts.Kind == Maildir && m.stamp == 0 {
		s.ids++
		m.stamp = s.ids
	}
	if m.stable == "" && s.opts.StableIDs {
		s.ids++
		m.stable = "emailid:" + strconv.FormatUint(s.ids, 10)
	}
	m.dead = false
	if n := len(b.order); n > 0 && b.order[n-1].key >= m.key {
		b.messy = true
	}
	p := &m
	b.order = append(b.order, p)
	b.msgs[m.key] = p
	s.touch(b, m.key)
	return p
}

// remove takes a message out of a mailbox.
func (s *Store) remove(b *mailbox, m *message) {
	delete(b.msgs, m.key)
	m.dead = true
	s.touch(b, m.key)
}

// sorted returns all messages in the order of their keys.
func (b *mailbox) sorted() []*message {
	if len(b.order) != len(b.msgs) {
		b.order = slices.DeleteFunc(b.order, func(m *message) bool { return m.dead })
	}
	if b.messy {
		slices.SortFunc(b.order, func(x, y *message) int { return strings.Compare(string(x.key), string(y.key)) })
		b.messy = false
	}
	return b.order
}

// entry is what a view shows of a message.
func (s *Store) entry(m *message) mail.Entry {
	e := mail.Entry{Key: m.key, Flags: m.flags, Stamp: m.stamp}
	e.Ident.Stable = m.stable
	if s.opts.Tells {
		e.Ident.Size, e.Ident.Date = m.body.id().Size, m.date
	}
	return e
}

// ident is all that can be known of a message.
func (m *message) ident() mail.Ident {
	id := m.body.id()
	id.Date, id.Stable = m.date, m.stable
	return id
}
