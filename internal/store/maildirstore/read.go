package maildirstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mailtwin/internal/mail"
)

// open opens the file of a key.
func (f *finder) open(ctx context.Context, key mail.Key) (r File, at file, err error) {
	_, err = f.with(ctx, key, func(path string, found file) (err error) {
		at = found
		r, err = f.s.fs.Open(path)
		return err
	})
	return r, at, err
}

// each opens the files of keys one after the other; those that are not there any more are passed over.
func (s *Store) each(ctx context.Context, name mail.Box, keys []mail.Key, fn func(key mail.Key, at file, r File) error) error {
	b, err := s.box(ctx, name)
	if err != nil {
		return err
	}
	finder := s.finder(b)
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, at, err := finder.open(ctx, key)
		if err != nil {
			return s.trouble("open message "+string(key), err)
		}
		if r == nil {
			continue
		}
		if err := errors.Join(fn(key, at, r), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Identify implements store.Store. Messages are always read whole: that is what takes time, and the size in wire form takes
// it too.
func (s *Store) Identify(ctx context.Context, name mail.Box, keys []mail.Key, _ bool, fn func(mail.Key, mail.Ident) error) error {
	if err := s.identify(ctx, name, keys, io.Discard, fn); err != nil {
		return fmt.Errorf("identify messages of %q: %w", name, err)
	}
	return nil
}

// Traces implements store.Tracer. Messages are read whole, see Identify.
func (s *Store) Traces(ctx context.Context, name mail.Box, keys []mail.Key, fn func(mail.Key, mail.Ident, mail.Hash) error) error {
	var start head
	err := s.identify(ctx, name, keys, &start, func(key mail.Key, id mail.Ident) error {
		defer func() { start = start[:0] }()
		return fn(key, id, mail.TraceDigest(start))
	})
	if err != nil {
		return fmt.Errorf("read headers in %q: %w", name, err)
	}
	return nil
}

// identify reads messages, also to a writer, and calls fn at the end of each.
func (s *Store) identify(ctx context.Context, name mail.Box, keys []mail.Key, also io.Writer, fn func(mail.Key, mail.Ident) error) error {
	d := mail.NewDigester()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	return s.each(ctx, name, keys, func(key mail.Key, _ file, r File) error {
		_, date, err := r.Info()
		if err != nil {
			return err
		}
		d.Reset()
		if _, err := io.CopyBuffer(io.MultiWriter(d, also), struct{ io.Reader }{contextReader{ctx, r}}, *buf); err != nil {
			return s.trouble("read message "+string(key), err)
		}
		id := d.Ident()
		id.Date = date.Unix()
		return fn(key, id)
	})
}

// head keeps how a message begins.
type head []byte

// Write implements io.Writer.
func (h *head) Write(p []byte) (int, error) {
	*h = append(*h, p[:min(len(p), mail.MaxHeader-len(*h))]...)
	return len(p), nil
}

// exact fails if a message is not the one any more whose length was told, because it was changed meanwhile. The last bytes
// are handed out only after that was looked at.
type exact struct {
	from io.Reader
	left int64
	same func() bool
}

// Read implements io.Reader.
func (r *exact) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.left -= int64(n)
	if r.left < 0 || errors.Is(err, io.EOF) && r.left > 0 || n > 0 && r.left == 0 && !r.same() {
		return 0, fmt.Errorf("read message: %w: it changed while it was read", io.ErrUnexpectedEOF)
	}
	return n, err
}

type contextReader struct {
	ctx  context.Context
	from io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

// Fetch implements store.Store.
func (s *Store) Fetch(ctx context.Context, name mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	b, err := s.box(ctx, name)
	if err != nil {
		return fmt.Errorf("fetch messages of %q: %w", name, err)
	}
	words, err := s.keywords(b.dir)
	if err != nil {
		return s.trouble(fmt.Sprintf("fetch messages of %q", name), err)
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	small := buffers.Get().(*[]byte)
	defer buffers.Put(small)
	err = s.each(ctx, name, keys, func(key mail.Key, at file, r File) error {
		size, from, date, err := wireBody(r, *small)
		if err != nil {
			return s.trouble("read message "+string(key), err)
		}
		length, _, err := r.Info()
		if err != nil {
			return s.trouble("read message "+string(key), err)
		}
		same := func() bool {
			n, t, err := r.Info()
			return err == nil && n == length && t.Equal(date)
		}
		_, letters := split(at.name, s.c.InfoSep)
		e := mail.Entry{Key: key, Flags: flagsOf(letters, words), Ident: mail.Ident{Date: date.Unix()}}
		st, err := s.fs.Stat(b.dir+slash+at.sub()+slash+at.name, false)
		if err == nil && st.Size == length && st.Mtime == date.UnixNano() { // else it has another name or content by now: learned later
			e.Stamp = stampOf(st)
		}
		return fn(e, mail.Body{Size: size, Reader: &exact{from: &toWire{from: contextReader{ctx, from}, buf: *buf}, left: size, same: same}})
	})
	if err != nil {
		return fmt.Errorf("fetch messages of %q: %w", name, err)
	}
	return nil
}

// wireBody finds out how long a message is in wire form. A small one is read once, into buf; a large one is read through, and
// again when it is sent.
func wireBody(r File, buf []byte) (size int64, from io.Reader, date time.Time, err error) {
	length, date, err := r.Info()
	if err != nil {
		return 0, nil, date, err
	}
	if length < int64(len(buf)) {
		n, err := io.ReadFull(r, buf)
		if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			if err == nil {
				err = errors.New("it grew while it was read")
			}
			return 0, nil, date, err
		}
		size, err = wireSize(bytes.NewReader(buf[:n]))
		return size, bytes.NewReader(buf[:n]), date, err
	}
	if size, err = wireSize(r); err == nil {
		err = r.Rewind()
	}
	return size, r, date, err
}
