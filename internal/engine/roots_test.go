package engine

import (
	"errors"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// TestRoots is rule 12 of DESIGN.md section 4: a root that is missing, empty or another's is refused, with nothing changed.
func TestRoots(t *testing.T) {
	t.Parallel()
	maildir := memstore.Options{Kind: memstore.Maildir}
	for name, other := range map[string]func(*world) *memstore.Store{
		"nothing there": func(*world) *memstore.Store { return memstore.New(maildir) },
		"without a marker": func(*world) *memstore.Store {
			s := memstore.New(maildir)
			s.Deliver("INBOX", flags(), body(99), 1)
			return s
		},
		"of another's mail": otherRoot,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, maildir, memstore.Options{Kind: memstore.IMAP, Delta: true})
			w.fill(mail.Remote, "INBOX", 0, 20)
			w.sync()
			w.stores[mail.Local] = other(w)
			before := len(w.stores[mail.Local].Dump())
			w.o.AllowDeletes = true
			if _, err := w.try(nil); !errors.Is(err, store.ErrSetup) || mail.HintOf(err) == "" {
				t.Errorf("error %v, hint %q", err, mail.HintOf(err))
			}
			if n := len(w.stores[mail.Remote].Dump()); n != 20 {
				t.Errorf("%d of 20 messages are left on the other side", n)
			}
			if n := len(w.stores[mail.Local].Dump()); n != before {
				t.Errorf("%d messages were copied into the wrong root", n-before)
			}
		})
	}
}

// otherRoot is a Maildir that belongs to another account.
func otherRoot(w *world) *memstore.Store {
	o := newWorld(w.t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP})
	o.now = o.now.AddDate(0, 0, 1) // another id
	o.fill(mail.Local, "INBOX", 50, 60)
	o.sync()
	return o.stores[mail.Local]
}
