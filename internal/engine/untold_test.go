package engine

import (
	"context"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// silent is a server that does not tell which UIDs messages got that were moved (no UIDPLUS).
type silent struct {
	store.Store
	token mail.Token // of the first effect: as if all began at the same time
}

func (s *silent) Prepare(ctx context.Context, box mail.Box, entries []mail.Entry) ([]mail.Token, error) {
	tokens, err := s.Store.Prepare(ctx, box, entries)
	for i := range tokens {
		if s.token == "" {
			s.token = tokens[i]
		}
		tokens[i] = s.token
	}
	return tokens, err
}

func (s *silent) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	done, err := s.Store.Move(ctx, from, intents, keep)
	for i := range done {
		done[i].Key = ""
	}
	return done, err
}

// TestMovesUntold: equal messages come from two mailboxes at the same time to a third one, on a server that does not tell where they
// are. When the second is looked for, the first is remembered already: each has a message of its own.
func TestMovesUntold(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, mi[0], mi[1])
	w.fill(mail.Remote, "C", 9, 10)
	for _, box := range []mail.Box{"A", "B"} {
		w.stores[1].Deliver(box, flags(), body(1), 1_600_000_001)
		w.fill(mail.Remote, box, 2, 6)
	}
	w.sync()
	w.sync()
	for _, box := range []mail.Box{"A", "B"} {
		w.stores[0].MoveUser(box, w.keys(mail.Local, box)[0], "C")
	}
	w.wrap = func(_ mail.Side, s store.Store) store.Store { return &silent{Store: s} }
	r := newRun(w.options())
	for _, step := range []func(context.Context) error{r.connect, r.recover, r.view, r.plan, r.begin} {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	var all []*movers
	for _, box := range []mail.Box{"A", "B"} {
		b := r.boxes[box]
		m := &movers{run: r, box: b, side: mail.Remote, wait: func() error { return nil }}
		moves := append([]plan.Move(nil), b.plan.Ops.Move[mail.Remote]...)
		if err := m.batch(ctx, moves); err != nil || len(moves) != 1 {
			t.Fatal(len(moves), err)
		}
		all = append(all, m)
	}
	for _, m := range all {
		if err := m.flush(ctx); err != nil {
			t.Error(err)
		}
	}
	if n, err := w.db.Count(ctx, "C", mail.Remote); err != nil || n != 3 {
		t.Errorf("%d pairs, %v", n, err)
	}
	w.wrap = nil
	w.sync()
	w.equal(11)
	w.still()
}

// TestExpiredIntent: an intent that is forgotten because it is old still explains a twin in that run, but by then its number may be that
// of another intent, which stays.
func TestExpiredIntent(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, mi[0], mi[1])
	old := mail.Intent{Side: mail.Remote, Kind: mail.IntentPut, Box: "INBOX", Late: w.now.Unix() - 2*lateFor}
	fresh := mail.Intent{Side: mail.Remote, Kind: mail.IntentPut, Box: "Archive"}
	add := func(in *mail.Intent) {
		if err := w.db.Update(ctx, true, func(tx *state.Tx) error { return tx.AddIntent(in) }); err != nil {
			t.Fatal(err)
		}
	}
	add(&old)
	r := newRun(w.options())
	if err := r.connect(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.recover(ctx); err != nil || len(r.late) != 1 {
		t.Fatal(r.late, err)
	}
	add(&fresh)
	if err := w.db.Update(ctx, true, func(tx *state.Tx) error { return tx.DropIntent(r.late[0].ID) }); err != nil {
		t.Fatal(err)
	}
	if left, err := w.db.Intents(ctx); err != nil || len(left) != 1 || left[0].Box != "Archive" {
		t.Errorf("%+v, %v", left, err)
	}
}
