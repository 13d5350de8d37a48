package state

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// TestCloseWhileRead: pairs that are being read while the database is closed are read to their end, and then nothing of it is left open:
// SQLite removes its log with the last connection. Nobody can read from then on, through a view neither.
func TestCloseWhileRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, 100)
	view := db.As(map[mail.Box]mail.Box{"New": "INBOX"})
	next, stop := iter.Pull2(view.Pairs(t.Context(), "New", mail.Remote))
	defer stop()
	n := 0
	for _, err, ok := next(); ok; _, err, ok = next() {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if n != 100 {
		t.Errorf("%d pairs", n)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Error("the log is still there", err)
	}
	if _, err := view.Boxes(t.Context()); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if _, err := collect(view.Pairs(t.Context(), "New", mail.Local)); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

// TestCloseWhileWritten: Close waits for a transaction, which is completed; the next one is an error.
func TestCloseWhileWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := db.writer
	closed := make(chan error)
	write(t, db, func(tx *Tx) error {
		go func() { closed <- w.close() }()
		for i := range 1000 {
			p := pairOf(i + 1)
			if err := tx.PutPair(&p); err != nil {
				return err
			}
		}
		return nil
	})
	if err := <-closed; err != nil {
		t.Error(err)
	}
	var code *sqlite.Error
	if err := db.Update(context.Background(), false, func(*Tx) error { return nil }); !errors.As(err, &code) {
		t.Error(err)
	}
	if n, err := db.Count(t.Context(), "INBOX", mail.Local); err != nil || n != 1000 {
		t.Error(n, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// TestNoConnection: that no more files can be opened, say, is told with what was being done and a hint.
func TestNoConnection(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 1)
	if err := db.readers.close(); err != nil {
		t.Fatal(err)
	}
	db.readers = newPool("file:" + filepath.Join(t.TempDir(), "none", "x.db"))
	_, err := collect(db.Pairs(t.Context(), "INBOX", mail.Local))
	if mail.HintOf(err) == "" {
		t.Error(err)
	}
	if _, err := db.PairsByID(t.Context(), "INBOX", []int64{1}); mail.HintOf(err) == "" {
		t.Error(err)
	}
}
