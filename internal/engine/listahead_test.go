package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// lister counts how often its mailboxes are listed. The first time may fail.
type lister struct {
	store.Store
	listed *atomic.Int32
	fails  *atomic.Bool
}

func (s *lister) Boxes(ctx context.Context) ([]store.Status, error) {
	if s.listed.Add(1) == 1 && s.fails.Load() {
		return nil, errors.New("cannot be listed now")
	}
	return s.Store.Boxes(ctx)
}

// slowGreeter greets once the other side was listed.
type slowGreeter struct {
	store.Store
	listed *atomic.Int32
}

func (s *slowGreeter) Hello(ctx context.Context, hint string) (store.Greeting, error) {
	for begun := time.Now(); s.listed.Load() == 0 && time.Since(begun) < 10*time.Second; {
		time.Sleep(time.Millisecond)
	}
	return s.Store.Hello(ctx, hint)
}

// TestListedAhead: the local side is listed while the server greets, and again if something was done on it since.
func TestListedAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Delta: true})
	var listed atomic.Int32
	var fails atomic.Bool
	w.wrap = func(side mail.Side, s store.Store) store.Store {
		if side == mail.Local {
			return &lister{s, &listed, &fails}
		}
		return &slowGreeter{s, &listed}
	}
	w.fill(mail.Remote, "INBOX", 0, 5)
	begun := time.Now()
	if w.sync(); listed.Load() != 2 { // the marker was written meanwhile
		t.Errorf("first sync: listed %d times, want 2", listed.Load())
	}
	listed.Store(0)
	w.fill(mail.Local, "Archive", 5, 9)
	again := time.Now()
	if w.sync(); listed.Load() != 1 && time.Since(again) < listFresh {
		t.Errorf("listed %d times, want 1", listed.Load())
	}
	if time.Since(begun) > 9*time.Second {
		t.Error("the server's greeting was waited for")
	}
	w.equal(9)
	w.still()
	late := &mail.Intent{Kind: mail.IntentPut, Side: mail.Local, From: mail.Ref{Box: "INBOX", Key: mail.UIDKey(99)}, Box: "INBOX", Token: "none"}
	if err := w.db.Update(t.Context(), true, func(tx *state.Tx) error { return tx.AddIntent(late) }); err != nil {
		t.Fatal(err)
	}
	listed.Store(0)
	if w.sync(); listed.Load() != 2 { // an interrupted run was settled
		t.Errorf("after an interruption: listed %d times, want 2", listed.Load())
	}
	w.equal(9)
	listed.Store(0)
	fails.Store(true)
	w.o.Events = func(e Event) {
		if e.Kind == EventNote || e.Kind == EventError {
			t.Errorf("%+v", e)
		}
	}
	w.fill(mail.Local, "Archive", 9, 11)
	s := w.sync().Summary
	if listed.Load() != 2 || s.CopiedToRemote != 2 || s.CopiedToLocal+s.DeletedRemote+s.DeletedLocal+s.HeldBack > 0 {
		t.Errorf("after an error: listed %d times, %+v", listed.Load(), s)
	}
	w.equal(11)
}

// TestListTooOld: a list that was made long before it is used is made again: the disk may be another one by now.
func TestListTooOld(t *testing.T) {
	t.Parallel()
	r := &run{}
	for age, want := range map[time.Duration]bool{0: true, listFresh + time.Millisecond: false, -time.Hour: false} {
		r.local = &aheadList{at: wallClock().Add(-age)}
		if _, ok := r.takeLocal(); ok != want {
			t.Errorf("%v old: taken %v", age, ok)
		}
		if _, ok := r.takeLocal(); ok {
			t.Error("taken twice")
		}
	}
}
