//go:build unix

package mbsync

import (
	"errors"
	"io"
	"syscall"
)

var errNotDir error = syscall.ENOTDIR

// isLocked reports whether another process has the write lock of a state's lock file.
func isLocked(path string) bool {
	f, err := openFile(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	for {
		err = syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	return err == nil && lock.Type != syscall.F_UNLCK
}
