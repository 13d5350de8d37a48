package sift

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"mime"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
)

// Shown is a message as people know it.
type Shown struct {
	Box           mail.Box
	File          string
	Date          time.Time // internal
	Bytes         int64
	From, Subject string
}

// maxShown bounds what is read of a header to be shown.
const maxShown = 64 << 10

// Show tells what message it is; header asks for what it takes a look into the file for.
func (f *Found) Show(o Options, i uint32, header bool) Shown {
	m := f.Table.At(i)
	s := Shown{Box: o.Folders[m.Box].Name, File: string(f.Table.Name(m)), Date: time.Unix(m.Date, 0), Bytes: m.Size}
	if !header {
		return s
	}
	file, err := f.file(o, m)
	if err != nil {
		return s
	}
	defer func() { _ = file.Close() }()
	msg, err := netmail.ReadMessage(bufio.NewReader(io.LimitReader(file, maxShown)))
	if err == nil {
		s.From, s.Subject = decoded(msg.Header.Get("From")), decoded(msg.Header.Get("Subject"))
	}
	return s
}

// Stale reports whether a message is not what the table says any more. It is for messages that are told of without having been
// looked at in this run.
func (f *Found) Stale(o Options, i uint32) bool {
	m := f.Table.At(i)
	var st unix.Stat_t
	path := filepath.Join(o.Folders[m.Box].Dir, sub(m), string(f.Table.Name(m)))
	return retry(func() error { return unix.Lstat(path, &st) }) != nil || stampOf(&st) != m.Stamp
}

func sub(m *dedupe.Message) string {
	if m.Bits&dedupe.Cur != 0 {
		return "cur"
	}
	return "new"
}

func (f *Found) file(o Options, m *dedupe.Message) (*os.File, error) {
	path := filepath.Join(o.Folders[m.Box].Dir, sub(m), string(f.Table.Name(m)))
	fd, err := openAt(unix.AT_FDCWD, path)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil //nolint:gosec // a descriptor
}

// decoded reads encoded words (RFC 2047).
func decoded(s string) string {
	var d mime.WordDecoder
	if t, err := d.DecodeHeader(s); err == nil {
		return t
	}
	return s
}

// Differ says in what two messages differ: names of header fields, sorted, and "body". Ignored fields do not count.
func (f *Found) Differ(ctx context.Context, o Options, a, b uint32) ([]string, error) {
	x, err := f.parts(ctx, o, a)
	if err != nil {
		return nil, err
	}
	y, err := f.parts(ctx, o, b)
	if err != nil {
		return nil, err
	}
	return x.Differ(y), nil
}

func (f *Found) parts(ctx context.Context, o Options, i uint32) (p Parts, err error) {
	file, err := f.file(o, f.Table.At(i))
	if err != nil {
		return p, err
	}
	defer func() { _ = file.Close() }()
	return ReadParts(ctx, file)
}

// Parts are what two messages are compared by.
type Parts struct {
	fields map[string]string // by name
	body   [sha256.Size]byte
}

// Differ says in what two messages differ: names of header fields, sorted, and "body". Ignored fields do not count.
func (p *Parts) Differ(o Parts) (names []string) {
	for name, value := range p.fields {
		if o.fields[name] != value {
			names = append(names, name)
		}
	}
	for name := range o.fields {
		if _, ok := p.fields[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if p.body != o.body {
		names = append(names, "body")
	}
	return names
}

// ReadParts reads a message. What it holds in memory is bounded.
func ReadParts(ctx context.Context, message io.Reader) (p Parts, err error) {
	r := bufio.NewReaderSize(message, bufSize)
	p.fields = map[string]string{}
	name, room := "", 4*maxShown
	for first := true; room > 0; first = false {
		line, err := r.ReadSlice('\n')
		if room -= len(line); first && dedupe.IsEnvelope(line) {
			continue
		}
		text := string(bytes.TrimRight(line, "\r\n"))
		if text == "" || err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
		if text[0] != ' ' && text[0] != '\t' {
			before, _, _ := strings.Cut(text, ":")
			name = strings.TrimRight(before, " \t")
		}
		if !dedupe.Ignores(name) {
			p.fields[name] += text
		}
	}
	sum := sha256.New()
	buf := make([]byte, bufSize)
	for ctx.Err() == nil {
		n, err := r.Read(buf)
		sum.Write(bytes.ReplaceAll(buf[:n], []byte{'\r'}, nil))
		if errors.Is(err, io.EOF) {
			sum.Sum(p.body[:0])
			return p, nil
		}
		if err != nil {
			return p, err
		}
	}
	return p, ctx.Err()
}

// SenderAndSubject reads both from a header, for people.
func SenderAndSubject(header []byte) (from, subject string) {
	msg, err := netmail.ReadMessage(bytes.NewReader(header[:min(len(header), maxShown)]))
	if err != nil {
		return "", ""
	}
	return decoded(msg.Header.Get("From")), decoded(msg.Header.Get("Subject"))
}
