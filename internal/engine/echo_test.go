package engine

import (
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// TestEcho: what a run did is no news to the next one, unless somebody else did something meanwhile.
func TestEcho(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(w *world, box mail.Box, k mail.Key){
		"nothing": nil,
		"a flag": func(w *world, box mail.Box, k mail.Key) {
			w.stores[mail.Remote].SetFlagsUser(box, k, flags(`\Draft`), flags())
		},
		"a removal": func(w *world, box mail.Box, k mail.Key) { w.stores[mail.Remote].DeleteUser(box, k) },
		"a message": func(w *world, box mail.Box, _ mail.Key) { w.fill(mail.Remote, box, 900, 901) },
	} {
		for box, n := range map[mail.Box]int{"INBOX": 65, "Archive": 20} {
			t.Run(name+" in "+string(box), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
				w.o.echoFrom = 3
				w.fill(mail.Remote, "INBOX", 0, 80)
				w.fill(mail.Remote, "Archive", 80, 90)
				w.sync()
				w.sync()
				keys := w.keys(mail.Local, "INBOX")
				local := w.stores[mail.Local]
				for _, k := range keys[:10] {
					local.MoveUser("INBOX", k, "Archive")
				}
				for i, k := range keys[10:30] {
					local.SetFlagsUser("INBOX", k, flags([]string{`\Seen`, "work"}[i%2]), flags())
				}
				for _, k := range keys[30:36] {
					local.DeleteUser("INBOX", k)
				}
				local.SetFlagsUser("Archive", w.keys(mail.Local, "Archive")[0], flags(`\Seen`), flags())
				w.fill(mail.Local, "INBOX", 90, 91)
				heard, viewed := map[mail.Box]int{}, 0
				w.stores[mail.Remote].Reads = func(r memstore.Read) error {
					switch r.Method {
					case memstore.Echo:
						if heard[r.Box]++; r.Box == box && meanwhile != nil {
							meanwhile(w, box, w.keys(mail.Remote, box)[2])
						}
					case memstore.View:
						if r.Key == "" {
							viewed++
						}
					default:
					}
					return nil
				}
				if w.sync(); heard["INBOX"] != 1 || heard["Archive"] != 1 {
					t.Errorf("heard the echo in %v", heard)
				}
				if got := len(w.keys(mail.Remote, box)); meanwhile == nil && got != n {
					t.Errorf("%d messages in %s, want %d", got, box, n)
				}
				viewed = 0
				res := w.sync()
				if want := map[bool]int{true: 0, false: 1}[meanwhile == nil]; viewed != want {
					t.Errorf("viewed %d mailboxes again, want %d", viewed, want)
				}
				if res.Summary.Changed() == (meanwhile == nil) {
					t.Errorf("%+v", res.Summary)
				}
				w.equal(-1)
				w.still()
			})
		}
	}
}

// TestEchoOpen: where something that was seen is not done, no mark moves, whatever else was done.
func TestEchoOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
	w.o.echoFrom = 1
	keys := w.fill(mail.Remote, "INBOX", 0, 30)
	w.sync()
	w.sync()
	for _, k := range keys[:20] { // held back
		w.stores[mail.Remote].DeleteUser("INBOX", k)
	}
	w.o.Limits = plan.Limits{OverHalf: 5}
	for _, k := range w.keys(mail.Local, "INBOX")[22:] {
		w.stores[mail.Local].SetFlagsUser("INBOX", k, flags(`\Seen`), flags())
	}
	heard := 0
	w.stores[mail.Remote].Reads = func(r memstore.Read) error {
		if r.Method == memstore.Echo {
			heard++
		}
		return nil
	}
	if res := w.sync(); res.Summary.FlaggedRemote == 0 || res.Summary.HeldBack != 20 || heard != 0 {
		t.Errorf("%+v, heard the echo %d times", res.Summary, heard)
	}
	w.o.AllowDeletes = true
	if res := w.sync(); res.Summary.DeletedLocal != 20 {
		t.Errorf("%+v", res.Summary)
	}
	w.equal(10)
}

// TestEchoMost: what is kept of effects is bounded, for a mailbox and in all.
func TestEchoMost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
	r := newRun(w.options())
	kept := func() (n int) {
		for _, b := range r.boxes {
			n += b.look.echo[mail.Remote].want.Len()
		}
		return n
	}
	fill := func(name mail.Box, n int) {
		b := &boxRun{name: name}
		b.now.Mark[mail.Remote] = "m"
		r.boxes[name] = b
		for k := range n {
			r.did(b, mail.Remote, mail.UIDKey(uint32(k+1)), flags(`\Seen`)) //nolint:gosec // small
		}
		if n := kept(); n > echoesIn || n != r.noted {
			t.Fatalf("%d kept, %d counted", n, r.noted)
		}
	}
	fill("many", echoMost+1)
	for _, name := range []mail.Box{"A", "B", "C", "D"} {
		fill(name, echoMost)
	}
	fill("one more", 1)
	for name, want := range map[mail.Box]bool{"many": true, "A": false, "D": false, "one more": true} {
		if got := r.boxes[name].look.echo[mail.Remote].over; got != want {
			t.Errorf("%s: over %v, want %v", name, got, want)
		}
	}
}

// TestEchoFails: a server that is lost when all is done makes no difference but that the next run sees the echo.
func TestEchoFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
	w.o.echoFrom = 1
	w.fill(mail.Remote, "INBOX", 0, 5)
	w.sync()
	w.fill(mail.Local, "INBOX", 5, 10)
	w.stores[mail.Remote].Reads = func(r memstore.Read) error {
		if r.Method == memstore.Echo {
			return store.ErrUnreachable
		}
		return nil
	}
	w.sync()
	w.equal(10)
	w.still()
}
