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

var _ store.Store = liar{}
