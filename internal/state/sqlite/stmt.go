package sqlite

import (
	"context"
	"fmt"
	"sync"
	"time"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// Stmt is a prepared statement. Its arguments are set one by one, from 1 on; then it is carried out: that takes them away, and they can be
// set again. If one cannot be set, that is the error of carrying it out, and nothing is done.
type Stmt struct {
	c    *Conn
	at   uintptr
	busy bool  // it has arguments, or rows to come
	kept bool  // by its connection
	err  error // of the first argument that could not be set
	next *Stmt // of the same text
	mem  memory
}

// mostBytes is how large a value can be (SQLITE_MAX_LENGTH). Twice as much is a number on machines of 32 bits, too.
const mostBytes = 1_000_000_000

func errTooBig() error { return &Error{Code: sqlite3.SQLITE_TOOBIG, text: "value too big"} }

// Int sets an argument.
func (s *Stmt) Int(i int, v int64) {
	s.set(sqlite3.Xsqlite3_bind_int64(s.c.tls, s.at, int32(i), v)) //nolint:gosec // small
}

// Blob sets an argument; nil is NULL. The bytes are copied.
func (s *Stmt) Blob(i int, v []byte) {
	switch {
	case v == nil:
		s.set(sqlite3.Xsqlite3_bind_null(s.c.tls, s.at, int32(i))) //nolint:gosec // small
	case len(v) > mostBytes:
		s.fail(errTooBig())
	default:
		p := s.mem.put(s.c, v)
		s.set(sqlite3.Xsqlite3_bind_blob(s.c.tls, s.at, int32(i), p, int32(len(v)), 0)) //nolint:gosec // see above
	}
}

// Text sets an argument.
func (s *Stmt) Text(i int, v string) {
	if len(v) > mostBytes {
		s.fail(errTooBig())
		return
	}
	p := s.mem.put(s.c, []byte(v))
	s.set(sqlite3.Xsqlite3_bind_text(s.c.tls, s.at, int32(i), p, int32(len(v)), 0)) //nolint:gosec // see above
}

// set takes what came of setting an argument.
func (s *Stmt) set(rc int32) {
	s.busy = true
	if rc != sqlite3.SQLITE_OK {
		s.fail(s.c.check(rc))
	}
}

func (s *Stmt) fail(err error) {
	s.busy = true
	if s.err == nil {
		s.err = err
	}
}

func (s *Stmt) bind(args []any) {
	for i, arg := range args {
		switch v := arg.(type) {
		case nil:
			s.Blob(i+1, nil)
		case int64:
			s.Int(i+1, v)
		case int:
			s.Int(i+1, int64(v))
		case bool:
			n := int64(0)
			if v {
				n = 1
			}
			s.Int(i+1, n)
		case string:
			s.Text(i+1, v)
		case []byte:
			s.Blob(i+1, v)
		default:
			s.fail(fmt.Errorf("bind argument %d: unexpected type %T", i+1, arg))
		}
	}
}

// interruptEvery is how many rows are read between two looks at the context.
const interruptEvery = 64

// Query carries the statement out and calls fn for each row.
func (s *Stmt) Query(ctx context.Context, fn func(*Row) error) error {
	s.busy = true
	defer s.reset() // whatever becomes of fn: what is not reset keeps an old moment, and the log from being cut
	if s.err != nil {
		return s.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	defer s.interruptible(ctx)()
	row := Row{s}
	for n := 1; ; n++ {
		rc := sqlite3.Xsqlite3_step(s.c.tls, s.at)
		if rc != sqlite3.SQLITE_ROW {
			return s.result(ctx, rc)
		}
		err := fn(&row)
		if err == nil && n%interruptEvery == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// interruptAgain is how long after an interrupt the next one comes: SQLite forgets one that comes before the first step.
const interruptAgain = 5 * time.Millisecond

// interruptible ends the statement when the context does; the function that it returns takes that back.
func (s *Stmt) interruptible(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	w := &watch{db: s.c.db}
	undo := context.AfterFunc(ctx, w.interrupt)
	return func() {
		if !undo() {
			w.end()
		}
	}
}

// watch is over a statement whose context may end.
type watch struct {
	db   uintptr
	mu   sync.Mutex
	over bool // the next statement must not be interrupted
}

func (w *watch) interrupt() {
	tls := libc.NewTLS() // that of the connection is in use
	defer tls.Close()
	for ; ; time.Sleep(interruptAgain) {
		w.mu.Lock()
		over := w.over
		if !over {
			sqlite3.Xsqlite3_interrupt(tls, w.db)
		}
		w.mu.Unlock()
		if over {
			return
		}
	}
}

func (w *watch) end() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
}

// Exec carries the statement out, whatever rows it has, and returns how many it changed.
func (s *Stmt) Exec() (changed int, err error) {
	s.busy = true
	defer s.reset()
	if s.err != nil {
		return 0, s.err
	}
	rc := int32(sqlite3.SQLITE_ROW)
	for rc == sqlite3.SQLITE_ROW {
		rc = sqlite3.Xsqlite3_step(s.c.tls, s.at)
	}
	if err := s.result(context.Background(), rc); err != nil {
		return 0, err
	}
	return int(sqlite3.Xsqlite3_changes(s.c.tls, s.c.db)), nil
}

// result is what the last step says.
func (s *Stmt) result(ctx context.Context, rc int32) error {
	if rc == sqlite3.SQLITE_DONE {
		return nil
	}
	if rc&0xff == sqlite3.SQLITE_INTERRUPT && ctx.Err() != nil {
		return ctx.Err()
	}
	return s.c.check(rc)
}

// reset ends the statement, and with it its rows, and gets it ready for the next time. What SQLite returns was returned by the last step
// already.
func (s *Stmt) reset() {
	s.err = nil
	sqlite3.Xsqlite3_reset(s.c.tls, s.at)
	if !s.kept {
		s.close()
		return
	}
	sqlite3.Xsqlite3_clear_bindings(s.c.tls, s.at)
	s.mem.clear(s.c)
	s.busy = false
}

func (s *Stmt) close() {
	sqlite3.Xsqlite3_finalize(s.c.tls, s.at)
	s.at = 0 // to use it once more is an error
	s.mem.free(s.c)
}

// memory has the arguments of a statement, which must stay where they are until it is over.
type memory struct {
	at        uintptr
	size, len int
	full      []uintptr // pieces that were too small
}

// mostKept is how large a piece may be that is kept for the next time.
const mostKept = 64 << 10

// put copies bytes.
func (m *memory) put(c *Conn, b []byte) uintptr {
	if m.at == 0 || m.size-m.len < len(b) {
		if m.at != 0 {
			m.full = append(m.full, m.at)
		}
		m.size = max(min(2*m.size, mostKept), 2*len(b), 256)
		m.at, m.len = c.alloc(m.size), 0
	}
	p := m.at + uintptr(m.len)
	copy(bytesAt(p, len(b)), b)
	m.len += len(b)
	return p
}

func (m *memory) clear(c *Conn) {
	for _, p := range m.full {
		c.free(p)
	}
	m.full, m.len = m.full[:0], 0
	if m.size > mostKept {
		m.free(c)
	}
}

func (m *memory) free(c *Conn) {
	for _, p := range m.full {
		c.free(p)
	}
	if m.at != 0 {
		c.free(m.at)
	}
	*m = memory{}
}
