package maildirstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path/filepath"
	"time"

	"mailtwin/internal/mail"
)

// stampOf changes when the content of a file may have changed: of size, mtime and inode. Renaming leaves it. It has 31 bits,
// which take little room in the state.
func stampOf(st Stat) uint64 {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], uint64(st.Size))   //nolint:gosec // only compared
	binary.LittleEndian.PutUint64(b[8:], uint64(st.Mtime)) //nolint:gosec // only compared
	binary.LittleEndian.PutUint64(b[16:], st.Ino)
	h := fnv.New32a()
	_, _ = h.Write(b[:])
	return max(uint64(h.Sum32()>>1), 1)
}

// Stamps implements store.Stamper.
func (s *Store) Stamps(ctx context.Context, name mail.Box, fn func(mail.Key, uint64, int64) error) error {
	b, err := s.box(ctx, name)
	if err != nil {
		return fmt.Errorf("stamp messages of %q: %w", name, err)
	}
	got, err := s.scan(ctx, b)
	if err != nil {
		return s.trouble(fmt.Sprintf("stamp messages of %q", name), err)
	}
	files := got.files
	for i := range files.len() {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		f := files.file(i)
		st, err := s.fs.Stat(filepath.Join(b.dir, f.sub(), f.name), false)
		if errors.Is(err, fs.ErrNotExist) {
			continue // renamed meanwhile: the next look finds it
		}
		if err != nil {
			return s.trouble(fmt.Sprintf("stamp messages of %q", name), err)
		}
		if err := fn(f.key, stampOf(st), st.Mtime/int64(time.Second)); err != nil {
			return err
		}
	}
	return nil
}
