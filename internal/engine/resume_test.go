package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// TestResume loses the server before and after each effect of a sync, once and again and again: the same sync finishes the work.
func TestResume(t *testing.T) {
	for _, every := range []int{0, 7} {
		for n := 0; ; n++ {
			w := newWorld(t, mi[0], mi[1])
			w.fill(mail.Remote, "INBOX", 0, 20)
			w.fill(mail.Local, "INBOX", 20, 30)
			w.sync()
			w.fill(mail.Remote, "INBOX", 30, 34)
			w.fill(mail.Local, "Archive", 40, 44)
			k := w.keys(mail.Remote, "INBOX")
			w.stores[1].SetFlagsUser("INBOX", k[0], flags(`\Seen`), flags())
			w.stores[1].DeleteUser("INBOX", k[1])
			o := w.options()
			o.Retries, o.RetryPause = 6, time.Nanosecond
			calls, lost := 0, 0
			for _, s := range w.stores {
				s.Effects = func(memstore.Effect) error {
					if calls++; calls == n+1 || every > 0 && calls > n && (calls-n)%every == 0 && lost < 5 {
						lost++
						return fmt.Errorf("%w: connection reset", store.ErrUnreachable)
					}
					return nil
				}
			}
			res, err := Sync(context.Background(), o)
			if err != nil || len(res.Errors) > 0 {
				t.Fatalf("lost at %d, every %d: %v, %v", n, every, err, res.Errors)
			}
			w.equal(37)
			if s := res.Summary; s.CopiedToLocal != 4 || s.CopiedToRemote != 4 || s.DeletedLocal+s.FlaggedLocal > 2 {
				t.Errorf("lost at %d, every %d: %+v", n, every, s)
			}
			w.still()
			if lost == 0 {
				break
			}
		}
	}
}

// refusing is a store that fails in Hello or in View as often as it is told to.
type refusing struct {
	store.Store
	hello, view error
	times       int
	tried       int
}

func (r *refusing) Hello(ctx context.Context, hint string) (store.Greeting, error) {
	if r.tried++; r.hello != nil {
		return store.Greeting{}, r.hello
	}
	return r.Store.Hello(ctx, hint)
}

func (r *refusing) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	if r.times--; r.times >= 0 {
		return nil, r.view
	}
	return r.Store.View(ctx, box, since)
}

// TestRetries: how often a server is tried again, and how long it is waited for.
func TestRetries(t *testing.T) {
	lost := fmt.Errorf("%w: reset", store.ErrUnreachable)
	busy := func(d time.Duration) error { return &store.BusyError{Wait: d, Err: errors.New("throttled")} }
	for name, x := range map[string]struct {
		hello, view error
		times, want int
		ok          bool
		waited      time.Duration
	}{
		"never reached":    {lost, nil, 0, 1, false, 0},
		"lost once":        {nil, lost, 1, 2, true, 0},
		"lost for ever":    {nil, lost, 99, 4, false, 0},
		"refused":          {nil, errors.New("no"), 1, 1, true, 0}, // of the mailbox
		"asks for little":  {nil, busy(50 * time.Millisecond), 1, 2, true, 50 * time.Millisecond},
		"asks for an hour": {nil, busy(time.Hour), 1, 1, false, 0},
	} {
		w := newWorld(t, mi[0], mi[1])
		w.fill(mail.Remote, "INBOX", 0, 3)
		far := &refusing{Store: w.stores[1], hello: x.hello, view: x.view, times: x.times}
		o := w.options()
		o.Stores[1], o.Retries, o.RetryPause = far, 3, time.Nanosecond
		told := 0
		o.Events = func(e Event) {
			if e.Kind == EventWait {
				told++
			}
		}
		begun := time.Now()
		_, err := Sync(context.Background(), o)
		if (err == nil) != x.ok || far.tried != x.want || told != x.want-1 || time.Since(begun) < x.waited {
			t.Errorf("%s: %v after %d tries, told %d times", name, err, far.tried, told)
		}
	}
}

// spoiled is a store that cannot hand out one message.
type spoiled struct {
	store.Store
	key   mail.Key
	asked int
}

func (s *spoiled) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	bad := false
	var rest []mail.Key
	for _, k := range keys {
		if k == s.key {
			s.asked++
			bad = true
			continue
		}
		rest = append(rest, k)
	}
	if err := s.Store.Fetch(ctx, box, rest, fn); err != nil || !bad {
		return err
	}
	return &store.UnreadableError{Keys: map[mail.Key]error{s.key: errors.New("server error")}}
}

// TestUnreadableIsSetAside: it is shown, the others come, and it is not asked for again before the next day. When it can be read, it comes.
func TestUnreadableIsSetAside(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "INBOX", 0, 5)
	far := &spoiled{Store: w.stores[1], key: w.keys(mail.Remote, "INBOX")[2]}
	w.wrap = func(side mail.Side, s store.Store) store.Store {
		if side == mail.Remote {
			return far
		}
		return s
	}
	for i := range 3 {
		res := w.sync()
		shown, err := w.db.Reports(context.Background())
		if err != nil || res.Summary.Left != 1 || w.n(mail.Local) != 4 || len(shown) != 1 || shown[0].Kind != "refused" {
			t.Fatalf("%d: %+v, %+v, %v", i, res.Summary, shown, err)
		}
	}
	if far.asked != 1 {
		t.Errorf("it was asked for %d times", far.asked)
	}
	w.now = w.now.Add(48 * time.Hour)
	w.sync()
	if far.asked != 2 {
		t.Errorf("it was asked for %d times in two days", far.asked)
	}
	far.key = ""
	w.now = w.now.Add(48 * time.Hour)
	if res := w.sync(); res.Summary.Left != 0 {
		t.Errorf("%+v", res.Summary)
	}
	w.equal(5)
}

// halved is a server that loses the connection over which the first of two batches comes, while the other is under way.
type halved struct {
	store.Store
	calls atomic.Int32
	under chan struct{}
}

func (h *halved) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	if h.calls.Add(1) == 1 {
		<-h.under
		return fmt.Errorf("%w: connection reset", store.ErrUnreachable)
	}
	close(h.under)
	select {
	case <-ctx.Done():
	case <-time.After(200 * time.Millisecond): // long enough for the other to have failed
	}
	return h.Store.Fetch(ctx, box, keys, fn)
}

// TestOtherBatchStays: what one connection was about to bring is not thrown away because another one is lost.
func TestOtherBatchStays(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "INBOX", 0, 3*batchSize)
	w.wrap = func(side mail.Side, s store.Store) store.Store {
		if side == mail.Local {
			return s
		}
		return &halved{Store: s, under: make(chan struct{})}
	}
	res, err := w.try(nil)
	n, cerr := w.db.Count(context.Background(), "INBOX", mail.Local)
	if !errors.Is(err, store.ErrUnreachable) || w.n(mail.Local) != batchSize || n != batchSize || cerr != nil || res.Summary.CopiedToLocal != batchSize {
		t.Errorf("%d messages, %d pairs, %+v, %v, %v", w.n(mail.Local), n, res.Summary, err, cerr)
	}
	w.wrap = nil
	w.sync()
	w.equal(3 * batchSize)
}

// TestResumedRename: a mailbox that was renamed before the server was lost is in the summary of the whole.
func TestResumedRename(t *testing.T) {
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "Work", 0, 20)
	w.sync()
	w.sync()
	if err := w.stores[0].RenameBox(context.Background(), "Work", "Job"); err != nil {
		t.Fatal(err)
	}
	w.fill(mail.Remote, "INBOX", 20, 23)
	o := w.options()
	o.Retries, o.RetryPause = 3, time.Nanosecond
	lost := false
	w.stores[0].Effects = func(e memstore.Effect) error {
		if e.Method == memstore.Put && !lost {
			lost = true
			return fmt.Errorf("%w: connection reset", store.ErrUnreachable)
		}
		return nil
	}
	res, err := Sync(context.Background(), o)
	if s := res.Summary; err != nil || !lost || s.RenamedRemote != 1 || s.CopiedToLocal != 3 {
		t.Errorf("lost %v: %+v, %v", lost, s, err)
	}
}
