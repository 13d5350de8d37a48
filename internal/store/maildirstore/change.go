package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// SetFlags implements store.Store. A message in new goes to cur when its flags change.
func (s *Store) SetFlags(ctx context.Context, name mail.Box, keys []mail.Key, add, del mail.Flags) (store.Changed, error) {
	did, err := s.flag(ctx, name, len(keys), add, func(h *hand, i int, words []string) error {
		return s.setFlags(ctx, h, keys[i], words, add, del)
	})
	if err == nil {
		err, did.Secure = did.Secure(), nil
	}
	return did, err
}

// ChangeFlags implements store.FlagChanger. As long as the names of the files are not known, they are made of what is known of the messages:
// to read and sort all names of a mailbox takes as long as thousands of renames. A name that is none, or is taken, is looked up.
func (s *Store) ChangeFlags(ctx context.Context, name mail.Box, entries []mail.Entry, add, del mail.Flags) (store.Changed, error) {
	return s.flag(ctx, name, len(entries), add, func(h *hand, i int, words []string) error {
		e := &entries[i]
		h.guess.spell(e.Flags, words, add, del)
		if ok, err := s.flagGuessed(h, e); ok || err != nil {
			return err
		}
		return s.setFlags(ctx, h, e.Key, words, add, del)
	})
}

// guess is how the names of files end before and after a change. Most messages have the same flags as the one before.
type guess struct {
	flags     mail.Flags
	has, want string // letters
	spelled   bool
}

func (g *guess) spell(f mail.Flags, words []string, add, del mail.Flags) {
	if g.spelled && g.flags == f {
		return
	}
	g.flags, g.spelled = f, true
	g.has = lettersOf(f, words, "")
	g.want = lettersOf(f.Union(add).Minus(del), words, g.has)
}

// flag calls set for each of n messages. If it fails, what it did is durable.
func (s *Store) flag(ctx context.Context, name mail.Box, n int, add mail.Flags, set func(h *hand, i int, words []string) error) (did store.Changed, err error) {
	trouble := func(err error) error { return s.trouble(fmt.Sprintf("set flags in %q", name), err) }
	fail := func(err error) (store.Changed, error) { return store.Changed{}, trouble(err) }
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
	changed, missing, err := s.handle(ctx, b, n, func(h *hand, i int) error { return set(h, i, words) })
	if err != nil {
		return fail(errors.Join(err, s.syncDirs(changed)))
	}
	return store.Changed{Lacks: lacks(add, words), Missing: missing, Secure: func() error {
		if err := s.syncDirs(changed); err != nil {
			return trouble(err)
		}
		return nil
	}}, nil
}

// hand is one of those that work on the messages of a mailbox at the same time.
type hand struct {
	*finder
	changed folders // to be synced
	missing []mail.Key
	guess   guess
}

// Two hands rename files in two thirds of the time of one, although a folder takes one change at a time. A third would wait for them.
const (
	mostHands  = 2
	inHand     = 64 // messages that one takes at a time
	worthHands = 4 * inHand
)

// handle calls do for each of n messages, of many for two at a time. It returns the folders that changed, and what was not there.
func (s *Store) handle(ctx context.Context, b *box, n int, do func(h *hand, i int) error) (changed folders, missing []mail.Key, err error) {
	hands := make([]hand, 1, mostHands)
	if n >= worthHands {
		hands = hands[:mostHands]
	}
	g, ctx := errgroup.WithContext(ctx)
	var taken atomic.Int64
	for k := range hands {
		h := &hands[k]
		h.finder = s.finder(b)
		g.Go(func() error {
			for {
				end := int(taken.Add(inHand))
				for i := end - inHand; i < min(end, n); i++ {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := do(h, i); err != nil {
						return err
					}
				}
				if end >= n {
					return nil
				}
			}
		})
	}
	err = g.Wait()
	for _, h := range hands {
		for _, dir := range h.changed {
			changed.add(dir)
		}
		missing = append(missing, h.missing...)
	}
	return changed, missing, err
}

// flagGuessed renames the file of a message whose name follows from its key and flags; false if there is no such file, or it takes a look
// at the others. In new are files without flags, but so may be another one with the same unique name: the stamp tells.
func (s *Store) flagGuessed(h *hand, e *mail.Entry) (bool, error) {
	b, g := h.b, &h.guess
	b.mu.Lock()
	known := b.index != nil
	b.mu.Unlock()
	if known || g.want == g.has || strings.Contains(string(e.Key), "/") || strings.HasPrefix(string(e.Key), ".") { // one of several with a unique name; none
		return false, nil
	}
	info := string(s.c.InfoSep) + "2,"
	cur := b.dir + slash + "cur"
	to := cur + slash + string(e.Key) + info + g.want
	try := func(dir, from string) (bool, error) {
		err := s.fs.Rename(from, to)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrInvalid) || isTooLong(err) {
				err = nil
			}
			return false, err
		}
		h.changed.add(cur)
		h.changed.add(dir)
		b.mu.Lock()
		b.index = nil // one that was read meanwhile has the old name
		b.mu.Unlock()
		return true, nil
	}
	if g.has == "" && e.Stamp != 0 {
		fresh := b.dir + slash + "new"
		from := fresh + slash + string(e.Key)
		if st, err := s.fs.Stat(from, false); err == nil && stampOf(st) == e.Stamp { // and no other file of this name
			return try(fresh, from)
		}
	}
	return try(cur, to[:len(to)-len(g.want)]+g.has)
}

func (s *Store) setFlags(ctx context.Context, h *hand, key mail.Key, words []string, add, del mail.Flags) error {
	var name string
	ok, err := h.with(ctx, key, func(path string, at file) error {
		unique, letters := split(at.name, s.c.InfoSep)
		want := lettersOf(flagsOf(letters, words).Union(add).Minus(del), words, letters)
		dir := h.b.dir + slash + "cur"
		h.changed.add(dir)
		h.changed.add(h.dir(at)) // also if it stays: an earlier attempt may have ended before its sync
		if want == letters {
			name = ""
			return nil
		}
		if err := h.single(path, at); err != nil {
			return err
		}
		name = unique + string(s.c.InfoSep) + "2," + want
		err := s.fs.Rename(path, dir+slash+name)
		if errors.Is(err, fs.ErrExist) || isTooLong(err) { // another file with the same unique name; this one gets a name of its own
			name = s.token() + string(s.c.InfoSep) + "2," + want
			err = s.fs.Rename(path, dir+slash+name)
		}
		return err
	})
	switch {
	case err != nil:
	case !ok:
		h.missing = append(h.missing, key)
	case name != "":
		h.note(key, name, true)
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
