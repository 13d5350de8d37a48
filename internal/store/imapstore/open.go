package imapstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// opening is a mailbox that is being opened on a connection.
type opening struct {
	s    *Store
	c    *conn
	box  mail.Box
	name string
	call *imap.Call[imap.Selected]
	once sync.Once
	err  error
}

// open sends what opens a mailbox on a connection, whatever was open there before. An answer to what is sent behind it counts only
// after entered.
func (s *Store) send(c *conn, box mail.Box, o imap.SelectOptions) (*opening, error) {
	name, err := s.nameOf(box)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrGone, err) // no mailbox can have this name
	}
	o.ReadOnly = s.cfg.ReadOnly
	o.Condstore = c.condstor && !c.qresync
	c.box = ""
	o.OnOpen = func(sel imap.Selected) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.exists = int64(sel.Exists)
	}
	s.mu.Lock()
	c.opened = s.views
	s.mu.Unlock()
	return &opening{s: s, c: c, box: box, name: name, call: c.client.Select(name, o)}, nil
}

// entered notes what was said of the mailbox, once its command has ended. It does not wait.
func (o *opening) entered() error {
	o.once.Do(func() { o.err = o.note() })
	return o.err
}

func (o *opening) note() error {
	sel, err := o.call.Result()
	switch {
	case err != nil:
		return err
	case sel.UIDValidity == 0:
		return errNoEpoch
	case sel.UIDNotSticky:
		return errNoUIDs
	case !sel.HasExists:
		return errNoCount
	case sel.Exists > maxMessages:
		return fmt.Errorf("%w: %d messages in one mailbox", errLies, sel.Exists)
	}
	s, c := o.s, o.c
	if !c.condstor {
		sel.HighestModSeq = 0
	}
	c.box, c.sel, c.writable = o.box, sel, !sel.ReadOnly && !s.cfg.ReadOnly
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nexts[o.box] = sel.UIDNext
	if c.writable {
		s.holding[o.box] = storable(sel.PermanentFlags)
	}
	return nil
}

// enter opens a mailbox on a connection. It does not look at the epoch.
func (s *Store) enter(ctx context.Context, c *conn, box mail.Box, o imap.SelectOptions) error {
	op, err := s.send(c, box, o)
	if err != nil {
		return err
	}
	begun := time.Now()
	if _, err := op.call.Wait(ctx); err != nil {
		return s.absent(ctx, c, op.name, err)
	}
	s.link.trip(time.Since(begun))
	return op.entered()
}

// absent makes a refusal ErrGone if there is no such mailbox. Not every server says so with a code.
func (s *Store) absent(ctx context.Context, c *conn, name string, err error) error {
	e := refusal(err)
	switch {
	case e == nil:
		return err
	case e.Code == "NONEXISTENT" || e.Code == "TRYCREATE":
		return fmt.Errorf("%w: %w", store.ErrGone, err)
	case e.Temporary() || e.Kind != "NO":
		return err
	}
	if there, lerr := s.exists(ctx, c, name); lerr != nil || there {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrGone, err)
}

// exists asks whether a mailbox is there.
func (s *Store) exists(ctx context.Context, c *conn, name string) (bool, error) {
	there := false
	_, err := c.client.List("", name, imap.ListOptions{}, func(it imap.ListItem) {
		there = there || it.Name == name && !notThere(it.Attrs) // wildcards in the name may bring others
	}).Wait(ctx)
	return there, err
}

// check compares the epoch of the open mailbox with the one that this session saw first, or in its last view.
func (s *Store) check(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, ok := s.epochs[c.box]
	if !ok {
		s.epochs[c.box] = c.sel.UIDValidity
		return nil
	}
	if seen != c.sel.UIDValidity {
		return fmt.Errorf("%w: UIDVALIDITY is %d, was %d", store.ErrEpoch, c.sel.UIDValidity, seen)
	}
	if next, floor := c.sel.UIDNext, s.floors[c.box]; next != 0 && next < floor {
		return fmt.Errorf("%w: UIDNEXT is %d, was %d", store.ErrEpoch, next, floor)
	}
	return nil
}

// visit makes sure that a connection has a mailbox open in which the messages up to a UID are known, with what the last view
// showed of them. A server may let a session see what others did only when it pauses (Dovecot holds NOOP back while more
// commands come), so a mailbox that was opened too early is opened again.
func (s *Store) visit(ctx context.Context, c *conn, box mail.Box, high uint32) error {
	s.mu.Lock()
	fresh := c.box == box && c.opened >= s.viewed[box] && high < c.sel.UIDNext
	s.mu.Unlock()
	if fresh && s.check(c) == nil {
		return nil
	}
	if err := s.enter(ctx, c, box, imap.SelectOptions{}); err != nil {
		return err
	}
	return s.check(c)
}

// visiting is visit for what only reads: if the mailbox has to be opened first, what read sends goes behind that in the same flight. read
// must ask ready before it believes what comes: false means that it is still of the mailbox that was open before.
func (s *Store) visiting(ctx context.Context, c *conn, box mail.Box, high uint32, read func(ready func() (bool, error)) error) error {
	s.mu.Lock()
	fresh := c.box == box && c.opened >= s.viewed[box] && high < c.sel.UIDNext
	s.mu.Unlock()
	if fresh && s.check(c) == nil {
		return read(func() (bool, error) { return true, nil })
	}
	op, err := s.send(c, box, imap.SelectOptions{})
	if err != nil {
		return err
	}
	entered := func() error {
		if err := op.entered(); err != nil {
			return err
		}
		return s.check(c)
	}
	rerr := read(func() (bool, error) {
		select {
		case <-op.call.Done():
			err := entered()
			return err == nil, err
		default:
			return false, nil
		}
	})
	if _, err := op.call.Wait(ctx); err != nil {
		if broken(rerr) {
			return rerr
		}
		return s.absent(ctx, c, op.name, err)
	}
	if err := entered(); err != nil {
		return err
	}
	return rerr
}

// highest returns the highest UID among keys.
func highest(keys []mail.Key) (high uint32) {
	for _, k := range keys {
		if uid, ok := k.UID(); ok {
			high = max(high, uid)
		}
	}
	return high
}

// change runs an effect on messages up to a UID of a mailbox that is open for writing, in the epoch that was seen. The effect is
// never repeated; opening the mailbox is, if the connection has died at rest.
func (s *Store) change(ctx context.Context, box mail.Box, high uint32, fn func(*conn) error) error {
	return s.changing(ctx, box, func(c *conn) error { return s.visit(ctx, c, box, high) }, fn)
}

// changing is change for a mailbox that open makes sure to be open.
func (s *Store) changing(ctx context.Context, box mail.Box, open, fn func(*conn) error) error {
	if s.cfg.ReadOnly {
		return errReadOnly
	}
	for try := 0; ; try++ {
		c, err := s.lease(ctx, box)
		if err != nil {
			return s.fault(ctx, err)
		}
		err = open(c)
		if err != nil && try == 0 && ctx.Err() == nil && s.again(ctx, err) {
			s.release(c, err)
			continue
		}
		if err == nil && !c.writable {
			err = store.ErrReadOnly
		}
		if err == nil {
			if err = fn(c); refusal(err) != nil {
				err = s.doubt(ctx, c, box, err)
			}
		}
		s.release(c, err)
		return s.fault(ctx, err)
	}
}

// effect runs an effect that needs no open mailbox. It is never repeated.
func (s *Store) effect(ctx context.Context, box mail.Box, fn func(*conn) error) error {
	if s.cfg.ReadOnly {
		return errReadOnly
	}
	c, err := s.lease(ctx, box)
	if err != nil {
		return s.fault(ctx, err)
	}
	err = fn(c)
	s.release(c, err)
	return s.fault(ctx, err)
}

// doubt looks after a refusal whether the mailbox is still the one that was opened, perhaps long ago.
func (s *Store) doubt(ctx context.Context, c *conn, box mail.Box, err error) error {
	again := s.enter(ctx, c, box, imap.SelectOptions{})
	if again == nil {
		again = s.check(c)
	}
	if errors.Is(again, store.ErrEpoch) || errors.Is(again, store.ErrGone) {
		return again
	}
	return err
}

// holds returns what the mailbox can hold, as far as it is known.
func (s *Store) holds(box mail.Box) (mail.Storable, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.holding[box]
	return st, ok
}

// flagNames returns the flags to send, and those that the mailbox cannot hold or IMAP cannot write.
func flagNames(st mail.Storable, f mail.Flags) (names []string, lacks mail.Flags) {
	lacks = st.Lacks(f)
	var odd []string
	for _, w := range f.Words() {
		if !isAtom(w) {
			odd = append(odd, w)
		}
	}
	if len(odd) > 0 {
		lacks = lacks.Union(mail.Flags{Keywords: mail.Keywords(odd...)})
	}
	return f.Minus(lacks).Names(), lacks
}

// isAtom reports whether a keyword can be written (RFC 9051 section 9, flag-keyword).
func isAtom(w string) bool {
	for i := range len(w) {
		switch c := w[i]; {
		case c <= ' ' || c >= 0x7f:
			return false
		case c == '(' || c == ')' || c == '{' || c == '%' || c == '*' || c == '"' || c == '\\' || c == ']':
			return false
		}
	}
	return w != ""
}
