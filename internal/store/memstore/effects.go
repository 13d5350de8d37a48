package memstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Prepare implements store.Store: a token is a fresh name, or UIDVALIDITY and UIDNEXT.
func (s *Store) Prepare(ctx context.Context, box mail.Box, entries []mail.Entry) ([]mail.Token, error) {
	err := s.begin(ctx)
	if err == nil {
		err = s.hook(ctx, Read{Method: Prepare, Box: box})
	}
	if err != nil {
		return nil, fmt.Errorf("prepare mailbox %q: %w", box, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.box(box)
	if err != nil {
		return nil, fmt.Errorf("prepare mailbox %q: %w", box, err)
	}
	tokens := make([]mail.Token, len(entries))
	uid := mail.Token(s.epoch(b) + "/" + strconv.FormatUint(uint64(b.next), 10))
	for i := range tokens {
		tokens[i] = uid
		if s.opts.Kind == Maildir {
			tokens[i] = mail.Token(s.name())
		}
	}
	return tokens, nil
}

// parse splits a token of an IMAP-like store; false if it is none.
func parse(t mail.Token) (epoch string, next mail.Key, ok bool) {
	epoch, uid, ok := strings.Cut(string(t), "/")
	n, err := strconv.ParseUint(uid, 10, 32)
	return epoch, mail.UIDKey(uint32(n)), ok && err == nil
}

// target finds the mailbox that an intent goes to; its token must be of the mailbox's epoch.
func (s *Store) target(in *mail.Intent) (*mailbox, mail.Key, error) {
	b, err := s.writable(in.Box)
	if err != nil {
		return nil, "", err
	}
	if s.opts.Kind == Maildir {
		return b, mail.Key(in.Token), nil
	}
	if epoch, _, ok := parse(in.Token); ok && epoch != s.epoch(b) {
		return nil, "", store.ErrEpoch
	}
	return b, "", nil
}

// done reports a message that is where it should be.
func (s *Store) done(m *message, lacks mail.Flags) mail.Done {
	if s.opts.NoKeys {
		return mail.Done{Lacks: lacks}
	}
	return mail.Done{Key: m.key, Stamp: m.stamp, Lacks: lacks}
}

// Put implements store.Store.
func (s *Store) Put(ctx context.Context, box mail.Box, intents []mail.Intent, bodies store.Bodies) ([]mail.Done, error) {
	if err := s.begin(ctx); err != nil {
		return nil, fmt.Errorf("put messages into %q: %w", box, err)
	}
	s.mu.Lock()
	_, err := s.writable(box)
	s.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("put messages into %q: %w", box, err)
	}
	done := make([]mail.Done, len(intents))
	had := make([]bool, len(intents))
	err = bodies(ctx, func(i int, e mail.Entry, b mail.Body) error {
		if i < 0 || i >= len(intents) || had[i] {
			return fmt.Errorf("message %d was not expected", i)
		}
		had[i] = true
		return s.put(ctx, box, &intents[i], e, b, &done[i])
	})
	if err != nil {
		return nil, fmt.Errorf("put messages into %q: %w", box, err)
	}
	return done, nil
}

func (s *Store) put(ctx context.Context, box mail.Box, in *mail.Intent, e mail.Entry, b mail.Body, done *mail.Done) error {
	data, err := read(b)
	if err != nil {
		return err
	}
	s.count(0, len(data))
	if s.opts.Refuse != nil {
		if err := s.opts.Refuse(box, e, data); err != nil {
			done.Err = fmt.Errorf("put message into %q: %w: %w", box, store.ErrRefused, err)
			return nil
		}
	}
	return s.effect(ctx, Effect{Method: Put, Box: box}, func(eff *Effect) error {
		into, want, err := s.target(&mail.Intent{Box: box, Token: in.Token})
		if err != nil {
			return err
		}
		lacks := s.opts.Storable.Lacks(e.Flags)
		m := message{flags: e.Flags.Minus(lacks), date: e.Ident.Date, body: &body{data: data}}
		p := into.msgs[want]
		if p == nil || p.body.id() != m.body.id() { // else it is the same message, put again under its name
			p = s.insert(into, m, want)
		}
		eff.Key, *done = p.key, s.done(p, lacks)
		return nil
	})
}

var errLonger = errors.New("the body is longer than its size")

// read reads a body, which must have exactly the size that it says.
func read(b mail.Body) ([]byte, error) {
	data := make([]byte, b.Size)
	if _, err := io.ReadFull(b.Reader, data); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read body: %w", err)
	}
	var more [1]byte
	if n, _ := io.ReadFull(b.Reader, more[:]); n > 0 {
		return nil, fmt.Errorf("read body: %w", errLonger)
	}
	return data, nil
}

// Move implements store.Store. The mailbox of an intent that is not there fails that intent alone.
func (s *Store) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	if err := s.begin(ctx); err != nil {
		return nil, fmt.Errorf("move messages from %q: %w", from, err)
	}
	s.mu.Lock()
	_, err := s.source(from, keep)
	s.mu.Unlock()
	done := make([]mail.Done, len(intents))
	for i := range intents {
		if err == nil {
			err = s.moveOne(ctx, from, &intents[i], keep, &done[i])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("move messages from %q: %w", from, err)
	}
	return done, nil
}

// source finds the mailbox that messages are taken from.
func (s *Store) source(from mail.Box, keep bool) (*mailbox, error) {
	if keep {
		return s.box(from)
	}
	return s.writable(from)
}

// moveOne moves or copies one message; where the store has no MOVE, the source goes in an effect of its own.
func (s *Store) moveOne(ctx context.Context, from mail.Box, in *mail.Intent, keep bool, done *mail.Done) error {
	if in.From.Box != from {
		return fmt.Errorf("message of %q among those of another mailbox", in.From.Box)
	}
	m, err := s.get(from, in.From.Key)
	if err != nil || m.body == nil {
		return err
	}
	method := Move
	if keep || s.opts.NoMove {
		method = Copy
	}
	err = s.effect(ctx, Effect{Method: method, Box: from, Key: m.key, To: in.Box}, func(*Effect) error {
		src, err := s.source(from, keep)
		if err != nil {
			return err
		}
		p := src.msgs[in.From.Key]
		if p == nil {
			return nil
		}
		dst, want, err := s.target(in)
		if err != nil {
			done.Err = fmt.Errorf("move message to %q: %w", in.Box, err)
			return nil
		}
		s.durable(src, p.key)
		*done = s.done(s.transfer(src, p, dst, want, method == Move), mail.Flags{})
		return nil
	})
	if err != nil || done.Err != nil || keep || method == Move {
		return err
	}
	return s.deleteOne(ctx, from, in.From.Key, true, nil)
}

// transfer copies a message, and takes the source away unless it is to be kept.
func (s *Store) transfer(src *mailbox, p *message, dst *mailbox, want mail.Key, take bool) *message {
	m := *p
	if !take {
		m.stamp = 0
	}
	if take {
		s.remove(src, p)
	}
	return s.insert(dst, m, want)
}

// ChangeFlags implements store.FlagChanger.
func (s *Store) ChangeFlags(ctx context.Context, box mail.Box, entries []mail.Entry, add, del mail.Flags) (store.Changed, error) {
	keys := make([]mail.Key, len(entries))
	for i, e := range entries {
		keys[i] = e.Key
	}
	did, err := s.SetFlags(ctx, box, keys, add, del)
	did.Secure = func() error { return nil }
	return did, err
}

// SetFlags implements store.Store.
func (s *Store) SetFlags(ctx context.Context, box mail.Box, keys []mail.Key, add, del mail.Flags) (did store.Changed, err error) {
	err = s.begin(ctx)
	did.Lacks = s.opts.Storable.Lacks(add)
	add = add.Minus(did.Lacks)
	for i := 0; i < len(keys) && err == nil; i++ {
		var m message
		if m, err = s.get(box, keys[i]); err != nil {
			continue
		}
		if m.body == nil {
			did.Missing = append(did.Missing, keys[i])
			continue
		}
		err = s.effect(ctx, Effect{Method: SetFlags, Box: box, Key: m.key}, func(*Effect) error {
			b, err := s.writable(box)
			if err == nil {
				s.durable(b, m.key)
				s.setFlags(b, m.key, func(f mail.Flags) mail.Flags { return f.Minus(del).Union(add) })
			}
			return err
		})
	}
	if err != nil {
		return store.Changed{}, fmt.Errorf("set flags in %q: %w", box, err)
	}
	return did, nil
}

// setFlags changes the flags of a message that is there; it is no modification if they stay as they are.
func (s *Store) setFlags(b *mailbox, k mail.Key, change func(mail.Flags) mail.Flags) {
	m := b.msgs[k]
	if m == nil {
		return
	}
	if f := change(m.flags); f != m.flags {
		m.flags = f
		s.touch(b, k)
	}
}

// Delete implements store.Store. Before the first effect it compares the size of each message that is there with the one
// that its entry knows.
func (s *Store) Delete(ctx context.Context, box mail.Box, entries []mail.Entry) ([]mail.Key, error) {
	err := s.begin(ctx)
	if err == nil {
		err = s.sample(box, entries)
	}
	var left []mail.Key
	for i := 0; i < len(entries) && err == nil; i++ {
		err = s.deleteOne(ctx, box, entries[i].Key, false, &left)
	}
	if err != nil {
		return nil, fmt.Errorf("delete messages of %q: %w", box, err)
	}
	return left, nil
}

func (s *Store) sample(box mail.Box, entries []mail.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.writable(box)
	if err != nil {
		return err
	}
	for i := range entries {
		m, size := b.msgs[entries[i].Key], entries[i].Ident.Size
		if m != nil && size != 0 && size != m.body.id().Size {
			return fmt.Errorf("a message has %d bytes instead of %d: %w", m.body.id().Size, size, store.ErrEpoch)
		}
	}
	return nil
}

// deleteOne deletes one message, as the last step of a move for good, else as the store is configured.
func (s *Store) deleteOne(ctx context.Context, box mail.Box, k mail.Key, moved bool, left *[]mail.Key) error {
	m, err := s.get(box, k)
	if err != nil || m.body == nil {
		return err
	}
	return s.effect(ctx, Effect{Method: Delete, Box: box, Key: k}, func(*Effect) error {
		b, err := s.writable(box)
		if err != nil {
			return err
		}
		p := b.msgs[k]
		if p == nil {
			return nil
		}
		s.durable(b, k)
		if s.opts.NoExpunge {
			s.setFlags(b, k, func(f mail.Flags) mail.Flags { return f.Union(mail.Flags{System: mail.Deleted}) })
			if left != nil {
				*left = append(*left, k)
			}
			return nil
		}
		s.expunge(b, p, moved)
		return nil
	})
}

// expunge removes a message: to trash, to the attic, or for good.
func (s *Store) expunge(b *mailbox, p *message, moved bool) {
	switch {
	case moved:
		s.remove(b, p)
	case s.opts.Trash != "" && s.fold(s.opts.Trash) != s.fold(b.name):
		s.transfer(b, p, s.add(s.opts.Trash), p.key, true)
	default:
		if s.opts.Attic {
			s.attic = append(s.attic, p.dump(b.name))
		}
		s.remove(b, p)
	}
}
