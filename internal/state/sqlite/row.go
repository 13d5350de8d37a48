package sqlite

import (
	"errors"
	"fmt"
	"math"

	sqlite3 "modernc.org/sqlite/lib"
)

// Row is a row of a result, good until the next one.
type Row struct{ s *Stmt }

// Raw is a blob or text that is good until the next row; Scan does not copy it.
type Raw []byte

// ErrType is returned by Scan for values that are not of the type of their place.
var ErrType = errors.New("unexpected type")

// Int returns a number; what is none as SQLite turns it into one.
func (r *Row) Int(i int) int64 {
	return sqlite3.Xsqlite3_column_int64(r.s.c.tls, r.s.at, int32(i)) //nolint:gosec // small
}

// Bytes returns a blob or text, nil for NULL. It is good until the next row. Its size is asked for first, because that turns text of a
// database that keeps it in UTF-16, as another program's may, into UTF-8, elsewhere in memory.
func (r *Row) Bytes(i int) []byte {
	n := sqlite3.Xsqlite3_column_bytes(r.s.c.tls, r.s.at, int32(i)) //nolint:gosec // small
	p := sqlite3.Xsqlite3_column_blob(r.s.c.tls, r.s.at, int32(i))  //nolint:gosec // small
	if p == 0 || n <= 0 {
		return nil
	}
	b := bytesAt(p, int(n))
	return b[:n:n]
}

// Scan copies the values of the first columns. NULL fits only into bytes, which it makes nil.
func (r *Row) Scan(into ...any) error {
	for i, place := range into {
		if err := r.scan(i, place); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

func (r *Row) scan(i int, place any) error {
	typ := sqlite3.Xsqlite3_column_type(r.s.c.tls, r.s.at, int32(i)) //nolint:gosec // small
	isBytes := typ == sqlite3.SQLITE_BLOB || typ == sqlite3.SQLITE_TEXT
	switch p := place.(type) {
	case *[]byte:
		*p = append([]byte(nil), r.Bytes(i)...)
		if !isBytes && typ != sqlite3.SQLITE_NULL {
			return ErrType
		}
	case *Raw:
		*p = r.Bytes(i)
		if !isBytes && typ != sqlite3.SQLITE_NULL {
			return ErrType
		}
	case *string:
		*p = string(r.Bytes(i))
		if !isBytes {
			return ErrType
		}
	default:
		if typ != sqlite3.SQLITE_INTEGER {
			return ErrType
		}
		return r.scanInt(r.Int(i), place)
	}
	return nil
}

func (r *Row) scanInt(v int64, place any) error {
	switch p := place.(type) {
	case *int64:
		*p = v
	case *int:
		if *p = int(v); int64(*p) != v { // on machines of 32 bits
			return ErrType
		}
	case *uint8:
		if v < 0 || v > math.MaxUint8 {
			return ErrType
		}
		*p = uint8(v)
	case *bool:
		if v != 0 && v != 1 {
			return ErrType
		}
		*p = v == 1
	default:
		return fmt.Errorf("%w %T", ErrType, place)
	}
	return nil
}
