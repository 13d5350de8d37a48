//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package maildirstore

import (
	"errors"

	"golang.org/x/sys/unix"
)

func times(st *unix.Stat_t) (mtime, ctime int64) { return st.Mtim.Nano(), st.Ctim.Nano() }

func (osFS) Rename(from, to string) error { return linkOver(from, to) }

func (osFS) SyncAll(string) (Syncer, error) { return nil, errors.ErrUnsupported }
