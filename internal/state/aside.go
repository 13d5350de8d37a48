package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// SetAside renames the database at path so that the next Open begins with an empty one, and returns its new path, which has the
// time in it. Nothing is deleted. What is not there is os.ErrNotExist. The caller holds the lock, see Acquire.
func SetAside(path string, now time.Time) (string, error) {
	base := strings.TrimSuffix(path, ".db") + "-" + now.UTC().Format("20060102T150405Z")
	aside := base + ".db"
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, os.ErrNotExist) {
			break
		} else if err != nil {
			return "", explain("set state database aside", err)
		}
		aside = base + "-" + strconv.Itoa(n) + ".db"
	}
	// The database comes first: alone it would be taken for an older one, while SQLite drops what belongs to one that is gone.
	for _, part := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Rename(path+part, aside+part); err != nil && (part == "" || !errors.Is(err, os.ErrNotExist)) {
			return "", explain("set state database aside", err)
		}
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return "", fmt.Errorf("set state database aside: %w", err)
	}
	return aside, nil
}
