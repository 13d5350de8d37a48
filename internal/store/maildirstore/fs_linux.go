package maildirstore

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

func times(st *unix.Stat_t) (mtime, ctime int64) { return st.Mtim.Nano(), st.Ctim.Nano() }

// noReplace says that the kernel or the file system does not know RENAME_NOREPLACE.
var noReplace atomic.Bool

func (osFS) Rename(from, to string) error {
	if !noReplace.Load() {
		err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
		}
		noReplace.Store(true)
	}
	return linkOver(from, to)
}

// syncer keeps a descriptor open from before the first write, so that errors of writing back are told (Linux 5.8).
type syncer struct{ f *os.File }

func (s syncer) Close() error { return s.f.Close() }

func (s syncer) Sync() error {
	for {
		err := unix.Syncfs(int(s.f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return &fs.PathError{Op: "syncfs", Path: s.f.Name(), Err: err}
		}
	}
}

func (osFS) SyncAll(path string) (Syncer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return syncer{f}, nil
}
