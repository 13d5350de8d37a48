package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// traced is a message without Message-ID that a server gave a number.
func traced(n int) []byte {
	return fmt.Appendf(nil, "Received: from a by b with ESMTP id %d; today\r\nSubject: no id\r\n\r\nbody %d\r\n", n, n)
}

// rough is a store whose views tell who messages are, with the length of all of their header.
type rough struct {
	*memstore.Store
	exactly, read int // how many were asked for
}

func (s *rough) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	v, err := s.Store.View(ctx, box, since)
	d, ok := v.(mail.Delta)
	if !ok {
		return v, err
	}
	changed := d.Changed
	d.Changed = func(yield func(mail.Entry, error) bool) {
		for e, err := range changed {
			if err == nil {
				err = s.Store.Identify(ctx, box, []mail.Key{e.Key}, false, func(_ mail.Key, id mail.Ident) error {
					e.Ident, e.Identified, e.Rough = id, true, true
					return nil
				})
			}
			if err == nil {
				err = s.Fetch(ctx, box, []mail.Key{e.Key}, func(_ mail.Entry, b mail.Body) error {
					e.Ident.Size = b.Size
					return nil
				})
			}
			if !yield(e, err) {
				return
			}
		}
	}
	return d, nil
}

func (s *rough) Identify(ctx context.Context, box mail.Box, keys []mail.Key, full bool, fn func(mail.Key, mail.Ident) error) error {
	if full {
		s.read += len(keys)
	} else {
		s.exactly += len(keys)
	}
	return s.Store.Identify(ctx, box, keys, full, fn)
}

// TestResolve: moves are proven by what costs least: bodies are read of messages that nothing else names, and lengths are asked for of
// those that are not as long as was told.
func TestResolve(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
	far := &rough{Store: w.stores[mail.Remote]}
	w.wrap = func(side mail.Side, s store.Store) store.Store {
		if side == mail.Remote {
			return far
		}
		return s
	}
	date := int64(0)
	deliver := func(data []byte) mail.Key {
		date++
		return w.stores[mail.Remote].Deliver("INBOX", flags(), data, 1_600_000_000+date)
	}
	keys := w.fill(mail.Remote, "INBOX", 0, 20)
	for i := range 3 {
		keys = append(keys, deliver(append([]byte("X-TUID: 123\r\n"), body(20+i)...)), deliver(traced(i)))
	}
	keys = append(keys, deliver(append([]byte("X-TUID: 123\r\n"), traced(3)...)), deliver(bare(1)), deliver(bare(2)))
	stay := w.fill(mail.Remote, "Archive", 30, 32)
	w.sync()
	far.exactly, far.read = 0, 0
	for _, k := range keys {
		w.stores[mail.Remote].MoveUser("INBOX", k, "Archive")
	}
	w.fill(mail.Remote, "Archive", 32, 33)
	w.stores[mail.Remote].SetFlagsUser("Archive", stay[0], flags(`\Seen`), flags())
	res := w.sync()
	if s := res.Summary; s.MovedLocal != len(keys) || s.CopiedToLocal != 1 || s.DeletedLocal != 0 {
		t.Errorf("%+v", s)
	}
	if far.exactly != 3 || far.read != 2 {
		t.Errorf("asked for the exact length of %d and for the bodies of %d; want 3 and 2", far.exactly, far.read)
	}
	w.equal(len(keys) + 3)
	w.still()
}

// TestResolveOther: what has the header, size and date of a message that is gone is not that message if one of them differs.
func TestResolveOther(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]struct {
		data []byte
		date int64
	}{
		"another header": {append([]byte("X: 1\r\n"), traced(1)...), 1},
		"another date":   {traced(1), 2},
		"another body":   {append(traced(1), "more\r\n"...), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
			key := w.stores[mail.Remote].Deliver("INBOX", flags(), traced(1), 1)
			w.fill(mail.Remote, "INBOX", 0, 9)
			w.sync()
			w.stores[mail.Remote].DeleteUser("INBOX", key)
			w.stores[mail.Remote].Deliver("Archive", flags(), other.data, other.date)
			res := w.sync()
			moved := 0
			if name == "another date" { // its digest says that it is the same; dates of files stay
				moved = 1
			}
			if s := res.Summary; s.MovedLocal != moved || s.DeletedLocal != 1-moved || s.CopiedToLocal != 1-moved {
				t.Errorf("%+v", s)
			}
			if moved == 0 {
				w.equal(10)
			}
			w.still()
		})
	}
}

// TestConfirmOnlyDeletions: the mailboxes are listed again before something is deleted, not for moves.
func TestConfirmOnlyDeletions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
	keys := w.fill(mail.Remote, "INBOX", 0, 20)
	w.sync()
	lists, meanwhile := 0, func() {}
	w.stores[mail.Remote].Reads = func(r memstore.Read) error {
		if r.Method == memstore.Boxes {
			if lists++; lists == 2 {
				meanwhile()
			}
		}
		return nil
	}
	move := func(k mail.Key) { w.stores[mail.Remote].MoveUser("INBOX", k, "Archive") }
	move(keys[0])
	if res := w.sync(); res.Summary.MovedLocal != 1 || lists != 1 {
		t.Errorf("moved %d, listed %d times", res.Summary.MovedLocal, lists)
	}
	lists = 0
	move(keys[1])
	w.stores[mail.Remote].DeleteUser("INBOX", keys[2])
	w.fill(mail.Remote, "Archive", 20, 21)
	if res := w.sync(); res.Summary.MovedLocal != 1 || res.Summary.DeletedLocal != 1 || lists != 2 {
		t.Errorf("moved %d, deleted %d, listed %d times", res.Summary.MovedLocal, res.Summary.DeletedLocal, lists)
	}
	// What was on its way when the mailboxes were viewed is not deleted.
	lists = 0
	data := body(4)
	w.stores[mail.Remote].DeleteUser("INBOX", keys[4])
	w.fill(mail.Remote, "Archive", 21, 22)
	meanwhile = func() { w.stores[mail.Remote].Deliver("Archive", flags(), data, 1_600_000_004) }
	if res := w.sync(); res.Summary.DeletedLocal != 0 || res.Summary.CopiedToLocal != 1 || res.Summary.MovedLocal != 1 {
		t.Errorf("%+v", res.Summary)
	}
	w.equal(21)
	// Nor does what happens elsewhere keep deletions off, mail or a new mailbox.
	for i, box := range []mail.Box{"Archive", "New", "Newer"} {
		lists = 0
		w.stores[mail.Remote].DeleteUser("INBOX", keys[5+i])
		w.fill(mail.Remote, "Archive", 30+2*i, 31+2*i)
		meanwhile = func() { w.fill(mail.Remote, box, 31+2*i, 32+2*i) }
		if res := w.sync(); res.Summary.DeletedLocal != 1 || res.Summary.CopiedToLocal != 2 {
			t.Errorf("%s: %+v, listed %d times", box, res.Summary, lists)
		}
	}
	meanwhile = func() {}
	w.equal(24)
	w.still()
}

// TestConfirmAndRetry: a run that began again because of what happened meanwhile, and then lost its server, goes on, whatever happens.
func TestConfirmAndRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
	w.o.Retries, w.o.RetryPause = 2, time.Millisecond
	keys := w.fill(mail.Remote, "INBOX", 0, 20)
	w.sync()
	w.stores[mail.Remote].DeleteUser("INBOX", keys[2])
	w.fill(mail.Remote, "Archive", 20, 22)
	lists := 0
	w.stores[mail.Remote].Reads = func(r memstore.Read) error {
		if r.Method != memstore.Boxes {
			return nil
		}
		if lists++; lists == 3 {
			return store.ErrUnreachable
		}
		if lists > 1 && lists < 6 {
			w.fill(mail.Remote, "Archive", 20+2*lists, 22+2*lists)
		}
		return nil
	}
	if res := w.sync(); res.Summary.DeletedLocal != 1 || lists < 5 {
		t.Errorf("%+v, listed %d times", res.Summary, lists)
	}
	w.sync()
	w.equal(-1)
	w.still()
}

// TestTraceFails: a header that cannot be read does not keep the rest of the account from being synced.
func TestTraceFails(t *testing.T) {
	t.Parallel()
	for _, side := range mail.Sides {
		w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
		key := w.stores[mail.Remote].Deliver("INBOX", flags(), traced(1), 1)
		w.fill(mail.Remote, "INBOX", 0, 9)
		w.sync()
		w.stores[mail.Remote].MoveUser("INBOX", key, "Archive")
		w.stores[side].Reads = func(r memstore.Read) error {
			if r.Method == memstore.Traces {
				return errors.New("input/output error")
			}
			return nil
		}
		if res := w.sync(); res.Summary.MovedLocal != 1 {
			t.Errorf("%v: %+v", side, res.Summary)
		}
		w.equal(10)
	}
}
