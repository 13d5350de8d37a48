package maildirstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Store is a Maildir tree. Its methods may be called from several goroutines.
type Store struct {
	c      Config
	fs     FS
	naming naming

	learning sync.Mutex    // held while keywords get letters
	lockWait time.Duration // how long another program's lock is waited for

	mu        sync.Mutex
	lastToken int64              // microseconds since 1970
	root      string             // id in the marker
	boxes     map[mail.Box]*box  // by name, as last listed
	bad       map[mail.Box]error // why others cannot be used
	walked    bool               // boxes and bad were filled
	durable   map[string]bool    // folders whose names are
}

// box is the folder of a mailbox.
type box struct {
	name mail.Box
	dir  string // path
	mu   sync.Mutex
	// reading is held by who fills the index for all.
	reading sync.Mutex
	// index has the files as last seen, sorted by key; nil: not read. It may be out of date: whoever does not find a file where
	// it says reads it again.
	index *listing
	swept bool // tmp was looked through
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Securer = (*Store)(nil)
)

// New returns a store; it touches nothing before Hello. An error means a setting that cannot be.
func New(c Config) (*Store, error) {
	c.defaults()
	switch {
	case c.Path == "":
		return nil, fmt.Errorf("open maildir: %w: no path", store.ErrSetup)
	case c.Layout != Nested && c.Layout != MaildirPP && c.Layout != Flat:
		return nil, fmt.Errorf("open maildir %s: %w: unknown layout %q", c.Path, store.ErrSetup, c.Layout)
	case c.Names != "utf8" && c.Names != "mutf7":
		return nil, fmt.Errorf("open maildir %s: %w: unknown names %q", c.Path, store.ErrSetup, c.Names)
	case c.Inbox != "." && (strings.ContainsAny(c.Inbox, "/\x00") || strings.HasPrefix(c.Inbox, ".") || reserved(c.Inbox)):
		return nil, fmt.Errorf("open maildir %s: %w: inbox %q is not the name of a folder", c.Path, store.ErrSetup, c.Inbox)
	case strings.IndexByte(":;!", c.InfoSep) < 0:
		return nil, fmt.Errorf("open maildir %s: %w: unknown separator %q", c.Path, store.ErrSetup, c.InfoSep)
	}
	s := &Store{c: c, fs: c.FS, lockWait: lockWait, boxes: map[mail.Box]*box{}, durable: map[string]bool{}}
	s.naming = naming{layout: c.Layout, mutf7: c.Names == "mutf7", inbox: c.Inbox}
	return s, nil
}

// Config returns the settings, with the defaults where nothing was set.
func (s *Store) Config() Config { return s.c }

// marker says whose root it is.
type marker struct {
	ID  string `json:"id"`
	Run int64  `json:"run"`
}

func (s *Store) markerPath() string { return filepath.Join(s.c.Path, s.c.control(), "marker") }

// Hello implements store.Store.
func (s *Store) Hello(ctx context.Context, _ string) (store.Greeting, error) {
	g := store.Greeting{Run: -1, Name: s.c.Path, Caps: store.Caps{Keys: true, Named: true}}
	if err := ctx.Err(); err != nil {
		return g, err
	}
	st, err := s.fs.Stat(s.c.Path, true)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.mu.Lock()
		s.root = ""
		s.mu.Unlock()
		g.Empty = true
		return g, nil
	case err != nil:
		return g, s.setup(err, "check the path and its permissions")
	case st.Mode != fs.ModeDir:
		return g, s.setup(errors.New("not a folder"), "local = \"maildir:PATH\" names the folder that holds the mailboxes")
	}
	m, err := s.readMarker()
	if err != nil {
		return g, s.setup(err, "check the permissions; if the file is damaged, remove it and the state of the account: the next sync pairs what is on both sides")
	}
	if m != nil {
		g.Root, g.Run = m.ID, m.Run
	}
	s.mu.Lock()
	s.root = g.Root
	s.mu.Unlock()
	empty, err := s.inspect(m == nil)
	g.Empty = empty
	return g, err
}

func (s *Store) setup(err error, hint string) error {
	return mail.WithHint(fmt.Errorf("open maildir %s: %w: %w", s.c.Path, store.ErrSetup, err), hint)
}

func (s *Store) readMarker() (*marker, error) {
	f, err := s.fs.Open(s.markerPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, 1<<12))
	if err != nil {
		return nil, err
	}
	var m marker
	if err := json.Unmarshal(b, &m); err != nil || m.ID == "" {
		return nil, fmt.Errorf("read marker %s: it is damaged", s.markerPath())
	}
	return &m, nil
}

// SetRoot implements store.Store. Since it comes before the first effect of a run, it makes sure that the root is still the one that Hello
// saw: a marker must not make another one look like it.
func (s *Store) SetRoot(ctx context.Context, id string, run int64) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	if err := s.mayMark(id); err != nil {
		return err
	}
	text, err := json.Marshal(marker{ID: id, Run: run})
	if err != nil {
		return err
	}
	if err := s.makeFolder(filepath.Dir(s.markerPath())); err != nil {
		return s.trouble("write marker", err)
	}
	if err := s.lasting(filepath.Clean(s.c.Path), s.c.Path); err != nil {
		return s.trouble("write marker", err)
	}
	if err := s.writeFile(s.markerPath(), string(text)+"\n"); err != nil {
		return s.trouble("write marker", err)
	}
	s.mu.Lock()
	s.root = id
	s.mu.Unlock()
	return nil
}

// mayMark makes sure that the root is still the one that Hello saw, or that nobody else marked it since if it was nobody's.
func (s *Store) mayMark(id string) error {
	s.mu.Lock()
	marked := s.root != ""
	s.mu.Unlock()
	if marked {
		return s.sameRoot()
	}
	m, err := s.readMarker()
	if err == nil && m != nil && m.ID != id {
		err = errors.New("another account's marker is there now")
	}
	if err != nil {
		return s.setup(err, "was another disk mounted meanwhile? Sync again")
	}
	return nil
}

// makeFolder makes a folder and those above it, durably.
func (s *Store) makeFolder(path string) error {
	err := s.fs.Mkdir(path)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if err := s.makeFolder(filepath.Dir(path)); err != nil {
			return err
		}
		err = s.fs.Mkdir(path)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.fs.SyncDir(filepath.Dir(path))
}

// lasting makes the names in a folder durable, and those of the folders up to top, once: those who made them (a mail reader, or a
// run that was interrupted) may not have done so, and what is in them would go with them (rule 1).
func (s *Store) lasting(dir, top string) error {
	s.mu.Lock()
	durable := s.durable[dir]
	s.mu.Unlock()
	if durable {
		return nil
	}
	for up := dir; ; up = filepath.Dir(up) {
		if err := s.fs.SyncDir(up); err != nil {
			return err
		}
		if len(up) <= len(top) || up == filepath.Dir(up) {
			break
		}
	}
	s.mu.Lock()
	s.durable[dir] = true
	s.mu.Unlock()
	return nil
}

// lastingBox is lasting for the folder of a mailbox.
func (s *Store) lastingBox(b *box) error { return s.lasting(b.dir, filepath.Clean(s.c.Path)) }

// writable is asked before each effect.
func (s *Store) writable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.c.ReadOnly {
		return fmt.Errorf("write maildir %s: %w", s.c.Path, store.ErrReadOnly)
	}
	return nil
}

// trouble says what was being done, and what helps.
func (s *Store) trouble(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", what, err)
	switch {
	case isFull(err):
		return mail.WithHint(err, "make room on the disk and sync again")
	case isBroken(err):
		return mail.WithHint(err, "the disk reports errors: check it, and the system's log, before the next sync")
	case errors.Is(err, os.ErrPermission):
		return mail.WithHint(err, "check the owner and the permissions below "+s.c.Path)
	}
	return err
}

// digits of tokens: in the order of their bytes, so that names made later come later.
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUV"

// tokenDigits is how many digits a token has after its seconds: 20 bits of microseconds and 30 random ones. Names are short since the
// state has each of them twice.
const tokenDigits = 10

// token makes a unique name: the time, which never goes back in one session, and random bits.
func (s *Store) token() string {
	var b [8]byte
	_, _ = rand.Read(b[4:]) // never fails
	s.mu.Lock()
	now := max(s.c.Now().UnixMicro(), s.lastToken+1)
	s.lastToken = now
	s.mu.Unlock()
	n := uint64(now%1e6)<<30 | binary.BigEndian.Uint64(b[:])>>2 //nolint:gosec // a time after 1970
	text := strconv.AppendInt(make([]byte, 0, 32), now/1e6, 10)
	text = append(text, '.')
	for shift := 5 * (tokenDigits - 1); shift >= 0; shift -= 5 {
		text = append(text, digits[n>>shift&31])
	}
	return string(append(text, ".mt"...))
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.boxes {
		b.forget()
	}
	return nil
}
