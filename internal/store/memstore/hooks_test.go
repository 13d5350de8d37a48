package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

var errStop = errors.New("stop")

func text(n int) []byte {
	return fmt.Appendf(nil, "Message-ID: <%d@memstore>\r\n\r\nbody %d\r\n", n, n)
}

// opened returns a store with a session, mailboxes A and B, and n messages in A.
func opened(t *testing.T, o Options, n int) (*Store, []mail.Key) {
	t.Helper()
	s := New(o)
	if _, err := s.Hello(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	s.CreateUser("A", "")
	s.CreateUser("B", "")
	keys := make([]mail.Key, n)
	for i := range keys {
		keys[i] = s.Deliver("A", mail.Flags{}, text(i), int64(i+1))
	}
	return s, keys
}

// batch prepares a Put of n messages.
func batch(t *testing.T, s store.Store, box mail.Box, n int) ([]mail.Intent, store.Bodies) {
	t.Helper()
	entries := make([]mail.Entry, n)
	for i := range entries {
		entries[i].Ident = (&body{data: text(i)}).id()
	}
	tokens, err := s.Prepare(t.Context(), box, entries)
	if err != nil {
		t.Fatal(err)
	}
	intents := make([]mail.Intent, n)
	for i := range intents {
		intents[i] = mail.Intent{Box: box, Entry: entries[i], Token: tokens[i]}
	}
	return intents, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		for i, e := range entries {
			if err := each(i, e, mail.Body{Size: int64(len(text(i))), Reader: bytes.NewReader(text(i))}); err != nil {
				return err
			}
		}
		return nil
	}
}

func settled(t *testing.T, s store.Store, intents []mail.Intent) (n int) {
	t.Helper()
	done, err := s.Settle(t.Context(), intents, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range done {
		if d.Key != "" {
			n++
		}
	}
	return n
}

// TestEffectsStopAnywhere: stopping at the n-th call of the hook leaves just what was done until then, for each n.
func TestEffectsStopAnywhere(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{IMAP, Maildir} {
		for n := range 2 * 3 {
			s, keys := opened(t, Options{Kind: kind}, 3)
			var entries []mail.Entry
			var moves []mail.Intent
			for _, k := range keys {
				entries = append(entries, mail.Entry{Key: k})
				moves = append(moves, mail.Intent{Kind: mail.IntentMove, From: mail.Ref{Box: "A", Key: k}, Box: "B"})
			}
			puts, bodies := batch(t, s, "B", 3)
			for name, call := range map[string]func(*Store) error{
				"put":    func(s *Store) error { return second(s.Put(t.Context(), "B", puts, bodies)) },
				"move":   func(s *Store) error { return second(s.Move(t.Context(), "A", moves, false)) },
				"copy":   func(s *Store) error { return second(s.Move(t.Context(), "A", moves, true)) },
				"delete": func(s *Store) error { return second(s.Delete(t.Context(), "A", entries)) },
				"flags": func(s *Store) error {
					return second(s.SetFlags(t.Context(), "A", keys, mail.Flags{System: mail.Deleted}, mail.Flags{}))
				},
			} {
				c, calls := s.Clone(), 0
				if _, err := c.Hello(t.Context(), ""); err != nil {
					t.Fatal(err)
				}
				c.Effects = func(e Effect) error {
					if e.After != (calls%2 == 1) {
						t.Errorf("%s: call %d is after the effect: %v", name, calls, e.After)
					}
					if calls++; calls > n {
						return errStop
					}
					return nil
				}
				if err := call(c); !errors.Is(err, errStop) {
					t.Fatalf("%s stopped at %d: %v", name, n, err)
				}
				a, b, marked := tally(c)
				done := (n + 1) / 2
				want := map[string][3]int{
					"put": {3, done, 0}, "move": {3 - done, done, 0}, "copy": {3, done, 0}, "delete": {3 - done, 0, 0}, "flags": {3, 0, done},
				}[name]
				if got := [3]int{a, b, marked}; got != want {
					t.Errorf("%s stopped at %d: %v messages in A, in B, marked; want %v", name, n, got, want)
				}
				if name == "put" && settled(t, c, puts) != done {
					t.Errorf("put stopped at %d: Settle finds %d, want %d", n, settled(t, c, puts), done)
				}
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func tally(s *Store) (a, b, marked int) {
	for _, m := range s.Dump() {
		switch {
		case m.Marked:
			a, marked = a+1, marked+1
		case m.Box == "A":
			a++
		case m.Box == "B":
			b++
		}
	}
	return a, b, marked
}

// TestEffectsOfMailboxes: mailboxes and the marker are effects too, and stopping before them prevents them.
func TestEffectsOfMailboxes(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		s, _ := opened(t, Options{Kind: Maildir}, 0)
		s.Effects = func(e Effect) error {
			if e.After == after {
				return errStop
			}
			return nil
		}
		ctx := t.Context()
		for name, err := range map[string]error{
			"create": s.CreateBox(ctx, "C", ""), "delete": s.DeleteBox(ctx, "A"), "rename": s.RenameBox(ctx, "B", "D"),
			"root": s.SetRoot(ctx, "id", 1),
		} {
			if !errors.Is(err, errStop) {
				t.Errorf("%s: %v", name, err)
			}
		}
		want := []mail.Box{"A", "B"}
		if after {
			want = []mail.Box{"C", "D"}
		}
		if got := s.Names(); !slices.Equal(got, want) || (s.root != "") != after {
			t.Errorf("mailboxes %q, root %q", got, s.root)
		}
	}
}

// TestReadsFail: each call without effect can be made to fail, at its beginning and at each message.
func TestReadsFail(t *testing.T) {
	t.Parallel()
	s, keys := opened(t, Options{}, 3)
	ctx := t.Context()
	for method, call := range map[Method]func() error{
		Hello:   func() error { return second(s.Hello(ctx, "")) },
		Boxes:   func() error { return second(s.Boxes(ctx)) },
		Prepare: func() error { return second(s.Prepare(ctx, "A", nil)) },
		Settle:  func() error { return second(s.Settle(ctx, nil, nil)) },
		View:    func() error { return second(viewed(ctx, s, "A", "")) },
		End:     func() error { return second(viewed(ctx, s, "A", "")) },
		Identify: func() error {
			return s.Identify(ctx, "A", keys, false, func(mail.Key, mail.Ident) error { return nil })
		},
		Fetch: func() error { return s.Fetch(ctx, "A", keys, func(mail.Entry, mail.Body) error { return nil }) },
	} {
		for _, key := range append([]mail.Key{""}, keys...) {
			hit := false
			s.Reads = func(r Read) error {
				if r.Method == method && r.Key == key {
					hit = true
					return errStop
				}
				return nil
			}
			if err := call(); errors.Is(err, errStop) != hit {
				t.Errorf("%s at %q: %v", method, key, err)
			}
			if !hit && (key == "" || method == View || method == Fetch || method == Identify) {
				t.Errorf("%s at %q: the hook was not called", method, key)
			}
		}
	}
}

// viewed reads a view to its end.
func viewed(ctx context.Context, s store.Store, box mail.Box, since mail.Mark) (mail.Mark, error) {
	v, err := s.View(ctx, box, since)
	if err != nil {
		return "", err
	}
	if w, ok := v.(mail.Whole); ok {
		for _, err := range w.All {
			if err != nil {
				return "", err
			}
		}
	}
	return v.At().End()
}

// TestSession: without Hello, and after Close or a power cut, nothing works.
func TestSession(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	if _, err := s.Boxes(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("before Hello: %v", err)
	}
	_, _ = s.Hello(t.Context(), "")
	if _, err := s.Boxes(t.Context()); err != nil {
		t.Error(err)
	}
	_ = s.Close()
	if _, err := s.Boxes(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestPutTooLong: a body that goes on after its size is not stored.
func TestPutTooLong(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, Options{}, 0)
	intents, _ := batch(t, s, "A", 1)
	_, err := s.Put(t.Context(), "A", intents, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		return each(0, mail.Entry{}, mail.Body{Size: 3, Reader: bytes.NewReader(text(0))})
	})
	if !errors.Is(err, errLonger) || len(s.Dump()) > 0 {
		t.Errorf("put: %v; %v", err, s.Dump())
	}
	_, err = s.Put(t.Context(), "A", intents, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		return each(1, mail.Entry{}, mail.Body{Reader: bytes.NewReader(nil)})
	})
	if err == nil {
		t.Error("put of a message that no intent is for: no error")
	}
}

// TestSettleByWhatIsKnown: without a digest, Message-ID and size find a message; a size alone does not.
func TestSettleByWhatIsKnown(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, Options{}, 0)
	intents, bodies := batch(t, s, "A", 2)
	if _, err := s.Put(t.Context(), "A", intents, bodies); err != nil {
		t.Fatal(err)
	}
	is := intents[1].Entry.Ident
	for i, c := range []struct {
		known mail.Ident
		key   mail.Key
	}{
		{mail.Ident{Digest: is.Digest, Size: 1}, mail.UIDKey(2)},
		{mail.Ident{MessageID: is.MessageID}, mail.UIDKey(2)},
		{mail.Ident{MessageID: is.MessageID, Size: is.Size}, mail.UIDKey(2)},
		{mail.Ident{MessageID: is.MessageID, Size: is.Size + 1}, ""},
		{mail.Ident{Size: is.Size}, ""},
		{mail.Ident{}, ""},
	} {
		in := intents[1]
		in.Entry.Ident = c.known
		done, err := s.Settle(t.Context(), []mail.Intent{in}, nil)
		if err != nil || done[0].Key != c.key {
			t.Errorf("case %d: settled as %q, want %q; %v", i, done[0].Key, c.key, err)
		}
	}
}

// TestNoMove: of a move that stopped between copy and deletion, Settle finds the copy, and removes nothing: the key of the
// source may stand for another message by now.
func TestNoMove(t *testing.T) {
	t.Parallel()
	s, k := opened(t, Options{NoMove: true}, 1)
	token, err := s.Prepare(t.Context(), "B", make([]mail.Entry, 1))
	if err != nil {
		t.Fatal(err)
	}
	s.Effects = func(e Effect) error {
		if e.Method == Delete {
			return errStop
		}
		return nil
	}
	moves := []mail.Intent{{
		Kind: mail.IntentMove, From: mail.Ref{Box: "A", Key: k[0]}, Box: "B", Token: token[0],
		Entry: mail.Entry{Ident: (&body{data: text(0)}).id()},
	}}
	_, err = s.Move(t.Context(), "A", moves, false)
	if a, b, _ := tally(s); !errors.Is(err, errStop) || a != 1 || b != 1 {
		t.Fatalf("stopped half-way: %d in A, %d in B, %v", a, b, err)
	}
	s.Effects = nil
	n := settled(t, s, moves)
	if a, b, _ := tally(s); n != 1 || a != 1 || b != 1 {
		t.Errorf("settled %d: %d in A, %d in B", n, a, b)
	}
}

// TestCounts: bodies and calls are counted from Hello on.
func TestCounts(t *testing.T) {
	t.Parallel()
	s, keys := opened(t, Options{}, 2)
	intents, bodies := batch(t, s, "B", 1)
	_, err := s.Put(t.Context(), "B", intents, bodies)
	if err == nil {
		err = s.Fetch(t.Context(), "A", keys, func(_ mail.Entry, b mail.Body) error { return second(io.Copy(io.Discard, b.Reader)) })
	}
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(text(0)))
	if got, want := s.Counts(), (store.Counts{BytesIn: 2 * size, BytesOut: size, RoundTrips: 4}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}
