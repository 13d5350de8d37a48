package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"mailtwin/internal/mail"
)

// Move implements store.Store. Messages keep their unique names where those are free, so that mail readers and indexes
// recognise them; copies have the names of their tokens.
func (s *Store) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	fail := func(err error) ([]mail.Done, error) {
		return nil, s.trouble(fmt.Sprintf("move messages from %q", from), err)
	}
	if err := s.writable(ctx); err != nil {
		return fail(err)
	}
	source, err := s.box(ctx, from)
	if err != nil {
		return fail(err)
	}
	m := &mover{s: s, finder: s.finder(source), keep: keep, targets: map[mail.Box]*target{}}
	if m.words, err = s.keywords(source.dir); err != nil {
		return fail(err)
	}
	done := make([]mail.Done, len(intents))
	for i := range intents {
		if err = ctx.Err(); err != nil {
			break
		}
		if done[i], err = m.move(ctx, &intents[i]); err != nil {
			break
		}
	}
	for _, t := range m.targets {
		t.b.forget()
	}
	if err = errors.Join(err, s.syncDirs(append(m.to, m.from...))); err != nil {
		return fail(err)
	}
	return done, nil
}

type mover struct {
	s        *Store
	finder   *finder
	words    []string // keywords of the source
	keep     bool
	to, from folders // to be synced
	targets  map[mail.Box]*target
}

// target is a mailbox that messages go to.
type target struct {
	b     *box
	words []string
	files *listing
	taken map[string]bool // unique names that it got since
}

func (m *mover) target(ctx context.Context, name mail.Box) (*target, error) {
	if t := m.targets[name]; t != nil {
		return t, nil
	}
	b, err := m.s.box(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", name, err)
	}
	t := &target{b: b, taken: map[string]bool{}}
	if t.words, err = m.s.keywords(b.dir); err != nil {
		return nil, err
	}
	if t.files, err = m.s.names(ctx, b); err != nil {
		return nil, err
	}
	for _, sub := range []string{"tmp", "new"} {
		if err := m.s.makeFolder(filepath.Join(b.dir, sub)); err != nil {
			return nil, err
		}
	}
	if err := m.s.lastingBox(b); err != nil {
		return nil, err
	}
	m.targets[name] = t
	return t, nil
}

func (m *mover) move(ctx context.Context, in *mail.Intent) (d mail.Done, err error) {
	t, err := m.target(ctx, in.Box)
	if err != nil {
		return d, err
	}
	ok, err := m.finder.with(ctx, in.From.Key, func(path string, at file) error {
		unique, letters := split(at.name, m.s.c.InfoSep)
		flags := flagsOf(letters, m.words)
		if t.words, err = m.s.withWords(t.b, t.words, flags); err != nil {
			return err
		}
		d.Lacks = lacks(flags, t.words)
		if m.keep || t.taken[unique] || t.files.hasUnique(unique) {
			unique = string(in.Token)
		}
		info := ""
		if at.cur || letters != "" {
			info = string(m.s.c.InfoSep) + "2," + lettersOf(flags, t.words, foreign(letters))
		}
		if len(unique)+len(info) > maxName {
			unique = string(in.Token)
		}
		dir, temp := filepath.Join(t.b.dir, at.sub()), filepath.Join(t.b.dir, "tmp", string(in.Token))
		m.to.add(dir)
		m.from.add(filepath.Dir(path))
		if !m.keep {
			if err := m.finder.single(path, at); err != nil {
				return err
			}
		}
		err := m.carry(path, filepath.Join(dir, unique+info), temp)
		if errors.Is(err, fs.ErrExist) && unique != string(in.Token) { // by what is no message, or came just now
			unique = string(in.Token)
			err = m.carry(path, filepath.Join(dir, unique+info), temp)
		}
		if err != nil {
			return err
		}
		d.Key = mail.Key(unique)
		t.taken[unique] = true
		return nil
	})
	if !ok {
		return mail.Done{}, err
	}
	if !m.keep {
		m.finder.note(in.From.Key, "", false)
	}
	return d, err
}

// carry moves or copies one file; temp is where a copy is made.
func (m *mover) carry(path, to, temp string) error {
	if !m.keep {
		err := m.s.fs.Rename(path, to)
		if !isCrossDevice(err) {
			return err
		}
	}
	err := m.s.copyFile(path, temp)
	if errors.Is(err, fs.ErrExist) { // of this intent, interrupted
		if err = m.s.fs.Remove(temp); err == nil {
			err = m.s.copyFile(path, temp)
		}
	}
	if err == nil {
		err = m.s.fs.Rename(temp, to)
	}
	if err == nil && !m.keep {
		if err = m.s.fs.SyncDir(filepath.Dir(to)); err == nil {
			err = m.s.fs.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) { // a mail reader renamed or removed it meanwhile: what it did counts
			return errors.Join(err, m.s.fs.Remove(to))
		}
	}
	return err
}
