package maildirstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

func times(st *unix.Stat_t) (mtime, ctime int64) { return st.Mtim.Nano(), st.Ctim.Nano() }

// noReplace says that the kernel or the file system does not know RENAME_NOREPLACE.
var noReplace atomic.Bool

func (osFS) Rename(from, to string) error {
	if !noReplace.Load() {
		err := uninterrupted(func() error {
			return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
		})
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
	if err := uninterrupted(func() error { return unix.Syncfs(int(s.f.Fd())) }); err != nil {
		return &fs.PathError{Op: "syncfs", Path: s.f.Name(), Err: err}
	}
	return nil
}

// syncable are the file systems whose syncfs is known to bring everything to the disk, and to tell errors: local ones. Others (of
// the network, in user space) may pass it over.
var syncable = map[int64]bool{
	unix.EXT4_SUPER_MAGIC: true, unix.XFS_SUPER_MAGIC: true, unix.BTRFS_SUPER_MAGIC: true, unix.F2FS_SUPER_MAGIC: true,
	unix.TMPFS_MAGIC: true,
}

// tellsErrors reports whether a kernel's syncfs tells errors of writing back (Linux 5.8). One that does not say its version does not.
func tellsErrors(release string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major > 5 || major == 5 && minor >= 8
}

var kernelTellsErrors = sync.OnceValue(func() bool {
	var u unix.Utsname
	return unix.Uname(&u) == nil && tellsErrors(unix.ByteSliceToString(u.Release[:]))
})

func (osFS) SyncAll(path string) (Syncer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	var st unix.Statfs_t
	err = uninterrupted(func() error { return unix.Fstatfs(int(f.Fd()), &st) })
	if err != nil || !syncable[int64(st.Type)] || !kernelTellsErrors() { //nolint:unconvert // of another type elsewhere
		return nil, errors.Join(errors.ErrUnsupported, f.Close())
	}
	return syncer{f}, nil
}
