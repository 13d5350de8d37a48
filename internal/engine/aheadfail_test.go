package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// TestFlagsAheadFails: where flags cannot be set ahead, the plan sets them. If that fails too it is told once, and all else in the mailbox
// is done. Nothing counts twice.
func TestFlagsAheadFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fails func(call int) bool
		again bool // the next sync has to do something
	}{
		"at once":                  {func(call int) bool { return call == 1 }, false},
		"in the middle of a batch": {func(call int) bool { return call == 2 }, false},
		"later":                    {func(call int) bool { return call == 5 }, false},
		"always":                   {func(int) bool { return true }, true},
		"from then on":             {func(call int) bool { return call > 3 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, watch := aheadWorld(t, mail.Remote)
			watch.before = func(call int) error {
				if test.fails(call) {
					return errors.New("disk trouble")
				}
				return nil
			}
			w.flagSome(mail.Remote, aheadNews)
			w.fill(mail.Remote, "INBOX", 60, 63)
			res, err := w.try(nil)
			wrong := 0
			if test.again {
				wrong = 1
			}
			if s := res.Summary; err != nil || len(res.Errors) != wrong || s.Errors != wrong || watch.errs != wrong || s.CopiedToLocal != 3 {
				t.Errorf("%v, %v, told %d times, %+v", err, res.Errors, watch.errs, s)
			}
			done := res.Summary.FlaggedLocal
			if watch.before = nil; test.again {
				done += w.sync().Summary.FlaggedLocal
			}
			if done > aheadNews || !test.again && done < aheadNews {
				t.Errorf("%d set, want %d", done, aheadNews)
			}
			w.equal(63)
			w.sync()
			w.still()
		})
	}
}

// TestFlagsNotDurable: flags that were set and could not be made durable are not remembered, whether ahead or after the plan. The mailbox
// fails, is told once, and is looked at as a whole by the next sync, which finds them set.
func TestFlagsNotDurable(t *testing.T) {
	t.Parallel()
	for n := range map[int]bool{aheadNews: true, 2: true} {
		for failing := range 3 {
			t.Run(fmt.Sprintf("%d, call %d", n, failing+1), func(t *testing.T) {
				t.Parallel()
				w, watch := aheadWorld(t, mail.Remote)
				watch.durable = func(call int) error {
					if call == failing+1 {
						return errors.New("disk trouble")
					}
					return nil
				}
				keys := w.flagSome(mail.Remote, n)
				res, err := w.try(nil)
				if n == 2 && failing == 2 { // there is no such call
					if err != nil || len(res.Errors) > 0 {
						t.Error(err, res.Errors)
					}
				} else if err != nil || len(res.Errors) != 1 || watch.errs != 1 || !strings.Contains(res.Errors[0].Error(), "disk trouble") {
					t.Errorf("%v, %v, told %d times", err, res.Errors, watch.errs)
				}
				pairs, err := w.db.PairsByKey(t.Context(), "INBOX", mail.Remote, keys)
				if err != nil {
					t.Fatal(err)
				}
				known := 0
				for _, p := range pairs {
					if !p.Flags.Empty() {
						known++
					}
				}
				if len(res.Errors) > 0 && known == n {
					t.Errorf("all %d are remembered", n)
				}
				watch.durable = nil
				w.sync()
				w.equal(60)
				w.sync()
				w.still()
			})
		}
	}
}

// TestFlagsAheadEndsRun: what ends a run ends it there, be it a store that is lost or a state that cannot be written, although the view
// itself came to its end. Nothing more is set, and the next run does the rest.
func TestFlagsAheadEndsRun(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{"the store": store.ErrUnreachable, "the state": errCrash} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, watch := aheadWorld(t, mail.Remote)
			w.flagSome(mail.Remote, aheadNews)
			o := w.options()
			if errors.Is(fault, errCrash) {
				failed := false
				o.crash = func() error {
					if failed || watch.calls < 3 {
						return nil
					}
					failed = true
					return fault
				}
			} else {
				watch.before = func(call int) error {
					if call < 3 {
						return nil
					}
					return fault
				}
			}
			res, err := Sync(t.Context(), o)
			if !errors.Is(err, fault) || len(res.Errors) > 0 || watch.phase != PhaseView || watch.calls > 6 { // one batch may be under way
				t.Errorf("%v, %v, in phase %v after %d calls", err, res.Errors, watch.phase, watch.calls)
			}
			watch.before, w.now = nil, w.now.Add(time.Minute)
			if n := res.Summary.FlaggedLocal + w.sync().Summary.FlaggedLocal; n != aheadNews {
				t.Errorf("%d set, want %d", n, aheadNews)
			}
			w.equal(60)
			w.still()
		})
	}
}

// TestFlagsAheadStuck: once something failed, no list of changes is kept for what is not going to be tried, and what was tried leaves
// no trace in a pair.
func TestFlagsAheadStuck(t *testing.T) {
	t.Parallel()
	w, watch := aheadWorld(t, mail.Remote)
	r := newRun(w.options())
	for _, step := range []func(context.Context) error{r.connect, r.list} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b := r.boxes["INBOX"]
	p := mail.Pair{ID: 1, Box: "INBOX", Keys: [2]mail.Key{"1.x", mail.UIDKey(1)}}
	c := plan.Change{Pair: &p, Now: mail.Entry{Key: p.Keys[1], Flags: flags(`\Seen`, "work")}}
	a := &flagsAhead{flags: r.flagger(b), side: mail.Remote}
	if !a.takes(c) {
		t.Error("a change was not taken")
	}
	half := plan.Change{Pair: &mail.Pair{ID: 2, Box: "INBOX", Keys: [2]mail.Key{"", mail.UIDKey(2)}}, Now: c.Now}
	if a.takes(half) || a.takes(plan.Change{Now: c.Now}) {
		t.Error("half a pair, or none, was taken")
	}
	watch.secure, watch.lacks = errors.New("cannot be synced"), flags("work")
	if a.flush(t.Context()); a.takes(c) || len(a.undone) != 1 {
		t.Errorf("one more was taken; %d are left", len(a.undone))
	}
	if err := a.end(); err != nil || p.Lacks != [2]mail.Flags{} || !p.Flags.Empty() {
		t.Errorf("%v, %+v", err, p)
	}
	b.plan.Merge(plan.Policy{})
	if n := b.plan.Ops.FlagChanges(); n != 1 {
		t.Errorf("%d are left to the plan", n)
	}
}

// TestFlagsAheadCancelled: a run that is cancelled in the middle ends, and sets nothing more; the next one does the rest.
func TestFlagsAheadCancelled(t *testing.T) {
	t.Parallel()
	for _, call := range []int{1, 2, 5, 9} {
		w, watch := aheadWorld(t, mail.Remote)
		w.flagSome(mail.Remote, aheadNews)
		ctx, cancel := context.WithCancel(t.Context())
		watch.before = func(n int) error {
			if n == call {
				cancel()
			}
			return nil
		}
		var res Result
		var err error
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			res, err = Sync(ctx, w.options())
		}()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("it goes on")
		}
		cancelled := ctx.Err() != nil // what is set at a time depends on how fast it goes: there may be fewer calls
		cancel()
		if cancelled != errors.Is(err, context.Canceled) || cancelled && watch.calls != call {
			t.Errorf("%v after %d of %d calls", err, watch.calls, call)
		}
		watch.before, w.now = nil, w.now.Add(time.Minute)
		if n := res.Summary.FlaggedLocal + w.sync().Summary.FlaggedLocal; n != aheadNews {
			t.Errorf("%d set, want %d", n, aheadNews)
		}
		w.equal(60)
		w.still()
	}
}

// TestFlagsAheadViewFails: what was set before a view failed stays and is remembered, and counts once, whether the run goes on or the
// next one does.
func TestFlagsAheadViewFails(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{"the server is lost": store.ErrUnreachable, "the mailbox is": errors.New("damaged")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, watch := aheadWorld(t, mail.Remote)
			w.o.Retries, w.o.RetryPause = 1, 1
			last, failed := w.flagSome(mail.Remote, aheadNews)[aheadNews-1], false
			w.stores[1].Reads = func(r memstore.Read) error {
				if !failed && r.Method == memstore.View && r.Key == last {
					failed = true
					return fault
				}
				return nil
			}
			res, err := w.try(nil)
			lost := errors.Is(fault, store.ErrUnreachable)
			if err != nil || lost && len(res.Errors) > 0 || !lost && len(res.Errors) != 1 {
				t.Fatal(err, res.Errors)
			}
			if n := len(watch.keys[PhaseView]); n < aheadNews-w.o.deltaChunk {
				t.Errorf("%d set before that", n)
			}
			n := res.Summary.FlaggedLocal
			if !lost {
				n += w.sync().Summary.FlaggedLocal
			}
			if n != aheadNews {
				t.Errorf("%d set, want %d", n, aheadNews)
			}
			w.equal(60)
			w.sync()
			w.still()
		})
	}
}

// plainSetter is a store that sets flags by SetFlags alone.
type plainSetter struct {
	store.Store
	watch *flagWatch
}

func (s *plainSetter) SetFlags(ctx context.Context, box mail.Box, keys []mail.Key, add, del mail.Flags) (store.Changed, error) {
	s.watch.calls++
	if err := s.watch.before(s.watch.calls); err != nil {
		return store.Changed{}, err
	}
	return s.Store.SetFlags(ctx, box, keys, add, del)
}

// TestFlagsOfMoved: a message that a user moves while flags are being set keeps the news of the other side: it is where it was moved to,
// with these flags, on both sides.
func TestFlagsOfMoved(t *testing.T) {
	t.Parallel()
	for n, at := range map[int]int{aheadNews: 2, 2: 1, 1: -1} { // news, and the call before which it is moved; below zero: of SetFlags
		for _, side := range mail.Sides {
			t.Run(fmt.Sprintf("%d on the %s side", n, side), func(t *testing.T) {
				t.Parallel()
				w, watch := aheadWorld(t, side)
				other := side.Other()
				at := at
				if watched := w.wrap; at < 0 {
					at = -at
					w.wrap = func(side mail.Side, s store.Store) store.Store {
						if s = watched(side, s); side == other {
							return &plainSetter{s, watch}
						}
						return s
					}
				}
				w.flagSome(side, n)
				moved := slices.Sorted(slices.Values(w.keys(other, "INBOX")))[n-1]
				watch.before = func(call int) error {
					if call == at {
						w.stores[other].MoveUser("INBOX", moved, "Archive")
					}
					return nil
				}
				first := w.sync().Summary
				second := w.sync().Summary
				if set := [2]int{first.FlaggedLocal + second.FlaggedLocal, first.FlaggedRemote + second.FlaggedRemote}; set[other] != n || set[side] != 0 {
					t.Errorf("flags set: %v, want %d on the %s side", set, n, other)
				}
				w.equal(60)
				w.movedWithFlags(n)
				w.still()
			})
		}
	}
}

// movedWithFlags checks that so many messages have flags on each side, and that one came to the other mailbox.
func (w *world) movedWithFlags(n int) {
	w.t.Helper()
	for _, s := range w.stores {
		flagged, there := 0, 0
		for _, m := range s.Dump() {
			if !m.Flags.Empty() {
				flagged++
			}
			if m.Box == "Archive" {
				there++
			}
		}
		if flagged != n || there != 21 {
			w.t.Errorf("%d have flags, want %d; %d are in the other mailbox, want 21", flagged, n, there)
		}
	}
}

// TestFlagsOfMovedCrash: nor are they lost if the run in which the message was moved, or the one that follows, is stopped anywhere.
func TestFlagsOfMovedCrash(t *testing.T) {
	t.Parallel()
	const n = 6
	for _, side := range mail.Sides {
		for _, second := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", side, second), func(t *testing.T) {
				t.Parallel()
				points := 0
				for stopped := true; stopped; points++ {
					w, watch := aheadWorld(t, side)
					other := side.Other()
					w.flagSome(side, n)
					moved, gone := slices.Sorted(slices.Values(w.keys(other, "INBOX")))[n-1], false
					watch.before = func(int) error {
						if !gone {
							gone = true
							w.stores[other].MoveUser("INBOX", moved, "Archive")
						}
						return nil
					}
					if second {
						w.sync()
					}
					stopped = w.crashAt(points)
					for range 3 {
						w.sync()
					}
					w.equal(60)
					w.movedWithFlags(n)
					w.still()
					if t.Failed() {
						t.Fatalf("after a crash at %d", points)
					}
				}
				if points < 5 {
					t.Errorf("only %d crash points", points)
				}
			})
		}
	}
}
