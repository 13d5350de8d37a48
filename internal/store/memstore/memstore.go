// Package memstore is a store in memory, for tests and models: it behaves like an IMAP account or like a Maildir, with
// the oddities that [Options] names, and it can be made to fail before or after any single effect. Besides store.Store,
// a [Store] has methods for what a user does to the mail while no one looks ([Store.Deliver] and others in user.go), and
// [Snapshot] for backups. Start with [New].
//
// Everything is deterministic: the same calls give the same keys, marks and stamps. A whole view costs time in
// proportion to the mailbox, everything else in proportion to what changed.
package memstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Kind says which real store a Store resembles.
type Kind uint8

// The kinds.
const (
	// IMAP has UIDs as keys, ascending in each mailbox; its epochs are UIDVALIDITY as text; it has no marker, an INBOX
	// from the start, and no stamps.
	IMAP Kind = iota
	// Maildir has names as keys, in no order of arrival, chosen by Prepare; its epoch is the id of its root, which
	// SetRoot writes; it is empty at first, and entries have stamps.
	Maildir
)

// Options says how a Store behaves. The zero value is an IMAP account with UIDPLUS and MOVE, without deltas.
type Options struct {
	Kind Kind
	Name string // Greeting.Name, and a part of the names in a Maildir
	Root string // Greeting.Root; a Maildir has none until SetRoot unless it is given here
	Run  int64  // run counter that goes with a Maildir's Root

	Storable mail.Storable // what mailboxes can hold; the zero value means mail.AnyFlags

	NoKeys    bool // no UIDPLUS: Put and Move return no keys, Settle finds them
	NoExpunge bool // Delete sets \Deleted and returns the keys as left
	NoMove    bool // no MOVE: Move is a copy and then a deletion, two effects
	Delta     bool // View gives a Delta where it can, as with QRESYNC
	NoMarks   bool // Status.Mark is always ""
	Unproven  bool // no view proves a mark: End returns ""
	StableIDs bool // entries have Ident.Stable, which moves and copies keep, and views have Head.ID (RFC 8474)
	Tells     bool // entries of views have Ident.Size and Ident.Date too
	Limit     int  // whole views show only so many messages, those with the highest keys; 0: all

	Trash           mail.Box // Delete moves messages there, unless they are there already; "": for good
	Attic           bool     // keep what Delete removed for good, see Store.Attic
	CaseInsensitive bool     // mailboxes whose names differ by letter case only are the same
	FreshNames      bool     // MoveUser gives a file in a Maildir another name
	QuietEdits      bool     // Edit leaves the mark as it was, as file systems do
	Reverse         bool     // Identify and Fetch answer in the reverse order of what was asked

	// Refuse, if not nil, is asked about each message of a Put; an error goes to its Done, joined with ErrRefused.
	Refuse func(box mail.Box, e mail.Entry, body []byte) error
}

// Store is a store in memory. Its methods may be called from several goroutines; hooks and callbacks run without its
// lock, so that they may call it. Calls of store.Store fail unless Hello came before them and Close did not.
type Store struct {
	// Effects is called before and after each effect on a single message, each change of a mailbox, and each SetRoot.
	// An error makes the call fail there: what was done before it is done, and nothing else. Set it only while no one
	// uses the store.
	Effects func(Effect) error
	// Reads is called at the beginning of each call that has no effect, and before each message that it tells of. An
	// error makes the call fail there. Set it only while no one uses the store.
	Reads func(Read) error

	opts Options
	salt uint32 // makes the names of two Maildirs differ

	mu     sync.Mutex
	open   bool
	root   string
	run    int64
	boxes  map[mail.Box]*mailbox // by fold
	seen   map[mail.Box]string   // epochs that this session saw, by fold
	seq    uint64                // the last modification
	epochs uint32                // the last UIDVALIDITY
	names  uint32                // names made so far
	ids    uint64                // stable ids and stamps made so far
	attic  []Message
	unsafe map[mail.Ref]*message // see risk
	counts store.Counts
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Counted = (*Store)(nil)
)

var errClosed = errors.New("no session: Hello must come first")

// New returns a store without messages.
func New(o Options) *Store {
	if o.Storable == (mail.Storable{}) {
		o.Storable = mail.AnyFlags
	}
	if o.Name == "" {
		o.Name = "memory"
	}
	if o.Root == "" && o.Kind == IMAP {
		o.Root = "imap:" + o.Name
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(o.Name))
	s := &Store{
		opts: o, salt: h.Sum32(), root: o.Root, run: o.Run,
		boxes: map[mail.Box]*mailbox{}, seen: map[mail.Box]string{}, epochs: 1000,
		unsafe: map[mail.Ref]*message{},
	}
	if o.Kind == IMAP {
		s.run = -1
		s.add(mail.Inbox)
	}
	return s
}

// Hello implements store.Store. A later Hello begins another session.
func (s *Store) Hello(ctx context.Context, _ string) (store.Greeting, error) {
	if err := s.hook(ctx, Read{Method: Hello}); err != nil {
		return store.Greeting{}, fmt.Errorf("open store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open, s.counts = true, store.Counts{RoundTrips: 1}
	clear(s.seen)
	return store.Greeting{
		Root: s.root, Run: s.run, Name: s.opts.Name,
		Empty: s.opts.Kind == Maildir && len(s.boxes) == 0,
		Caps: store.Caps{
			Keys: !s.opts.NoKeys, StableIDs: s.opts.StableIDs,
			Partial: s.opts.Limit > 0, Named: s.opts.Kind == Maildir, NoExpunge: s.opts.NoExpunge,
		},
	}, nil
}

// SetRoot implements store.Store.
func (s *Store) SetRoot(ctx context.Context, id string, run int64) error {
	if err := s.begin(ctx); err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	if s.opts.Kind == IMAP {
		return nil
	}
	err := s.effect(ctx, Effect{Method: SetRoot}, func(*Effect) error {
		s.root, s.run = id, run
		return nil
	})
	if err != nil {
		return fmt.Errorf("write marker: %w", err)
	}
	return nil
}

// Boxes implements store.Store.
func (s *Store) Boxes(ctx context.Context) ([]store.Status, error) {
	if err := s.begin(ctx); err != nil {
		return nil, fmt.Errorf("list mailboxes: %w", err)
	}
	if err := s.hook(ctx, Read{Method: Boxes}); err != nil {
		return nil, fmt.Errorf("list mailboxes: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]store.Status, 0, len(s.boxes))
	for fold, b := range s.boxes {
		if b.err != nil {
			list = append(list, store.Status{Box: b.name, Total: -1, Err: b.err})
			continue
		}
		st := store.Status{Box: b.name, Epoch: s.epoch(b), Role: b.role, Total: len(b.msgs)}
		if !s.opts.NoMarks {
			st.Mark = s.mark(b)
		}
		if _, ok := s.seen[fold]; !ok {
			s.seen[fold] = s.epoch(b)
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b store.Status) int { return strings.Compare(string(a.Box), string(b.Box)) })
	return list, nil
}

// Counts implements store.Counted: each call is one round trip, and bytes are those of message bodies.
func (s *Store) Counts() store.Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
	return nil
}

// begin is the first thing that each call does.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return errClosed
	}
	s.counts.RoundTrips++
	return nil
}
