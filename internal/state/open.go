package state

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// Options of Open.
type Options struct {
	ReadOnly bool             // no file is created or changed; a missing database is an empty one
	Now      func() time.Time // nil: time.Now
}

// DB is an open state database. Its methods may be called from several goroutines.
type DB struct {
	path    string
	temp    string // folder to remove at Close
	unclean bool
	now     func() time.Time
	shared  *Lock
	readers *pool
	writer  *writer
	renamed map[mail.Box]mail.Box // see As
}

// checkEvery is how often a database is checked although it was closed cleanly (rule 3).
const checkEvery = 7 * 24 * time.Hour

// Open opens the database at path, creates it and its folder if needed, and brings its schema up to date. After an unclean end,
// and weekly, it is checked first. ErrNewer and ErrDamaged leave it as it is. The caller holds the lock, see Acquire.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	db := &DB{path: path, now: o.Now}
	if db.now == nil {
		db.now = time.Now
	}
	var err error
	if o.ReadOnly {
		err = db.openReadOnly(ctx)
	} else {
		err = db.openFile(ctx)
	}
	if err != nil {
		_ = db.Close()
		return nil, explain("open state database "+path, err)
	}
	return db, nil
}

// Memory opens an empty database that vanishes with Close, for tests.
func Memory(ctx context.Context) (*DB, error) {
	folder := ""
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		folder = "/dev/shm"
	}
	temp, err := os.MkdirTemp(folder, "mailtwin-state-")
	if err != nil {
		return nil, err
	}
	db, err := Open(ctx, filepath.Join(temp, "state.db"), Options{})
	if err != nil {
		_ = os.RemoveAll(temp)
		return nil, err
	}
	db.temp = temp
	return db, nil
}

func (db *DB) openFile(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(db.path), 0o700); err != nil {
		return err
	}
	st, err := os.Stat(db.path)
	fresh := errors.Is(err, os.ErrNotExist) || err == nil && st.Size() == 0
	if err != nil && !fresh {
		return err
	}
	if fresh { // with our permissions, not those of the umask
		f, err := os.OpenFile(db.path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	} else if wal, err := os.Stat(db.path + "-wal"); err == nil && wal.Size() > 0 {
		db.unclean = true
	}
	db.readers = newPool(uri(db.path, "mode=rw"))
	version, err := db.version(ctx, fresh)
	if err != nil {
		return err
	}
	if db.writer, err = newWriter(uri(db.path, "mode=rw")); err != nil {
		return err
	}
	if err := db.writer.migrate(version); err != nil {
		return err
	}
	if fresh {
		if err := syncFolder(filepath.Dir(db.path)); err != nil {
			return err
		}
	}
	return db.checkIfDue(ctx)
}

// openReadOnly opens the database so that not even its WAL is touched: while nobody writes, SQLite may take the file for
// immutable; while somebody does, it reads along.
func (db *DB) openReadOnly(ctx context.Context) error {
	st, err := os.Stat(db.path)
	if errors.Is(err, os.ErrNotExist) || err == nil && st.Size() == 0 {
		return db.openNothing()
	}
	if err != nil {
		return err
	}
	mode := "mode=ro"
	db.shared = shareLock(db.path)
	if wal, err := os.Stat(db.path + "-wal"); errors.Is(err, os.ErrNotExist) || err == nil && wal.Size() == 0 {
		mode += "&immutable=1"
	}
	db.readers = newPool(uri(db.path, mode))
	version, err := db.version(ctx, false)
	if err == nil && version < len(migrations) {
		return mail.WithHint(errors.New("written by an older version of mailtwin"), "mailtwin sync brings it up to date")
	}
	return err
}

var nothings atomic.Int64

// openNothing opens an empty database in memory that is only read.
func (db *DB) openNothing() error {
	name := "/mailtwin-" + strconv.FormatInt(nothings.Add(1), 10)
	db.readers = newPool("file:" + name + "?vfs=memdb")
	return db.readers.with(func(c *sqlite.Conn) error {
		for _, m := range migrations {
			if err := c.Script(m); err != nil {
				return err
			}
		}
		return nil
	})
}

func uri(path, query string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query
}

// version returns the schema's version, 0 for a fresh file.
func (db *DB) version(ctx context.Context, fresh bool) (int, error) {
	var id, version, tables int
	err := db.readers.Query(ctx, "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)", nil, func(row *sqlite.Row) error {
		return scan(row, &id, &version, &tables)
	})
	switch {
	case err != nil:
		return 0, err
	case fresh || tables == 0 && id == 0:
		return 0, nil
	case id != applicationID:
		return 0, mail.WithHint(fmt.Errorf("%w: it is the database of another program", ErrDamaged), rebuildHint)
	case version < 0:
		return 0, damaged("version %d", version)
	case version > len(migrations):
		return 0, mail.WithHint(ErrNewer, newerHint)
	}
	return version, nil
}

// Unclean reports whether the last user did not Close.
func (db *DB) Unclean() bool { return db.unclean }

// Close ends the use of the database; safe to call twice.
func (db *DB) Close() error {
	var errs []error
	if db.writer != nil {
		errs = append(errs, db.writer.close())
		db.writer = nil
	}
	if db.readers != nil {
		errs = append(errs, db.readers.close())
		db.readers = nil
	}
	errs = append(errs, db.shared.Release())
	db.shared = nil
	if db.temp != "" {
		errs = append(errs, os.RemoveAll(db.temp))
		db.temp = ""
	}
	return errors.Join(errs...)
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}
