//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package maildirstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func times(st *unix.Stat_t) (mtime, ctime int64) { return st.Mtim.Nano(), st.Ctim.Nano() }

func (osFS) Rename(from, to string) error { return linkOver(from, to) }

func (osFS) SyncAll(string) (Syncer, error) { return nil, errors.ErrUnsupported }

type osFile struct{ *os.File }

func (f osFile) Info() (int64, time.Time, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, time.Time{}, err
	}
	return st.Size(), st.ModTime(), nil
}

func (f osFile) Rewind() error {
	_, err := f.Seek(0, io.SeekStart)
	return err
}

func (osFS) Create(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Each(path string, fn func(string, fs.FileMode) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	for {
		list, err := f.ReadDir(4096)
		for _, e := range list {
			if err := fn(e.Name(), e.Type()); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		if err != nil || len(list) == 0 {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return errors.Join(err, f.Close())
		}
	}
}

func (osFS) Open(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) { // a link, as Linux and FreeBSD say it
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return osFile{f}, nil
}
