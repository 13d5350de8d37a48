package sqlite

import (
	"bytes"
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t testing.TB) *Conn {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "x.db"))
}

func openAt(t testing.TB, path string) *Conn {
	t.Helper()
	c, err := Open("file:" + path + "?mode=rwc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func exec(t testing.TB, c *Conn, text string, args ...any) int {
	t.Helper()
	n, err := c.Exec(text, args...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestValues: what is written comes back, of each type, empty values and NULL apart, and such as are larger than the memory that a
// statement keeps.
func TestValues(t *testing.T) {
	t.Parallel()
	c := open(t)
	exec(t, c, "CREATE TABLE x (i INTEGER, b BLOB, s TEXT) STRICT")
	large := bytes.Repeat([]byte("0123456789"), 20_000)
	type row struct {
		i int64
		b []byte
		s string
	}
	want := []row{{-1 << 63, nil, ""}, {1<<63 - 1, []byte{}, "a\x00b"}, {0, []byte{0, 1, 0}, "ü"}, {1, large, string(large)}, {2, []byte("after"), "it"}}
	for _, r := range want {
		if n := exec(t, c, "INSERT INTO x VALUES (?, ?, ?)", r.i, r.b, r.s); n != 1 {
			t.Error(n, "rows")
		}
	}
	var got []row
	err := c.Query(t.Context(), "SELECT i, b, s, typeof(b) FROM x ORDER BY rowid", nil, func(r *Row) error {
		var v row
		var raw Raw
		var typ string
		err := r.Scan(&v.i, &raw, &v.s, &typ)
		if v.b = bytes.Clone(raw); typ == "blob" && v.b == nil {
			v.b = []byte{}
		}
		if r.Int(0) != v.i || !bytes.Equal(r.Bytes(1), raw) {
			t.Error("Scan and the other ways to read differ")
		}
		got = append(got, v)
		return err
	})
	if err != nil || len(got) != len(want) {
		t.Fatal(len(got), err)
	}
	for i := range want {
		if got[i].i != want[i].i || got[i].s != want[i].s || !bytes.Equal(got[i].b, want[i].b) || (got[i].b == nil) != (want[i].b == nil) {
			t.Errorf("row %d: %d, %d and %d bytes", i, got[i].i, len(got[i].b), len(got[i].s))
		}
	}
	if n := exec(t, c, "UPDATE x SET i = 7 WHERE i > ?", 0); n != 3 {
		t.Errorf("%d rows changed, want 3", n)
	}
	if _, err := c.Exec("SELECT ?", struct{}{}); err == nil {
		t.Error("an argument of a type that is none")
	}
	var e *Error
	if _, err := c.Exec("SELECT ?", make([]byte, mostBytes+1)); !errors.As(err, &e) || e.Code != 18 { // it is not looked at, so takes no memory
		t.Error(err)
	}
}

// TestUTF16: text comes as UTF-8 from a database that keeps it otherwise.
func TestUTF16(t *testing.T) {
	t.Parallel()
	c := open(t)
	exec(t, c, "PRAGMA encoding='UTF-16le'")
	exec(t, c, "CREATE TABLE x (s TEXT)")
	want := []string{"Entwürfe", "", "x", strings.Repeat("größer als der Puffer, ", 1000)}
	for _, s := range want {
		exec(t, c, "INSERT INTO x VALUES (?)", s)
	}
	n := 0
	err := c.Query(t.Context(), "SELECT s, s FROM x ORDER BY rowid", nil, func(r *Row) error {
		var s string
		err := r.Scan(&s)
		if s != want[n] || string(r.Bytes(1)) != want[n] || string(r.Bytes(0)) != want[n] {
			t.Errorf("%.20q, want %.20q", s, want[n])
		}
		n++
		return err
	})
	if err != nil || n != len(want) {
		t.Error(n, err)
	}
}

// TestScanTypes: a value that is not of the type of its place is told, and not turned into one that is.
func TestScanTypes(t *testing.T) {
	t.Parallel()
	c := open(t)
	for _, test := range []struct {
		value string
		place any
		ok    bool
	}{
		{"1", new(int64), true},
		{"1", new(int), true},
		{"1 << 40", new(int), math.MaxInt > math.MaxInt32},
		{"1", new(bool), true},
		{"255", new(uint8), true},
		{"'x'", new(string), true},
		{"x'00'", new([]byte), true},
		{"NULL", new([]byte), true},
		{"NULL", new(Raw), true},
		{"'x'", new(Raw), true},
		{"'1'", new(int64), false},
		{"NULL", new(int64), false},
		{"1.5", new(int64), false},
		{"2", new(bool), false},
		{"256", new(uint8), false},
		{"-1", new(uint8), false},
		{"1", new(string), false},
		{"NULL", new(string), false},
		{"1", new([]byte), false},
		{"1.5", new(Raw), false},
		{"1", new(float64), false},
	} {
		err := c.Query(t.Context(), "SELECT "+test.value, nil, func(r *Row) error { return r.Scan(test.place) })
		if (err == nil) != test.ok || err != nil && !errors.Is(err, ErrType) {
			t.Errorf("%s into %T: %v", test.value, test.place, err)
		}
	}
}

// TestNested: a statement can be carried out while it is being carried out, and while it has arguments already; and again after an error
// of who reads its rows, from its beginning.
func TestNested(t *testing.T) {
	t.Parallel()
	c := open(t)
	const query = "WITH RECURSIVE n(i) AS (VALUES (?) UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n"
	count := func(from int, each func()) (n int) {
		err := c.Query(t.Context(), query, []any{from}, func(r *Row) error {
			n++
			each()
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return n
	}
	inner := 0
	if n := count(1, func() { inner += count(2, func() {}) }); n != 3 || inner != 6 {
		t.Errorf("%d rows, in each of them 2: %d", n, inner)
	}
	half, err := c.Prepare(query)
	if err != nil {
		t.Fatal(err)
	}
	half.Int(1, 3)
	if n := count(1, func() {}); n != 3 {
		t.Errorf("%d rows while the statement has an argument", n)
	}
	if err := half.Query(t.Context(), func(*Row) error { return nil }); err != nil {
		t.Error(err)
	}
	stop := errors.New("stop")
	for range 2 {
		if err := c.Query(t.Context(), query, []any{1}, func(*Row) error { return stop }); !errors.Is(err, stop) {
			t.Error(err)
		}
	}
	if n := count(1, func() {}); n != 3 {
		t.Errorf("%d rows after an error", n)
	}
	if len(c.stmts) != 1 {
		t.Errorf("%d statements are kept", len(c.stmts))
	}
}

// TestTwin: the twin of a statement that is under way can be carried out as often as the statement itself.
func TestTwin(t *testing.T) {
	t.Parallel()
	c := open(t)
	const query = "SELECT ? + 1"
	err := c.Query(t.Context(), query, []any{1}, func(*Row) error {
		twin, err := c.Prepare(query)
		for i := range int64(3) {
			got := int64(0)
			if err == nil {
				twin.Int(1, i)
				err = twin.Query(t.Context(), func(r *Row) error { got = r.Int(0); return nil })
			}
			if got != i+1 {
				t.Errorf("%d, want %d", got, i+1)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	setting, err := c.Prepare("PRAGMA synchronous")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := setting.Exec(); err != nil {
		t.Error(err)
	}
	if _, err := setting.Exec(); err == nil {
		t.Error("a setting that is made twice by one statement")
	}
}

// TestPanic: a panic of who reads the rows does not leave the statement under way, with what it reads of the past.
func TestPanic(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	w, r := openAt(t, path), openAt(t, path)
	exec(t, w, "PRAGMA journal_mode=WAL")
	exec(t, w, "CREATE TABLE x (i INTEGER)")
	exec(t, w, "INSERT INTO x VALUES (1), (2)")
	func() {
		defer func() { _ = recover() }()
		_ = r.Query(t.Context(), "SELECT i FROM x", nil, func(*Row) error { panic("stop") })
	}()
	exec(t, w, "INSERT INTO x VALUES (3)")
	n := int64(0)
	err := r.Query(t.Context(), "SELECT count(*) FROM x", nil, func(row *Row) error { n = row.Int(0); return nil })
	if err != nil || n != 3 {
		t.Errorf("%d rows, want 3: %v", n, err)
	}
	err = w.Query(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)", nil, func(row *Row) error {
		if row.Int(0) != 0 {
			t.Error("the log cannot be cut")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestErrors: result codes are told apart, with SQLite's words, and leave the connection usable.
func TestErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var e *Error
	if _, err := Open("file:" + filepath.Join(dir, "none", "x.db")); !errors.As(err, &e) || e.Primary() != ErrCantOpen {
		t.Error(err)
	}
	if _, err := Open("file:" + filepath.Join(dir, "y.db") + "?mode=rw"); !errors.As(err, &e) || e.Primary() != ErrCantOpen {
		t.Error(err)
	}
	c := open(t)
	exec(t, c, "CREATE TABLE x (i INTEGER PRIMARY KEY)")
	exec(t, c, "INSERT INTO x VALUES (?)", 1)
	for range 2 {
		if _, err := c.Exec("INSERT INTO x VALUES (?)", 1); !errors.As(err, &e) || e.Primary() != ErrConstraint || e.Error() != "constraint failed: UNIQUE constraint failed: x.i (1555)" {
			t.Error(err)
		}
	}
	if _, err := c.Exec("SELECT none FROM x"); !errors.As(err, &e) || e.Primary() != ErrError {
		t.Error(err)
	}
	if err := c.Script("CREATE TABLE y (i INTEGER); SELECT none; CREATE TABLE z (i INTEGER)"); err == nil {
		t.Error("a wrong script")
	}
	exec(t, c, "INSERT INTO x VALUES (?)", 2)
	exec(t, c, "BEGIN")
	if c.Idle() {
		t.Error("idle in a transaction")
	}
	exec(t, c, "ROLLBACK")
	if !c.Idle() {
		t.Error("not idle")
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
}

// TestPragmas: a setting takes effect each time it is made.
func TestPragmas(t *testing.T) {
	t.Parallel()
	c := open(t)
	for _, level := range []struct {
		name string
		is   int64
	}{{"NORMAL", 1}, {"FULL", 2}, {"NORMAL", 1}, {"FULL", 2}, {"OFF", 0}, {"FULL", 2}} {
		exec(t, c, "PRAGMA synchronous="+level.name)
		err := c.Query(t.Context(), "PRAGMA synchronous", nil, func(r *Row) error {
			if r.Int(0) != level.is {
				t.Errorf("%s: %d", level.name, r.Int(0))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

const endless = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) "

// TestCancelled: a context that ends ends a query between rows, within a row, and before it begins, and none that comes later.
func TestCancelled(t *testing.T) {
	t.Parallel()
	c := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := c.Query(ctx, endless+"SELECT i FROM n", nil, func(*Row) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || n > 10+interruptEvery {
		t.Error(n, err)
	}
	if err := c.Query(ctx, "SELECT 1", nil, func(*Row) error { t.Error("a row"); return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Query(ctx, endless+"SELECT count(*) FROM n", nil, func(*Row) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		_ = c.Query(ctx, "SELECT 1", nil, func(*Row) error { return nil })
		if err := c.Query(t.Context(), "SELECT 1 UNION SELECT 2", nil, func(*Row) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCancelledEarly: a context that ends just before the first step, when SQLite forgets an interrupt, ends the statement all the same.
func TestCancelledEarly(t *testing.T) {
	t.Parallel()
	c := open(t)
	s, err := c.Prepare("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000000) SELECT count(*) FROM n")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	stop := s.interruptible(ctx)
	time.Sleep(20 * time.Millisecond)
	var e *Error
	if err := s.Query(context.Background(), func(*Row) error { return nil }); !errors.As(err, &e) || e.Code != 9 {
		t.Error(err)
	}
	stop()
	if err := c.Query(t.Context(), "SELECT 1", nil, func(*Row) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestSideBySide: connections of several goroutines read what another one writes, each transaction as a whole.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	w := openAt(t, path)
	exec(t, w, "PRAGMA journal_mode=WAL")
	exec(t, w, "PRAGMA synchronous=OFF")
	exec(t, w, "CREATE TABLE x (i INTEGER)")
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		r := openAt(t, path)
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				err := r.Query(t.Context(), "SELECT count(*) FROM x", nil, func(row *Row) error {
					if row.Int(0)%2 != 0 {
						t.Error("half a transaction")
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 200 {
		exec(t, w, "BEGIN IMMEDIATE")
		exec(t, w, "INSERT INTO x VALUES (?)", i)
		exec(t, w, "INSERT INTO x VALUES (?)", i)
		exec(t, w, "COMMIT")
	}
	close(done)
	all.Wait()
}

// TestBadArgument: a statement with an argument that cannot be set does nothing, whatever is set after it, and says why; the next time it
// is as good as new.
func TestBadArgument(t *testing.T) {
	t.Parallel()
	c := open(t)
	if _, err := c.Exec("CREATE TABLE t (a)"); err != nil {
		t.Fatal(err)
	}
	for _, kept := range []bool{true, false} {
		work := func() {
			t.Helper()
			s, err := c.Prepare("INSERT INTO t VALUES (?)")
			if err != nil {
				t.Fatal(err)
			}
			s.Int(2, 7) // there is no second one
			s.Int(1, 7)
			var e *Error
			if n, err := s.Exec(); !errors.As(err, &e) || n != 0 {
				t.Errorf("%d changed, %v", n, err)
			}
		}
		if kept {
			work()
			continue
		}
		err := c.Query(t.Context(), "SELECT 1", nil, func(*Row) error { work(); return nil })
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Exec("INSERT INTO t VALUES (?)", struct{}{}); err == nil || !strings.Contains(err.Error(), "unexpected type") {
		t.Error(err)
	}
	if err := c.Query(t.Context(), "SELECT a FROM t WHERE a = ?", []any{1, 2}, func(*Row) error { return nil }); err == nil {
		t.Error("a query with one argument too many")
	}
	if n, err := c.Exec("INSERT INTO t VALUES (?)", 8); n != 1 || err != nil {
		t.Errorf("%d inserted, %v", n, err)
	}
	rows := 0
	err := c.Query(t.Context(), "SELECT a FROM t", nil, func(r *Row) error {
		rows++
		if r.Int(0) != 8 {
			t.Errorf("a row with %d", r.Int(0))
		}
		return nil
	})
	if rows != 1 || err != nil {
		t.Errorf("%d rows, %v", rows, err)
	}
}
