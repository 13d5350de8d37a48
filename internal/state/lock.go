package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mailtwin/internal/mail"
)

// Lock is the right to change an account. It ends with the process, however that ends.
type Lock struct{ file *os.File }

// lockPatience is how long Acquire waits for a holder that is about to end, such as a status command.
const lockPatience = 500 * time.Millisecond

func lockPath(database string) string { return database + ".lock" }

// Acquire takes the lock of the database at path, creating its folder; ErrLocked names the process that holds it.
func Acquire(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, explain("create folder of the state", err)
	}
	f, err := os.OpenFile(lockPath(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explain("open lock", err)
	}
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) || time.Since(begun) > lockPatience {
			holder := readHolder(f)
			_ = f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, lockedBy(holder)
			}
			return nil, fmt.Errorf("lock %s: %w", lockPath(path), err)
		}
	}
	if err := f.Truncate(0); err == nil { // the process id is for people; the lock holds without it
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &Lock{f}, nil
}

func lockedBy(pid string) error {
	if pid == "" {
		return mail.WithHint(ErrLocked, "wait until it has ended")
	}
	return mail.WithHint(fmt.Errorf("%w (process %s)", ErrLocked, pid), "wait until process "+pid+" has ended")
}

func readHolder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	pid := strings.TrimSpace(string(b))
	if _, err2 := strconv.Atoi(pid); err != nil || err2 != nil {
		return ""
	}
	return pid
}

// Release gives the lock back; safe to call twice and on nil.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	_ = l.file.Truncate(0)
	err := l.file.Close()
	l.file = nil
	return err
}

// shareLock takes the lock for reading, if it is there and free.
func shareLock(path string) *Lock {
	f, err := os.Open(lockPath(path))
	if err != nil {
		return nil
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil
	}
	return &Lock{f}
}
