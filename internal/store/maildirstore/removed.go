package maildirstore

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"io"
	"io/fs"
	"mime"
	netmail "net/mail"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailtwin/internal/mail"
)

// Removed is a message in the attic.
type Removed struct {
	ID   string    // stays the same as long as the message is there
	Box  mail.Box  // that it was in
	At   time.Time // when it was removed; only the day is known if that is midnight UTC
	Date time.Time // its internal date
	Size int64     // of the file

	dir  *atticDir
	name string
}

// atticDir is what a mailbox lost on one day.
type atticDir struct {
	path  string
	words []string // keywords by letter
}

// Header is what people know a message by; a header that cannot be read leaves it empty.
type Header struct {
	Date          time.Time
	From, Subject string
}

// Removed lists what is in the attic and was removed at or after since, newest first. boxes: these alone; none: all. It reads no
// message and changes nothing.
func (s *Store) Removed(ctx context.Context, since time.Time, boxes ...mail.Box) (list []Removed, err error) {
	days, err := s.atticDays()
	if err != nil {
		return nil, s.trouble("list removed messages", err)
	}
	for _, d := range days {
		if d.end().Before(since) {
			continue
		}
		err := s.eachFolder(d.path, func(dir string) error {
			box, err := s.atticBox(dir)
			if err != nil || len(boxes) > 0 && !slices.Contains(boxes, box) {
				return err
			}
			return s.removedFrom(ctx, d, dir, box, &list)
		})
		if err != nil {
			return nil, s.trouble("list removed messages", err)
		}
	}
	list = slices.DeleteFunc(list, func(r Removed) bool { return r.At.Before(since) })
	slices.SortFunc(list, func(a, b Removed) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Box, b.Box), b.Date.Compare(a.Date), cmp.Compare(a.name, b.name))
	})
	return list, nil
}

// removedFrom adds the messages of one folder.
func (s *Store) removedFrom(ctx context.Context, d atticDay, dir string, box mail.Box, list *[]Removed) error {
	words, err := s.keywords(dir)
	if err != nil {
		return err
	}
	from := &atticDir{path: dir, words: words}
	names, err := s.stowed(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		st, err := s.fs.Stat(filepath.Join(dir, name), false)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		at := d.begin
		if t := time.Unix(0, st.Ctime).UTC(); !t.Before(d.begin) && t.Before(d.end()) { // else the file was touched since
			at = t
		}
		sum := sha256.Sum256([]byte(d.begin.Format(dayForm) + "/" + filepath.Base(dir) + "/" + name))
		*list = append(*list, Removed{
			ID: strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5])), Box: box, At: at, Date: time.Unix(0, st.Mtime),
			Size: st.Size, dir: from, name: name,
		})
	}
	return nil
}

// Header reads the header of a removed message.
func (s *Store) Header(r Removed) (h Header, err error) {
	f, err := s.fs.Open(filepath.Join(r.dir.path, r.name))
	if err != nil {
		return h, s.trouble("read removed message "+r.ID, err)
	}
	defer func() { _ = f.Close() }()
	m, err := netmail.ReadMessage(bufio.NewReader(io.LimitReader(f, 64<<10)))
	if err != nil {
		return h, nil //nolint:nilerr // what is no header has nothing to show
	}
	h.From, h.Subject = decoded(m.Header.Get("From")), decoded(m.Header.Get("Subject"))
	if t, err := m.Header.Date(); err == nil {
		h.Date = t
	}
	return h, nil
}

// decoded reads encoded words (RFC 2047).
func decoded(s string) string {
	var d mime.WordDecoder
	if t, err := d.DecodeHeader(s); err == nil {
		return t
	}
	return s
}

// atticDay is the attic's folder of one day.
type atticDay struct {
	begin time.Time
	path  string
}

func (d atticDay) end() time.Time { return d.begin.Add(day) }

// atticDays lists the days of the attic, oldest first. What is called otherwise is not ours.
func (s *Store) atticDays() (days []atticDay, err error) {
	err = s.eachFolder(s.c.Attic, func(path string) error {
		if begin, err := time.Parse(dayForm, filepath.Base(path)); err == nil {
			days = append(days, atticDay{begin, path})
		}
		return nil
	})
	slices.SortFunc(days, func(a, b atticDay) int { return a.begin.Compare(b.begin) })
	return days, err
}

// eachFolder calls fn for the folders in a folder, by name; for none if that is not there.
func (s *Store) eachFolder(path string, fn func(path string) error) error {
	var names []string
	err := s.fs.Each(path, func(name string, typ fs.FileMode) error {
		if typ.IsDir() {
			names = append(names, name)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if err := fn(filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// stowed lists the messages in a folder of the attic.
func (s *Store) stowed(dir string) (names []string, err error) {
	err = s.fs.Each(dir, func(name string, typ fs.FileMode) error {
		if name != keywordsFile && name[0] != '.' && typ.IsRegular() && !leftover(name) {
			names = append(names, name)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return names, err
}
