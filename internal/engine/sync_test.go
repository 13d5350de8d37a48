package engine

import (
	"fmt"
	"strings"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store/memstore"
)

// kinds are the pairs of stores that every scenario runs on.
var kinds = map[string][2]memstore.Options{
	"maildir-imap":         {{Kind: memstore.Maildir}, {Kind: memstore.IMAP}},
	"maildir-qresync":      {{Kind: memstore.Maildir, FreshNames: true}, {Kind: memstore.IMAP, Delta: true}},
	"maildir-poor imap":    {{Kind: memstore.Maildir, Unproven: true, Reverse: true}, {Kind: memstore.IMAP, NoKeys: true, NoMarks: true, NoMove: true}},
	"imap-imap":            {{Kind: memstore.IMAP, Delta: true}, {Kind: memstore.IMAP}},
	"maildir-maildir":      {{Kind: memstore.Maildir}, {Kind: memstore.Maildir, FreshNames: true}},
	"imap without a move":  {{Kind: memstore.Maildir}, {Kind: memstore.IMAP, Delta: true, NoMove: true, Reverse: true}},
	"imap with stable ids": {{Kind: memstore.Maildir}, {Kind: memstore.IMAP, Delta: true, StableIDs: true, Tells: true}},
}

// scenario is a state that both sides agree on, changes, and how many messages there are to be in the end.
type scenario struct {
	name   string
	before func(*world) // then synced
	change func(*world)
	want   int
	o      Options
	on     func(kind [2]memstore.Options) bool // nil: on all
}

// tellsChanges says that a side tells what changed since a mark.
func tellsChanges(side mail.Side) func([2]memstore.Options) bool {
	return func(kind [2]memstore.Options) bool { return kind[side].Delta }
}

var scenarios = []scenario{
	{name: "first pull", change: func(w *world) {
		w.fill(mail.Remote, "INBOX", 0, 5)
		w.fill(mail.Remote, "Work/Invoices", 5, 8)
		w.stores[mail.Remote].Deliver("INBOX", flags(`\Seen`, "work"), bare(1), 17)
	}, want: 9},
	{name: "first push", change: func(w *world) {
		w.fill(mail.Local, "INBOX", 0, 5)
		w.fill(mail.Local, "Work", 5, 8)
		w.stores[mail.Local].Deliver("INBOX", flags(`\Flagged`), bare(1), 17)
	}, want: 9},
	{name: "both full already", change: func(w *world) {
		for _, side := range mail.Sides {
			w.fill(side, "INBOX", 0, 6)
			w.stores[side].Deliver("INBOX", flags(), bare(1), 17)
			w.stores[side].Deliver("INBOX", flags(), bare(1), 17) // a real identical copy
		}
		w.fill(mail.Local, "INBOX", 6, 8)
		w.fill(mail.Remote, "INBOX", 8, 9)
	}, want: 11},
	{name: "deletions", before: func(w *world) { w.fill(mail.Remote, "INBOX", 0, 30) }, change: func(w *world) {
		for i, k := range w.keys(mail.Local, "INBOX")[:8] {
			if i%2 == 0 {
				w.stores[mail.Local].DeleteUser("INBOX", k)
			}
		}
		for _, k := range w.keys(mail.Remote, "INBOX")[20:24] {
			w.stores[mail.Remote].DeleteUser("INBOX", k)
		}
	}, want: 22},
	{name: "flags", before: func(w *world) { w.fill(mail.Remote, "INBOX", 0, 6) }, change: func(w *world) {
		l, r := w.keys(mail.Local, "INBOX"), w.keys(mail.Remote, "INBOX")
		w.stores[mail.Local].SetFlagsUser("INBOX", l[0], flags(`\Seen`, "work"), flags())
		w.stores[mail.Local].SetFlagsUser("INBOX", l[1], flags(`\Flagged`), flags())
		w.stores[mail.Remote].SetFlagsUser("INBOX", r[1], flags(`\Seen`), flags())
		w.stores[mail.Remote].SetFlagsUser("INBOX", r[2], flags(`\Answered`, "$Forwarded"), flags())
	}, want: 6},
	{name: "flags of the remote side", o: Options{deltaChunk: 2}, on: tellsChanges(mail.Remote), before: func(w *world) { w.fill(mail.Remote, "INBOX", 0, 6) }, change: func(w *world) {
		for i, k := range w.keys(mail.Remote, "INBOX")[:5] {
			w.stores[mail.Remote].SetFlagsUser("INBOX", k, flags([]string{`\Seen`, "work"}[i%2]), flags())
		}
		w.fill(mail.Remote, "INBOX", 6, 7)
	}, want: 7},
	{name: "flags of the local side", o: Options{deltaChunk: 2}, on: tellsChanges(mail.Local), before: func(w *world) { w.fill(mail.Remote, "INBOX", 0, 6) }, change: func(w *world) {
		for i, k := range w.keys(mail.Local, "INBOX")[:5] {
			w.stores[mail.Local].SetFlagsUser("INBOX", k, flags([]string{`\Seen`, "work"}[i%2]), flags())
		}
		w.fill(mail.Remote, "Archive", 6, 7)
	}, want: 7},
	{name: "local moves", before: func(w *world) {
		w.fill(mail.Remote, "INBOX", 0, 20)
		w.fill(mail.Remote, "Archive", 20, 22)
	}, change: func(w *world) {
		for _, k := range w.keys(mail.Local, "INBOX")[:5] {
			w.stores[mail.Local].MoveUser("INBOX", k, "Archive")
		}
		k := w.keys(mail.Local, "INBOX")[0]
		w.stores[mail.Local].SetFlagsUser("INBOX", k, flags(`\Seen`), flags())
		w.stores[mail.Local].MoveUser("INBOX", k, "New")
	}, want: 22},
	{name: "remote moves", before: func(w *world) {
		w.fill(mail.Remote, "INBOX", 0, 20)
		w.fill(mail.Remote, "Archive", 20, 22)
		w.stores[mail.Remote].Deliver("INBOX", flags(), bare(1), 17)
		w.stores[mail.Remote].Deliver("INBOX", flags(), traced(1), 17)
		w.stores[mail.Remote].Deliver("INBOX", flags(), traced(1), 17) // a real identical copy
	}, change: func(w *world) {
		keys := w.keys(mail.Remote, "INBOX")
		for _, k := range append(keys[:5:5], keys[20:]...) {
			w.stores[mail.Remote].MoveUser("INBOX", k, "Archive")
		}
		w.stores[mail.Local].SetFlagsUser("INBOX", w.keys(mail.Local, "INBOX")[1], flags(`\Seen`), flags())
	}, want: 25},
	{name: "moves on both sides", before: func(w *world) { w.fill(mail.Remote, "INBOX", 0, 20) }, change: func(w *world) {
		l, r := w.keys(mail.Local, "INBOX"), w.keys(mail.Remote, "INBOX")
		w.stores[mail.Local].MoveUser("INBOX", l[0], "A") // both to the same mailbox
		w.stores[mail.Remote].MoveUser("INBOX", r[0], "A")
		w.stores[mail.Local].MoveUser("INBOX", l[1], "A") // or to two
		w.stores[mail.Remote].MoveUser("INBOX", r[1], "B")
		w.stores[mail.Local].MoveUser("INBOX", l[2], "B") // a move beats a deletion
		w.stores[mail.Remote].DeleteUser("INBOX", r[2])
	}, want: 21},
	{name: "renumbered", before: func(w *world) {
		w.fill(mail.Remote, "INBOX", 0, 12)
		w.stores[mail.Remote].Deliver("INBOX", flags(), bare(1), 17)
		w.stores[mail.Remote].Deliver("INBOX", flags(), bare(1), 17)
	}, change: func(w *world) {
		w.stores[mail.Remote].NewEpoch("INBOX")
		w.fill(mail.Remote, "INBOX", 12, 14)
		w.stores[mail.Remote].DeleteUser("INBOX", w.keys(mail.Remote, "INBOX")[3]) // not known to be deleted: comes back
		w.stores[mail.Local].SetFlagsUser("INBOX", w.keys(mail.Local, "INBOX")[5], flags(`\Seen`), flags())
	}, want: 16},
	{name: "deletion beats flags", before: func(w *world) { w.fill(mail.Remote, "INBOX", 0, 12) }, change: func(w *world) {
		w.stores[mail.Local].DeleteUser("INBOX", w.keys(mail.Local, "INBOX")[2])
		w.stores[mail.Remote].SetFlagsUser("INBOX", w.keys(mail.Remote, "INBOX")[2], flags(`\Seen`), flags())
	}, want: 11},
	{name: "expunge both", o: Options{Expunge: plan.ExpungeBoth}, before: func(w *world) { w.fill(mail.Remote, "INBOX", 0, 12) }, change: func(w *world) {
		w.stores[mail.Local].SetFlagsUser("INBOX", w.keys(mail.Local, "INBOX")[2], flags(`\Deleted`), flags())
		w.stores[mail.Remote].SetFlagsUser("INBOX", w.keys(mail.Remote, "INBOX")[4], flags(`\Deleted`), flags())
	}, want: 10},
	{name: "arrivals of one message", before: func(w *world) { w.fill(mail.Remote, "Sent", 0, 3) }, change: func(w *world) {
		w.fill(mail.Local, "Sent", 3, 4) // a mail reader's copy and the server's own
		w.fill(mail.Remote, "Sent", 3, 4)
	}, want: 4},
}

func (s scenario) start(t testing.TB, kind [2]memstore.Options) *world {
	t.Helper()
	w := newWorld(t, kind[0], kind[1])
	w.o = s.o
	w.sync()
	if s.before != nil {
		s.before(w)
		w.sync()
		w.sync()
	}
	s.change(w)
	return w
}

func eachScenario(t *testing.T, test func(*testing.T, scenario, [2]memstore.Options)) {
	for kindName, kind := range kinds {
		for _, s := range scenarios {
			if s.name == "renumbered" && kind[1].Kind == memstore.Maildir {
				continue // a Maildir has no epochs of mailboxes
			}
			if s.on != nil && !s.on(kind) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", kindName, s.name), func(t *testing.T) {
				t.Parallel()
				test(t, s, kind)
			})
		}
	}
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, s scenario, kind [2]memstore.Options) {
		w := s.start(t, kind)
		w.sync()
		w.equal(s.want)
		w.still()
	})
}

// TestCrashLoop stops a sync before and after every single effect and every commit, and syncs again: the result must be that of
// the undisturbed sync.
// It guards rule 2 of DESIGN.md section 4.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, s scenario, kind [2]memstore.Options) {
		total := s.start(t, kind).effects()
		for n := range total {
			if !tried(n) {
				continue
			}
			w := s.start(t, kind)
			if !w.crashAt(n) {
				t.Fatalf("no crash at %d of %d", n, total)
			}
			w.sync()
			if res := w.sync(); res.Summary.HeldBack > 0 {
				t.Fatalf("after a crash at %d of %d: %+v", n, total, res.Summary)
			}
			func() {
				defer func() {
					if t.Failed() {
						t.Logf("after a crash at %d of %d", n, total)
					}
				}()
				w.equal(s.want)
				w.still()
			}()
		}
		t.Logf("%d crash points", total)
	})
}

// TestLostState deletes the state after a sync: everything is paired by content again.
func TestLostState(t *testing.T) {
	t.Parallel()
	eachScenario(t, func(t *testing.T, s scenario, kind [2]memstore.Options) {
		w := s.start(t, kind)
		w.sync()
		w.newState()
		if res := w.sync(); res.Summary.Changed() {
			t.Fatalf("something was changed: %+v", res.Summary)
		}
		w.equal(s.want)
		w.still()
	})
}

// TestTakenAwayAndBack: after an interrupted upload was repeated, a user moves the message away and back. It must not be taken
// for a late twin of itself and removed.
func TestTakenAwayAndBack(t *testing.T) {
	t.Parallel()
	kind := kinds["maildir-imap"]
	for n := range 12 {
		w := newWorld(t, kind[0], kind[1])
		w.fill(mail.Local, "INBOX", 0, 2)
		w.crashAt(n)
		w.sync()
		k := w.keys(mail.Remote, "INBOX")[0]
		away := w.stores[mail.Remote].MoveUser("INBOX", k, "Archive")
		w.stores[mail.Remote].MoveUser("Archive", away, "INBOX")
		w.sync()
		w.equal(2)
		w.sync()
		w.still()
	}
}

// TestEdits: a message whose content a local mail reader replaced under its key is a new version: it takes the place of the
// old one on the other side, also after a crash anywhere, and wins over a deletion there.
func TestEdits(t *testing.T) {
	t.Parallel()
	kind := kinds["maildir-imap"]
	start := func() *world {
		w := newWorld(t, kind[0], kind[1])
		w.stores[mail.Remote].CreateUser("Drafts", `\Drafts`)
		w.fill(mail.Remote, "Drafts", 0, 12)
		w.fill(mail.Remote, "INBOX", 20, 40) // so that the guard has no objection
		w.sync()
		for i, k := range w.keys(mail.Local, "Drafts")[:3] {
			w.stores[mail.Local].Edit("Drafts", k, fmt.Appendf(nil, "Message-ID: <new%d@x>\r\n\r\nedited %d\r\n", i, i))
		}
		return w
	}
	check := func(w *world) {
		t.Helper()
		w.equal(32)
		edited := 0
		for _, m := range w.stores[mail.Remote].Dump() {
			if strings.Contains(string(m.Data), "edited") {
				edited++
			}
		}
		if edited != 3 {
			t.Fatalf("%d of 3 new versions are on the other side", edited)
		}
	}
	total := start().effects()
	for n := range total + 1 {
		w := start()
		w.crashAt(n)
		w.sync()
		w.sync()
		check(w)
		w.still()
	}
	t.Logf("%d crash points", total)

	w := start()
	for _, m := range w.stores[mail.Remote].Dump() {
		if m.Box == "Drafts" {
			w.stores[mail.Remote].DeleteUser("Drafts", m.Key)
		}
	}
	w.o.AllowDeletes = true
	w.sync()
	w.equal(20 + 3)
	w.sync()
	w.still()
}
