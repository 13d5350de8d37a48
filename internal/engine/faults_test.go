package engine

import (
	"context"
	"errors"
	"slices"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store/memstore"
)

var mi = [2]memstore.Options{{Kind: memstore.Maildir}, {Kind: memstore.IMAP}}

func (w *world) n(side mail.Side) int { return len(w.stores[side].Dump()) }

// expunge = "local", crash between the local deletion and its commit: the remote copy must stay.
func TestExpungeCrash(t *testing.T) {
	for n := 0; n < 60; n++ {
		w := newWorld(t, mi[0], mi[1])
		w.o.Expunge = plan.ExpungeLocal
		w.fill(mail.Remote, "INBOX", 0, 20)
		w.sync()
		w.sync()
		k := w.keys(mail.Remote, "INBOX")[0]
		w.stores[1].SetFlagsUser("INBOX", k, flags(`\Deleted`), flags())
		stopped := w.crashAt(n)
		w.sync()
		w.sync()
		if r := w.n(mail.Remote); r != 20 {
			t.Errorf("crash at %d: remote has %d of 20 though expunge=local", n, r)
			return
		}
		if !stopped {
			return
		}
	}
}

// an older Maildir is restored; a sync of one mailbox alone clears the hold.
func TestHoldClearedByOnly(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "INBOX", 0, 3)
	w.fill(mail.Remote, "Archive", 10, 40)
	w.sync()
	w.sync()
	old := w.stores[0].Snapshot()
	w.fill(mail.Remote, "Archive", 40, 48) // 8 more arrive and are synced
	w.sync()
	w.sync()
	w.stores[0].Restore(old) // yesterday's backup of the Maildir
	before := w.n(mail.Remote)
	w.fill(mail.Remote, "INBOX", 3, 4)
	w.o.Only = []mail.Box{"INBOX"}
	w.sync()
	w.o.Only = nil
	res := w.sync()
	t.Logf("%+v", res.Summary)
	if a := w.n(mail.Remote); a != before+1 {
		t.Errorf("remote had %d messages, has %d", before+1, a)
	}
}

// runs that are interrupted share one counter: an older copy is not recognised.
func TestInterruptedRunsCounter(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "INBOX", 0, 40)
	w.sync()
	w.sync()
	fail := func() { // a run that copies and then loses the connection before it ends
		n := 0
		_, _ = w.try(func() error {
			n++
			return nil
		})
		_ = n
	}
	_ = fail
	cut := func() { // all effects done, commit of the run lost (kill at the end)
		w.fill(mail.Remote, "INBOX", 100+int(w.now.Unix()%1000), 108+int(w.now.Unix()%1000))
		c := w.stores[1]
		_ = c
		total := 0
		probe := func() error { total++; return nil }
		// stop at the last two hook calls: before the final commit
		o := w.options()
		for _, s := range w.stores {
			s.Effects = nil
		}
		calls := 0
		o.crash = func() error { calls++; return nil }
		o.Events = func(e Event) {
			if e.Kind == EventPhase && e.Phase == PhaseCommit {
				o2 := errCrash
				_ = o2
			}
		}
		_ = probe
		phase := Phase(0)
		o.Events = func(e Event) {
			if e.Kind == EventPhase {
				phase = e.Phase
			}
		}
		o.crash = func() error {
			if phase == PhaseCommit {
				return errCrash
			}
			return nil
		}
		_, err := Sync(context.Background(), o)
		if err == nil {
			t.Fatal("not cut")
		}
		w.now = w.now.Add(60e9)
	}
	cut()
	old := w.stores[0].Snapshot()
	cut()
	before := w.n(mail.Remote)
	w.stores[0].Restore(old)
	res := w.sync()
	t.Logf("%+v", res.Summary)
	w.sync()
	if a := w.n(mail.Remote); a != before {
		t.Errorf("remote had %d messages, has %d after an older Maildir was restored", before, a)
	}
}

// a late twin on a server without UIDPLUS.
func TestTwinNoExpunge(t *testing.T) {
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, NoKeys: true, NoExpunge: true, NoMarks: true})
	w.sync()
	w.fill(mail.Local, "INBOX", 0, 1)
	late := &memstore.Late{Store: w.stores[1]}
	late.Lose()
	o := w.options()
	o.Stores[1] = late
	_, err := Sync(context.Background(), o)
	t.Log(err)
	w.sync() // repeats
	if err := late.Land(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.sync()
	w.sync()
	for s := range 2 {
		for _, m := range w.stores[s].Dump() {
			t.Log(s, m.Box, m.Key, m.Flags)
		}
	}
	if l := w.n(mail.Local); l != 1 {
		t.Errorf("local has %d messages, want 1", l)
	}
}

// refused locally-held message arrives on the other side by another way.
func TestRefusedArrives(t *testing.T) {
	refuse := true
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Refuse: func(mail.Box, mail.Entry, []byte) error {
		if refuse {
			return errors.New("too large")
		}
		return nil
	}})
	w.fill(mail.Local, "INBOX", 0, 1)
	w.sync()
	w.fill(mail.Remote, "INBOX", 0, 1) // the user brings it there by webmail
	w.sync()
	w.sync()
	if l := w.n(mail.Local); l != 1 {
		t.Errorf("local has %d messages, want 1", l)
	}
	refuse = false
	w.now = w.now.Add(48 * 3600e9)
	w.fill(mail.Remote, "INBOX", 5, 6)
	w.sync()
	w.sync()
	t.Logf("later: local %d remote %d, want 2 2", w.n(0), w.n(1))
}

// move during the views, on a server without marks.
func testRace(t *testing.T, remote memstore.Options, to mail.Box) {
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir, Attic: true}, remote)
	w.fill(mail.Remote, "INBOX", 0, 20)
	w.fill(mail.Remote, "Archive", 20, 25)
	w.sync()
	w.sync()
	w.o.Workers = 1
	k := w.keys(mail.Remote, "INBOX")[3]
	done := false
	w.stores[1].Reads = func(r memstore.Read) error {
		if !done && r.Method == memstore.View && r.Box == "INBOX" && r.Key == "" {
			done = true
			w.stores[1].MoveUser("INBOX", k, to)
		}
		return nil
	}
	// something must be seen in INBOX even with marks
	w.stores[1].SetFlagsUser("INBOX", w.keys(mail.Remote, "INBOX")[5], flags(`\Seen`), flags())
	w.stores[1].SetFlagsUser("Archive", w.keys(mail.Remote, "Archive")[0], flags(`\Seen`), flags())
	res := w.sync()
	w.stores[1].Reads = nil
	if res.Summary.DeletedLocal > 0 {
		t.Errorf("a message on its way to %q was deleted locally: %+v", to, res.Summary)
	}
	w.sync()
	w.equal(25)
}

// TestRaceMarks guards rule 8 of DESIGN.md section 4.
func TestRaceMarks(t *testing.T) { testRace(t, memstore.Options{Kind: memstore.IMAP}, "Archive") }

func TestRaceNoMarks(t *testing.T) {
	testRace(t, memstore.Options{Kind: memstore.IMAP, NoMarks: true}, "Archive")
}

func TestRaceNewBox(t *testing.T) { testRace(t, memstore.Options{Kind: memstore.IMAP}, "Brand new") }

// first sync interrupted, then the mailbox is removed on one side.
func TestUnknownBox(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "INBOX", 0, 40)
	w.sync()
	w.sync()
	w.fill(mail.Remote, "Work", 50, 58)
	phase := Phase(0)
	o := w.options()
	o.Events = func(e Event) {
		if e.Kind == EventPhase {
			phase = e.Phase
		}
	}
	o.crash = func() error {
		if phase == PhaseCommit {
			return errCrash
		}
		return nil
	}
	if _, err := Sync(context.Background(), o); err == nil {
		t.Fatal("not cut")
	}
	w.stores[0].RemoveBox("Work")
	w.sync()
	w.sync()
	w.sync()
	if r := w.n(mail.Remote); r != 48 {
		t.Errorf("remote has %d of 48 messages; the policy is to keep mailboxes with messages", r)
	}
}

// the mailbox that is to be created came into being meanwhile, with messages.
func TestCreateRace(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.sync()
	w.fill(mail.Local, "Lists", 0, 3)
	w.stores[1].Effects = nil
	o := w.options()
	o.Events = func(e Event) {
		if e.Kind == EventPhase && e.Phase == PhaseMailboxes {
			w.fill(mail.Remote, "Lists", 0, 3) // another program does the same
		}
	}
	if _, err := Sync(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.sync()
	t.Logf("local %d remote %d", w.n(0), w.n(1))
	if w.n(0) != 3 || w.n(1) != 3 {
		t.Errorf("doubled: local %d remote %d, want 3 3", w.n(0), w.n(1))
	}
}

func TestAltered(t *testing.T) {
	for _, side := range mail.Sides {
		w := newWorld(t, mi[0], mi[1])
		w.fill(mail.Remote, "INBOX", 10, 40)
		w.stores[0].Deliver("INBOX", flags(), []byte("Message-ID: <a@x>\r\n\r\nlocal version\r\n"), 17)
		w.stores[1].Deliver("INBOX", flags(), []byte("Message-ID: <a@x>\r\n\r\nremote version, another one\r\n"), 17)
		w.sync()
		w.sync()
		for _, m := range w.stores[side].Dump() {
			if string(m.Data[:16]) == "Message-ID: <a@x" {
				w.stores[side].DeleteUser("INBOX", m.Key)
			}
		}
		w.sync()
		if r := w.sync(); r.Summary.HeldBack != 1 || w.n(side.Other()) != 31 {
			t.Errorf("deleted on the %s side: held back %d, the other side has %d of 31", side, r.Summary.HeldBack, w.n(side.Other()))
		}
		w.o.AllowDeletes = true
		w.sync()
		if w.n(0) != 30 || w.n(1) != 30 {
			t.Errorf("let through: local has %d, remote %d", w.n(0), w.n(1))
		}
	}
}

// a late intent, the message taken away and back, and a view that fails.
func TestTwinDropGone(t *testing.T) {
	worst := 99
	for n := range 12 {
		w := newWorld(t, mi[0], mi[1])
		w.fill(mail.Remote, "INBOX", 10, 40)
		w.fill(mail.Remote, "Zebra", 50, 52)
		w.sync()
		w.sync()
		k0 := w.fill(mail.Local, "INBOX", 0, 1)[0]
		_ = k0
		w.crashAt(n)
		w.sync()
		var k mail.Key
		for _, m := range w.stores[1].Dump() {
			if m.Box == "INBOX" && string(m.Data) == string(body(0)) {
				k = m.Key
			}
		}
		away := w.stores[1].MoveUser("INBOX", k, "Archive")
		w.stores[1].MoveUser("Archive", away, "INBOX")
		w.stores[1].Spoil("Zebra", errors.New("mailbox is damaged"))
		_, err := w.try(nil)
		if err != nil {
			t.Fatal(err)
		}
		w.stores[1].Spoil("Zebra", nil)
		w.sync()
		w.sync()
		have := 0
		for _, m := range w.stores[1].Dump() {
			if string(m.Data) == string(body(0)) {
				have++
			}
		}
		haveL := 0
		for _, m := range w.stores[0].Dump() {
			if string(m.Data) == string(body(0)) {
				haveL++
			}
		}
		worst = min(worst, have+haveL)
		if have == 0 || haveL == 0 {
			t.Errorf("crash at %d: the message is %d times remote, %d times local", n, have, haveL)
		}
	}
}

func TestRekey(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "INBOX", 0, 5)
	w.sync()
	w.sync()
	w.stores[0].Rekey("INBOX", w.keys(mail.Local, "INBOX")[0])
	before := w.keys(mail.Remote, "INBOX")
	res := w.sync()
	if after := w.keys(mail.Remote, "INBOX"); res.Summary.Changed() || !slices.Equal(before, after) {
		t.Errorf("a new file name changed the other side: %+v, UIDs %q, were %q", res.Summary, after, before)
	}
	w.still()
}

// an older Maildir: flags.
func TestSuspectFlags(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "INBOX", 0, 20)
	w.sync()
	w.sync()
	old := w.stores[0].Snapshot()
	for _, k := range w.keys(mail.Remote, "INBOX") {
		w.stores[1].SetFlagsUser("INBOX", k, flags(`\Seen`, `\Answered`), flags())
	}
	w.sync()
	w.sync()
	w.stores[0].Restore(old)
	w.sync()
	lost := 0
	for _, m := range w.stores[1].Dump() {
		if m.Flags.System&mail.Answered == 0 {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of 20 remote messages lost flags because an older Maildir was restored", lost)
	}
}

func TestPartial(t *testing.T) {
	w := newWorld(t, mi[0], memstore.Options{Kind: memstore.IMAP, Limit: 20})
	w.fill(mail.Remote, "INBOX", 0, 20)
	w.sync()
	w.sync()
	w.fill(mail.Remote, "INBOX", 20, 25)
	res := w.sync()
	if res.Summary.DeletedLocal > 0 {
		t.Errorf("%d deleted because the view was partial (Caps.Partial)", res.Summary.DeletedLocal)
	}
}
