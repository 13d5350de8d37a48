package maildirstore

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// staleAfter is how long a delivery may be under way at most, as Maildir has it.
const staleAfter = 36 * time.Hour

// sweep removes from tmp what interrupted deliveries of ours left: those of tokens that are known not to be under way, and those
// that are too old. A name of tmp is never a message.
func (s *Store) sweep(b *box, over func(token string) bool) error {
	if s.c.ReadOnly {
		return nil
	}
	var left []string
	tmp := filepath.Join(b.dir, "tmp")
	err := s.fs.Each(tmp, func(name string, _ fs.FileMode) error {
		if over(name) || s.stale(name) {
			left = append(left, name)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	slices.Sort(left)
	for _, name := range left {
		if err := s.fs.Remove(filepath.Join(tmp, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// stale reports whether a name is an old token. The time in it tells; that of the file is the message's date.
func (s *Store) stale(name string) bool {
	seconds, rest, _ := strings.Cut(name, ".")
	random, ours := strings.CutSuffix(rest, ".mt")
	if !ours || len(random) != tokenDigits || strings.Trim(random, digits) != "" {
		return false
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	return err == nil && s.c.Now().Sub(time.Unix(n, 0)) > staleAfter
}
