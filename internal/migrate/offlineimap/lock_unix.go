//go:build unix

package offlineimap

import (
	"errors"
	"io"
	"syscall"
)

// isLocked reports whether another process has the write lock of an account's lock file.
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
	if err == nil && lock.Type != syscall.F_UNLCK {
		return true
	}
	// With Python's portalocker it is the other kind of lock.
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
