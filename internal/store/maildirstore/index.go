package maildirstore

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"mailtwin/internal/mail"
)

// maxIndexed is how many names are kept in memory at most, over all mailboxes.
const maxIndexed = 300_000

// keep remembers the names of a mailbox for the effects that follow.
func (s *Store) keep(b *box, files *listing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.forget()
	total := files.len()
	for _, other := range s.boxes {
		total += other.indexed()
	}
	if total > maxIndexed {
		for _, other := range s.boxes {
			other.forget()
		}
	}
	b.mu.Lock()
	b.index = files
	b.mu.Unlock()
}

func (b *box) indexed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.index == nil {
		return 0
	}
	return b.index.len()
}

// forget drops the index, so that the folders are read again.
func (b *box) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.index = nil
}

// maxRenames is how many times a message is looked for that somebody renames whenever it was found.
const maxRenames = 5

// finder finds files by key for one call. For keys that are not there it reads the folder again at most once. It is used by one
// goroutine.
type finder struct {
	s     *Store
	b     *box
	own   *listing // the index as it was last, guarded by b.mu: others may drop that, to save memory
	fresh bool     // own was read for this call
}

func (s *Store) finder(b *box) *finder { return &finder{s: s, b: b} }

// find returns the file of a key; false if there is none.
func (f *finder) find(ctx context.Context, key mail.Key) (file, bool, error) {
	for {
		f.b.mu.Lock()
		var found file
		if f.b.index != nil {
			f.own = f.b.index
		}
		if f.own != nil {
			if i, ok := f.own.find(key); ok {
				found = f.own.file(i)
			}
		}
		f.b.mu.Unlock()
		if found.name != "" {
			return found, true, nil
		}
		if f.fresh {
			return file{}, false, nil
		}
		if err := f.load(ctx); err != nil {
			return file{}, false, err
		}
	}
}

// load reads the folder, unless somebody else did so while this one waited for it.
func (f *finder) load(ctx context.Context) error {
	f.b.mu.Lock()
	had := f.b.index
	f.b.mu.Unlock()
	f.b.reading.Lock()
	defer f.b.reading.Unlock()
	f.b.mu.Lock()
	now := f.b.index
	f.b.mu.Unlock()
	if now != nil && had == nil {
		return nil
	}
	return f.reload(ctx)
}

func (f *finder) reload(ctx context.Context) error {
	got, err := f.s.scan(ctx, f.b)
	if err != nil {
		return err
	}
	f.s.keep(f.b, got.files)
	f.own, f.fresh = got.files, true
	return nil
}

// with calls fn with the path of a key's file, and again if a mail reader renamed the file meanwhile. It reports whether the
// message is there.
func (f *finder) with(ctx context.Context, key mail.Key, fn func(path string, at file) error) (bool, error) {
	for try := 1; ; try++ {
		at, ok, err := f.find(ctx, key)
		if err != nil || !ok {
			return false, err
		}
		err = fn(f.path(at), at)
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) { // replaced by what is no file: not there
			return err == nil, err
		}
		if try == maxRenames {
			f.note(key, "", false)
			return false, nil
		}
		if err := f.reload(ctx); err != nil {
			return false, err
		}
	}
}

// linkSettled is how long ago a file got its last name at least if nobody is in the middle of renaming it.
const linkSettled = time.Minute

// single removes the other names of a message's file: an effect is on all of them, else the message would come back under one. The
// file itself stays. It leaves a file alone that got a name a moment ago: who gave it is about to remove the other one.
func (f *finder) single(path string, at file) error {
	if !at.more {
		return nil
	}
	this, err := f.s.fs.Stat(path, false)
	if err != nil || f.s.c.Now().Sub(time.Unix(0, this.Ctime)) < linkSettled {
		return err
	}
	unique, _ := split(at.name, f.s.c.InfoSep)
	for _, sub := range []string{"new", "cur"} {
		var others []string
		dir := filepath.Join(f.b.dir, sub)
		err := f.s.fs.Each(dir, func(name string, _ fs.FileMode) error {
			if u, _ := split(name, f.s.c.InfoSep); u == unique && (name != at.name || sub != at.sub()) {
				others = append(others, filepath.Join(dir, name))
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, other := range others {
			st, err := f.s.fs.Stat(other, false)
			if err == nil && st.Ino == this.Ino && st.Dev == this.Dev {
				err = f.s.fs.Remove(other)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func (f *finder) path(at file) string { return f.b.dir + slash + at.sub() + slash + at.name }

func (f *finder) dir(at file) string { return f.b.dir + slash + at.sub() }

// slash joins paths that need no cleaning, of which there is one for each message.
const slash = string(filepath.Separator)

// note records in the index what an effect did: name is "" for a message that is gone.
func (f *finder) note(key mail.Key, name string, cur bool) {
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	l := f.b.index
	if l == nil {
		l = f.own
	}
	if l == nil {
		return
	}
	if i, ok := l.find(key); ok {
		l = l.writable()
		l.rename(i, name, cur)
	}
	f.own = l
	if f.b.index != nil {
		f.b.index = l
	}
}
