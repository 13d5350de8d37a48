package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// SetFlags implements store.Store. A message in new goes to cur when its flags change.
func (s *Store) SetFlags(ctx context.Context, name mail.Box, keys []mail.Key, add, del mail.Flags) (mail.Flags, error) {
	return s.flag(ctx, name, len(keys), add, func(finder *finder, i int, words []string, changed *folders) error {
		return s.setFlags(ctx, finder, keys[i], words, add, del, changed)
	})
}

// ChangeFlags implements store.FlagChanger. As long as the names of the files are not known, they are made of what is known of the messages:
// to read and sort all names of a mailbox takes as long as thousands of renames. A name that is none, or is taken, is looked up.
func (s *Store) ChangeFlags(ctx context.Context, name mail.Box, entries []mail.Entry, add, del mail.Flags) (mail.Flags, error) {
	return s.flag(ctx, name, len(entries), add, func(finder *finder, i int, words []string, changed *folders) error {
		if ok, err := s.flagGuessed(finder.b, &entries[i], words, add, del, changed); ok || err != nil {
			return err
		}
		return s.setFlags(ctx, finder, entries[i].Key, words, add, del, changed)
	})
}

// flag calls set for each of n messages, and makes what it did durable. It returns those of add that the mailbox cannot hold.
func (s *Store) flag(ctx context.Context, name mail.Box, n int, add mail.Flags, set func(finder *finder, i int, words []string, changed *folders) error) (mail.Flags, error) {
	fail := func(err error) (mail.Flags, error) {
		return mail.Flags{}, s.trouble(fmt.Sprintf("set flags in %q", name), err)
	}
	if err := s.writable(ctx); err != nil {
		return fail(err)
	}
	b, err := s.box(ctx, name)
	if err != nil {
		return fail(err)
	}
	words, err := s.keywords(b.dir)
	if err == nil {
		words, err = s.withWords(b, words, add)
	}
	if err != nil {
		return fail(err)
	}
	var changed folders
	finder := s.finder(b)
	for i := range n {
		if err = ctx.Err(); err != nil {
			break
		}
		if err = set(finder, i, words, &changed); err != nil {
			break
		}
	}
	if err = errors.Join(err, s.syncDirs(changed)); err != nil {
		return fail(err)
	}
	return lacks(add, words), nil
}

// flagGuessed renames the file of a message whose name follows from its key and flags; false if there is no such file, or it takes a look
// at the others. In new are files without flags, but so may be another one with the same unique name: the stamp tells.
func (s *Store) flagGuessed(b *box, e *mail.Entry, words []string, add, del mail.Flags, changed *folders) (bool, error) {
	b.mu.Lock()
	known := b.index != nil
	b.mu.Unlock()
	if known || strings.Contains(string(e.Key), "/") || strings.HasPrefix(string(e.Key), ".") { // one of several with a unique name; none
		return false, nil
	}
	info := string(s.c.InfoSep) + "2,"
	has := lettersOf(e.Flags, words, "")
	want := lettersOf(e.Flags.Union(add).Minus(del), words, has)
	if want == has {
		return false, nil
	}
	cur := b.dir + slash + "cur"
	to := cur + slash + string(e.Key) + info + want
	try := func(dir, name string) (bool, error) {
		err := s.fs.Rename(dir+slash+name, to)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrInvalid) || isTooLong(err) {
				err = nil
			}
			return false, err
		}
		changed.add(cur)
		changed.add(dir)
		b.mu.Lock()
		b.index = nil // one that was read meanwhile has the old name
		b.mu.Unlock()
		return true, nil
	}
	if has == "" && e.Stamp != 0 {
		fresh := b.dir + slash + "new"
		if st, err := s.fs.Stat(fresh+slash+string(e.Key), false); err == nil && stampOf(st) == e.Stamp { // and no other file of this name
			return try(fresh, string(e.Key))
		}
	}
	return try(cur, string(e.Key)+info+has)
}

func (s *Store) setFlags(ctx context.Context, finder *finder, key mail.Key, words []string, add, del mail.Flags, changed *folders) error {
	var name string
	ok, err := finder.with(ctx, key, func(path string, at file) error {
		unique, letters := split(at.name, s.c.InfoSep)
		want := lettersOf(flagsOf(letters, words).Union(add).Minus(del), words, letters)
		if want == letters {
			name = ""
			changed.add(finder.dir(at)) // an earlier attempt may have ended before its sync
			return nil
		}
		if err := finder.single(path, at); err != nil {
			return err
		}
		name = unique + string(s.c.InfoSep) + "2," + want
		dir := finder.b.dir + slash + "cur"
		changed.add(dir)
		changed.add(finder.dir(at))
		err := s.fs.Rename(path, dir+slash+name)
		if errors.Is(err, fs.ErrExist) || isTooLong(err) { // another file with the same unique name; this one gets a name of its own
			name = s.token() + string(s.c.InfoSep) + "2," + want
			err = s.fs.Rename(path, dir+slash+name)
		}
		return err
	})
	if ok && name != "" {
		finder.note(key, name, true)
	}
	return err
}

// folders is a list of folders to be synced, each once. Where files go to comes before where they come from: a file system that
// does not keep a rename in one piece then has a file twice after a power cut, rather than not at all.
type folders []string

func (f *folders) add(path string) {
	if !slices.Contains(*f, path) {
		*f = append(*f, path)
	}
}

func (s *Store) syncDirs(dirs folders) error {
	for _, dir := range dirs {
		if err := s.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements store.Store: messages go to the attic. The first and the last one are compared with what is known of
// them.
func (s *Store) Delete(ctx context.Context, name mail.Box, entries []mail.Entry) ([]mail.Key, error) {
	fail := func(err error) error {
		return s.trouble(fmt.Sprintf("delete messages of %q", name), err)
	}
	if err := s.writable(ctx); err != nil {
		return nil, fail(err)
	}
	b, err := s.box(ctx, name)
	if err != nil {
		return nil, fail(err)
	}
	if len(entries) == 0 {
		return nil, nil
	}
	for _, e := range []mail.Entry{entries[0], entries[len(entries)-1]} {
		if err := s.sample(ctx, name, e); err != nil {
			return nil, fail(err)
		}
	}
	attic, err := s.attic(b)
	if err != nil {
		return nil, fail(err)
	}
	changed := folders{attic.dir}
	finder := s.finder(b)
	for _, e := range entries {
		if err = ctx.Err(); err != nil {
			break
		}
		var ok bool
		ok, err = finder.with(ctx, e.Key, func(path string, at file) error {
			changed.add(finder.dir(at))
			if err := finder.single(path, at); err != nil {
				return err
			}
			return s.stow(attic, path, at)
		})
		if err != nil {
			break
		}
		if ok {
			finder.note(e.Key, "", false)
		}
	}
	if err = errors.Join(err, s.syncDirs(changed)); err != nil {
		return nil, fail(err)
	}
	return nil, nil
}

// sample compares one message with what is known of it (rule 9).
func (s *Store) sample(ctx context.Context, name mail.Box, e mail.Entry) error {
	if e.Ident.Size == 0 && e.Ident.Digest.IsZero() {
		return nil
	}
	return s.Identify(ctx, name, []mail.Key{e.Key}, true, func(_ mail.Key, is mail.Ident) error {
		if e.Ident.Size != 0 && is.Size != e.Ident.Size || !e.Ident.Digest.IsZero() && is.Digest != e.Ident.Digest {
			return mail.WithHint(fmt.Errorf("message %s is another one than was synced: %w", e.Key, store.ErrEpoch), "mailtwin verify says what differs")
		}
		return nil
	})
}
