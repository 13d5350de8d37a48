package maildirstore

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"
)

// powerFS is a file system in memory that forgets in a power cut what was not synced: content of files, names in folders. What
// was not synced may survive all the same, names in the order of the operations, a rename in one piece.
type powerFS struct {
	mu     sync.Mutex
	root   *node
	inodes uint64
	log    []change
	fuse   int // operations until the power goes; 0: it stays
	off    bool
	noSync bool // there is no syncfs
}

var errPower = errors.New("the power is off")

type node struct {
	ino           uint64
	dir           bool
	data, durable []byte
	mtime         time.Time
	synced        bool // the file was synced
	names, kept   map[string]*node
	upTo          int // changes of the log that are in kept
}

// change is a change of names: n is there under to, and not under from any more.
type change struct {
	from, to         *node // folders; may be nil
	fromName, toName string
	n                *node
}

func newPowerFS() *powerFS {
	f := &powerFS{}
	f.root = f.node(true)
	return f
}

func (f *powerFS) node(dir bool) *node {
	f.inodes++
	return &node{ino: f.inodes, dir: dir, mtime: time.Now(), names: map[string]*node{}, kept: map[string]*node{}}
}

// begin is called by each operation.
func (f *powerFS) begin() error {
	if f.fuse > 0 {
		if f.fuse--; f.fuse == 0 {
			f.off = true
		}
	}
	if f.off {
		return errPower
	}
	return nil
}

// at finds a node and its folder.
func (f *powerFS) at(path string) (dir *node, name string, n *node, err error) {
	dir = nil
	n = f.root
	for _, name = range splitPath(path) {
		if n == nil || !n.dir {
			return nil, "", nil, &fs.PathError{Op: "find", Path: path, Err: fs.ErrNotExist}
		}
		dir, n = n, n.names[name]
	}
	return dir, name, n, nil
}

func splitPath(path string) (parts []string) {
	for path = filepath.Clean(path); path != "/" && path != "."; path = filepath.Dir(path) {
		parts = append([]string{filepath.Base(path)}, parts...)
	}
	return parts
}

// there is at for what must be there.
func (f *powerFS) there(path string) (*node, string, *node, error) {
	if err := f.begin(); err != nil {
		return nil, "", nil, err
	}
	dir, name, n, err := f.at(path)
	if err == nil && n == nil {
		err = &fs.PathError{Op: "find", Path: path, Err: fs.ErrNotExist}
	}
	return dir, name, n, err
}

func (f *powerFS) change(c change) {
	if c.from != nil {
		delete(c.from.names, c.fromName)
	}
	if c.to != nil {
		c.to.names[c.toName] = c.n
	}
	f.log = append(f.log, c)
}

func (f *powerFS) lock() func() { f.mu.Lock(); return f.mu.Unlock }

func (f *powerFS) add(path string, dir bool) (*node, error) {
	if err := f.begin(); err != nil {
		return nil, err
	}
	parent, name, n, err := f.at(path)
	if err != nil {
		return nil, err
	}
	if n != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	n = f.node(dir)
	f.change(change{to: parent, toName: name, n: n})
	return n, nil
}

func (f *powerFS) Mkdir(path string) error {
	defer f.lock()()
	_, err := f.add(path, true)
	return err
}

func (f *powerFS) Create(path string) (File, error) {
	defer f.lock()()
	n, err := f.add(path, false)
	if err != nil {
		return nil, err
	}
	return &powerFile{f: f, n: n}, nil
}

func (f *powerFS) Open(path string) (File, error) {
	defer f.lock()()
	_, _, n, err := f.there(path)
	if err == nil && n.dir {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, err
	}
	return &powerFile{f: f, n: n}, nil
}

func (f *powerFS) Each(path string, fn func(string, fs.FileMode) error) error {
	unlock := f.lock()
	_, _, n, err := f.there(path)
	list := map[string]fs.FileMode{}
	if err == nil {
		for name, sub := range n.names {
			list[name] = mode(sub)
		}
	}
	unlock()
	for name, m := range list {
		if err := fn(name, m); err != nil {
			return err
		}
	}
	return err
}

func mode(n *node) fs.FileMode {
	if n.dir {
		return fs.ModeDir
	}
	return 0
}

func (f *powerFS) Stat(path string, _ bool) (Stat, error) {
	defer f.lock()()
	_, _, n, err := f.there(path)
	if err != nil {
		return Stat{}, err
	}
	return Stat{Mode: mode(n), Size: int64(len(n.data)), Dev: 1, Ino: n.ino, Mtime: n.mtime.UnixNano(), Ctime: n.mtime.UnixNano()}, nil
}

func (f *powerFS) rename(from, to string, over bool) error {
	defer f.lock()()
	dir, name, n, err := f.there(from)
	if err != nil {
		return err
	}
	toDir, toName, there, err := f.at(to)
	if err != nil {
		return err
	}
	if there != nil && (!over || there.dir) {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrExist}
	}
	f.change(change{from: dir, fromName: name, to: toDir, toName: toName, n: n})
	return nil
}

func (f *powerFS) Rename(from, to string) error  { return f.rename(from, to, false) }
func (f *powerFS) Replace(from, to string) error { return f.rename(from, to, true) }

func (f *powerFS) Remove(path string) error {
	defer f.lock()()
	dir, name, n, err := f.there(path)
	if err != nil {
		return err
	}
	if len(n.names) > 0 {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrExist}
	}
	f.change(change{from: dir, fromName: name})
	return nil
}

func (f *powerFS) SetTime(path string, t time.Time) error {
	defer f.lock()()
	_, _, n, err := f.there(path)
	if err == nil {
		n.mtime = t
	}
	return err
}

func (f *powerFS) SyncDir(path string) error {
	defer f.lock()()
	_, _, n, err := f.there(path)
	if err == nil {
		n.keep(len(f.log))
	}
	return err
}

// keep makes the names of a folder durable.
func (n *node) keep(upTo int) {
	clear(n.kept)
	for name, sub := range n.names {
		n.kept[name] = sub
	}
	n.upTo = upTo
}

func (n *node) sync() { n.durable, n.synced = append([]byte(nil), n.data...), true }

func (f *powerFS) SyncAll(string) (Syncer, error) {
	defer f.lock()()
	if f.noSync {
		return nil, errors.ErrUnsupported
	}
	return powerAll{f}, f.begin()
}

type powerAll struct{ f *powerFS }

func (a powerAll) Close() error { return nil }

func (a powerAll) Sync() error {
	defer a.f.lock()()
	if err := a.f.begin(); err != nil {
		return err
	}
	a.f.root.all(func(n *node) {
		n.sync()
		n.keep(len(a.f.log))
	})
	return nil
}

func (n *node) all(fn func(*node)) {
	fn(n)
	for _, sub := range n.names {
		sub.all(fn)
	}
}

// survives says what is left of what was not synced.
type survives int

const (
	nothing survives = iota
	some             // names of operations up to some time
	names            // all names, but no content
	everything
)

// cut ends the power cut: what is left is there again.
func (f *powerFS) cut(left survives, r *rand.Rand) {
	defer f.lock()()
	f.off, f.fuse = false, 0
	upTo := 0
	switch left {
	case nothing:
	case some:
		upTo = r.IntN(len(f.log) + 1)
	case names, everything:
		upTo = len(f.log)
	}
	for i, c := range f.log[:upTo] {
		if c.from != nil && c.from.upTo <= i {
			delete(c.from.kept, c.fromName)
		}
		if c.to != nil && c.to.upTo <= i {
			c.to.kept[c.toName] = c.n
		}
	}
	f.log = nil
	f.root.reboot(left == everything, map[*node]bool{})
}

func (n *node) reboot(content bool, done map[*node]bool) {
	if done[n] {
		return
	}
	done[n] = true
	n.names, n.upTo = n.kept, 0
	n.kept = map[string]*node{}
	n.keep(0)
	if !content {
		n.data = append([]byte(nil), n.durable...)
		if !n.synced && !n.dir {
			n.mtime = time.Unix(0, 0)
		}
	}
	n.sync()
	for _, sub := range n.names {
		sub.reboot(content, done)
	}
}

type powerFile struct {
	f  *powerFS
	n  *node
	at int
}

func (p *powerFile) Read(b []byte) (int, error) {
	defer p.f.lock()()
	if err := p.f.begin(); err != nil {
		return 0, err
	}
	if p.at >= len(p.n.data) {
		return 0, io.EOF
	}
	n := copy(b, p.n.data[p.at:])
	p.at += n
	return n, nil
}

func (p *powerFile) Write(b []byte) (int, error) {
	defer p.f.lock()()
	if err := p.f.begin(); err != nil {
		return 0, err
	}
	p.n.data = append(p.n.data, b...)
	return len(b), nil
}

func (p *powerFile) Sync() error {
	defer p.f.lock()()
	if err := p.f.begin(); err != nil {
		return err
	}
	p.n.sync()
	return nil
}

func (p *powerFile) Info() (int64, time.Time, error) {
	defer p.f.lock()()
	return int64(len(p.n.data)), p.n.mtime, p.f.begin()
}

func (p *powerFile) Rewind() error { p.at = 0; return nil }
func (p *powerFile) Close() error  { return nil }
