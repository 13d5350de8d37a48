package memstore

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// calls has one successful call of each method of Methods.
func calls(t *testing.T, below, s store.Store, keys []mail.Key) map[Method]func() error {
	ctx := t.Context()
	puts, bodies := batch(t, below, "A", 1)
	moves := []mail.Intent{{Kind: mail.IntentMove, From: mail.Ref{Box: "A", Key: keys[0]}, Box: "B"}}
	return map[Method]func() error{
		Hello:     func() error { return second(s.Hello(ctx, "")) },
		SetRoot:   func() error { return s.SetRoot(ctx, "id", 1) },
		Boxes:     func() error { return second(s.Boxes(ctx)) },
		View:      func() error { return second(s.View(ctx, "A", "")) },
		Identify:  func() error { return s.Identify(ctx, "A", keys, true, func(mail.Key, mail.Ident) error { return nil }) },
		Fetch:     func() error { return s.Fetch(ctx, "A", keys, func(mail.Entry, mail.Body) error { return nil }) },
		Prepare:   func() error { return second(s.Prepare(ctx, "A", nil)) },
		Put:       func() error { return second(s.Put(ctx, "A", puts, bodies)) },
		Move:      func() error { return second(s.Move(ctx, "A", moves, false)) },
		SetFlags:  func() error { return second(s.SetFlags(ctx, "A", keys, mail.Flags{System: mail.Seen}, mail.Flags{})) },
		Delete:    func() error { return second(s.Delete(ctx, "A", []mail.Entry{{Key: keys[0]}})) },
		CreateBox: func() error { return s.CreateBox(ctx, "C", "") },
		DeleteBox: func() error { return s.DeleteBox(ctx, "B") },
		RenameBox: func() error { return s.RenameBox(ctx, "B", "D") },
		Settle:    func() error { return second(s.Settle(ctx, puts, nil)) },
		Secure:    func() error { return s.(store.Securer).Secure(ctx, "A", keys) },
	}
}

// TestFailOnce: each method fails once, with and without having taken effect.
func TestFailOnce(t *testing.T) {
	t.Parallel()
	for _, method := range append([]Method{Secure}, Methods...) {
		for _, after := range []bool{false, true} {
			s, keys := opened(t, Options{Kind: Maildir}, 2)
			before := s.seq
			g := FailOnce(s, method, errStop)
			if after {
				g = FailAfter(s, method, errStop)
			}
			list := calls(t, s, g, keys)
			err := list[method]()
			switch method {
			case Put, Move, SetFlags, Delete, CreateBox:
				if (s.seq != before) != after {
					t.Errorf("%s fails after its effect: %v, but it took effect: %v", method, after, s.seq != before)
				}
			}
			if !errors.Is(err, errStop) {
				t.Errorf("%s: %v, want the error", method, err)
			}
			if method == DeleteBox || method == RenameBox {
				if s.HasBox("B") == after {
					t.Errorf("%s fails after its effect: %v, but the mailbox is there: %v", method, after, s.HasBox("B"))
				}
				s.CreateUser("B", "")
				s.RemoveBox("D")
			}
			if err := list[method](); err != nil {
				t.Errorf("%s, the second time: %v", method, err)
			}
		}
	}
}

func TestTruncateBody(t *testing.T) {
	t.Parallel()
	s, keys := opened(t, Options{}, 2)
	short := TruncateBody(s, 1<<20)
	for round, want := range []int64{1, 0} {
		missing := int64(0)
		err := short.Fetch(t.Context(), "A", keys, func(_ mail.Entry, b mail.Body) error {
			n, err := io.Copy(io.Discard, b.Reader)
			missing += b.Size - n
			return err
		})
		if err != nil || missing != want {
			t.Errorf("round %d: %d bytes are missing, want %d; %v", round, missing, want, err)
		}
	}
}

func TestDropKeys(t *testing.T) {
	t.Parallel()
	s, keys := opened(t, Options{}, 1)
	d := DropKeys(s)
	intents, bodies := batch(t, d, "B", 2)
	done, err := d.Put(t.Context(), "B", intents, bodies)
	if err != nil || done[0] != (mail.Done{}) || settled(t, d, intents) != 2 {
		t.Errorf("put: %v, %v", done, err)
	}
	move := []mail.Intent{{Kind: mail.IntentMove, From: mail.Ref{Box: "A", Key: keys[0]}, Box: "B"}}
	done, err = d.Move(t.Context(), "A", move, false)
	if _, n, _ := tally(s); err != nil || done[0] != (mail.Done{}) || n != 3 {
		t.Errorf("move: %v, %v; %d messages", done, err, n)
	}
}

func TestVanishDuringFetch(t *testing.T) {
	t.Parallel()
	s, keys := opened(t, Options{}, 3)
	n := 0
	err := VanishDuringFetch(s, s).Fetch(t.Context(), "A", keys, func(mail.Entry, mail.Body) error { n++; return nil })
	if err != nil || n != 1 || len(s.Dump()) != 1 {
		t.Errorf("%d fetched, %d left; %v", n, len(s.Dump()), err)
	}
}

// TestLate: what was lost happens later, and Settle finds it only then.
func TestLate(t *testing.T) {
	t.Parallel()
	s, keys := opened(t, Options{}, 2)
	l := &Late{Store: s}
	intents, bodies := batch(t, l, "B", 2)
	move := []mail.Intent{{Kind: mail.IntentMove, From: mail.Ref{Box: "A", Key: keys[0]}, Box: "B"}}
	for _, call := range []func() error{
		func() error { return second(l.Put(t.Context(), "B", intents, bodies)) },
		func() error { return second(l.Move(t.Context(), "A", move, false)) },
		func() error { return second(l.Delete(t.Context(), "A", []mail.Entry{{Key: keys[1]}})) },
	} {
		before := s.Dump()
		l.Lose()
		if err := call(); !errors.Is(err, store.ErrUnreachable) {
			t.Errorf("lost: %v", err)
		}
		if Difference(before, s.Dump()) != "" {
			t.Error("what is late has happened already")
		}
	}
	if n := settled(t, l, intents); n != 0 {
		t.Errorf("%d settled before they happened", n)
	}
	if err := l.Land(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := settled(t, l, intents); n != 2 {
		t.Errorf("%d settled after they happened, want 2", n)
	}
	if a, b, _ := tally(s); a != 0 || b != 3 {
		t.Errorf("%d messages in A, %d in B; want 0 and 3", a, b)
	}
	intents, bodies = batch(t, l, "A", 1)
	if _, err := l.Put(t.Context(), "A", intents, bodies); err != nil {
		t.Errorf("put, not late: %v", err)
	}
}

// TestFrugal: a body is told once in a run.
func TestFrugal(t *testing.T) {
	t.Parallel()
	s, keys := opened(t, Options{}, 3)
	f := NewFrugal(s)
	read := func(box mail.Box, keys ...mail.Key) error {
		return f.Fetch(t.Context(), box, keys, func(_ mail.Entry, b mail.Body) error { return second(io.ReadAll(b.Reader)) })
	}
	identify := func(full bool, keys ...mail.Key) error {
		return f.Identify(t.Context(), "A", keys, full, func(mail.Key, mail.Ident) error { return nil })
	}
	for i, step := range []struct {
		err   error
		twice bool
	}{
		{read("A", keys[0]), false},
		{identify(false, keys...), false},
		{identify(true, keys[1]), false},
		{read("A", keys[0], keys[2]), true},
		{identify(true, keys[0]), true},
		{read("A", keys[1]), true},
		{read("A", keys[2]), false},
		{read("B", keys...), false},
		{read("B", keys...), false}, // they are not there
		{second(f.Hello(t.Context(), "")), false},
		{read("A", keys...), false},
	} {
		if errors.Is(step.err, ErrTwice) != step.twice || !step.twice && step.err != nil {
			t.Errorf("step %d: %v", i, step.err)
		}
	}
	if n := len(f.Twice()); n != 3 {
		t.Errorf("%d bodies twice, want 3", n)
	}
}

// TestRefuse: one message is refused, the others are not.
func TestRefuse(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, Options{Refuse: func(_ mail.Box, _ mail.Entry, data []byte) error {
		if bytes.Contains(data, []byte("body 1")) {
			return errStop
		}
		return nil
	}}, 0)
	intents, bodies := batch(t, s, "A", 3)
	done, err := s.Put(t.Context(), "A", intents, bodies)
	if err != nil || len(s.Dump()) != 2 {
		t.Fatalf("put: %v", err)
	}
	for i, d := range done {
		if errors.Is(d.Err, store.ErrRefused) != (i == 1) || (d.Key == "") != (i == 1) {
			t.Errorf("message %d: key %q, %v", i, d.Key, d.Err)
		}
	}
}
