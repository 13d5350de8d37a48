package online

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"slices"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
)

// What is remembered of a message: bits, its key (a UID), Message-ID, sum, size and date. A part begins with the hash of the epoch. With another
// epoch all is void.
const (
	headLen   = 8
	recordLen = 1 + 4 + len(mail.Hash{}) + 16 + 8 + 8
	perPart   = 10_000
	kept      = dedupe.HasKey | dedupe.HasSum | dedupe.Bare
)

var errForeign = errors.New("it is of another epoch or form")

// kind tells apart what is remembered for different policies, whose sums are not the same.
func (f *finder) kind() string { return "online-" + f.o.Policy.By.String() }

// memoVersion is part of the hash of the epoch.
const memoVersion = "2"

func epochHash(epoch string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(memoVersion + epoch))
	return h.Sum64()
}

// remember fills in what an earlier run has read.
func (f *finder) remember(ctx context.Context, box mail.Box, first int, epoch string) error {
	if f.o.Memo == nil {
		return nil
	}
	err := f.o.Memo.Load(ctx, box, f.kind(), func(part []byte) error {
		if len(part) < headLen || (len(part)-headLen)%recordLen != 0 || binary.LittleEndian.Uint64(part) != epochHash(epoch) {
			return errForeign
		}
		for r := range slices.Chunk(part[headLen:], recordLen) {
			f.recall(first, r)
		}
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	_ = err // what cannot be read is asked for again
	return nil
}

func (f *finder) recall(first int, r []byte) {
	i, ok := f.at(first, mail.Key(r[1:5]))
	if !ok {
		return
	}
	m := f.f.Table.At(i)
	m.Bits |= r[0] & kept
	r = r[5:]
	r = r[copy(f.f.ids[i][:], r):]
	r = r[copy(m.Sum[:], r):]
	m.Size, m.Date = int64(binary.LittleEndian.Uint64(r)), int64(binary.LittleEndian.Uint64(r[8:])) //nolint:gosec // as they were
	if m.Key = noID; !f.f.ids[i].IsZero() {
		m.Key = binary.LittleEndian.Uint64(f.f.ids[i][:])
	}
}

// save remembers all mailboxes.
func (f *finder) save(ctx context.Context) error {
	if f.o.Memo == nil {
		return nil
	}
	var errs []error
	for i, box := range f.o.Boxes {
		errs = append(errs, f.o.Memo.Save(ctx, box, f.kind(), func(yield func([]byte) bool) {
			part := make([]byte, 0, headLen+perPart*recordLen)
			for n := f.starts[i]; n < f.starts[i+1]; {
				part = binary.LittleEndian.AppendUint64(part[:0], epochHash(f.f.Epochs[i]))
				for ; n < f.starts[i+1] && len(part) < headLen+perPart*recordLen; n++ {
					m := f.f.Table.At(n)
					bits := m.Bits & kept
					if f.f.ids[n].IsZero() {
						bits &^= dedupe.HasSum // it is read again, for its digest
					}
					part = append(append(append(append(part, bits), f.f.Table.Name(m)...), f.f.ids[n][:]...), m.Sum[:]...)
					part = binary.LittleEndian.AppendUint64(part, uint64(m.Size)) //nolint:gosec // as they were
					part = binary.LittleEndian.AppendUint64(part, uint64(m.Date)) //nolint:gosec // as above
				}
				if !yield(part) {
					return
				}
			}
		}))
	}
	return errors.Join(errs...)
}
