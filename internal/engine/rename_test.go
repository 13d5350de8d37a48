package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// renames are what users do to mailboxes on one side, and how many mailboxes the other is to rename.
type renameCase struct {
	name   string
	before func(*world)
	change func(*world, mail.Side)
	want   int // messages
	names  []mail.Box
	done   int  // mailboxes renamed on the other side
	epochs bool // only where mailboxes have epochs; else their messages are moved
}

func hierarchy(w *world) {
	w.fill(mail.Remote, "INBOX", 0, 3)
	w.fill(mail.Remote, "A", 10, 14)
	w.fill(mail.Remote, "A/x", 40, 43)
	w.fill(mail.Remote, "A/x/deep", 52, 53)
	w.stores[mail.Remote].CreateUser("A/empty", "")
	w.fill(mail.Remote, "Z", 60, 62)
}

var renameCases = []renameCase{
	{
		name: "alone", before: func(w *world) { w.fill(mail.Remote, "A", 0, 20) },
		change: func(w *world, side mail.Side) { w.stores[side].RenameUser("A", "Ä b/c") },
		want:   20, names: []mail.Box{"INBOX", "Ä b/c"}, done: 1,
	},
	{
		name: "with those below", before: hierarchy,
		change: func(w *world, side mail.Side) { w.stores[side].RenameUser("A", "B") },
		want:   13, names: []mail.Box{"B", "B/empty", "B/x", "B/x/deep", "INBOX", "Z"}, done: 4,
	},
	{
		name: "below another one", before: hierarchy,
		change: func(w *world, side mail.Side) { w.stores[side].RenameUser("A", "Z/A") },
		want:   13, names: []mail.Box{"INBOX", "Z", "Z/A", "Z/A/empty", "Z/A/x", "Z/A/x/deep"}, done: 4,
	},
	{
		name: "one of those below goes elsewhere", before: hierarchy,
		change: func(w *world, side mail.Side) {
			w.stores[side].RenameUser("A/x", "C")
			w.stores[side].RenameUser("A", "B")
		},
		want: 13, names: []mail.Box{"B", "B/empty", "C", "C/deep", "INBOX", "Z"}, done: 4,
	},
	{
		name: "and another goes there", before: hierarchy,
		change: func(w *world, side mail.Side) {
			w.stores[side].RenameUser("A", "B")
			w.stores[side].RenameUser("Z", "B/y")
		},
		want: 13, names: []mail.Box{"B", "B/empty", "B/x", "B/x/deep", "B/y", "INBOX"}, done: 5,
	},
	{
		name: "only those below", before: func(w *world) {
			w.fill(mail.Remote, "P/a", 0, 5)
			w.fill(mail.Remote, "P/b", 5, 10)
		},
		change: func(w *world, side mail.Side) {
			w.stores[side].RenameUser("P/a", "Q/a")
			w.stores[side].RenameUser("P/b", "Q/b")
		},
		want: 10, names: []mail.Box{"INBOX", "Q/a", "Q/b"}, done: 2,
	},
	{
		name: "with changes in it", before: func(w *world) {
			w.fill(mail.Remote, "INBOX", 0, 2)
			w.fill(mail.Remote, "A", 10, 40)
		},
		change: func(w *world, side mail.Side) {
			s, keys := w.stores[side], w.keys(side, "A")
			s.MoveUser("A", keys[3], "INBOX") // before
			s.DeleteUser("A", keys[7])
			s.RenameUser("A", "B")
			s.SetFlagsUser("B", keys[5], flags(`\Flagged`, "work"), flags())
			s.DeleteUser("B", keys[9])
			w.fill(side, "B", 50, 53)
			other := side.Other() // and what the other side did meanwhile
			theirs := w.keys(other, "A")
			w.stores[other].SetFlagsUser("A", theirs[5], flags(`\Answered`), flags())
			w.stores[other].DeleteUser("A", theirs[11])
			w.fill(other, "A", 53, 55)
			w.fill(other, "A/new", 55, 56)
		},
		want: 2 + 30 - 3 + 3 + 2 + 1, names: []mail.Box{"B", "B/new", "INBOX"}, done: 1,
	},
	{
		name: "twice", before: func(w *world) { w.fill(mail.Remote, "A", 0, 20) },
		change: func(w *world, side mail.Side) {
			w.stores[side].RenameUser("A", "B")
			w.stores[side].RenameUser("B", "C")
			w.fill(side, "A", 20, 22) // the old name has a new mailbox
		},
		want: 22, names: []mail.Box{"A", "C", "INBOX"}, done: 1, epochs: true,
	},
}

func (c renameCase) start(t testing.TB, kind [2]memstore.Options, side mail.Side) *world {
	t.Helper()
	w := newWorld(t, kind[0], kind[1])
	w.stores[mail.Local].CreateUser("INBOX", "")
	c.before(w)
	w.sync()
	w.sync()
	c.change(w, side)
	return w
}

func (c renameCase) check(w *world) {
	w.t.Helper()
	w.equal(c.want)
	for _, side := range mail.Sides {
		if got := w.stores[side].Names(); !slices.Equal(got, c.names) {
			w.t.Fatalf("%s mailboxes %q, want %q", side, got, c.names)
		}
	}
}

func eachRename(t *testing.T, kinds map[string][2]memstore.Options, test func(*testing.T, renameCase, [2]memstore.Options, mail.Side)) {
	for kindName, kind := range kinds {
		for _, c := range renameCases {
			for _, side := range mail.Sides {
				t.Run(fmt.Sprintf("%s/%s/%s", kindName, c.name, side), func(t *testing.T) {
					t.Parallel()
					test(t, c, kind, side)
				})
			}
		}
	}
}

// TestRename: what a user renames on one side is renamed on the other, and nothing is copied that both have.
func TestRename(t *testing.T) {
	t.Parallel()
	eachRename(t, kinds, func(t *testing.T, c renameCase, kind [2]memstore.Options, side mail.Side) {
		w := c.start(t, kind, side)
		dry := w.dryRun()
		s := w.sync().Summary
		want := c.done
		if c.epochs && kind[side].Kind == memstore.Maildir {
			want = 0
		}
		if got := [2]int{s.RenamedLocal, s.RenamedRemote}; got[side.Other()] != want || got[side] != 0 {
			t.Errorf("renamed %v, want %d", got, want)
		}
		if got := [2]int{dry.RenamedLocal, dry.RenamedRemote}; got != [2]int{s.RenamedLocal, s.RenamedRemote} {
			t.Errorf("a dry run renames %v", got)
		}
		if a, b := counted(dry), counted(s); a != b {
			t.Errorf("a dry run tells of\n%s, the sync of\n%s", a, b)
		}
		w.sync()
		c.check(w)
		w.still()
	})
}

func counted(s Summary) string {
	return fmt.Sprint(s.CopiedToLocal, s.CopiedToRemote, s.MovedLocal, s.MovedRemote, s.FlaggedLocal, s.FlaggedRemote, s.DeletedLocal, s.DeletedRemote, s.HeldBack)
}

// dryRun syncs without doing anything, and checks that.
func (w *world) dryRun() Summary {
	w.t.Helper()
	before := [2]string{dumped(w, mail.Local), dumped(w, mail.Remote)}
	w.o.DryRun = true
	res, err := w.try(func() error { return errors.New("a dry run has an effect") })
	w.o.DryRun = false
	if err != nil || len(res.Errors) > 0 {
		w.t.Fatalf("dry run: %v %v", err, res.Errors)
	}
	if after := [2]string{dumped(w, mail.Local), dumped(w, mail.Remote)}; after != before {
		w.t.Fatal("a dry run changed something")
	}
	return res.Summary
}

func dumped(w *world, side mail.Side) string {
	text := fmt.Sprint(w.stores[side].Names())
	for _, m := range w.stores[side].Dump() {
		text += fmt.Sprintf("%s %x\n", m, m.Key)
	}
	return text
}

// TestRenameCrashLoop stops before and after every effect and every commit.
func TestRenameCrashLoop(t *testing.T) {
	t.Parallel()
	some := map[string][2]memstore.Options{}
	for _, name := range []string{"maildir-qresync", "imap-imap", "maildir-maildir"} {
		some[name] = kinds[name]
	}
	eachRename(t, some, func(t *testing.T, c renameCase, kind [2]memstore.Options, side mail.Side) {
		total := c.start(t, kind, side).effects()
		for n := range total {
			if !tried(n) {
				continue
			}
			w := c.start(t, kind, side)
			if !w.crashAt(n) {
				t.Fatalf("no crash at %d of %d", n, total)
			}
			w.sync()
			w.sync()
			func() {
				defer func() {
					if t.Failed() {
						t.Logf("after a crash at %d of %d", n, total)
					}
				}()
				c.check(w)
				w.still()
			}()
		}
	})
}

// TestRenameAgain: after a run that was stopped, the user renames once more: that is the name that counts, and nothing is doubled.
func TestRenameAgain(t *testing.T) {
	t.Parallel()
	for _, kindName := range []string{"maildir-qresync", "maildir-maildir"} {
		kind := kinds[kindName]
		for _, side := range mail.Sides {
			t.Run(kindName+"/"+side.String(), func(t *testing.T) {
				t.Parallel()
				c := renameCases[1]
				for n := range c.start(t, kind, side).effects() {
					if !tried(n) {
						continue
					}
					w := c.start(t, kind, side)
					w.crashAt(n)
					w.stores[side].RenameUser("B", "C")
					w.sync()
					w.sync()
					again := renameCase{want: c.want, names: []mail.Box{"C", "C/empty", "C/x", "C/x/deep", "INBOX", "Z"}}
					again.check(w)
					w.still()
				}
			})
		}
	}
}

// TestRenameOnBoth: the same new name on both sides needs nothing; two different ones are both kept, and nothing is lost.
func TestRenameOnBoth(t *testing.T) {
	t.Parallel()
	for kindName, kind := range kinds {
		t.Run(kindName, func(t *testing.T) {
			t.Parallel()
			c := renameCases[1]
			w := c.start(t, kind, mail.Local)
			w.stores[mail.Remote].RenameUser("A", "B")
			if s := w.sync().Summary; s.Changed() || s.Adopted > 0 {
				t.Errorf("the same name on both sides: %+v", s)
			}
			c.check(w)
			w.still()

			w = c.start(t, kind, mail.Local)
			w.stores[mail.Remote].RenameUser("A", "C")
			w.sync()
			w.sync()
			w.equal(3 + 2*8 + 2)
			w.still()
		})
	}
}

// TestRenameRefused: what a side will not rename is moved instead.
func TestRenameRefused(t *testing.T) {
	t.Parallel()
	c := renameCases[1]
	for _, kind := range []string{"maildir-imap", "imap-imap"} {
		w := c.start(t, kinds[kind], mail.Local)
		w.wrap = func(side mail.Side, s store.Store) store.Store {
			if side == mail.Local {
				return s
			}
			return &memstore.Gate{Store: s, Before: func(m memstore.Method) error {
				if m == memstore.RenameBox {
					return errors.New("answer NO")
				}
				return nil
			}}
		}
		s := w.sync().Summary
		if s.RenamedRemote != 0 || s.CopiedToRemote+s.CopiedToLocal > 0 || s.MovedRemote != 8 {
			t.Fatalf("%+v", s)
		}
		w.sync()
		w.equal(c.want)
	}
}

// TestRenamePolicy: to rename is not to delete, whatever becomes of missing mailboxes.
func TestRenamePolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range []plan.DeleteBoxes{plan.DeleteNoBoxes, plan.DeleteEmptyBoxes, plan.DeleteAllBoxes} {
		for _, side := range mail.Sides {
			c := renameCases[1]
			w := c.start(t, kinds["maildir-qresync"], side)
			w.o.DeleteBoxes = policy
			if s := w.sync().Summary; s.HeldBack+s.Left+s.DeletedLocal+s.DeletedRemote > 0 {
				t.Fatalf("%v: %+v", policy, s)
			}
			c.check(w)
			w.still()
		}
	}
}

// TestRenameOfEmpty: an empty mailbox is known again by the server's own id of it (RFC 8474), and by nothing else.
func TestRenameOfEmpty(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]int{"imap with stable ids": 1, "maildir-qresync": 0} {
		w := newWorld(t, kinds[kind][0], kinds[kind][1])
		w.stores[mail.Remote].CreateUser("A", "")
		w.sync()
		w.sync()
		w.stores[mail.Remote].RenameUser("A", "B")
		if s := w.sync().Summary; s.RenamedLocal != want {
			t.Errorf("%s: %+v", kind, s)
		}
		w.sync()
		w.sync()
		for _, side := range mail.Sides {
			if got := w.stores[side].Names(); slices.Contains(got, "A") || !slices.Contains(got, "B") {
				t.Errorf("%s: %s mailboxes %q", kind, side, got)
			}
		}
	}
}

// TestNoRenameOfEmpty: another id is another mailbox.
func TestNoRenameOfEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kinds["imap with stable ids"][0], kinds["imap with stable ids"][1])
	w.stores[mail.Remote].CreateUser("A", "")
	w.sync()
	w.sync()
	w.stores[mail.Remote].CreateUser("B", "")
	w.stores[mail.Remote].SameEpoch("B", "A")
	w.stores[mail.Remote].RemoveBox("A")
	if s := w.sync().Summary; s.RenamedLocal != 0 {
		t.Errorf("%+v", s)
	}
}

// TestRenameOfOne: with one mailbox asked for, by either name, that one alone is renamed.
func TestRenameOfOne(t *testing.T) {
	t.Parallel()
	for _, only := range []mail.Box{"A", "B"} {
		w := renameCases[1].start(t, kinds["maildir-imap"], mail.Remote)
		w.stores[mail.Remote].RenameUser("Z", "Y")
		w.o.Only = []mail.Box{only}
		w.sync()
		if s := w.stores[mail.Local]; s.HasBox("A") || !s.HasBox("B") || !s.HasBox("B/x") || s.HasBox("Y") {
			t.Errorf("%s: local mailboxes %q", only, s.Names())
		}
		w.o.Only = nil
		w.sync()
		w.sync()
		w.equal(13)
		w.still()
	}
}

// TestRenameOfLostState: without a state nothing is known to have been renamed: both names stay, and nothing is lost.
func TestRenameOfLostState(t *testing.T) {
	t.Parallel()
	for kindName, kind := range kinds {
		t.Run(kindName, func(t *testing.T) {
			t.Parallel()
			w := renameCases[0].start(t, kind, mail.Local)
			w.newState()
			w.sync()
			w.sync()
			w.equal(40)
			w.still()
		})
	}
}
