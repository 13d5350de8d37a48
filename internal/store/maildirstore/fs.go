package maildirstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// FS is all that a store does to files, so that tests can lose what was not synced. Paths are those of the operating system.
type FS interface {
	Open(path string) (File, error)   // for reading; ErrInvalid for all but regular files, links too, and no waiting for a FIFO
	Create(path string) (File, error) // must not exist; 0600
	// Each calls fn for every name in a folder with the type as far as the folder tells it, in any order.
	Each(path string, fn func(name string, typ fs.FileMode) error) error
	Stat(path string, follow bool) (Stat, error)
	Rename(from, to string) error  // ErrExist if to exists
	Replace(from, to string) error // overwrites
	Remove(path string) error      // a file or an empty folder
	Mkdir(path string) error       // 0700; ErrExist if it exists
	SetTime(path string, t time.Time) error
	SyncDir(path string) error
	// SyncAll makes all that was written to the file system so far durable, errors of earlier writes included; begin is called
	// before the first write. errors.ErrUnsupported if that cannot be done.
	SyncAll(path string) (begin Syncer, err error)
}

// Syncer is a descriptor that was opened before the first write of a batch.
type Syncer interface {
	Sync() error
	Close() error
}

// File is an open file.
type File interface {
	io.Reader
	io.Writer
	io.Closer
	Sync() error
	Info() (size int64, mtime time.Time, err error)
	Rewind() error
}

// Stat is what a store wants to know of a file or folder.
type Stat struct {
	Mode         fs.FileMode
	Size         int64
	Dev, Ino     uint64
	Mtime, Ctime int64 // nanoseconds since 1970
}

// OS returns the operating system's files, for what is put between a store and them.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Replace(from, to string) error { return os.Rename(from, to) }
func (osFS) Remove(path string) error      { return os.Remove(path) }
func (osFS) Mkdir(path string) error       { return os.Mkdir(path, 0o700) }

func (osFS) SetTime(path string, t time.Time) error { return os.Chtimes(path, t, t) }

func (osFS) SyncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// linkOver renames without overwriting where the system has no call for that. Where there are no hard links either, it looks
// first; names are unique enough for that.
func linkOver(from, to string) error {
	err := os.Link(from, to)
	if err == nil {
		return os.Remove(from)
	}
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if _, there := os.Lstat(to); there == nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: fs.ErrExist}
	} else if !errors.Is(there, fs.ErrNotExist) {
		return there
	}
	return os.Rename(from, to)
}
