package maildirstore

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSyncAllWhereItCounts: one sync for a whole file system is trusted only where it is known to do what it says: on Linux 5.8 and
// later, on local file systems (DESIGN.md section 4, rule 1).
func TestSyncAllWhereItCounts(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{
		"5.7.19": false, "4.19.0-27-amd64": false, "3.10": false, "": false, "x": false, "5.8.0": true, "5.10.0-28-amd64": true,
		"6.1.0": true, "10.0": true,
	} {
		if got := tellsErrors(release); got != want {
			t.Errorf("%q: %v, want %v", release, got, want)
		}
	}
	for _, magic := range []int64{unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC, unix.V9FS_MAGIC, unix.PROC_SUPER_MAGIC} {
		if syncable[magic] {
			t.Errorf("file system %x: one sync is trusted", magic)
		}
	}
	if _, err := (osFS{}).SyncAll("/proc"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("/proc: %v, want ErrUnsupported", err)
	}
	interrupted := 3
	err := uninterrupted(func() error {
		if interrupted--; interrupted > 0 {
			return unix.EINTR
		}
		return unix.ENOENT
	})
	if interrupted != 0 || !errors.Is(err, unix.ENOENT) {
		t.Errorf("%d, %v", interrupted, err)
	}
}
