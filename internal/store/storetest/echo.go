package storetest

import (
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// testEcho: after effects of the store a mailbox has a new mark without a view if nothing else happened in it, and none if something did.
func testEcho(f *fixture) {
	s, ok := f.s.(store.Echoer)
	if !ok || !f.Marks || !f.Delta {
		f.Skip("the store hears no echo")
	}
	for name, other := range map[string]func(box mail.Box, m []Message, want *mail.Expected){
		"nothing": nil,
		"a flag of ours": func(box mail.Box, m []Message, _ *mail.Expected) {
			f.must(f.u.SetFlags(box, m[0].Key, mail.Draft), "flag")
		},
		"no flag of ours": func(box mail.Box, m []Message, _ *mail.Expected) { f.must(f.u.SetFlags(box, m[0].Key, 0), "flag") },
		"a flag of another": func(box mail.Box, m []Message, _ *mail.Expected) {
			f.must(f.u.SetFlags(box, m[3].Key, mail.Seen), "flag")
		},
		"a message": func(box mail.Box, _ []Message, _ *mail.Expected) { f.deliver(box, f.message(0)) },
		"a message for one": func(box mail.Box, m []Message, _ *mail.Expected) {
			f.deliver(box, f.message(0))
			f.must(f.u.Delete(box, m[3].Key), "delete")
		},
		"one less":             func(box mail.Box, m []Message, _ *mail.Expected) { f.must(f.u.Delete(box, m[3].Key), "delete") },
		"other flags expected": func(_ mail.Box, m []Message, want *mail.Expected) { want.Add(m[1].Key, mail.Flags{System: mail.Seen}) },
		"more expected":        func(_ mail.Box, _ []Message, want *mail.Expected) { want.Total++ },
		"a keyword expected": func(_ mail.Box, m []Message, want *mail.Expected) {
			want.Add(m[0].Key, mail.Flags{System: mail.Seen, Keywords: "never"})
		},
	} {
		box := f.box(mail.Box("Echo " + name))
		m := f.deliver(box, f.messages(5)...)
		since := f.whole(box).mark
		want := f.echoed(box, m)
		if other != nil {
			other(box, m, want)
		}
		quiet := f.box(mail.Box("Quiet " + name))
		marks, err := s.Echo(f.ctx, []store.Echo{
			{Box: quiet, Since: "", Want: &mail.Expected{}},
			{Box: box, Since: since, Want: want},
			{Box: "There is none", Since: since, Want: want},
		})
		f.must(err, "hear the echo")
		if len(marks) != 3 || (marks[1] != "") != (other == nil) || marks[0]+marks[2] != "" {
			f.Errorf("%s: marks %q", name, marks)
		}
		if other == nil {
			if f.age(); marks[1] != f.boxes()[box].Mark {
				f.Errorf("%s: mark %q, the list says %q", name, marks[1], f.boxes()[box].Mark)
			}
			f.deliver(box, f.message(0))
			if v := f.view(box, marks[1]); len(v.entries) != 1 || len(v.gone) != 0 {
				f.Errorf("%s: the mark shows %d changed and %d gone", name, len(v.entries), len(v.gone))
			}
		}
	}
}

// echoed carries out effects on five messages, and returns what is expected of the mailbox then.
func (f *fixture) echoed(box mail.Box, m []Message) *mail.Expected {
	f.Helper()
	want := &mail.Expected{Total: 7}
	add := mail.Flags{System: mail.Seen, Keywords: f.keywords("work")}
	did, err := f.s.SetFlags(f.ctx, box, keysOf(m[:2]), add, mail.Flags{})
	f.must(err, "set flags")
	for _, x := range m[:2] {
		want.Add(x.Key, add.Minus(did.Lacks))
	}
	did, err = f.s.SetFlags(f.ctx, box, keysOf(m[1:2]), mail.Flags{System: mail.Flagged}, mail.Flags{System: mail.Seen})
	f.must(err, "set flags again")
	flagged := add.Union(mail.Flags{System: mail.Flagged}).Minus(mail.Flags{System: mail.Seen})
	want.Add(m[1].Key, flagged.Minus(did.Lacks))
	put := []Message{f.message(mail.Answered), f.message(0), f.message(mail.Seen | mail.Flagged)}
	put[1].Flags.Keywords = f.keywords("Private", "$Forwarded")
	for i, d := range f.put(box, put...) {
		want.Add(d.Key, put[i].Flags.Minus(d.Lacks))
	}
	left, err := f.s.Delete(f.ctx, box, []mail.Entry{{Key: m[4].Key, Ident: m[4].ident()}})
	f.must(err, "delete")
	for _, k := range left {
		want.Add(k, mail.Flags{System: mail.Deleted})
		want.Total++
	}
	return want
}
