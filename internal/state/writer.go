package state

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// writer is the one connection that changes the database.
type writer struct {
	mu   sync.Mutex
	conn *sqlite.Conn
	full bool // synchronous=FULL is set

	intents map[int64]intentRow // as they are stored, those that were written here
	scratch scratch
}

// newWriter opens the connection and makes sure of the journal mode (rule 3): WAL, else DELETE as on network file systems.
func newWriter(uri string) (*writer, error) {
	conn, err := sqlite.Open(uri)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, intents: map[int64]intentRow{}, scratch: scratch{waiting: map[int64]bool{}}}
	mode, err := w.journal("PRAGMA journal_mode=WAL")
	if err == nil && mode != "wal" {
		mode, err = w.journal("PRAGMA journal_mode=DELETE")
		if err == nil && mode != "delete" {
			err = fmt.Errorf("set journal mode: it stays %q", mode)
		}
	}
	if err == nil {
		err = w.synchronous(true)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *writer) journal(query string) (mode string, err error) {
	err = w.conn.Query(context.Background(), query, nil, func(row *sqlite.Row) error { return scan(row, &mode) })
	return mode, err
}

// close waits for a transaction that is under way.
func (w *writer) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conn.Close()
}

func (w *writer) synchronous(full bool) error {
	if w.full == full {
		return nil
	}
	level := "NORMAL"
	if full {
		level = "FULL"
	}
	if _, err := w.conn.Exec("PRAGMA synchronous=" + level); err != nil {
		return err
	}
	w.full = full
	return nil
}

// migrate brings the schema from version to the newest, each step in a transaction of its own.
func (w *writer) migrate(version int) error {
	for v := version; v < len(migrations); v++ {
		if err := w.step(v); err != nil {
			_ = w.conn.Script("ROLLBACK")
			return fmt.Errorf("bring the schema to version %d: %w", v+1, err)
		}
	}
	return nil
}

func (w *writer) step(v int) error {
	if err := w.conn.Script("BEGIN IMMEDIATE;\n" + migrations[v]); err != nil {
		return err
	}
	if after := afterMigration[v]; after != nil {
		if err := after(w); err != nil {
			return err
		}
	}
	return w.conn.Script(fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d;\nCOMMIT;", applicationID, v+1))
}

// tx begins a transaction for Go; there is one at a time.
func (w *writer) tx() *Tx {
	w.scratch.pending = w.scratch.pending[:0]
	clear(w.scratch.waiting)
	return &Tx{w: w, boxes: map[mail.Box]int64{}, sums: map[int64]*boxSums{}, scratch: &w.scratch}
}

var errReadOnly = errors.New("opened for reading only")

// Update runs fn in a write transaction, one at a time. If durable, the commit is on disk when Update returns; else it may be
// lost in a power cut, but is never torn. An error of fn undoes everything. The Tx ends with fn.
//
// The context stops it only before it begins: what was done in the world is recorded even while a run is being cancelled.
func (db *DB) Update(ctx context.Context, durable bool, fn func(*Tx) error) error {
	if db.writer == nil {
		return explain("write state database", errReadOnly)
	}
	w := db.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.synchronous(durable); err != nil {
		return explain("write state database", err)
	}
	tx := w.tx()
	if err := tx.exec("BEGIN IMMEDIATE"); err != nil {
		return explain("write state database", err)
	}
	done := false
	defer func() { // of a panic, too
		w.remember(&tx.intents, done)
		if !done {
			_ = tx.exec("ROLLBACK") // SQLite may have done so itself
		}
	}()
	err := fn(tx)
	if err == nil {
		err = tx.flush()
	}
	if err == nil {
		err = explain("write state database", tx.exec("COMMIT"))
	}
	done = err == nil
	return err
}
