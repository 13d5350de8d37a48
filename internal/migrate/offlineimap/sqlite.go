package offlineimap

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver
)

// A status database beside which a journal lies is not whole without it, and reading it would roll the journal back, into
// OfflineIMAP's file. So all files of it are copied and the copy is opened.

// maxDatabase is the size of a database from which on it is not read, in octets; a million messages take 13 MB.
const maxDatabase = 2 << 30

var journals = []string{"-journal", "-wal"}

// openStatus opens a copy of a status database. Its errors say what is wrong with it. Call done.
func openStatus(path string) (db *sql.DB, done func(), err error) {
	dir, err := os.MkdirTemp("", "mailtwin-status-")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	for _, suffix := range append([]string{""}, journals...) {
		err := copyFile(filepath.Join(dir, "status"+suffix), path+suffix)
		if err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			remove()
			return nil, nil, err
		}
	}
	// A file name in the schema cannot lead elsewhere: nothing is attached, and a status that is a view or a virtual table is refused.
	uri := "file:" + (&url.URL{Path: filepath.Join(dir, "status")}).EscapedPath() + "?_pragma=trusted_schema(0)&_pragma=cell_size_check(1)&_pragma=mmap_size(0)"
	if db, err = sql.Open("sqlite", uri); err != nil {
		remove()
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	return db, func() { _ = db.Close(); remove() }, nil
}

func copyFile(to, from string) error {
	in, err := openFile(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, maxDatabase+1))
	if err == nil && n > maxDatabase {
		err = fmt.Errorf("%s is too large", from)
	}
	return errors.Join(err, out.Close())
}

// readSQLite reads a status database; its errors say what is wrong with it.
func readSQLite(path string, yield func(row) bool) error {
	db, done, err := openStatus(path)
	if err != nil {
		return err
	}
	defer done()
	var pages int
	if err := db.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		return err
	}
	if pages == 0 {
		if st, err := os.Stat(path); err != nil || st.Size() > 0 {
			return errors.Join(err, errors.New("it is cut off"))
		}
		return nil // OfflineIMAP takes an empty file for a new one
	}
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return errors.New("its integrity check fails")
	}
	if err := checkSchema(db); err != nil {
		return err
	}
	rows, err := db.Query("SELECT id, typeof(flags), substr(flags, 1, ?) FROM status", maxFlags+1)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		var kind string
		var flags sql.NullString
		if err := rows.Scan(&id, &kind, &flags); err != nil {
			return err
		}
		if id <= 0 || id > math.MaxUint32 || kind != "text" && kind != "null" || !isFlags(flags.String) {
			return fmt.Errorf("the row %d is no entry of OfflineIMAP", id)
		}
		if !yield(row{uint32(id), flagsOf(flags.String)}) {
			return nil
		}
	}
	return rows.Err()
}

// checkSchema looks whether this is a status of version 1 or 2. Development versions wrote the columns of 2 under number 1, so
// the columns count, of which only two matter here; a higher number is refused.
func checkSchema(db *sql.DB) error {
	var tables int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_master WHERE name IN ('status', 'metadata') AND type = 'table' AND rootpage > 0").Scan(&tables); err != nil {
		return err
	}
	var ids, flags int
	if err := db.QueryRow("SELECT count(*) FROM pragma_table_info('status') WHERE name = 'id' AND pk = 1 AND upper(type) = 'INTEGER'").Scan(&ids); err != nil {
		return err
	}
	if err := db.QueryRow("SELECT count(*) FROM pragma_table_info('status') WHERE name = 'flags'").Scan(&flags); err != nil {
		return err
	}
	if tables != 2 || ids != 1 || flags != 1 {
		return errors.New("it is not a status of OfflineIMAP")
	}
	var version string
	err := db.QueryRow("SELECT CAST(value AS TEXT) FROM metadata WHERE key = 'db_version'").Scan(&version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if version != "1" && version != "2" {
		return fmt.Errorf("its version is %.20q, and 1 and 2 are known", version)
	}
	return nil
}

// writeSQLite makes a status database of version 2 at a path where there is none, and syncs it.
func writeSQLite(path string, each func(func(uid uint32, letters string) error) error) (err error) {
	empty, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // the driver would let others read it
	if err != nil {
		return err
	}
	if err := empty.Close(); err != nil {
		return err
	}
	uri := "file:" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=journal_mode(off)&_pragma=synchronous(off)&_pragma=page_size(4096)"
	db, err := sql.Open("sqlite", uri)
	if err != nil {
		return err
	}
	defer func() {
		if db != nil {
			_ = db.Close()
		}
	}()
	db.SetMaxOpenConns(1)
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, s := range strings.Split(schema2, "\n") {
		if _, err := tx.Exec(s); err != nil {
			return err
		}
	}
	insert, err := tx.Prepare("INSERT INTO status (id, flags, mtime, labels) VALUES (?, ?, 0, '')")
	if err != nil {
		return err
	}
	if err := each(func(uid uint32, letters string) error { _, err := insert.Exec(int64(uid), letters); return err }); err != nil {
		return err
	}
	if err := errors.Join(insert.Close(), tx.Commit(), db.Close()); err != nil {
		return err
	}
	db = nil
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// schema2 is what OfflineIMAP makes.
const schema2 = `CREATE TABLE metadata (key VARCHAR(50) PRIMARY KEY, value VARCHAR(128))
INSERT INTO metadata VALUES('db_version', '2')
CREATE TABLE status (id INTEGER PRIMARY KEY, flags VARCHAR(50), mtime INTEGER, labels VARCHAR(256))`
