package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

// RenameBox implements store.Store: one rename in the nested layout; in the others each folder is renamed by itself.
func (s *Store) RenameBox(ctx context.Context, from, to mail.Box) error {
	fail := func(err error) error {
		return s.trouble(fmt.Sprintf("rename mailbox %q to %q", from, to), err)
	}
	if err := s.writable(ctx); err != nil {
		return fail(err)
	}
	if from == mail.Inbox || to == mail.Inbox {
		return fail(errors.New("INBOX stays where it is"))
	}
	if strings.HasPrefix(string(to), string(from)+"/") {
		return fail(errors.New("a mailbox cannot be moved into itself"))
	}
	b, err := s.box(ctx, from)
	if err != nil {
		return fail(err)
	}
	if _, err := s.box(ctx, to); err == nil {
		return fail(fs.ErrExist)
	}
	dir, err := s.naming.dir(to)
	if err != nil {
		return fail(err)
	}
	folders, err := s.toRename(b.dir, dir)
	if err != nil {
		return fail(err)
	}
	if err := s.makeFolder(filepath.Dir(folders[0][1])); err != nil {
		return fail(err)
	}
	defer s.forgetTree(from, b.dir)
	for _, f := range folders {
		if err := s.renameDir(f[0], f[1]); err != nil {
			return fail(err)
		}
	}
	return nil
}

// toRename lists the folders that must be renamed, each with its new path, the mailbox's own first. An error if one of them cannot
// be: none is renamed then.
func (s *Store) toRename(old, dir string) ([][2]string, error) {
	if err := s.sameName(dir); err != nil {
		return nil, err
	}
	folders := [][2]string{{old, filepath.Join(s.c.Path, dir)}}
	if s.c.Layout != Nested {
		base := filepath.Base(old)
		err := s.fs.Each(s.c.Path, func(name string, _ fs.FileMode) error {
			rest, below := strings.CutPrefix(name, base+".")
			if !below {
				return nil
			}
			if len(dir)+1+len(rest) > maxName {
				return mail.WithHint(fmt.Errorf("rename folder %s: a name of more than %d bytes", name, maxName), longHint)
			}
			folders = append(folders, [2]string{filepath.Join(s.c.Path, name), filepath.Join(s.c.Path, dir+"."+rest)})
			return nil
		})
		if err != nil {
			return nil, err
		}
		slices.SortFunc(folders[1:], func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	}
	for _, f := range folders {
		if _, err := s.fs.Stat(f[1], false); err == nil {
			return nil, fs.ErrExist
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return folders, nil
}

// renameDir renames a folder that no other is to be hidden by, durably.
func (s *Store) renameDir(from, to string) error {
	if err := s.fs.Rename(from, to); err != nil {
		return err
	}
	if err := s.fs.SyncDir(filepath.Dir(to)); err != nil {
		return err
	}
	return s.fs.SyncDir(filepath.Dir(from))
}

// forgetTree drops what is known of a mailbox and of those below it, and of their folders: others may get their names.
func (s *Store) forgetTree(name mail.Box, dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.boxes {
		if n == name || strings.HasPrefix(string(n), string(name)+"/") {
			delete(s.boxes, n)
		}
	}
	for d := range s.durable {
		if strings.HasPrefix(d, dir) {
			delete(s.durable, d)
		}
	}
}
