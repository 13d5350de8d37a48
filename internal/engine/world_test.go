package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// world is an account in memory: two stores, a state, and a clock that stands still.
type world struct {
	t      testing.TB
	stores [2]*memstore.Store
	db     *state.DB
	o      Options
	now    time.Time
	wrap   func(mail.Side, store.Store) store.Store // what a sync sees instead of the stores, if set
}

var errCrash = errors.New("crash")

func newWorld(t testing.TB, local, remote memstore.Options) *world {
	t.Helper()
	local.Name, remote.Name = "near", "far"
	w := &world{t: t, stores: [2]*memstore.Store{memstore.New(local), memstore.New(remote)}, now: time.Unix(1_700_000_000, 0)}
	w.newState()
	return w
}

// newState loses the state database.
func (w *world) newState() {
	w.t.Helper()
	db, err := state.Memory(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	if w.db != nil {
		_ = w.db.Close()
	}
	w.db = db
	w.t.Cleanup(func() { _ = db.Close() })
}

func (w *world) options() Options {
	o := w.o
	o.Account, o.State, o.Workers = "test", w.db, 1
	if o.packFrom == 0 { // one sync after the other: all that can be is packed, little of it, nothing
		o.packFrom = []int{-1, 1, 0}[w.now.Unix()/60%3]
	}
	if o.echoFrom == 0 && w.now.Unix()/60%2 == 0 {
		o.echoFrom = 1
	}
	if o.deltaChunk == 0 { // flags are set ahead, or wait for the plan
		o.deltaChunk = []int{0, 1, 3}[w.now.Unix()/120%3]
	}
	for side, s := range w.stores {
		o.Stores[side] = s
		if w.wrap != nil {
			o.Stores[side] = w.wrap(mail.Side(side), s)
		}
	}
	o.Now = func() time.Time { return w.now }
	n := 0
	o.NewID = func() string { n++; return fmt.Sprintf("root-%d-%d", w.now.Unix(), n) }
	return o
}

// try syncs once; hook, if any, is called before and after every effect and commit.
func (w *world) try(hook func() error) (Result, error) {
	o := w.options()
	for _, s := range w.stores {
		s.Effects = nil
		if hook != nil {
			s.Effects = func(memstore.Effect) error { return hook() }
		}
	}
	o.crash = hook
	res, err := Sync(context.Background(), o)
	w.now = w.now.Add(time.Minute)
	return res, err
}

// sync syncs once, undisturbed.
func (w *world) sync() Result {
	w.t.Helper()
	res, err := w.try(nil)
	if err != nil {
		w.t.Fatalf("sync: %v", err)
	}
	for _, err := range res.Errors {
		w.t.Fatalf("sync: %v", err)
	}
	return res
}

// effects counts the hook calls of a sync.
func (w *world) effects() int {
	w.t.Helper()
	n := 0
	if _, err := w.try(func() error { n++; return nil }); err != nil {
		w.t.Fatalf("sync: %v", err)
	}
	return n
}

// tried says whether a crash point is tried: each, but a part of them with -short, which the race detector gets.
func tried(n int) bool { return !testing.Short() || n%9 == 0 }

// crashAt syncs and stops for good at the n-th hook call, from 0.
func (w *world) crashAt(n int) (stopped bool) {
	_, _ = w.try(func() error {
		if n--; n < 0 {
			stopped = true
			return errCrash
		}
		return nil
	})
	return stopped
}

// equal checks that both sides have the same messages, and how many.
func (w *world) equal(want int) {
	w.t.Helper()
	local, remote := w.stores[0].Dump(), w.stores[1].Dump()
	if d := memstore.Difference(local, remote); d != "" {
		w.t.Fatalf("sides differ (local first):\n%s", d)
	}
	if want >= 0 && len(local) != want {
		w.t.Fatalf("%d messages, want %d", len(local), want)
	}
}

// still checks that another sync does nothing.
func (w *world) still() {
	w.t.Helper()
	if res := w.sync(); res.Summary.Changed() || res.Summary.Adopted > 0 {
		w.t.Fatalf("a further sync was not idle: %+v", res.Summary)
	}
}

func body(n int) []byte {
	return fmt.Appendf(nil, "Message-ID: <%d@example.org>\r\nSubject: message %d\r\n\r\nbody %d\r\n", n, n, n)
}

func bare(n int) []byte { return fmt.Appendf(nil, "Subject: no id\r\n\r\nbody %d\r\n", n) }

func flags(names ...string) mail.Flags { return mail.ParseFlags(names) }

// fill delivers messages n..m-1 to a mailbox of one side.
func (w *world) fill(side mail.Side, box mail.Box, n, m int) (keys []mail.Key) {
	for i := n; i < m; i++ {
		keys = append(keys, w.stores[side].Deliver(box, flags(), body(i), int64(1_600_000_000+i)))
	}
	return keys
}

// keys lists a mailbox of one side.
func (w *world) keys(side mail.Side, box mail.Box) (keys []mail.Key) {
	for _, m := range w.stores[side].Dump() {
		if m.Box == box {
			keys = append(keys, m.Key)
		}
	}
	return keys
}
