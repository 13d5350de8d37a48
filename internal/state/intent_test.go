package state

import (
	"errors"
	"fmt"
	"testing"

	"mailtwin/internal/mail"
)

// TestIntents: thousands in one transaction, forgotten in any order and in several; what a transaction that failed did is undone.
func TestIntents(t *testing.T) {
	t.Parallel()
	db := open(t)
	const n = 2*perRow + 7
	list := make([]mail.Intent, n)
	write(t, db, func(tx *Tx) error {
		for i := range list {
			list[i] = mail.Intent{Side: mail.Remote, Box: "B", Token: mail.Token(fmt.Sprint(i)), Entry: mail.Entry{Ident: pairOf(i).Ident}}
			if err := tx.AddIntent(&list[i]); err != nil {
				return err
			}
		}
		return nil
	})
	open := func() map[int64]mail.Intent {
		t.Helper()
		all, err := db.Intents(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		byID := map[int64]mail.Intent{}
		for i, in := range all {
			if byID[in.ID] = in; i > 0 && in.ID <= all[i-1].ID {
				t.Fatal("not in the order in which they came")
			}
		}
		return byID
	}
	drop := func(tx *Tx, which func(int) bool) error {
		var errs []error
		for i := range list {
			if which(i) {
				errs = append(errs, tx.DropIntent(list[i].ID))
			}
		}
		return errors.Join(errs...)
	}
	boom := errors.New("boom")
	err := db.Update(t.Context(), true, func(tx *Tx) error {
		late := mail.Intent{Box: "C"}
		return errors.Join(drop(tx, func(i int) bool { return i%3 == 0 }), tx.SetIntentLate(list[1].ID, 5), tx.AddIntent(&late), boom)
	})
	if got := open(); !errors.Is(err, boom) || len(got) != n || got[list[1].ID].Late != 0 || got[list[n-1].ID] != list[n-1] {
		t.Fatal(len(got), err)
	}
	write(t, db, func(tx *Tx) error { return drop(tx, func(i int) bool { return i%2 == 0 }) })
	if got := open(); len(got) != n/2 || got[list[3].ID] != list[3] {
		t.Fatal(len(got))
	}
	one := mail.Intent{Box: "D"}
	write(t, db, func(tx *Tx) error {
		return errors.Join(drop(tx, func(int) bool { return true }), tx.AddIntent(&one), tx.DropIntent(1<<40))
	})
	if got := open(); len(got) != 1 || got[one.ID] != one {
		t.Fatal(got)
	}
	for i := range list {
		if list[i].ID == one.ID {
			t.Fatal("an id was given again in the transaction that forgot it")
		}
	}
}
