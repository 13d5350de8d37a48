package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"mailtwin/internal/mail"
)

// writer is the one connection that changes the database.
type writer struct {
	mu    sync.Mutex
	pool  *sql.DB
	conn  *sql.Conn
	full  bool // synchronous=FULL is set
	stmts map[string]*sql.Stmt

	intents map[int64]intentRow // as they are stored, those that were written here
	scratch scratch
}

// newWriter opens the connection and makes sure of the journal mode (rule 3): WAL, else DELETE as on network file systems.
func newWriter(ctx context.Context, uri string) (*writer, error) {
	pool, err := connect(uri, 1)
	if err != nil {
		return nil, err
	}
	w := &writer{pool: pool, stmts: map[string]*sql.Stmt{}, intents: map[int64]intentRow{}, scratch: scratch{waiting: map[int64]bool{}}}
	if w.conn, err = pool.Conn(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	var mode string
	if err = w.conn.QueryRowContext(ctx, "PRAGMA journal_mode=WAL").Scan(&mode); err == nil && mode != "wal" {
		err = w.conn.QueryRowContext(ctx, "PRAGMA journal_mode=DELETE").Scan(&mode)
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

func (w *writer) close() error {
	var errs []error
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	w.stmts = nil
	if w.conn != nil {
		errs = append(errs, w.conn.Close())
	}
	return errors.Join(append(errs, w.pool.Close())...)
}

func (w *writer) synchronous(full bool) error {
	if w.full == full {
		return nil
	}
	level := "NORMAL"
	if full {
		level = "FULL"
	}
	if _, err := w.conn.ExecContext(context.Background(), "PRAGMA synchronous="+level); err != nil {
		return err
	}
	w.full = full
	return nil
}

// migrate brings the schema from version to the newest, each step in a transaction of its own.
func (w *writer) migrate(ctx context.Context, version int) error {
	for v := version; v < len(migrations); v++ {
		if err := w.step(ctx, v); err != nil {
			_, _ = w.conn.ExecContext(context.Background(), "ROLLBACK")
			return fmt.Errorf("bring the schema to version %d: %w", v+1, err)
		}
	}
	return nil
}

func (w *writer) step(ctx context.Context, v int) error {
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE;\n"+migrations[v]); err != nil {
		return err
	}
	if after := afterMigration[v]; after != nil {
		if err := after(w); err != nil {
			return err
		}
	}
	_, err := w.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d;\nCOMMIT;", applicationID, v+1))
	return err
}

// tx begins a transaction for Go; there is one at a time.
func (w *writer) tx() *Tx {
	w.scratch.pending = w.scratch.pending[:0]
	clear(w.scratch.waiting)
	return &Tx{w: w, boxes: map[mail.Box]int64{}, sums: map[int64]*boxSums{}, scratch: &w.scratch}
}

// stmt prepares a statement once.
func (w *writer) stmt(query string) (*sql.Stmt, error) {
	if s := w.stmts[query]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	w.stmts[query] = s
	return s, nil
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
	err := fn(tx)
	if err == nil {
		err = tx.flush()
	}
	if err == nil {
		err = explain("write state database", tx.exec("COMMIT"))
	}
	w.remember(&tx.intents, err == nil)
	if err != nil {
		_ = tx.exec("ROLLBACK") // SQLite may have done so itself
	}
	return err
}
