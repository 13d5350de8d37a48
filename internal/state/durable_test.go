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
