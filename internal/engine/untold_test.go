package engine

import (
	"context"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
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
