package sift

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
)

// Folder is one mailbox.
type Folder struct {
	Name mail.Box
	Dir  string // with cur and new in it
	Memo Memo   // nil: nothing is remembered
}

// Progress is told how far it is, now and then, from any goroutine.
type Progress func(what string, done, total int)

// Options of Find.
type Options struct {
	Policy   dedupe.Policy
	Folders  []Folder
	Progress Progress         // nil: nobody asks
	Now      func() time.Time // nil: time.Now
	Fresh    bool             // look at every file, also in folders that did not change
	// Known says which messages the state database knows on both sides, by unique name; nil: none.
	Known func(ctx context.Context, box mail.Box, known func(unique string)) error
}

// Found is what Find found.
type Found struct {
	Table      *dedupe.Table
	Groups     dedupe.Groups
	Messages   []int // by folder
	Read       int   // messages that were read
	Unreadable []error
	Unsaved    error // what was read could not be remembered: the next run takes as long as this one
}

// finder is the work of Find.
type finder struct {
	o       Options
	t       *dedupe.Table
	dirs    [][2]*os.File // of each folder, new and cur; nil: not there
	memory  []memory      // of each folder
	read    atomic.Int64
	mu      sync.Mutex
	trouble []error
	failed  map[*dedupe.Message]bool // what cannot be read
}

// maxTrouble is how many errors are kept.
const maxTrouble = 100

// Find reads the mailboxes and finds the duplicates. It fails when a folder cannot be read; a single message that cannot be read is
// in Unreadable, and in no group.
func Find(ctx context.Context, o Options) (*Found, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Folders) > 1<<16-1 {
		return nil, errors.New("find duplicates: too many mailboxes for one run")
	}
	f := &finder{o: o, t: &dedupe.Table{}, dirs: make([][2]*os.File, len(o.Folders)), memory: make([]memory, len(o.Folders))}
	defer f.close()
	found := &Found{Table: f.t}
	for i := range o.Folders {
		before := f.t.Len()
		if err := f.folder(ctx, i); err != nil {
			return nil, fmt.Errorf("find duplicates in %q: %w", o.Folders[i].Name, err)
		}
		found.Messages = append(found.Messages, f.t.Len()-before)
	}
	before := f.read.Load()
	if err := f.bodies(ctx); err != nil {
		return nil, fmt.Errorf("find duplicates: %w", err)
	}
	for i := range f.memory {
		if m := &f.memory[i]; m.changed || f.read.Load() > before {
			if err := m.save(ctx, f.t, o.Policy, i, o.Folders[i].Name, o.Now()); err != nil {
				found.Unsaved = fmt.Errorf("remember what was read of %q: %w", o.Folders[i].Name, err)
			}
		}
	}
	if err := f.known(ctx); err != nil {
		return nil, fmt.Errorf("find duplicates: %w", err)
	}
	found.Groups = f.t.Plan(o.Policy)
	found.Read, found.Unreadable = int(f.read.Load()), f.trouble
	if more := len(f.failed) - len(f.trouble); more > 0 {
		found.Unreadable = append(found.Unreadable, fmt.Errorf("find duplicates: %d more messages cannot be read", more))
	}
	return found, ctx.Err()
}

// allRead reports whether no message from first on is missing from the table.
func (f *finder) allRead(first uint32) bool {
	for i := first; int(i) < f.t.Len(); i++ {
		if f.t.At(i).Bits&(dedupe.Gone|dedupe.Bare) == dedupe.Gone {
			return false
		}
	}
	return true
}

func (f *finder) close() {
	for _, pair := range f.dirs {
		for _, d := range pair {
			if d != nil {
				_ = d.Close()
			}
		}
	}
}

func (f *finder) open(i int) error {
	for k, sub := range []string{"new", "cur"} {
		d, err := os.OpenFile(filepath.Join(f.o.Folders[i].Dir, sub), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if errors.Is(err, os.ErrNotExist) && k == 0 {
			continue
		}
		if err != nil {
			return err
		}
		f.dirs[i][k] = d
	}
	return nil
}

// folder adds the messages of a mailbox to the table, with keys and, of small ones, sums.
func (f *finder) folder(ctx context.Context, i int) error {
	if err := f.open(i); err != nil {
		return err
	}
	m := &f.memory[i]
	m.memo, m.kind = f.o.Folders[i].Memo, f.o.Policy.By.String()
	before, err := f.mark(i)
	if err != nil {
		return err
	}
	if !f.o.Fresh && m.unchanged(ctx, f.t, i, f.o.Folders[i].Name, before, f.o.Now()) {
		return nil
	}
	first := uint32(f.t.Len()) //nolint:gosec // at most 1<<31
	if err := f.list(ctx, i, nil); err != nil {
		return err
	}
	if err := f.stat(ctx, first); err != nil {
		return err
	}
	m.recall(ctx, f.t, i, f.o.Folders[i].Name)
	read := f.read.Load()
	if err := f.heads(ctx, first); err != nil {
		return err
	}
	if err := f.renamed(ctx, i, first); err != nil {
		return err
	}
	after, err := f.mark(i)
	if err != nil {
		return err
	}
	if before == after && settled(after, f.o.Now()) && f.allRead(first) {
		m.mark = after
	}
	m.changed = m.mark != "" || f.read.Load() > read
	return nil
}

// list adds the names in the folders of a mailbox; or, with lost, tells them the names that its messages have by now.
func (f *finder) list(ctx context.Context, i int, lost map[string]uint32) error {
	var name []byte
	for k, d := range f.dirs[i] {
		if d == nil {
			continue
		}
		if _, err := d.Seek(0, io.SeekStart); err != nil {
			return err
		}
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			names, err := d.Readdirnames(1024)
			for _, n := range names {
				if n[0] == '.' {
					continue
				}
				name = append(name[:0], n...)
				if lost == nil {
					err = cmp.Or(err, f.t.Add(dedupe.Message{Box: uint16(i), Bits: uint8(k) * dedupe.Cur}, name)) //nolint:gosec // counted before
					continue
				}
				if at, ok := lost[string(dedupe.Unique(name))]; ok {
					m := f.t.At(at)
					m.Bits = uint8(k)*dedupe.Cur | m.Bits&dedupe.Deleted //nolint:gosec // 0 or 1
					err = cmp.Or(err, f.t.Rename(m, name))
				}
			}
			if errors.Is(err, io.EOF) || err == nil && len(names) == 0 {
				break
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// parallel calls fn for a range of messages, or for those of list, from several goroutines. Each has a state of its own.
func parallel[T any](ctx context.Context, f *finder, first uint32, list []uint32, what string, make func() T, fn func(T, uint32, *dedupe.Message) error) error {
	const portion = 256
	n := len(list)
	if list == nil {
		n = f.t.Len() - int(first)
	}
	var next, done atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range max(2, min(runtime.NumCPU(), 8)) {
		wg.Go(func() {
			own := make()
			for failed.Load() == nil && ctx.Err() == nil {
				from := int(next.Add(portion)) - portion
				if from >= n {
					return
				}
				for k := from; k < min(from+portion, n); k++ {
					i := first + uint32(k) //nolint:gosec // at most 1<<31
					if list != nil {
						i = list[k]
					}
					if err := fn(own, i, f.t.At(i)); err != nil {
						failed.CompareAndSwap(nil, &err)
						return
					}
				}
				if d := done.Add(portion); f.o.Progress != nil {
					f.o.Progress(what, min(int(d), n), n)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return ctx.Err()
}

// dir returns the descriptor of the folder that a message is in.
func (f *finder) dir(m *dedupe.Message) *os.File { return f.dirs[m.Box][m.Bits&dedupe.Cur] }

// stat looks at the files from first on.
func (f *finder) stat(ctx context.Context, first uint32) error {
	return parallel(ctx, f, first, nil, "list", func() *unix.Stat_t { return &unix.Stat_t{} }, func(st *unix.Stat_t, _ uint32, m *dedupe.Message) error {
		f.statOne(st, m)
		return nil
	})
}

func (f *finder) statOne(st *unix.Stat_t, m *dedupe.Message) {
	name := string(f.t.Name(m))
	err := retry(func() error { return unix.Fstatat(int(f.dir(m).Fd()), name, st, unix.AT_SYMLINK_NOFOLLOW) })
	switch {
	case err != nil:
		m.Bits |= dedupe.Gone
		if !errors.Is(err, unix.ENOENT) {
			f.note(m, err)
		}
		return
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		m.Bits |= dedupe.Gone | dedupe.Bare // no message, and not to be looked for
		return
	}
	m.Stamp, m.Size, m.Date = stampOf(st), st.Size, mtime(st)/int64(time.Second)
	m.Key = st.Ino // until it is read, for the order of reading
	if m.Bits &^= dedupe.Deleted; hasT(f.t.Name(m)) && m.Bits&dedupe.Cur != 0 {
		m.Bits |= dedupe.Deleted
	}
}

// hasT reports whether a file name has the letter of \Deleted.
func hasT(name []byte) bool {
	u := dedupe.Unique(name)
	return len(u) < len(name) && bytes.IndexByte(name[len(u):], 'T') >= 0
}

func (f *finder) note(m *dedupe.Message, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = map[*dedupe.Message]bool{}
	}
	if f.failed[m] = true; len(f.trouble) < maxTrouble {
		f.trouble = append(f.trouble, fmt.Errorf("read %s in %q: %w", f.t.Name(m), f.o.Folders[m.Box].Name, err))
	}
}

// retry makes a system call again that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// stampOf changes when the content of a file may have changed.
func stampOf(st *unix.Stat_t) uint64 {
	h := uint64(14695981039346656037)
	for _, n := range [...]uint64{uint64(st.Dev), st.Ino, uint64(st.Size), uint64(mtime(st))} { //nolint:gosec,unconvert // only compared
		for range 8 {
			h = (h ^ n&255) * 1099511628211
			n >>= 8
		}
	}
	return h
}

// mark is made of the stamps of a mailbox's folders: while it is the same, no message came, went or was renamed.
func (f *finder) mark(i int) (string, error) {
	b := []byte(f.o.Folders[i].Dir)
	for _, d := range f.dirs[i] {
		if d == nil {
			b = append(b, " -"...)
			continue
		}
		var st unix.Stat_t
		if err := retry(func() error { return unix.Fstat(int(d.Fd()), &st) }); err != nil {
			return "", err
		}
		for _, n := range [...]int64{int64(st.Dev), int64(st.Ino), mtime(&st), ctime(&st)} { //nolint:gosec // only compared
			b = strconv.AppendInt(append(b, ' '), n, 36)
		}
	}
	return string(b), nil
}

// renamed looks once more for messages that a mail reader renamed between the list and the look.
func (f *finder) renamed(ctx context.Context, i int, first uint32) error {
	for range 3 {
		lost := map[string]uint32{}
		for k := first; int(k) < f.t.Len(); k++ {
			if m := f.t.At(k); m.Bits&(dedupe.Gone|dedupe.Bare) == dedupe.Gone && !f.failed[m] {
				lost[string(dedupe.Unique(f.t.Name(m)))] = k
			}
		}
		if len(lost) == 0 {
			return nil
		}
		if err := f.list(ctx, i, lost); err != nil {
			return err
		}
		var again []uint32
		var st unix.Stat_t
		for _, k := range lost {
			if m := f.t.At(k); m.Bits&dedupe.Gone == 0 {
				f.statOne(&st, m)
				again = append(again, k)
			}
		}
		if len(again) == 0 {
			return nil
		}
		if err := f.readHeads(ctx, first, again); err != nil {
			return err
		}
	}
	return nil
}

func mtime(st *unix.Stat_t) int64 { return st.Mtim.Nano() }
func ctime(st *unix.Stat_t) int64 { return st.Ctim.Nano() }
