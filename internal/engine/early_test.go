package engine

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// teller tells what a view is going to show, and what it is not, as a server may.
type teller struct {
	store.Store
	fn   func(mail.Box, []mail.Key)
	from int // a key of so many is told
}

func (s *teller) Tell(fn func(mail.Box, []mail.Key)) { s.fn = fn }

func (s *teller) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	v, err := s.Store.View(ctx, box, since)
	if d, ok := v.(mail.Delta); ok && s.fn != nil {
		keys := []mail.Key{mail.UIDKey(9999), mail.UIDKey(3)}
		n := 0
		for e, err := range d.Changed {
			if n++; err == nil && n%s.from == 0 {
				keys = append(keys, e.Key, e.Key)
			}
		}
		for _, part := range chunks(keys, 7) {
			s.fn(box, part)
		}
		s.fn("nowhere", keys)
	}
	return v, err
}

// TestEarly: what is read while a server tells of changes makes no difference but of time.
func TestEarly(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]int{"all": 1, "some": 3} {
		for kept, packFrom := range map[string]int{"kept": 8192, "packed": -1, "a part": 50} {
			t.Run(name+" "+kept, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, memstore.Options{}, memstore.Options{Delta: true})
				w.o.packFrom = packFrom
				tell := &teller{from: from}
				w.wrap = func(side mail.Side, s store.Store) store.Store {
					if side == mail.Local {
						return s
					}
					tell.Store = s
					return tell
				}
				keys := w.fill(mail.Remote, "INBOX", 1, 300)
				w.sync()
				w.equal(299)
				for i, k := range keys {
					switch i % 5 {
					case 0, 1:
						w.stores[mail.Remote].SetFlagsUser("INBOX", k, flags(`\Flagged`), mail.Flags{})
					case 2:
						w.stores[mail.Remote].DeleteUser("INBOX", k)
					case 3:
						w.stores[mail.Remote].MoveUser("INBOX", k, "Archive")
					}
				}
				w.fill(mail.Remote, "INBOX", 300, 320)
				w.o.Events = func(e Event) {
					if e.Kind == EventNote {
						t.Errorf("%s", e.Text)
					}
				}
				res := w.sync()
				w.equal(299 - 60 + 20)
				if s := res.Summary; s.FlaggedLocal != 120 || s.DeletedLocal != 60 || s.MovedLocal != 60 || s.CopiedToLocal != 20 {
					t.Errorf("%+v", s)
				}
				w.still()
			})
		}
	}
}

// unseen cannot be viewed.
type unseen struct{ store.Store }

func (unseen) View(context.Context, mail.Box, mail.Mark) (mail.View, error) {
	return nil, errors.New("cannot be viewed")
}

// TestEarlyUnused: a view that was asked for ahead, and that nobody wants since the other side cannot be viewed, leaves nobody reading.
func TestEarlyUnused(t *testing.T) { //nolint:paralleltest // it looks at all goroutines
	w := newWorld(t, memstore.Options{}, memstore.Options{Delta: true})
	w.o.packFrom = 8192
	tell := &teller{from: 1}
	fails := false
	w.wrap = func(side mail.Side, s store.Store) store.Store {
		switch {
		case side == mail.Remote:
			tell.Store = s
			return tell
		case fails:
			return unseen{s}
		}
		return s
	}
	keys := w.fill(mail.Remote, "INBOX", 1, 300)
	w.sync()
	for _, k := range keys[:100] {
		w.stores[mail.Remote].SetFlagsUser("INBOX", k, flags(`\Flagged`), mail.Flags{})
	}
	w.fill(mail.Local, "INBOX", 400, 410)
	fails = true
	if res, err := w.try(nil); err != nil || len(res.Errors) != 1 {
		t.Fatal(err, res.Errors)
	}
	if tell.fn != nil {
		t.Error("the store tells a run that has ended")
	}
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		stacks := make([]byte, 1<<20)
		n := strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "engine.(*run).told.func")
		if n == 0 {
			return
		}
		if time.Since(begun) > 5*time.Second {
			t.Fatalf("%d read on", n)
		}
	}
}

// TestEarlyFind: who asks for a pair waits for as long as it may still be read, and no longer: not for what was not taken since too much
// was waiting, nor for what cannot be read.
func TestEarlyFind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{}, memstore.Options{Delta: true})
	w.o.packFrom = 8192
	keys := w.fill(mail.Remote, "INBOX", 1, 10)
	w.sync()
	r := newRun(w.options())
	b := &boxRun{name: "INBOX"}
	e := &early{queue: make(chan []mail.Key, 2), pairs: map[mail.Key]*mail.Pair{}} // nobody reads yet
	e.turned.L = &e.mu
	b.looks().early[mail.Remote] = e
	for _, list := range [][]mail.Key{keys[:2], {keys[2], mail.UIDKey(99)}, keys[3:]} { // the last one is one too many
		r.told(t.Context(), b, mail.Remote, list)
	}
	if b.takeEarly(mail.Remote) != e || b.takeEarly(mail.Remote) != nil {
		t.Error("not handed out once")
	}
	type result struct {
		id   int64
		read bool
	}
	find := func(k mail.Key) <-chan result {
		got := make(chan result, 1)
		go func() {
			p, read := e.find(k)
			if p == nil {
				p = &mail.Pair{}
			}
			got <- result{p.ID, read}
		}()
		return got
	}
	first, second, none, late := find(keys[0]), find(keys[2]), find(mail.UIDKey(99)), find(keys[5])
	after := func(got <-chan result, what string) (res result) {
		t.Helper()
		select {
		case res = <-got:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it waits for ever", what)
		}
		return res
	}
	r.readEarly(t.Context(), b.name, mail.Remote, e, <-e.queue)
	if got := after(first, "read"); got.id == 0 || !got.read {
		t.Errorf("read: %+v", got)
	}
	for _, got := range []<-chan result{second, none, late} {
		if len(got) > 0 {
			t.Errorf("it did not wait: %+v", <-got)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	r.readEarly(cancelled, b.name, mail.Remote, e, <-e.queue)
	for what, got := range map[string]<-chan result{"failed": second, "none": none, "too many": late, "asked later": find(keys[3])} {
		if got := after(got, what); got != (result{}) {
			t.Errorf("%s: %+v", what, got)
		}
	}
	if got := after(find(keys[1]), "read before"); got.id == 0 || !got.read {
		t.Errorf("read before: %+v", got)
	}
}
