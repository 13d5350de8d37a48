package engine

import (
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store/memstore"
)

// TestNoRename: what looks like a rename and is none, or is not to be followed, is handled as before, with all messages kept.
func TestNoRename(t *testing.T) {
	t.Parallel()
	type counts struct{ local, remote int }
	for name, c := range map[string]struct {
		o      Options
		change func(w *world)
		want   int
	}{
		"other messages under the same keys": {change: func(w *world) {
			w.fill(mail.Remote, "B", 100, 130)
			w.stores[mail.Remote].SameEpoch("B", "A")
			w.stores[mail.Remote].RemoveBox("A")
		}, want: 60 + 3},
		"other messages, and the highest is the same": {change: func(w *world) {
			w.fill(mail.Remote, "B", 100, 129)
			w.fill(mail.Remote, "B", 39, 40)
			w.stores[mail.Remote].SameEpoch("B", "A")
			w.stores[mail.Remote].RemoveBox("A")
		}, want: 59 + 3},
		"the same messages, and the highest is another one": {change: func(w *world) {
			w.fill(mail.Remote, "B", 10, 39)
			w.fill(mail.Remote, "B", 100, 101)
			w.stores[mail.Remote].SameEpoch("B", "A")
			w.stores[mail.Remote].RemoveBox("A")
		}, want: 31 + 3},
		"the same messages in another epoch": {change: func(w *world) {
			w.fill(mail.Remote, "B", 10, 40)
			w.stores[mail.Remote].RemoveBox("A")
		}, want: 30 + 3},
		"what is below it stays": {change: func(w *world) {
			w.fill(mail.Remote, "A/x", 50, 52)
			w.sync()
			w.sync()
			w.stores[mail.Remote].RenameUser("A", "B")
			w.stores[mail.Remote].RenameUser("B/x", "A/x")
		}, want: 32 + 3},
		"what is below it is out of scope": {o: Options{Select: func(b mail.Box, _ string) bool { return b != "A/mine" }}, change: func(w *world) {
			w.fill(mail.Local, "A/mine", 50, 52)
			w.stores[mail.Remote].RenameUser("A", "B")
		}, want: -2},
		"most of it is gone": {change: func(w *world) {
			for _, k := range w.keys(mail.Remote, "A")[4:] {
				w.stores[mail.Remote].DeleteUser("A", k)
			}
			w.stores[mail.Remote].RenameUser("A", "B")
		}, want: 30 + 3},
		"most of it is gone, and as much is new": {change: func(w *world) {
			for _, k := range w.keys(mail.Remote, "A")[4:] {
				w.stores[mail.Remote].DeleteUser("A", k)
			}
			w.fill(mail.Remote, "A", 100, 126)
			w.stores[mail.Remote].RenameUser("A", "B")
		}, want: 30 + 26 + 3},
		"the other side has that name": {change: func(w *world) {
			w.stores[mail.Remote].RenameUser("A", "B")
			w.fill(mail.Local, "B", 100, 102)
		}, want: 30 + 3 + 2},
		"the new name is out of scope": {o: Options{Select: func(b mail.Box, _ string) bool { return b != "B" }}, change: func(w *world) {
			w.stores[mail.Remote].RenameUser("A", "B")
		}, want: -1},
	} {
		for _, kind := range []string{"maildir-imap", "maildir-qresync", "imap-imap"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, kinds[kind][0], kinds[kind][1])
				w.o = c.o
				w.fill(mail.Remote, "INBOX", 0, 3)
				w.fill(mail.Remote, "A", 10, 40)
				w.sync()
				w.sync()
				c.change(w)
				s := w.sync().Summary
				if got := (counts{s.RenamedLocal, s.RenamedRemote}); got != (counts{}) {
					t.Fatalf("renamed %v", got)
				}
				w.sync()
				if c.want == -2 {
					if l := w.stores[mail.Local]; !l.HasBox("A/mine") || len(w.keys(mail.Local, "B")) != 30 {
						t.Errorf("local mailboxes %q", l.Names())
					}
				} else if c.want >= 0 {
					w.stores[mail.Remote].CreateUser("A", "") // as the hint about a kept mailbox says
					w.sync()
					w.equal(c.want)
				} else if !w.stores[mail.Local].HasBox("A") || len(w.keys(mail.Local, "A")) != 30 {
					t.Error("the mailbox is not kept")
				}
			})
		}
	}
}

// TestRenameOfTwins: of two mailboxes that could be the lost one, none is taken for it.
func TestRenameOfTwins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.Maildir})
	w.fill(mail.Remote, "A", 0, 10)
	w.sync()
	w.sync()
	for _, k := range w.keys(mail.Remote, "A") { // the same names in both, as cp -a makes them
		w.stores[mail.Remote].CreateUser("B", "")
		w.stores[mail.Remote].MoveUser("A", k, "B")
		w.stores[mail.Remote].CopyUserAs("B", k, "C", k)
	}
	w.stores[mail.Remote].RemoveBox("A")
	if s := w.sync().Summary; s.RenamedLocal > 0 {
		t.Fatalf("one of them was taken: %+v", s)
	}
	w.sync()
	w.equal(20)
}
