//go:build unix

package maildirstore

import (
	"errors"

	"golang.org/x/sys/unix"
)

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

func isBroken(err error) bool { return errors.Is(err, unix.EIO) }

func isCrossDevice(err error) bool { return errors.Is(err, unix.EXDEV) }

func isNotEmpty(err error) bool { return errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) }

func isTooLong(err error) bool {
	return errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.EFBIG)
}
