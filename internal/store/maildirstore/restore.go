package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// restorer brings messages back.
type restorer struct {
	s        *Store
	words    map[mail.Box][]string // keywords of the mailboxes that messages go to
	to, from folders               // to be synced
}

// Restore brings removed messages back into the mailboxes that they were in, which are created if they are gone. Each gets a
// unique name that no message ever had, so that it is taken for a new one (rule 15). Flags and dates stay, but for \Deleted: that
// would have it removed again. It returns the key of
// each, "" for those that are not in the attic any more. It is durable when it returns, also what was done before an error.
func (s *Store) Restore(ctx context.Context, list []Removed) ([]mail.Key, error) {
	keys := make([]mail.Key, len(list))
	if err := s.writable(ctx); err != nil {
		return keys, s.trouble("restore messages", err)
	}
	r := &restorer{s: s, words: map[mail.Box][]string{}}
	var err error
	for i := range list {
		if err = ctx.Err(); err != nil {
			break
		}
		if keys[i], err = r.restore(ctx, &list[i]); err != nil {
			err = fmt.Errorf("restore message %s into %q: %w", list[i].ID, list[i].Box, err)
			break
		}
	}
	return keys, s.trouble("restore messages", errors.Join(err, s.syncDirs(append(r.to, r.from...))))
}

func (r *restorer) restore(ctx context.Context, m *Removed) (mail.Key, error) {
	s, path := r.s, filepath.Join(m.dir.path, m.name)
	if err := s.syncFile(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	b, err := r.target(ctx, m.Box)
	if err != nil {
		return "", err
	}
	sub, info := "new", ""
	if unique, letters := split(m.name, s.c.InfoSep); unique != m.name {
		flags := flagsOf(letters, m.dir.words).Minus(mail.Flags{System: mail.Deleted})
		if r.words[m.Box], err = s.withWords(b, r.words[m.Box], flags); err != nil {
			return "", err
		}
		sub, info = "cur", string(s.c.InfoSep)+"2,"+lettersOf(flags, r.words[m.Box], foreign(letters))
	}
	for n := 0; ; n++ {
		key := s.token()
		to := filepath.Join(b.dir, sub, key+info)
		r.to.add(filepath.Dir(to))
		r.from.add(m.dir.path)
		err := (&mover{s: s}).carry(path, to, filepath.Join(b.dir, "tmp", key))
		if err == nil {
			return mail.Key(key), nil
		}
		if !errors.Is(err, fs.ErrExist) || n > 3 {
			return "", err
		}
	}
}

// target returns a mailbox that messages go back to, with all its folders.
func (r *restorer) target(ctx context.Context, name mail.Box) (*box, error) {
	b, err := r.s.box(ctx, name)
	if errors.Is(err, store.ErrGone) {
		if err = r.s.CreateBox(ctx, name, ""); err == nil {
			b, err = r.s.box(ctx, name)
		}
	}
	if err != nil {
		return nil, err
	}
	if _, seen := r.words[name]; seen {
		return b, nil
	}
	for _, sub := range []string{"tmp", "new"} {
		if err := r.s.makeFolder(filepath.Join(b.dir, sub)); err != nil {
			return nil, err
		}
	}
	if err := r.s.lastingBox(b); err != nil {
		return nil, err
	}
	r.words[name], err = r.s.keywords(b.dir)
	return b, err
}

// syncFile makes the content of a file durable.
func (s *Store) syncFile(path string) error {
	f, err := s.fs.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
