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

// Doubles removes copies of messages from one mailbox by the names of their files, for callers that have no room for an index of
// all keys. The order is the caller's: give the message that stays its flags and make it durable, then stow its copies, then
// Flush. Not safe for concurrent use.
type Doubles struct {
	s     *Store
	b     *box
	words []string
	attic *attic
	from  folders
}

// Dir returns the folder of a mailbox, with cur and new in it.
func (s *Store) Dir(ctx context.Context, name mail.Box) (string, error) {
	b, err := s.box(ctx, name)
	if err != nil {
		return "", fmt.Errorf("open mailbox %q: %w", name, err)
	}
	return b.dir, nil
}

// Attic returns where removed messages go.
func (s *Store) Attic() string { return s.c.Attic }

// Doubles opens a mailbox; ErrGone if there is none.
func (s *Store) Doubles(ctx context.Context, name mail.Box) (*Doubles, error) {
	b, err := s.box(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open mailbox %q: %w", name, err)
	}
	d := &Doubles{s: s, b: b}
	d.words, err = s.keywords(b.dir)
	return d, s.trouble(fmt.Sprintf("open mailbox %q", name), err)
}

// Flags reads the flags of a file's name.
func (d *Doubles) Flags(name string) mail.Flags {
	_, letters := split(name, d.s.c.InfoSep)
	return flagsOf(letters, d.words)
}

// Add gives a message flags and returns the name that its file has then, and the flags that the mailbox cannot hold. ErrNotExist
// if the file has another name by now. See Settle.
func (d *Doubles) Add(ctx context.Context, name string, cur bool, add mail.Flags) (now string, nowCur bool, lost mail.Flags, err error) {
	if err := d.s.writable(ctx); err != nil {
		return "", false, lost, err
	}
	unique, letters := split(name, d.s.c.InfoSep)
	if d.words, err = d.s.withWords(d.b, d.words, add); err != nil {
		return "", false, lost, d.s.trouble("learn keywords", err)
	}
	lost = lacks(add, d.words)
	want := lettersOf(flagsOf(letters, d.words).Union(add), d.words, letters)
	if want == letters {
		return name, cur, lost, nil
	}
	now = unique + string(d.s.c.InfoSep) + "2," + want
	path, dir := filepath.Join(d.b.dir, sub(cur), name), filepath.Join(d.b.dir, "cur")
	if err := d.s.fs.Rename(path, filepath.Join(dir, now)); err != nil {
		return "", false, lost, err
	}
	return now, true, lost, nil
}

func sub(cur bool) string {
	if cur {
		return "cur"
	}
	return "new"
}

// Settle makes messages that stay durable: their content and their names. It returns when a power cut cannot take them any more.
func (d *Doubles) Settle(names map[string]bool) error {
	if err := d.s.lastingBox(d.b); err != nil {
		return d.s.trouble("make messages durable", err)
	}
	synced := false
	if len(names) >= syncAllFrom {
		all, err := d.s.fs.SyncAll(d.b.dir)
		if err == nil {
			err = errors.Join(all.Sync(), all.Close())
			synced = err == nil
		}
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return d.s.trouble("make messages durable", err)
		}
	}
	for name, cur := range names {
		if synced {
			break
		}
		if err := d.s.syncFile(filepath.Join(d.b.dir, sub(cur), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d.s.trouble("make messages durable", err)
		}
	}
	for _, dir := range []string{"cur", "new"} {
		if err := d.s.fs.SyncDir(filepath.Join(d.b.dir, dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d.s.trouble("make messages durable", err)
		}
	}
	return nil
}

// Stow moves a file to the attic. ErrNotExist if it has another name by now. See Flush.
func (d *Doubles) Stow(ctx context.Context, name string, cur bool) error {
	if err := d.s.writable(ctx); err != nil {
		return err
	}
	if d.attic == nil {
		a, err := d.s.attic(d.b)
		if err != nil {
			return d.s.trouble("open attic", err)
		}
		d.attic = a
	}
	path := filepath.Join(d.b.dir, sub(cur), name)
	d.from.add(filepath.Dir(path))
	return d.s.stow(d.attic, path, file{name: name, cur: cur})
}

// Flush makes durable what was stowed: first that it is in the attic, then that it is gone here.
func (d *Doubles) Flush() error {
	if d.attic == nil {
		return nil
	}
	err := d.s.syncDirs(append(folders{d.attic.dir}, d.from...))
	d.attic, d.from = nil, nil // the day may change, and so its folder
	d.b.forget()
	return d.s.trouble("make the attic durable", err)
}

// Bare returns a store for a Maildir that belongs to no account: path is a mailbox, or holds mailboxes, in whatever layout. Removed
// messages go to attic. It needs no Hello.
func Bare(c Config) (*Store, error) {
	probe, err := New(Config{Path: c.Path, FS: c.FS})
	if err != nil {
		return nil, err
	}
	var dots bool
	err = probe.fs.Each(c.Path, func(name string, _ fs.FileMode) error {
		dots = dots || len(name) > 1 && name[0] == '.' && probe.hasCur(name)
		return nil
	})
	if err != nil {
		return nil, mail.WithHint(fmt.Errorf("open maildir %s: %w: %w", c.Path, store.ErrSetup, err), "check the path and its permissions")
	}
	c.Layout, c.Inbox = Nested, string(mail.Inbox)
	if probe.hasCur(".") {
		c.Inbox = "."
	}
	if dots {
		c.Layout = MaildirPP
	}
	return New(c)
}
