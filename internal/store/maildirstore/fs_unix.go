//go:build unix

package maildirstore

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// uninterrupted makes a system call again that a signal interrupted, as file systems of the network and in user space may be.
func uninterrupted(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (osFS) Stat(path string, follow bool) (Stat, error) {
	var st unix.Stat_t
	flags := unix.AT_SYMLINK_NOFOLLOW
	if follow {
		flags = 0
	}
	if err := uninterrupted(func() error { return unix.Fstatat(unix.AT_FDCWD, path, &st, flags) }); err != nil {
		return Stat{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	s := Stat{Size: st.Size, Dev: uint64(st.Dev), Ino: st.Ino} //nolint:gosec,unconvert // of another type elsewhere
	s.Mtime, s.Ctime = times(&st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		s.Mode = fs.ModeDir
	case unix.S_IFREG:
	case unix.S_IFLNK:
		s.Mode = fs.ModeSymlink
	default:
		s.Mode = fs.ModeIrregular
	}
	return s, nil
}
