package engine

import (
	"context"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// liar is a server that tells messages to be gone that are there (a bogus VANISHED); its number of messages stays true.
type liar struct {
	*memstore.Store
	gone []mail.Key
}

func (l liar) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	v, err := l.Store.View(ctx, box, since)
	if d, ok := v.(mail.Delta); ok {
		d.Gone = func(yield func(mail.Key, error) bool) {
			for _, k := range l.gone {
				if !yield(k, nil) {
					return
				}
			}
		}
		return d, err
	}
	return v, err
}

// TestBogusVanished is rule 10 of DESIGN.md section 4: deletions of a delta count only if they agree with the number of messages.
func TestBogusVanished(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
	w.fill(mail.Remote, "INBOX", 0, 30)
	w.sync()
	w.sync()
	w.fill(mail.Remote, "INBOX", 30, 31) // so that the mailbox is looked at
	o := w.options()
	o.Stores[mail.Remote] = liar{w.stores[mail.Remote], w.keys(mail.Remote, "INBOX")[5:8]}
	res, err := Sync(t.Context(), o)
	if err != nil || res.Summary.DeletedLocal+res.Summary.DeletedRemote > 0 || res.Summary.CopiedToLocal != 1 {
		t.Errorf("%+v, %v", res.Summary, err)
	}
	w.equal(31)
}

// partial is a store that shows only the first messages of its mailboxes, and says how many there are.
type partial struct {
	store.Store
	shows int
}

func (p partial) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	v, err := p.Store.View(ctx, box, since)
	if whole, ok := v.(mail.Whole); ok && err == nil {
		all, n := whole.All, 0
		whole.All = func(yield func(mail.Entry, error) bool) {
			n = 0
			for e, err := range all {
				if n++; n > p.shows || !yield(e, err) {
					return
				}
			}
		}
		v = whole
	}
	return v, err
}

// TestPartialEcho: a view that shows just what is known already, but less than there is, does not count as all that was to be seen.
func TestPartialEcho(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "INBOX", 0, 5)
	w.sync()
	w.sync()
	w.fill(mail.Remote, "INBOX", 5, 8)
	w.wrap = func(side mail.Side, s store.Store) store.Store {
		if side == mail.Remote {
			return partial{s, 5}
		}
		return s
	}
	w.sync()
	w.wrap = nil
	w.sync()
	w.equal(8)
}

var _ store.Store = liar{}
