package state

import (
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// TestDurable: a commit that must not be lost in a power cut is written with synchronous=FULL, whatever the one before was (rule 3).
func TestDurable(t *testing.T) {
	t.Parallel()
	db := open(t)
	for i, durable := range []bool{true, false, true, true, false, false, true} {
		level := int64(-1)
		err := db.Update(t.Context(), durable, func(tx *Tx) error {
			p := pairOf(i)
			if err := tx.PutPair(&p); err != nil {
				return err
			}
			return tx.w.conn.Query(t.Context(), "PRAGMA synchronous", nil, func(r *sqlite.Row) error {
				level = r.Int(0)
				return nil
			})
		})
		want := map[bool]int64{false: 1, true: 2}[durable]
		if err != nil || level != want {
			t.Errorf("commit %d: level %d, want %d: %v", i, level, want, err)
		}
	}
	if n, err := db.Count(t.Context(), "INBOX", mail.Local); err != nil || n != 7 {
		t.Error(n, err)
	}
}

// TestPanicInUpdate: a panic undoes the transaction, and leaves the database fit for the next one.
func TestPanicInUpdate(t *testing.T) {
	t.Parallel()
	db := open(t)
	func() {
		defer func() { _ = recover() }()
		_ = db.Update(t.Context(), true, func(tx *Tx) error {
			if err := tx.PutBox(Box{Name: "Half"}); err != nil {
				t.Error(err)
			}
			panic("stop")
		})
	}()
	write(t, db, func(tx *Tx) error { return tx.PutBox(Box{Name: "Whole"}) })
	if boxes, err := db.Boxes(t.Context()); err != nil || len(boxes) != 1 || boxes[0].Name != "Whole" {
		t.Error(boxes, err)
	}
}
