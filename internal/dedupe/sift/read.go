package sift

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
)

// bufSize is how much of a message is read at once; most messages fit and are read once.
const bufSize = 16 << 10

// reader is what one goroutine reads with.
type reader struct {
	buf    []byte
	hasher *dedupe.Hasher
}

func (f *finder) reader() *reader {
	return &reader{buf: make([]byte, bufSize), hasher: dedupe.NewHasher(f.o.Policy.By == dedupe.Exact)}
}

// open opens a message's file; it never waits, and follows no link.
func (f *finder) openMessage(m *dedupe.Message) (int, error) {
	return openAt(int(f.dir(m).Fd()), string(f.t.Name(m)))
}

func openAt(dir int, name string) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func readFD(fd int, p []byte) (n int, err error) {
	err = retry(func() error {
		n, err = unix.Read(fd, p)
		return err
	})
	return max(n, 0), err
}

// heads reads what is not remembered.
func (f *finder) heads(ctx context.Context, first uint32) error {
	if f.o.Policy.By == dedupe.Exact { // files of different size cannot be equal
		for i := first; int(i) < f.t.Len(); i++ {
			m := f.t.At(i)
			m.Key = uint64(m.Size) //nolint:gosec // not negative
			m.Bits |= dedupe.HasKey
			if m.Size == 0 {
				m.Bits |= dedupe.Bare
			}
		}
		return nil
	}
	list := f.t.Index(func(m *dedupe.Message) bool { return m.Bits&(dedupe.HasKey|dedupe.Gone) == 0 }, func(a, b *dedupe.Message) int {
		return cmp.Compare(a.Key, b.Key) // inodes: nearer on the disk
	})
	return f.readHeads(ctx, first, list)
}

func (f *finder) readHeads(ctx context.Context, first uint32, list []uint32) error {
	if len(list) == 0 {
		return nil
	}
	if f.o.Policy.By == dedupe.Exact {
		return f.heads(ctx, first)
	}
	return parallel(ctx, f, first, list, "read", f.reader, func(r *reader, _ uint32, m *dedupe.Message) error {
		f.readMessage(ctx, r, m, false)
		return nil
	})
}

// readMessage reads a message: its header, and all of it if it is small or whole is set.
func (f *finder) readMessage(ctx context.Context, r *reader, m *dedupe.Message, whole bool) {
	fd, err := f.openMessage(m)
	if err == nil {
		var facts dedupe.Facts
		var end bool
		facts, end, err = r.read(ctx, fd, m.Size, whole)
		_ = unix.Close(fd)
		if err == nil {
			f.read.Add(1)
			learn(m, facts, end, f.o.Policy.By)
			return
		}
	}
	m.Bits |= dedupe.Gone
	if !errors.Is(err, unix.ENOENT) {
		f.note(m, err)
	}
}

// read hashes a file; size is how long it should be. end says that all of it was read.
func (r *reader) read(ctx context.Context, fd int, size int64, whole bool) (facts dedupe.Facts, end bool, err error) {
	r.hasher.Reset()
	for got := int64(0); ; {
		n, err := readFD(fd, r.buf)
		if err != nil {
			return facts, false, err
		}
		_, _ = r.hasher.Write(r.buf[:n])
		got += int64(n)
		if n == 0 || got == size && size <= bufSize {
			return r.hasher.Facts(true), true, nil
		}
		if !whole && !r.hasher.Header() && got < size {
			return r.hasher.Facts(false), false, nil
		}
		if err := ctx.Err(); err != nil {
			return facts, false, err
		}
	}
}

// learn notes what was read.
func learn(m *dedupe.Message, facts dedupe.Facts, end bool, by dedupe.By) {
	switch by {
	case dedupe.Content:
		m.Key = facts.Head
		m.Bits |= dedupe.HasKey
	case dedupe.MessageID:
		m.Key = idKey(facts.ID)
		m.Bits |= dedupe.HasKey
	}
	if !end {
		return
	}
	m.Bits |= dedupe.HasSum
	m.Sum = facts.Sum
	if by == dedupe.Exact {
		m.Sum = facts.Exact
	}
	if facts.Bare || by == dedupe.Exact && facts.Length == 0 {
		m.Bits |= dedupe.Bare
	}
	if by == dedupe.MessageID && facts.ID.IsZero() { // by content then: its key is of its own kind
		m.Key = binary.LittleEndian.Uint64(facts.Sum[:])
	}
}

func idKey(id mail.Hash) uint64 { return binary.LittleEndian.Uint64(id[:]) }

// bodies reads the rest of those messages that have a key in common.
func (f *finder) bodies(ctx context.Context) error {
	if f.o.Policy.By == dedupe.MessageID { // without an id, only the content tells; its key is 0 until it is read
		list := f.t.Index(func(m *dedupe.Message) bool {
			return m.Bits&(dedupe.HasKey|dedupe.HasSum|dedupe.Gone) == dedupe.HasKey && m.Key == 0
		}, nil)
		if err := f.readBodies(ctx, list); err != nil {
			return err
		}
	}
	return f.readBodies(ctx, f.t.Candidates(f.o.Policy))
}

func (f *finder) readBodies(ctx context.Context, list []uint32) error {
	if len(list) == 0 {
		return nil
	}
	return parallel(ctx, f, 0, list, "compare", f.reader, func(r *reader, _ uint32, m *dedupe.Message) error {
		f.readMessage(ctx, r, m, true)
		return nil
	})
}

// known marks the messages that the state database knows on both sides.
func (f *finder) known(ctx context.Context) error {
	if f.o.Known == nil {
		return nil
	}
	return f.markKnown(ctx)
}
