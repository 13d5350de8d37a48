// Package sqlite is SQLite's own interface (sqlite.org/c3ref), as far as package state uses it, in modernc.org/sqlite's translation to Go.
// It does without database/sql: that takes three times as long to read a row as SQLite itself, in copies, locks and garbage, and a sync
// reads and writes little else.
//
// It may import nothing of ours, because it knows no words but SQLite's.
package sqlite

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"unsafe"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// Conn is a connection. It is used by one goroutine at a time: SQLite takes no locks for it (SQLITE_OPEN_NOMUTEX).
type Conn struct {
	tls   *libc.TLS
	db    uintptr
	stmts map[string]*Stmt // by their text, the first of each
}

// busyFor is how long a statement waits for another connection, in milliseconds.
const busyFor = 10_000

var patch = sync.OnceFunc(sqlite3.PatchIssue199) // as modernc.org/sqlite does before the first use

// Open opens a database by its URI (sqlite.org/uri.html).
func Open(uri string) (*Conn, error) {
	patch()
	c := &Conn{tls: libc.NewTLS(), stmts: map[string]*Stmt{}}
	name := c.text(uri)
	defer c.free(name)
	place := c.alloc(int(unsafe.Sizeof(c.db)))
	defer c.free(place)
	const flags = sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_CREATE | sqlite3.SQLITE_OPEN_NOMUTEX | sqlite3.SQLITE_OPEN_URI
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, place, flags, 0)
	c.db = *(*uintptr)(at(place))
	if rc == sqlite3.SQLITE_OK {
		rc = sqlite3.Xsqlite3_extended_result_codes(c.tls, c.db, 1)
	}
	if rc == sqlite3.SQLITE_OK {
		rc = sqlite3.Xsqlite3_busy_timeout(c.tls, c.db, busyFor)
	}
	if err := c.check(rc); err != nil {
		_ = c.Close() // it was opened in vain, and there is a handle all the same
		return nil, err
	}
	return c, nil
}

// Close ends the connection and its statements; safe to call twice.
func (c *Conn) Close() error {
	if c == nil || c.tls == nil {
		return nil
	}
	for _, s := range c.stmts {
		for ; s != nil; s = s.next {
			s.close()
		}
	}
	var err error
	if c.db != 0 {
		err = c.check(sqlite3.Xsqlite3_close_v2(c.tls, c.db))
	}
	c.tls.Close()
	c.tls, c.db, c.stmts = nil, 0, nil
	return err
}

// errClosed is returned for a connection that is closed.
func errClosed() error { return &Error{Code: sqlite3.SQLITE_MISUSE, text: "the connection is closed"} }

// Script carries out statements without arguments and results.
func (c *Conn) Script(text string) error {
	if c.tls == nil {
		return errClosed()
	}
	z := c.text(text)
	defer c.free(z)
	return c.check(sqlite3.Xsqlite3_exec(c.tls, c.db, z, 0, 0, 0))
}

// Prepare returns a statement, which is kept for the next time it is asked for. One that is under way gets a twin, and whoever asked for it
// does not know the difference. A PRAGMA is not kept, and carried out once only: some take effect when they are prepared, and then only
// (sqlite.org/pragma.html).
func (c *Conn) Prepare(text string) (*Stmt, error) {
	for s := c.stmts[text]; s != nil; s = s.next {
		if !s.busy {
			return s, nil
		}
	}
	if c.tls == nil {
		return nil, errClosed()
	}
	z := c.text(text)
	defer c.free(z)
	place := c.alloc(int(unsafe.Sizeof(c.db)))
	defer c.free(place)
	if err := c.check(sqlite3.Xsqlite3_prepare_v2(c.tls, c.db, z, -1, place, 0)); err != nil {
		return nil, err
	}
	s := &Stmt{c: c, at: *(*uintptr)(at(place))}
	if s.kept = !strings.HasPrefix(text, "PRAGMA"); s.kept {
		s.next, c.stmts[text] = c.stmts[text], s
	}
	return s, nil
}

// Idle reports whether no transaction is under way.
func (c *Conn) Idle() bool { return sqlite3.Xsqlite3_get_autocommit(c.tls, c.db) != 0 }

// Query carries out a statement and calls fn for each row. An error of fn ends it and is returned.
func (c *Conn) Query(ctx context.Context, text string, args []any, fn func(*Row) error) error {
	s, err := c.Prepare(text)
	if err != nil {
		return err
	}
	s.bind(args)
	return s.Query(ctx, fn)
}

// Exec carries out a statement and returns how many rows it changed, if it is one that changes rows.
func (c *Conn) Exec(text string, args ...any) (changed int, err error) {
	s, err := c.Prepare(text)
	if err != nil {
		return 0, err
	}
	s.bind(args)
	return s.Exec()
}

// check turns a result code into an error.
func (c *Conn) check(rc int32) error {
	if rc == sqlite3.SQLITE_OK {
		return nil
	}
	e := &Error{Code: int(rc), text: libc.GoString(sqlite3.Xsqlite3_errstr(c.tls, rc))}
	if c.db != 0 && sqlite3.Xsqlite3_extended_errcode(c.tls, c.db) == rc {
		if more := libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db)); more != e.text {
			e.text += ": " + more
		}
	}
	return e
}

// Error is a result code of SQLite (sqlite.org/rescode.html).
type Error struct {
	Code int // the extended one
	text string
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.text, e.Code) }

// Primary is the result code without its extension.
func (e *Error) Primary() int { return e.Code & 0xff }

// The result codes that callers tell apart.
const (
	ErrError      = sqlite3.SQLITE_ERROR
	ErrPerm       = sqlite3.SQLITE_PERM
	ErrReadOnly   = sqlite3.SQLITE_READONLY
	ErrIO         = sqlite3.SQLITE_IOERR
	ErrCorrupt    = sqlite3.SQLITE_CORRUPT
	ErrFull       = sqlite3.SQLITE_FULL
	ErrCantOpen   = sqlite3.SQLITE_CANTOPEN
	ErrConstraint = sqlite3.SQLITE_CONSTRAINT
	ErrNotADB     = sqlite3.SQLITE_NOTADB
)

// alloc returns memory that Go does not move. There is no going on without it, as there is none in Go.
func (c *Conn) alloc(n int) uintptr {
	p := libc.Xmalloc(c.tls, types.Size_t(n)) //nolint:gosec // not negative
	if p == 0 {
		panic("sqlite: out of memory")
	}
	return p
}

func (c *Conn) free(p uintptr) { libc.Xfree(c.tls, p) }

// text copies a string, with a NUL at its end.
func (c *Conn) text(s string) uintptr {
	p := c.alloc(len(s) + 1)
	copy(bytesAt(p, len(s)+1), s+"\x00")
	return p
}

// at is a place in memory that is not Go's.
func at(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) }

// bytesAt is memory that is not Go's.
func bytesAt(p uintptr, n int) []byte { return unsafe.Slice((*byte)(at(p)), n) }
