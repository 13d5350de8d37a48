package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// CreateBox implements store.Store. cur comes last: it is what makes a folder a mailbox.
func (s *Store) CreateBox(ctx context.Context, name mail.Box, _ string) error {
	fail := func(err error) error { return s.trouble(fmt.Sprintf("create mailbox %q", name), err) }
	if err := s.writable(ctx); err != nil {
		return fail(err)
	}
	if _, err := s.box(ctx, name); err == nil {
		return nil
	}
	dir, err := s.naming.dir(name)
	if err != nil {
		return err
	}
	path := filepath.Join(s.c.Path, dir)
	if err := s.sameName(dir); err != nil {
		return fail(err)
	}
	if err := s.makeFolder(path); err != nil {
		return fail(err)
	}
	if s.c.Layout == MaildirPP && dir != "." {
		if f, err := s.fs.Create(filepath.Join(path, "maildirfolder")); err == nil {
			if err := f.Close(); err != nil {
				return fail(err)
			}
		}
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := s.makeFolder(filepath.Join(path, sub)); err != nil {
			return fail(err)
		}
	}
	s.remember(name, path)
	return nil
}

// sameName makes sure that each folder on the way to dir that is there is spelled as asked for: on a file system that folds letter
// case, another mailbox's folder would answer too.
func (s *Store) sameName(dir string) error {
	parent := s.c.Path
	for _, base := range strings.Split(dir, string(filepath.Separator)) {
		path := filepath.Join(parent, base)
		if _, err := s.fs.Stat(path, false); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		found := base == "."
		err := s.fs.Each(parent, func(name string, _ fs.FileMode) error {
			found = found || name == base || s.naming.unescape(name) == s.naming.unescape(base)
			return nil
		})
		if err != nil {
			return err
		}
		if !found {
			return mail.WithHint(fmt.Errorf("a folder %q with other letter case is there already", base), "the file system does not tell the two names apart; rename one of the mailboxes or exclude it")
		}
		parent = path
	}
	return nil
}

// control files of mail servers and other tools, which a mailbox without messages may have.
func controlFile(name string) bool {
	return strings.HasPrefix(name, "dovecot") || strings.HasPrefix(name, ".mbsyncstate") || strings.HasPrefix(name, ".uidvalidity") ||
		name == "maildirfolder" || name == "subscriptions" || name == ".isyncuidmap.db"
}

// DeleteBox implements store.Store: rmdir of the mailbox's own folders; what is below it stays.
func (s *Store) DeleteBox(ctx context.Context, name mail.Box) error {
	fail := func(err error) error { return s.trouble(fmt.Sprintf("delete mailbox %q", name), err) }
	if err := s.writable(ctx); err != nil {
		return fail(err)
	}
	b, err := s.box(ctx, name)
	if err == nil {
		var files *listing
		if files, err = s.names(ctx, b); err == nil && files.len() > 0 {
			err = store.ErrNotEmpty
		}
	}
	if err != nil {
		return fail(err)
	}
	for _, sub := range []string{"tmp", "new", "cur"} { // a message that arrives meanwhile makes rmdir fail
		err := s.fs.Remove(filepath.Join(b.dir, sub))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if isNotEmpty(err) {
			err = store.ErrNotEmpty
		}
		for _, sub := range []string{"tmp", "new", "cur"} {
			err = errors.Join(err, s.makeFolder(filepath.Join(b.dir, sub)))
		}
		return fail(err)
	}
	s.forget(name)
	if b.dir == filepath.Clean(s.c.Path) {
		return s.trouble("delete mailbox", s.fs.SyncDir(b.dir))
	}
	return fail(s.removeFolder(b.dir))
}

// removeFolder removes a mailbox's folder unless there are other things in it.
func (s *Store) removeFolder(dir string) error {
	var control []string
	others := false
	err := s.fs.Each(dir, func(name string, typ fs.FileMode) error {
		if typ.IsRegular() && controlFile(name) {
			control = append(control, name)
		} else {
			others = true
		}
		return nil
	})
	if err != nil || others {
		return errors.Join(err, s.fs.SyncDir(dir))
	}
	for _, name := range control {
		if err := s.fs.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	if err := s.fs.Remove(dir); err != nil && !isNotEmpty(err) {
		return err
	}
	return s.fs.SyncDir(filepath.Dir(dir))
}
