package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

const (
	// safeFor is how long the attic keeps messages whatever their size (rule 15).
	safeFor = 7 * day
	// longAgo is how long ago the attic was looked through when the clock is in doubt.
	longAgo = 8 * day
)

// pruned is what the attic's file of that name holds.
type pruned struct {
	at        time.Time // of the last look; zero: none
	postponed bool      // it was long after the one before, so nothing was removed
}

func (s *Store) prunedPath() string { return filepath.Join(s.c.Attic, ".pruned") }

// Prune removes from the attic for good what was there longer than Config.Keep, and of the rest the oldest days until it holds no
// more than Config.KeepSize, but nothing of the last 7 days. It does so once a day at most; before that it reads one small
// file. When the time since the last look cannot be, or is long, the clock may be wrong: then it waits for another day.
func (s *Store) Prune(ctx context.Context) error {
	if s.c.ReadOnly {
		return nil
	}
	last, err := s.lastPruned()
	if err != nil {
		return s.trouble("prune attic", err)
	}
	now := s.c.Now()
	since := now.Sub(last.at)
	if since >= 0 && since < day {
		return nil
	}
	days, err := s.atticDays()
	if err != nil {
		return s.trouble("prune attic", err)
	}
	if len(days) == 0 {
		return nil
	}
	long := since > longAgo && !last.at.IsZero() && !last.postponed
	if !long && since >= 0 && !last.at.IsZero() {
		if err := s.prune(ctx, days, now); err != nil {
			return s.trouble("prune attic", err)
		}
	}
	text := fmt.Sprintf("%d %t\n", now.Unix(), long)
	return s.trouble("prune attic", s.writeFile(s.prunedPath(), text))
}

// lastPruned reads when the attic was last looked through.
func (s *Store) lastPruned() (p pruned, err error) {
	f, err := s.fs.Open(s.prunedPath())
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	b, err := io.ReadAll(io.LimitReader(f, 100))
	if err = errors.Join(err, f.Close()); err != nil {
		return p, err
	}
	var seconds int64
	if _, err := fmt.Sscan(string(b), &seconds, &p.postponed); err != nil {
		return pruned{}, nil //nolint:nilerr // a damaged file is as good as none
	}
	p.at = time.Unix(seconds, 0)
	return p, nil
}

// prune removes what is too old, then what is too much.
func (s *Store) prune(ctx context.Context, days []atticDay, now time.Time) error {
	for len(days) > 0 && !days[0].end().Add(s.c.Keep).After(now) {
		if err := s.removeDay(ctx, days[0], nil); err != nil {
			return err
		}
		days = days[1:]
	}
	var total int64
	for _, d := range days {
		size, err := s.daySize(ctx, d)
		if err != nil {
			return err
		}
		total += size
	}
	excess := total - s.c.KeepSize
	for _, d := range days {
		if excess <= 0 || d.end().Add(safeFor).After(now) {
			break
		}
		if err := s.removeDay(ctx, d, &excess); err != nil {
			return err
		}
	}
	return nil
}

// daySize adds up the sizes of a day's messages.
func (s *Store) daySize(ctx context.Context, d atticDay) (total int64, err error) {
	err = s.eachFolder(d.path, func(dir string) error {
		names, err := s.stowed(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			st, err := s.fs.Stat(filepath.Join(dir, name), false)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			total += st.Size
		}
		return nil
	})
	return total, err
}

// removeDay removes a day's messages for good: all, or until excess octets are gone; and then the folders that are empty.
func (s *Store) removeDay(ctx context.Context, d atticDay, excess *int64) error {
	err := s.eachFolder(d.path, func(dir string) error {
		names, err := s.stowed(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			if excess != nil {
				if *excess <= 0 {
					return nil
				}
				st, err := s.fs.Stat(filepath.Join(dir, name), false)
				if err == nil {
					*excess -= st.Size
				}
			}
			if err := s.fs.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		own := []string{keywordsFile, fullName}
		err = s.fs.Each(dir, func(name string, typ fs.FileMode) error {
			if typ.IsRegular() && leftover(name) {
				own = append(own, name)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, name := range own {
			if err := s.fs.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return s.removeEmpty(dir)
	})
	if err != nil {
		return err
	}
	return s.removeEmpty(d.path)
}

// removeEmpty removes a folder; one that has something else in it stays.
func (s *Store) removeEmpty(dir string) error {
	err := s.fs.Remove(dir)
	if err == nil || isNotEmpty(err) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
