package sift

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
)

// Memo remembers what was read of one mailbox. Losing it costs time only; a damaged one must end Load with an error.
type Memo interface {
	// Load calls fn with the parts saved last, in their order; none if there are none. A part must not be kept.
	Load(ctx context.Context, box mail.Box, kind string, fn func(part []byte) error) error
	// Save replaces them. The parts share their memory.
	Save(ctx context.Context, box mail.Box, kind string, parts iter.Seq[[]byte]) error
}

// FileMemo remembers the mailboxes of one Maildir in files of their own below a folder of caches.
type FileMemo struct {
	Cache string // folder, made when needed
	Root  string // of the Maildir
}

func (f FileMemo) path(box mail.Box, kind string) string {
	sum := sha256.Sum256([]byte(f.Root + "\x00" + string(box)))
	return filepath.Join(f.Cache, hex.EncodeToString(sum[:12])+"."+kind)
}

var (
	errDamaged = errors.New("damaged")
	crcTable   = crc32.MakeTable(crc32.Castagnoli)
)

// maxPart bounds the length of a part, which a damaged file may tell wrong.
const maxPart = 4 << 20

// Load implements Memo.
func (f FileMemo) Load(ctx context.Context, box mail.Box, kind string, fn func(part []byte) error) error {
	file, err := os.Open(f.path(box, kind))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	r := bufio.NewReaderSize(file, 64<<10)
	var head [8]byte
	var part []byte
	for ctx.Err() == nil {
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		n := int(binary.LittleEndian.Uint32(head[:]))
		if n > maxPart {
			return errDamaged
		}
		part = slices.Grow(part[:0], n)[:n]
		if _, err := io.ReadFull(r, part); err != nil {
			return err
		}
		if crc32.Checksum(part, crcTable) != binary.LittleEndian.Uint32(head[4:]) {
			return errDamaged
		}
		if err := fn(part); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Save implements Memo.
func (f FileMemo) Save(ctx context.Context, box mail.Box, kind string, parts iter.Seq[[]byte]) (err error) {
	if err := os.MkdirAll(f.Cache, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(f.Cache, "new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err == nil {
			err = os.Rename(file.Name(), f.path(box, kind))
		}
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	var head [8]byte
	for part := range parts {
		binary.LittleEndian.PutUint32(head[:], uint32(len(part))) //nolint:gosec // at most maxPart
		binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(part, crcTable))
		if _, err := file.Write(head[:]); err != nil {
			return err
		}
		if _, err := file.Write(part); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// memory is what is remembered of one mailbox.
type memory struct {
	memo    Memo
	kind    string
	mark    string // proven by the look that filled the table; "": none
	fresh   bool   // the table was filled from memo alone
	changed bool   // what is in the table is more than what is remembered
}

const (
	memoVersion = 2
	memoSize    = 50             // of a message without its name
	trustFor    = 24 * time.Hour // how long folders that did not change stand for messages that did not
	savedBits   = dedupe.Cur | dedupe.HasKey | dedupe.HasSum | dedupe.Bare | dedupe.Deleted
)

// errStop ends a Load early.
var errStop = errors.New("stop")

// unchanged fills the table with what is remembered, if no message came, went or was renamed since. Content that was changed in
// place does not show; so it is believed for a day only, and nothing is removed without being read again.
func (m *memory) unchanged(ctx context.Context, t *dedupe.Table, box int, name mail.Box, mark string, now time.Time) bool {
	if m.memo == nil {
		return false
	}
	before, first := t.Len(), true
	err := m.memo.Load(ctx, name, m.kind, func(part []byte) error {
		if first {
			first = false
			at, saved, ok := parseHead(part)
			if age := now.Sub(at); !ok || saved == "" || saved != mark || age < 0 || age > trustFor {
				return errStop
			}
			return nil
		}
		return eachSaved(part, func(s dedupe.Message, name []byte) error {
			s.Box = uint16(box) //nolint:gosec // counted before
			return t.Add(s, name)
		})
	})
	if err != nil || first {
		t.Truncate(before)
		return false
	}
	m.mark, m.fresh = mark, true
	return true
}

// recall finds what is remembered of messages whose files did not change.
func (m *memory) recall(ctx context.Context, t *dedupe.Table, box int, name mail.Box) {
	if m.memo == nil {
		return
	}
	var list []uint32
	first := true
	_ = m.memo.Load(ctx, name, m.kind, func(part []byte) error { // what cannot be read is not remembered
		if first {
			first = false
			if _, _, ok := parseHead(part); !ok {
				return errStop
			}
			list = t.Index(func(x *dedupe.Message) bool { return int(x.Box) == box && x.Bits&dedupe.Gone == 0 }, func(a, b *dedupe.Message) int { return cmp.Compare(a.Stamp, b.Stamp) })
			return nil
		}
		return eachSaved(part, func(s dedupe.Message, _ []byte) error {
			k, _ := slices.BinarySearchFunc(list, s.Stamp, func(i uint32, stamp uint64) int { return cmp.Compare(t.At(i).Stamp, stamp) })
			for ; k < len(list) && t.At(list[k]).Stamp == s.Stamp; k++ {
				x := t.At(list[k])
				x.Key, x.Sum = s.Key, s.Sum
				x.Bits |= s.Bits & (dedupe.HasKey | dedupe.HasSum | dedupe.Bare)
			}
			return nil
		})
	})
}

// save remembers the messages of a mailbox.
func (m *memory) save(ctx context.Context, t *dedupe.Table, p dedupe.Policy, box int, name mail.Box, now time.Time) error {
	if m.memo == nil {
		return nil
	}
	return m.memo.Save(ctx, name, m.kind, func(yield func([]byte) bool) {
		buf := append([]byte{memoVersion}, make([]byte, 8)...)
		binary.LittleEndian.PutUint64(buf[1:], uint64(now.Unix())) //nolint:gosec // all bits come back
		if !yield(append(buf, m.mark...)) {
			return
		}
		list := t.Index(func(x *dedupe.Message) bool { return int(x.Box) == box && x.Bits&dedupe.Gone == 0 }, func(a, b *dedupe.Message) int {
			return p.Compare(t, a, b) // the order that a plan needs
		})
		for part := range slices.Chunk(list, 2048) {
			buf = buf[:0]
			for _, i := range part {
				buf = appendSaved(buf, t.At(i), t.Name(t.At(i)))
			}
			if !yield(buf) {
				return
			}
		}
	})
}

func parseHead(part []byte) (at time.Time, mark string, ok bool) {
	if len(part) < 9 || part[0] != memoVersion {
		return at, "", false
	}
	return time.Unix(int64(binary.LittleEndian.Uint64(part[1:])), 0), string(part[9:]), true //nolint:gosec // all bits come back
}

func appendSaved(b []byte, m *dedupe.Message, name []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, m.Stamp)
	b = binary.LittleEndian.AppendUint64(b, m.Key)
	b = append(b, m.Sum[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Size)) //nolint:gosec // all bits come back
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Date)) //nolint:gosec // all bits come back
	b = append(b, m.Bits&savedBits, uint8(len(name)))       //nolint:gosec // at most 255
	return append(b, name...)
}

// eachSaved calls fn for the messages of a part.
func eachSaved(p []byte, fn func(m dedupe.Message, name []byte) error) error {
	for len(p) > 0 {
		if len(p) < memoSize || len(p) < memoSize+int(p[memoSize-1]) {
			return errDamaged
		}
		m := dedupe.Message{Stamp: binary.LittleEndian.Uint64(p), Key: binary.LittleEndian.Uint64(p[8:]), Bits: p[48] & savedBits}
		copy(m.Sum[:], p[16:32])
		m.Size, m.Date = int64(binary.LittleEndian.Uint64(p[32:])), int64(binary.LittleEndian.Uint64(p[40:])) //nolint:gosec // all bits come back
		end := memoSize + int(p[memoSize-1])
		if err := fn(m, p[memoSize:end]); err != nil {
			return err
		}
		p = p[end:]
	}
	return nil
}

// settled reports whether a change after the mark would surely show: its times are not of this moment.
func settled(mark string, now time.Time) bool {
	latest, fine := int64(0), false
	for i, part := range bytes.Fields([]byte(mark)) {
		n, err := strconv.ParseInt(string(part), 36, 64)
		if i == 0 || err != nil || n < 1e15 { // the path, a device, an inode
			continue
		}
		latest, fine = max(latest, n), fine || n%int64(time.Millisecond) != 0
	}
	limit := 2 * time.Second
	if fine {
		limit = 100 * time.Millisecond
	}
	return now.UnixNano()-latest > int64(limit)
}
