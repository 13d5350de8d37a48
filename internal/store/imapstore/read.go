package imapstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

var digesters = sync.Pool{New: func() any { return mail.NewDigester() }}

// idHeader are the header fields that identify a message, and those that are no part of its content.
var idHeader = append([]string{"MESSAGE-ID"}, mail.AddedHeaders()...)

func idItems(full bool) imap.FetchItems {
	it := imap.FetchItems{InternalDate: true, EmailID: true, GmailMsgID: true, Body: full, Size: !full}
	if !full {
		it.Header = idHeader
	}
	return it
}

// identOf makes an identity of an answer to idItems.
func identOf(m *imap.Message) (mail.Ident, error) {
	d := digesters.Get().(*mail.Digester)
	defer digesters.Put(d)
	d.Reset()
	var id mail.Ident
	if m.HasBody {
		if _, err := io.Copy(d, m.Body); err != nil {
			return id, err
		}
		id = d.Ident()
	} else {
		_, _ = d.Write(m.Header)
		id.MessageID = d.Ident().MessageID
		if m.HasSize && m.Size > 0 {
			id.Size = m.Size - addedSize(m.Header)
		}
	}
	if !m.InternalDate.IsZero() {
		id.Date = m.InternalDate.Unix()
	}
	id.Stable = stableID(m)
	return id, nil
}

// addedSize is the length of the fields that are no part of the content.
func addedSize(header []byte) (size int64) {
	added := false
	for line := range bytes.Lines(header) {
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			added = false
			for _, a := range mail.AddedHeaders() {
				added = added || bytes.EqualFold(bytes.TrimSpace(name), []byte(a))
			}
		}
		if added {
			size += int64(len(line))
		}
	}
	return size
}

// Identify implements store.Store.
func (s *Store) Identify(ctx context.Context, box mail.Box, keys []mail.Key, full bool, fn func(mail.Key, mail.Ident) error) error {
	told := imap.NumSet{}
	err := s.read(ctx, box, func(c *conn) error {
		return s.fetching(ctx, c, box, keys, setOf(keys), idItems(full), func(m *imap.Message) error {
			if told.Contains(m.UID) || full && !m.HasBody {
				return nil // told before the connection broke; or a message without body, which is none
			}
			id, err := identOf(m)
			if err != nil {
				return err // of the connection
			}
			told.Add(m.UID)
			if err := fn(mail.UIDKey(m.UID), id); err != nil {
				return own{err}
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("identify messages of %q: %w", box, err)
	}
	return nil
}

// Traces implements store.Tracer.
func (s *Store) Traces(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Key, mail.Ident, mail.Hash) error) error {
	items := idItems(false)
	items.HeaderTo = mail.MaxHeader
	told := imap.NumSet{}
	err := s.read(ctx, box, func(c *conn) error {
		return s.fetching(ctx, c, box, keys, setOf(keys), items, func(m *imap.Message) error {
			if n := len(m.Header); told.Contains(m.UID) || n == 0 || n >= mail.MaxHeader {
				return nil
			}
			told.Add(m.UID)
			id, err := identOf(m)
			if err == nil {
				err = fn(mail.UIDKey(m.UID), id, mail.TraceDigest(m.Header))
			}
			if err != nil {
				return own{err}
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read headers in %q: %w", box, err)
	}
	return nil
}

// fetching is fetchAll in a mailbox that may have to be opened, in the same flight.
func (s *Store) fetching(ctx context.Context, c *conn, box mail.Box, keys []mail.Key, set imap.NumSet, items imap.FetchItems, fn func(*imap.Message) error) error {
	f := &flight{c: c, items: items, pieces: set.Split(maxSet), fn: fn}
	return s.flying(ctx, f, box, keys)
}

// flying carries out a flight in a mailbox that may have to be opened, in the same flight.
func (s *Store) flying(ctx context.Context, f *flight, box mail.Box, keys []mail.Key) error {
	fn := f.fn
	return s.visiting(ctx, f.c, box, highest(keys), func(ready func() (bool, error)) error {
		f.fn = func(m *imap.Message) error {
			if ok, err := ready(); !ok {
				return err
			}
			return fn(m)
		}
		return f.run(ctx)
	})
}

// inParts is fetching for bodies: on a link of which nothing is known, a few come first, and over a slow one they come compressed. On a
// fast one the rest is asked for while some more of them are under way.
func (s *Store) inParts(ctx context.Context, c *conn, box mail.Box, keys []mail.Key, set imap.NumSet, items imap.FetchItems, fn func(*imap.Message) error) error {
	for {
		if err := s.squeeze(ctx, c, down, set.Len()); err != nil {
			return err
		}
		f := &flight{c: c, items: items, fn: fn}
		rest := set
		if n := s.first(c, set.Len()); n > 0 {
			for _, n := range [...]int{n, bridge} {
				part := firstOf(rest, n)
				f.pieces, rest = append(f.pieces, part), without(rest, part)
			}
			f.goesOn = func() bool { return !s.link.pays(down, rest.Len()) }
		}
		f.pieces = append(f.pieces, rest.Split(maxSet)...)
		c.wire.bulk.Store(true)
		err := s.flying(ctx, f, box, keys)
		c.wire.bulk.Store(false)
		if err != nil || !f.stopped {
			return err
		}
		set = rest
	}
}

// fetchAll fetches a set in pieces that servers take, all in one flight.
func fetchAll(ctx context.Context, c *conn, set imap.NumSet, items imap.FetchItems, fn func(*imap.Message) error) error {
	return (&flight{c: c, items: items, pieces: set.Split(maxSet), fn: fn}).run(ctx)
}

// flight fetches pieces of a set, one behind the other without waiting. An error of fn ends it; bodies that are still to come are not
// worth waiting for, so the connection goes then.
type flight struct {
	c       *conn
	items   imap.FetchItems
	pieces  []imap.NumSet
	fn      func(*imap.Message) error
	goesOn  func() bool // nil, or asked after the first piece, while the second is under way, whether to send those behind
	stopped bool        // they were not sent
}

func (f *flight) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed error
	bodies := imap.NumSet{}
	take := func(m *imap.Message) error {
		if failed == nil && m.HasBody && bodies.Contains(m.UID) {
			failed = fmt.Errorf("%w: the body of message %d twice", errLies, m.UID)
		}
		if failed == nil {
			if m.HasBody {
				bodies.Add(m.UID)
			}
			failed = f.fn(m)
		}
		if failed != nil && f.items.Body {
			cancel()
		}
		return failed
	}
	var calls []*imap.Call[imap.Status]
	for i, part := range f.pieces {
		if i == 2 && f.goesOn != nil {
			if _, err := calls[0].Wait(ctx); err != nil || !f.goesOn() {
				f.stopped = err == nil
				break
			}
		}
		calls = append(calls, f.c.client.UIDFetch(part, f.items, imap.FetchOptions{}, take))
	}
	first := waitAll(ctx, calls)
	if failed != nil {
		return failed
	}
	return first
}

// source is a body that remembers how its reading ended.
type source struct {
	from io.Reader
	n    int64
	err  error
}

func (r *source) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.n += int64(n)
	if err != nil {
		r.err = err
	}
	return n, err
}

// failed reports whether the body could not be read, or is not as long as was said.
func (r *source) failed(size int64) bool {
	if r.err == nil {
		return r.n > size
	}
	return !errors.Is(r.err, io.EOF) || r.n != size
}

// Fetch implements store.Store.
func (s *Store) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	f := &fetcher{s: s, box: box, keys: keys, fn: fn, bad: map[mail.Key]error{}}
	err := s.read(ctx, box, func(c *conn) error {
		set := setOf(keys)
		if !f.told.Empty() {
			set = without(set, f.told)
		}
		return f.all(ctx, c, set)
	})
	if err == nil && len(f.bad) > 0 {
		return &store.UnreadableError{Keys: f.bad}
	}
	if err != nil {
		return fmt.Errorf("fetch messages of %q: %w", box, err)
	}
	return nil
}

// fetcher hands out the messages of one batch.
type fetcher struct {
	s    *Store
	box  mail.Box
	keys []mail.Key
	fn   func(mail.Entry, mail.Body) error
	told imap.NumSet // handed out
	bad  map[mail.Key]error
	slow bool // a refusal was given time to pass
}

// mostBad is how many messages of a batch may be unreadable. If more are, it is not for the messages.
const mostBad = 10

// all fetches a set. Of one that the server refuses it looks for the messages that it refuses, and goes on without them.
func (f *fetcher) all(ctx context.Context, c *conn, set imap.NumSet) error {
	err := f.s.inParts(ctx, c, f.box, f.keys, set, imap.FetchItems{Flags: true, InternalDate: true, Body: true}, f.take)
	var o own
	e := refusal(err)
	if e == nil || errors.As(err, &o) || e.Kind != "NO" || e.Throttled() || c.client.Err() != nil {
		return err
	}
	rest := without(set, f.told)
	switch n := rest.Len(); {
	case n == 0 || c.box != f.box: // some were gone (RFC 2180 section 4.1.2), or the mailbox is
		return ifNone(n, err)
	case n > 1:
		half := firstOf(rest, n/2)
		if err := f.all(ctx, c, half); err != nil {
			return err
		}
		return f.all(ctx, c, without(rest, half))
	case !f.slow:
		f.slow = true
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		return f.all(ctx, c, rest)
	case len(f.bad) == mostBad:
		return err
	}
	f.bad[mail.UIDKey(rest.Min())] = fmt.Errorf("read message with UID %d: %w", rest.Min(), err)
	f.told.AddSet(rest)
	return nil
}

func ifNone(n int, err error) error {
	if n == 0 {
		return nil
	}
	return err
}

// take hands out a message.
func (f *fetcher) take(m *imap.Message) error {
	if !m.HasBody || f.told.Contains(m.UID) {
		return nil
	}
	e := mail.Entry{Key: mail.UIDKey(m.UID), Flags: mail.ParseFlags(m.Flags)}
	if !m.InternalDate.IsZero() {
		e.Ident.Date = m.InternalDate.Unix()
	}
	f.told.Add(m.UID)
	body := &source{from: m.Body}
	switch err := f.fn(e, mail.Body{Size: m.BodySize, Reader: body}); {
	case err == nil:
		return nil
	case body.err != nil && !errors.Is(body.err, io.EOF):
		return fmt.Errorf("%w: %w", store.ErrUnreachable, err) // not again: fn has seen a part
	default:
		return own{err}
	}
}

// firstOf returns the first n messages of a set.
func firstOf(set imap.NumSet, n int) (part imap.NumSet) {
	for uid := range set.All() {
		if n--; n < 0 {
			break
		}
		part.Add(uid)
	}
	return part
}

// without returns the messages of a set that are not in less.
func without(set, less imap.NumSet) imap.NumSet {
	rest := set.Clone()
	rest.Remove(less)
	return rest
}
