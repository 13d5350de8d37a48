package maildirstore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/storetest"
)

// reader is a mail reader that works on the files by itself.
type reader struct {
	t *testing.T
	c Config
	n naming
}

var counter atomic.Int64

func newReader(t *testing.T, c Config) *reader {
	c.defaults()
	return &reader{t, c, naming{layout: c.Layout, mutf7: c.Names == "mutf7", inbox: c.Inbox}}
}

func (r *reader) dir(box mail.Box) string {
	d, err := r.n.dir(box)
	if err != nil {
		r.t.Fatal(err)
	}
	return filepath.Join(r.c.Path, d)
}

func (r *reader) CreateBox(box mail.Box) error {
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(r.dir(box), sub), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) Deliver(box mail.Box, m storetest.Message) error {
	name := fmt.Sprintf("%d.R%d.reader", m.Date, counter.Add(1))
	sub := "new"
	if m.Flags.System != 0 {
		sub, name = "cur", name+string(r.c.InfoSep)+"2,"+lettersOf(m.Flags, nil, "")
	}
	path := filepath.Join(r.dir(box), sub, name)
	if err := os.WriteFile(path, bytes.ReplaceAll(m.Data, []byte("\r\n"), []byte("\n")), 0o600); err != nil {
		return err
	}
	return os.Chtimes(path, time.Time{}, time.Unix(m.Date, 0))
}

func (r *reader) walk(box mail.Box, fn func(path, sub, name string) error) error {
	for _, sub := range []string{"new", "cur"} {
		list, err := os.ReadDir(filepath.Join(r.dir(box), sub))
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := fn(filepath.Join(r.dir(box), sub, e.Name()), sub, e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) List(box mail.Box) (list []storetest.Message, err error) {
	words, err := (&Store{c: r.c, fs: r.c.FS}).keywords(r.dir(box))
	if err != nil {
		return nil, err
	}
	err = r.walk(box, func(path, sub, name string) error {
		unique, letters := split(name, r.c.InfoSep)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		st, err := os.Stat(path)
		if err != nil {
			return err
		}
		m := storetest.Message{Key: mail.Key(unique), Date: st.ModTime().Unix(), Data: data}
		if sub == "cur" {
			m.Flags = flagsOf(letters, words)
		}
		list = append(list, m)
		return nil
	})
	return list, err
}

var errFound = errors.New("found")

// with calls fn with the file of a key.
func (r *reader) with(box mail.Box, key mail.Key, fn func(path, unique, letters string) error) error {
	err := r.walk(box, func(path, _, name string) error {
		if unique, letters := split(name, r.c.InfoSep); mail.Key(unique) == key {
			if err := fn(path, unique, letters); err != nil {
				return err
			}
			return errFound
		}
		return nil
	})
	switch {
	case err == nil:
		return fmt.Errorf("no message %q", key)
	case errors.Is(err, errFound):
		return nil
	}
	return err
}

func (r *reader) Delete(box mail.Box, key mail.Key) error {
	return r.with(box, key, func(path, _, _ string) error { return os.Remove(path) })
}

func (r *reader) SetFlags(box mail.Box, key mail.Key, flags mail.System) error {
	return r.with(box, key, func(path, unique, letters string) error {
		kept := strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' {
				return c
			}
			return -1
		}, letters)
		name := unique + string(r.c.InfoSep) + "2," + lettersOf(mail.Flags{System: flags}, nil, "") + kept
		return os.Rename(path, filepath.Join(r.dir(box), "cur", name))
	})
}

func (r *reader) Move(box mail.Box, key mail.Key, to mail.Box) error {
	return r.with(box, key, func(path, _, _ string) error {
		return os.Rename(path, filepath.Join(r.dir(to), filepath.Base(filepath.Dir(path)), filepath.Base(path)))
	})
}

// Age sets the stamps of all folders back.
func (r *reader) Age() error {
	time.Sleep(youngFine + 20*time.Millisecond) // ctime cannot be set
	return nil
}

func (r *reader) Reopen() (store.Store, error) { return New(r.c) }

// unsynced is the file system without the waiting: that all is synced that must be is for the tests of power cuts.
type unsynced struct{ osFS }

type unsyncedFile struct{ File }

func (unsyncedFile) Sync() error { return nil }

func (f unsynced) Create(path string) (File, error) {
	file, err := f.osFS.Create(path)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{file}, nil
}

func (f unsynced) Open(path string) (File, error) {
	file, err := f.osFS.Open(path)
	if err != nil {
		return nil, err
	}
	return unsyncedFile{file}, nil
}

func (unsynced) SyncDir(string) error { return nil }

func (unsynced) SyncAll(string) (Syncer, error) { return nil, errors.ErrUnsupported }

func suite(c Config, streams bool) storetest.Options {
	return storetest.Options{
		New: func(t *testing.T) (store.Store, storetest.User) {
			c := c
			c.Path = filepath.Join(t.TempDir(), "Mail")
			if !streams {
				c.FS = unsynced{}
			}
			s, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			return s, newReader(t, c)
		},
		Marks: true, Marker: true, Keywords: true, UserKeywords: true, Streams: streams,
		BadName: func(b mail.Box) bool {
			c := c
			c.defaults()
			d, err := (naming{layout: c.Layout, mutf7: c.Names == "mutf7", inbox: c.Inbox}).dir(b)
			return err != nil || !fs.ValidPath(filepath.ToSlash(d))
		},
	}
}

// TestMemory runs the suite alone, since memory is measured.
func TestMemory(t *testing.T) { storetest.Run(t, suite(Config{}, true)) }

// TestSuite runs it with every other layout and way of naming.
func TestSuite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"maildir++":       {Layout: MaildirPP},
		"flat":            {Layout: Flat, InfoSep: '!'},
		"mutf7":           {Names: "mutf7", Inbox: "."},
		"maildir++/mutf7": {Names: "mutf7", Layout: MaildirPP, InfoSep: ';'},
		"flat/mutf7":      {Names: "mutf7", Layout: Flat},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, suite(c, false))
		})
	}
}
