package state

import (
	"errors"
	"testing"

	"mailtwin/internal/mail"
)

// TestSumsOfForgottenMailbox: what a transaction took out of a mailbox that it then makes room of is not counted for the next one.
func TestSumsOfForgottenMailbox(t *testing.T) {
	t.Parallel()
	db := open(t)
	p, next := pairOf(1), pairOf(2)
	p.Box, next.Box = "B", "C"
	write(t, db, func(tx *Tx) error { return errors.Join(tx.PutBox(Box{Name: "A"}), tx.PutPair(&p)) })
	write(t, db, func(tx *Tx) error { return errors.Join(tx.DropPair(p.ID), tx.RenameBox("A", "B")) })
	write(t, db, func(tx *Tx) error { return tx.PutPair(&next) })
	if counts, err := db.Counts(t.Context()); err != nil || len(counts) != 1 || counts["C"] != 1 {
		t.Errorf("counts %v, %v", counts, err)
	}
	if list, err := collect(db.Pairs(t.Context(), "C", mail.Local)); err != nil || len(list) != 1 {
		t.Errorf("pairs %v, %v", list, err)
	}
}
