package memstore

import (
	"bytes"
	"context"
	"fmt"

	"mailtwin/internal/mail"
)

// Identify implements store.Store.
func (s *Store) Identify(ctx context.Context, box mail.Box, keys []mail.Key, full bool, fn func(mail.Key, mail.Ident) error) error {
	err := s.each(ctx, Identify, box, keys, func(m message) error {
		id := m.ident()
		if full {
			s.count(len(m.body.data), 0)
		} else {
			id.Digest = mail.Hash{}
		}
		return fn(m.key, id)
	})
	if err != nil {
		return fmt.Errorf("identify messages in %q: %w", box, err)
	}
	return nil
}

// Traces implements store.Tracer.
func (s *Store) Traces(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Key, mail.Ident, mail.Hash) error) error {
	err := s.each(ctx, Traces, box, keys, func(m message) error {
		head, _, _ := bytes.Cut(m.body.data, []byte("\n\r\n"))
		s.count(len(head), 0)
		id := m.ident()
		id.Digest = mail.Hash{}
		return fn(m.key, id, mail.TraceDigest(m.body.data))
	})
	if err != nil {
		return fmt.Errorf("read headers in %q: %w", box, err)
	}
	return nil
}

// Fetch implements store.Store.
func (s *Store) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	err := s.each(ctx, Fetch, box, keys, func(m message) error {
		s.count(len(m.body.data), 0)
		e := mail.Entry{Key: m.key, Flags: m.flags, Stamp: m.stamp, Ident: mail.Ident{Date: m.date, Stable: m.stable}}
		return fn(e, mail.Body{Size: int64(len(m.body.data)), Reader: bytes.NewReader(m.body.data)})
	})
	if err != nil {
		return fmt.Errorf("fetch messages of %q: %w", box, err)
	}
	return nil
}

// each calls fn without the lock for each of the keys that is there when its turn comes.
func (s *Store) each(ctx context.Context, method Method, box mail.Box, keys []mail.Key, fn func(message) error) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := s.hook(ctx, Read{Method: method, Box: box}); err != nil {
		return err
	}
	for i := range keys {
		k := keys[i]
		if s.opts.Reverse {
			k = keys[len(keys)-1-i]
		}
		if err := s.hook(ctx, Read{Method: method, Box: box, Key: k}); err != nil {
			return err
		}
		m, err := s.get(box, k)
		if err != nil {
			return err
		}
		if m.body == nil {
			continue
		}
		if err := fn(m); err != nil {
			return err
		}
	}
	if len(keys) == 0 {
		_, err := s.get(box, "")
		return err
	}
	return nil
}

// get returns a copy of a message, the zero value if it is not there.
func (s *Store) get(box mail.Box, k mail.Key) (message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(box)
	if err != nil {
		return message{}, err
	}
	if m := b.msgs[k]; m != nil {
		return *m, nil
	}
	return message{}, nil
}

func (s *Store) count(in, out int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.BytesIn += int64(in)
	s.counts.BytesOut += int64(out)
}
