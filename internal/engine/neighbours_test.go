package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/maildirstore"
	"mailtwin/internal/store/memstore"
)

// A fails in the copy phase; a message was moved by a user from A to B.
func TestMoveFromFailed(t *testing.T) {
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			for _, side := range mail.Sides {
				w := newWorld(t, kind[0], kind[1])
				w.fill(mail.Remote, "A", 0, 20)
				w.fill(mail.Remote, "B", 20, 25)
				w.sync()
				w.sync()
				w.stores[side].MoveUser("A", w.keys(side, "A")[0], "B")
				w.fill(side, "A", 30, 31)
				o := w.options()
				o.Stores[side.Other()] = memstore.FailOnce(w.stores[side.Other()], memstore.Put, errors.New("disk quota exceeded"))
				res, err := Sync(context.Background(), o)
				if err != nil || len(res.Errors) != 1 {
					t.Fatal(err, res.Errors)
				}
				res, err = w.try(nil)
				if n := res.Summary.DeletedLocal + res.Summary.DeletedRemote; n > 0 || err != nil {
					t.Errorf("moved on the %s side: %d deleted on the other instead of moved; it has %d of 26 (%v)", side, n, w.n(side.Other()), err)
				}
				for range 3 {
					w.try(nil)
				}
				if l, r := w.n(0), w.n(1); l != 26 || r != 26 {
					t.Errorf("moved on the %s side: after three more syncs local %d remote %d, want 26 26", side, l, r)
				}
			}
		})
	}
}

func TestKeywords(t *testing.T) {
	for try := range 20 {
		w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
		dir := t.TempDir()
		md := func() store.Store {
			s, err := maildirstore.New(maildirstore.Config{Path: dir + "/m", Attic: dir + "/attic"})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		run := func() Result {
			o := w.options()
			o.Workers = 4
			o.Stores[0] = md()
			defer o.Stores[0].Close()
			res, err := Sync(context.Background(), o)
			if err != nil || len(res.Errors) > 0 {
				t.Fatal(err, res.Errors)
			}
			return res
		}
		for i := range 4 {
			w.fill(mail.Remote, mail.Box(fmt.Sprintf("A%d", i)), i*10, i*10+3)
		}
		w.fill(mail.Remote, "C", 90, 92)
		run()
		run()
		want := map[string]string{}
		for i := range 4 {
			box := mail.Box(fmt.Sprintf("A%d", i))
			for _, k := range w.keys(mail.Remote, box) {
				w.stores[1].SetFlagsUser(box, k, flags(fmt.Sprintf("word%d", i)), flags())
				w.stores[1].MoveUser(box, k, "C")
			}
		}
		for _, m := range w.stores[1].Dump() {
			want[string(m.Data)] = m.Flags.String()
		}
		run()
		run()
		run()
		bad := 0
		for _, m := range w.stores[1].Dump() {
			if want[string(m.Data)] != m.Flags.String() {
				bad++
				t.Logf("try %d: server had %s, has %s", try, want[string(m.Data)], m.Flags)
			}
		}
		if bad > 0 {
			t.Errorf("%d messages on the server have other keywords than their user gave them", bad)
			return
		}
	}
}
