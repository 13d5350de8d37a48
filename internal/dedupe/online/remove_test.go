package online

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// kinds are servers that move in different ways.
var kinds = map[string]memstore.Options{
	"MOVE": {}, "no MOVE": {NoMove: true}, "no keys": {NoKeys: true}, "neither": {NoMove: true, NoKeys: true},
}

// doubled puts n messages, each three times, with flags of all sorts.
func (w *world) doubled(n int) {
	for i := range n {
		w.put(mail.Inbox, text(fmt.Sprint(i), "b"), "", 9)
		w.put(mail.Inbox, text(fmt.Sprint(i), "b"), "S", 2)
		w.put(mail.Inbox, text(fmt.Sprint(i), "b", "Received: by x"), "Fk", 1)
	}
	w.put(mail.Inbox, text("", "none has an id"), "", 3)
	w.put(mail.Inbox, text("", "none has an id"), "R", 2)
}

// states counts messages by mailbox, content and flags.
func states(list []memstore.Message) map[string]int {
	all := map[string]int{}
	for _, m := range list {
		all[fmt.Sprintf("%v %q", m.Flags, m.Data)]++
	}
	return all
}

// TestRemove: copies are in the trash with their flags, the flags of all but \Deleted and \Draft are on the one that stays, and all come back
// as they were.
func TestRemove(t *testing.T) {
	t.Parallel()
	for name, o := range kinds {
		w := newWorld(t, o)
		w.doubled(3)
		w.put(mail.Inbox, text("0", "b"), "DT", 12)
		before := states(w.in(mail.Inbox))
		if res, err := w.remove(nil); err != nil || res.Removed != 8 || res.Flagged != 4 || res.Skipped != 0 {
			t.Fatalf("%s: %+v, %v", name, res, err)
		}
		if here := w.in(mail.Inbox); len(here) != 4 || len(w.in(trash)) != 8 {
			t.Fatalf("%s: %v", name, w.server.Dump())
		} else {
			for _, m := range here {
				if want := flagsOf("SFk"); m.Ident.MessageID.IsZero() && m.Flags != flagsOf("R") || !m.Ident.MessageID.IsZero() && m.Flags != want {
					t.Errorf("%s: %v", name, m)
				}
			}
		}
		if f := w.find(); f.Groups.Len() != 0 {
			t.Errorf("%s: a second run finds %s", name, f.names())
		}
		if list := w.listed(); len(list) != 8 || list[0].Box != mail.Inbox || list[0].Trash != trash || list[0].At.Unix() != 1_800_000_000 {
			t.Errorf("%s: %+v", name, list)
		}
		if back, err := w.restore(); err != nil || back != 8 || len(w.in(trash)) != 0 || len(w.listed()) != 0 {
			t.Fatalf("%s: %d are back, %v", name, back, err)
		}
		for s, n := range states(w.in(mail.Inbox)) {
			if before[s] != n && !strings.Contains(s, fmt.Sprint(flagsOf("SFk"))) && !strings.Contains(s, fmt.Sprint(flagsOf("R"))) {
				t.Errorf("%s: %d of %s, %d before", name, n, s, before[s])
			}
		}
	}
}

// check makes sure that nothing is lost: every message is somewhere, one of each in the mailbox, and a copy is gone from there only when its flags are
// on the one that stays.
func (w *world) check(what string, n int) {
	w.t.Helper()
	total, here, flags := map[string]int{}, map[string]int{}, map[string]mail.Flags{}
	for _, m := range w.server.Dump() {
		id := fmt.Sprint(m.Ident.MessageID)
		if total[id]++; m.Box == mail.Inbox {
			here[id]++
			flags[id] = flags[id].Union(m.Flags)
		}
	}
	if len(total) != n+1 {
		w.t.Fatalf("%s: %d messages of %d", what, len(total), n+1)
	}
	for id := range total {
		want, all := flagsOf("FSk"), 3
		if id == fmt.Sprint(mail.Hash{}) {
			want, all = flagsOf("R"), 2
		}
		if total[id] < all || here[id] == 0 || flags[id] != want {
			w.t.Fatalf("%s: %d in all, %d in the mailbox with %v", what, total[id], here[id], flags[id])
		}
	}
}

// TestStoppedAnywhere: stopped before or after any effect, also one of undo, nothing is lost, the next run goes on to the same end, and what went
// comes back.
func TestStoppedAnywhere(t *testing.T) {
	t.Parallel()
	const n = 2
	for name, o := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 0; ; at++ {
				what := fmt.Sprintf("stopped at %d", at)
				w := newWorld(t, o)
				w.doubled(n)
				stopped := w.stopAt(at)
				if _, err := w.remove(nil); err != nil && !errors.Is(err, errStopped) {
					t.Fatal(err)
				}
				w.server.Effects = nil
				w.check(what, n)
				if _, err := w.remove(nil); err != nil {
					t.Fatal(what, err)
				}
				w.check(what+", and run again", n)
				if here := len(w.in(mail.Inbox)); here != n+1 || w.find().Groups.Len() != 0 {
					t.Fatalf("%s: %d stay", what, here)
				}
				undone := w.stopAt(at)
				if _, err := w.restore(); err != nil && !errors.Is(err, errStopped) {
					t.Fatal(err)
				}
				w.server.Effects = nil
				w.check("undo "+what, n)
				if _, err := w.restore(); err != nil {
					t.Fatal(what, err)
				}
				if here := len(w.in(mail.Inbox)); here != 3*n+2 {
					t.Fatalf("undo %s: %d are back", what, here)
				}
				if left := len(w.listed()); left != 0 {
					t.Fatalf("undo %s: %d are still listed", what, left)
				}
				if !*stopped && !*undone {
					return
				}
			}
		})
	}
}

// TestAnswerLost: the server moved, and the connection died before the answer: the next run finds out what became of it.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	for name, o := range kinds {
		w := newWorld(t, o)
		w.doubled(3)
		w.store = memstore.FailAfter(w.server, memstore.Move, store.ErrUnreachable)
		if _, err := w.remove(nil); !errors.Is(err, store.ErrUnreachable) {
			t.Fatal(name, err)
		}
		w.check(name, 3)
		if list := w.listed(); len(list) != 7 {
			t.Errorf("%s: the journal knows %d of 7", name, len(list))
		}
		if back, err := w.restore(); err != nil || back != 7 || len(w.in(mail.Inbox)) != 11 {
			t.Errorf("%s: %d are back, %v", name, back, err)
		}
	}
}

// TestTakenMeanwhile: another client takes one of two equal copies away while they are moved: the one that went does not stand for both.
func TestTakenMeanwhile(t *testing.T) {
	t.Parallel()
	for name, o := range kinds {
		w := newWorld(t, o)
		for age := range 3 {
			w.put(mail.Inbox, text("a", "b"), "", -age)
		}
		taken := false
		w.server.Effects = func(e memstore.Effect) error {
			if e.Key == mail.UIDKey(2) && e.After && !taken {
				taken = true
				w.server.DeleteUser(mail.Inbox, mail.UIDKey(3))
			}
			return nil
		}
		if res, err := w.remove(nil); err != nil || res.Removed != 1 || !taken {
			t.Fatalf("%s: %+v, %v", name, res, err)
		}
		w.server.Effects = nil
		if list := w.listed(); len(list) != 1 {
			t.Errorf("%s: %+v", name, list)
		}
		if back, err := w.restore(); err != nil || back != 1 || len(w.in(mail.Inbox)) != 2 {
			t.Errorf("%s: %d are back, %v", name, back, err)
		}
	}
}

// TestStayingMeanwhile: the message that would stay is taken away, or marked as deleted, after the mailbox was looked through, or after the flags
// were set: its copies stay.
func TestStayingMeanwhile(t *testing.T) {
	t.Parallel()
	first := mail.UIDKey(1)
	for name, do := range map[string]func(w *world){
		"gone":   func(w *world) { w.server.DeleteUser(mail.Inbox, first) },
		"moved":  func(w *world) { w.server.MoveUser(mail.Inbox, first, "Other") },
		"marked": func(w *world) { w.server.SetFlagsUser(mail.Inbox, first, flagsOf("T"), mail.Flags{}) },
	} {
		w := newWorld(t, memstore.Options{})
		w.put(mail.Inbox, text("a", "b"), "", 9)
		w.put(mail.Inbox, text("a", "b"), "F", 1)
		if res, err := w.remove(func() { do(w) }); err != nil || res.Removed != 0 || res.Skipped != 1 || len(res.Why) != 1 {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		if name == "marked" {
			continue
		}
		w = newWorld(t, memstore.Options{})
		w.put(mail.Inbox, text("a", "b"), "", 9)
		w.put(mail.Inbox, text("a", "b"), "F", 1)
		w.server.Effects = func(e memstore.Effect) error {
			if e.Method == memstore.SetFlags && e.After {
				do(w)
			}
			return nil
		}
		if res, err := w.remove(nil); err != nil || res.Removed != 0 || res.Skipped != 1 {
			t.Errorf("%s after its flags were set: %+v, %v", name, res, err)
		}
	}
}

// TestLeftAlone: what nothing is removed from.
func TestLeftAlone(t *testing.T) {
	t.Parallel()
	t.Run("held back", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, memstore.Options{})
		w.boxes, w.held = []mail.Box{mail.Inbox, "Sent"}, []bool{true, false}
		for _, box := range w.boxes {
			w.put(box, text("a", "b"), "", 2)
			w.put(box, text("a", "b"), "", 1)
		}
		if res, err := w.remove(nil); err != nil || res.Removed != 1 || len(w.in(mail.Inbox)) != 2 || len(w.in("Sent")) != 1 {
			t.Errorf("%+v, %v", res, err)
		}
	})
	t.Run("in the trash already", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, memstore.Options{})
		w.boxes, w.policy = []mail.Box{mail.Inbox, trash}, dedupe.Policy{Across: true, Rank: []int{0, 1}}
		w.put(mail.Inbox, text("a", "b"), "", 2)
		w.put(trash, text("a", "b"), "", 3)
		if res, err := w.remove(nil); err != nil || res.Removed != 0 || res.Skipped != 1 || len(w.server.Dump()) != 2 {
			t.Errorf("%+v, %v", res, err)
		}
	})
	t.Run("the one that stays goes at the last moment", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, memstore.Options{})
		w.store = bereft{w.server}
		w.put(mail.Inbox, text("a", "b"), "", 2)
		w.put(mail.Inbox, text("a", "b"), "k", 1)
		if res, err := w.remove(nil); err != nil || res.Removed != 0 || res.Skipped != 1 || res.Flagged != 0 || len(w.in(mail.Inbox)) != 1 {
			t.Errorf("%+v, %v", res, err)
		}
	})
	t.Run("keywords that cannot be held", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, memstore.Options{})
		w.store = wordless{w.server}
		w.put(mail.Inbox, text("a", "b"), "", 2)
		w.put(mail.Inbox, text("a", "b"), "k", 1)
		if res, err := w.remove(nil); err != nil || res.Removed != 0 || res.Skipped != 1 || len(w.in(mail.Inbox)) != 2 {
			t.Errorf("%+v, %v", res, err)
		}
	})
	t.Run("renumbered meanwhile", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, memstore.Options{})
		w.put(mail.Inbox, text("x", "y"), "", 3)
		w.put(mail.Inbox, text("a", "b"), "", 2)
		w.put(mail.Inbox, text("a", "b"), "", 1)
		_, err := w.remove(func() { w.server.NewEpoch(mail.Inbox) })
		if !errors.Is(err, store.ErrEpoch) || len(w.in(mail.Inbox)) != 3 {
			t.Error(err, w.server.Dump())
		}
	})
}

// bereft is a server from which messages go as their flags are to be set.
type bereft struct{ *memstore.Store }

func (s bereft) SetFlags(ctx context.Context, box mail.Box, keys []mail.Key, add, del mail.Flags) (store.Changed, error) {
	for _, k := range keys {
		s.DeleteUser(box, k)
	}
	return s.Store.SetFlags(ctx, box, keys, add, del)
}

// wordless is a server that cannot hold new keywords any more.
type wordless struct{ store.Store }

func (s wordless) SetFlags(ctx context.Context, box mail.Box, keys []mail.Key, add, del mail.Flags) (store.Changed, error) {
	lacks := mail.Flags{Keywords: add.Keywords}
	did, err := s.Store.SetFlags(ctx, box, keys, add.Minus(lacks), del)
	did.Lacks = lacks
	return did, err
}

// TestRenumbered: a mailbox that is renumbered between two runs gives its UIDs to other messages; the journal keeps both.
func TestRenumbered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{})
	for _, id := range []string{"a", "b"} {
		w.put(mail.Inbox, text(id, "b"), "", 2)
		w.put(mail.Inbox, text(id, "b"), "", 1)
		if res, err := w.remove(nil); err != nil || res.Removed != 1 {
			t.Fatal(id, res, err)
		}
		w.server.NewEpoch(mail.Inbox)
		w.server.DeleteUser(mail.Inbox, mail.UIDKey(1))
		w.server.NewEpoch(mail.Inbox)
	}
	if back, err := w.restore(); err != nil || back != 2 {
		t.Error(back, err)
	}
}

// TestAllowed: each copy is noted before it goes, and one that stayed is not allowed any more.
func TestAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{})
	w.doubled(2)
	allowed := map[mail.Key]bool{}
	w.allow = func(_ context.Context, _ mail.Box, keys []mail.Key, is bool) error {
		for _, k := range keys {
			allowed[k] = is
		}
		return nil
	}
	w.server.Effects = func(e memstore.Effect) error {
		if e.Method == memstore.Move && !allowed[e.Key] {
			t.Errorf("%v goes without being noted", e)
		}
		return nil
	}
	w.store = refusing{w.server}
	res, err := w.remove(nil)
	if err != nil || res.Removed != 4 || res.Skipped != 1 || len(res.Why) != 1 || !strings.Contains(res.Why[0], "no room") {
		t.Fatalf("%+v, %v", res, err)
	}
	for _, m := range w.in(mail.Inbox) {
		if allowed[m.Key] {
			t.Errorf("%v is there and allowed to go", m)
		}
	}
}

// refusing is a server that does not move the first message of a command.
type refusing struct{ store.Store }

func (s refusing) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	done, err := s.Store.Move(ctx, from, intents[1:], keep)
	return slices.Insert(done, 0, mail.Done{Err: errors.New("no room")}), err
}

// TestJournal: what was renumbered, taken from the trash by others, or whose mailbox is gone.
func TestJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{})
	w.boxes = []mail.Box{"Work"}
	for i := range 4 {
		w.put("Work", text("a", "b"), "", 9-i)
	}
	w.server.CreateUser(mail.Inbox, "")
	if res, err := w.remove(nil); err != nil || res.Removed != 3 {
		t.Fatal(res, err)
	}
	w.server.DeleteUser(trash, w.listed()[0].Key)
	w.server.RemoveBox("Work")
	if back, err := w.restore(); err != nil || back != 2 || len(w.in("Work")) != 2 || len(w.listed()) != 0 {
		t.Fatal(back, err, w.server.Dump())
	}
	if res, err := w.remove(nil); err != nil || res.Removed != 1 || len(w.listed()) != 1 {
		t.Fatal(res, err)
	}
	w.server.NewEpoch(trash)
	if back, err := w.restore(); err != nil || back != 0 || len(w.in(trash)) != 1 {
		t.Fatal(back, err)
	}
}

// TestRestoreRefused: what the server does not move back stays in the trash and in the journal, and that is said; all else is back.
func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{})
	w.doubled(2)
	if _, err := w.remove(nil); err != nil {
		t.Fatal(err)
	}
	w.store = refusing{w.server}
	if back, err := w.restore(); err == nil || !strings.Contains(err.Error(), "no room") || back != 4 || len(w.in(trash)) != 1 {
		t.Fatal(back, err)
	}
	w.store = w.server
	if back, err := w.restore(); err != nil || back != 1 || len(w.in(trash)) != 0 {
		t.Fatal(back, err)
	}
}
