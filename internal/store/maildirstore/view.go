package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mailtwin/internal/mail"
)

// stamps are those of new, cur and the keywords of a mailbox.
type stamps [3]Stat

func (s *Store) stamps(b *box) (st stamps, err error) {
	for i, name := range []string{"new", "cur", keywordsFile} {
		st[i], err = s.fs.Stat(filepath.Join(b.dir, name), name == keywordsFile)
		if err != nil && (i == 1 || !errors.Is(err, fs.ErrNotExist)) {
			return st, err
		}
	}
	return st, s.proper(b)
}

// markOf writes stamps as a mark.
func (s *Store) markOf(st stamps) mail.Mark {
	s.mu.Lock()
	root := s.root
	s.mu.Unlock()
	var b strings.Builder
	b.WriteString(root)
	for _, t := range st {
		for _, n := range [...]int64{int64(t.Dev), int64(t.Ino), t.Mtime, t.Ctime} { //nolint:gosec // only compared
			b.WriteByte(' ')
			b.WriteString(strconv.FormatInt(n, 36))
		}
	}
	return mail.Mark(b.String())
}

// How old a stamp must be before it proves anything (rule 8): where the file system tells nanoseconds, some ticks of the
// kernel's clock; else 2 s, the coarsest there is.
const (
	youngFine   = 100 * time.Millisecond
	youngCoarse = 2 * time.Second
)

// old reports whether a change after the stamps would surely have another stamp.
func (s *Store) old(st stamps) bool {
	latest, fine := int64(0), false
	for _, t := range st {
		for _, n := range [...]int64{t.Mtime, t.Ctime} {
			latest = max(latest, n)
			fine = fine || n%int64(time.Millisecond) != 0
		}
	}
	limit := youngCoarse
	if fine {
		limit = youngFine
	}
	age := time.Duration(s.c.Now().UnixNano() - latest)
	return age > limit
}

// scanned is what a scan saw of a mailbox.
type scanned struct {
	files  *listing
	words  []string // keywords by letter
	proven mail.Mark
}

// scan reads the names and keywords of a mailbox. The mark that it proves is "" if the folders changed meanwhile, or a moment ago.
func (s *Store) scan(ctx context.Context, b *box) (got scanned, err error) {
	const tries = 4
	for try := 1; ; try++ {
		before, err := s.stamps(b)
		if err != nil {
			return got, err
		}
		if got.words, err = s.keywords(b.dir); err != nil {
			return got, err
		}
		if got.files, err = s.names(ctx, b); err != nil {
			return got, err
		}
		after, err := s.stamps(b)
		if err != nil {
			return got, err
		}
		if before == after && s.old(after) {
			got.proven = s.markOf(after)
		}
		if before == after || try == tries {
			return got, nil
		}
	}
}

// names reads new before cur: a mail reader takes messages from one to the other meanwhile, never back.
func (s *Store) names(ctx context.Context, b *box) (*listing, error) {
	files := &listing{}
	for _, sub := range []string{"new", "cur"} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := s.fs.Each(filepath.Join(b.dir, sub), func(name string, typ fs.FileMode) error {
			if name[0] != '.' && typ.IsRegular() {
				files.add(name, sub == "cur", s.c.InfoSep)
			}
			return nil
		})
		if err != nil && (sub == "cur" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}
	var failed error
	files.assignKeys(func(f *file) (uint64, bool) {
		st, err := s.fs.Stat(filepath.Join(b.dir, f.sub(), f.name), false)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
		return st.Ino, err == nil
	})
	return files, failed
}

// View implements store.Store. It is always whole: a Maildir keeps no history.
func (s *Store) View(ctx context.Context, name mail.Box, _ mail.Mark) (mail.View, error) {
	b, err := s.box(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("view mailbox %q: %w", name, err)
	}
	got, err := s.scan(ctx, b)
	if err != nil {
		return nil, s.trouble(fmt.Sprintf("view mailbox %q", name), err)
	}
	files, words := got.files, got.words
	files.shared = true // effects change the index; the view must not
	s.keep(b, files)
	s.mu.Lock()
	epoch := s.root
	s.mu.Unlock()
	head := mail.Head{
		Box: name, Epoch: epoch, Total: files.len(),
		Storable: mail.Storable{Flags: mail.Flags{System: mail.AllSystem, Keywords: mail.Keywords(append([]string{forwarded}, words...)...)}, New: freeLetters(words) > 0},
		End:      func() (mail.Mark, error) { return got.proven, nil },
	}
	all := func(yield func(mail.Entry, error) bool) {
		meanings := map[string]mail.Flags{}
		for i := range files.len() {
			if i%1024 == 0 && ctx.Err() != nil {
				yield(mail.Entry{}, ctx.Err())
				return
			}
			info := files.infoOf(i)
			flags, ok := meanings[info]
			if !ok {
				_, letters := split("x"+info, s.c.InfoSep)
				flags = flagsOf(letters, words)
				meanings[strings.Clone(info)] = flags
			}
			e := mail.Entry{Key: files.key(i), Flags: flags}
			if !yield(e, nil) {
				return
			}
		}
	}
	return mail.Whole{Head: head, All: all}, nil
}
