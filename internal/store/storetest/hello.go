package storetest

import (
	"mailtwin/internal/mail"
)

// testHello: what a store says of itself, and what SetRoot changes in it.
func testHello(f *fixture) {
	s, u := f.New(f.T)
	defer func() { f.must(s.Close(), "close store") }()
	g, err := s.Hello(f.ctx, "")
	f.must(err, "open store")
	if g.Name == "" {
		f.Error("the store has no name for people")
	}
	if !f.Marker {
		if g.Root == "" || g.Run != -1 {
			f.Errorf("root %q, run %d of a store without marker; want an identity and -1", g.Root, g.Run)
		}
		f.must(s.SetRoot(f.ctx, rootID, 7), "write marker where there is none")
		return
	}
	if g.Root != "" || !g.Empty {
		f.Errorf("root %q, empty %v of a new store; want none and true", g.Root, g.Empty)
	}
	f.must(s.SetRoot(f.ctx, rootID, 7), "write marker")
	f.must(s.CreateBox(f.ctx, mail.Inbox, ""), "create INBOX")
	f.must(s.SetRoot(f.ctx, rootID, 8), "write marker again")
	again := &fixture{T: f.T, Options: f.Options, ctx: f.ctx, s: s, u: u}
	again.reopen()
	s = again.s
	g, err = s.Hello(f.ctx, g.Hint)
	f.must(err, "open store again")
	if g.Root != rootID || g.Run != 8 || g.Empty {
		f.Errorf("root %q, run %d, empty %v; want %q, 8, false", g.Root, g.Run, g.Empty, rootID)
	}
}

// testClose: Close can be called at any time, also twice, and first of all.
func testClose(f *fixture) {
	f.must(f.s.Close(), "close store")
	f.must(f.s.Close(), "close store twice")
	s, _ := f.New(f.T)
	f.must(s.Close(), "close store before it was opened")
}
