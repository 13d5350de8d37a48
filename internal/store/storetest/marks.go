package storetest

import (
	"mailtwin/internal/mail"
)

// step is one change of a mailbox.
type step struct {
	name string
	do   func()
	both bool // the other mailbox changes too
}

// testMarksUser: each thing that a user does changes the mark of that mailbox, and of no other.
func testMarksUser(f *fixture) {
	if !f.Marks {
		f.Skip("the store tells no marks")
	}
	a, b := f.box("A"), f.box("B")
	m := f.deliver(a, f.messages(4)...)
	n := f.deliver(b, f.messages(1)...)
	f.marks(a, b, []step{
		{"deliver", func() { f.deliver(a, f.message(0)) }, false},
		{"deliver with flags", func() { f.deliver(a, f.message(mail.Seen)) }, false},
		{"set flag", func() { f.must(f.u.SetFlags(a, m[0].Key, mail.Seen), "set flag") }, false},
		{"change flags", func() { f.must(f.u.SetFlags(a, m[0].Key, mail.Flagged|mail.Seen), "change flags") }, false},
		{"remove flags", func() { f.must(f.u.SetFlags(a, m[0].Key, 0), "remove flags") }, false},
		{"delete", func() { f.must(f.u.Delete(a, m[1].Key), "delete") }, false},
		{"move out", func() { f.must(f.u.Move(a, m[2].Key, b), "move out") }, true},
		{"move in", func() { f.must(f.u.Move(b, n[0].Key, a), "move in") }, true},
	})
}

// testMarksEffects: so does each effect of the store.
func testMarksEffects(f *fixture) {
	if !f.Marks {
		f.Skip("the store tells no marks")
	}
	a, b := f.box("A"), f.box("B")
	m := f.deliver(a, f.messages(5)...)
	f.whole(a)
	f.marks(a, b, []step{
		{"put", func() { f.put(a, f.message(0)) }, false},
		{"set flags", func() {
			_, err := f.s.SetFlags(f.ctx, a, keysOf(m[:1]), mail.Flags{System: mail.Seen}, mail.Flags{})
			f.must(err, "set flags")
		}, false},
		{"delete", func() {
			_, err := f.s.Delete(f.ctx, a, []mail.Entry{{Key: m[1].Key, Ident: m[1].ident()}})
			f.must(err, "delete")
		}, false},
		{"move out", func() { f.move(a, b, false, m[2]) }, true},
		{"copy in", func() { f.move(b, a, true, f.list(b)[0]) }, false},
	})
}

// marks carries steps out that change a, and b only where they say so.
func (f *fixture) marks(a, b mail.Box, steps []step) {
	f.Helper()
	f.age()
	was := f.boxes()
	for _, s := range steps {
		s.do()
		f.age()
		now := f.boxes()
		if f.status(a).Mark != now[a].Mark {
			f.Errorf("after %s: the mark changes though nothing else does", s.name)
		}
		if now[a].Mark == "" || now[a].Mark == was[a].Mark {
			f.Errorf("after %s: mark %q, was %q", s.name, now[a].Mark, was[a].Mark)
		}
		if changed := now[b].Mark != was[b].Mark; changed != s.both {
			f.Errorf("after %s: the mark of the other mailbox changed: %v, want %v", s.name, changed, s.both)
		}
		if total := now[a].Total; total != -1 && total != len(f.list(a)) {
			f.Errorf("after %s: %d messages listed, want %d", s.name, total, len(f.list(a)))
		}
		if v := f.whole(a); v.mark != now[a].Mark {
			f.Errorf("after %s: a view proves %q, the list says %q", s.name, v.mark, now[a].Mark)
		}
		was = f.boxes()
		if was[a].Mark != now[a].Mark {
			f.Errorf("after %s: the view changed the mark", s.name)
		}
	}
}
