package imapstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Prepare implements store.Store: what is to come has a UID at or above the UIDNEXT of now, or of earlier in this session.
func (s *Store) Prepare(ctx context.Context, box mail.Box, entries []mail.Entry) ([]mail.Token, error) {
	s.mu.Lock()
	validity, next := s.epochs[box], s.nexts[box]
	if told := s.told[box]; next == 0 && (validity == 0 || validity == told.validity) {
		validity, next = told.validity, told.next
		if validity != 0 && next != 0 {
			s.epochs[box], s.nexts[box] = validity, next
		}
	}
	s.mu.Unlock()
	if validity == 0 || next == 0 {
		err := s.read(ctx, box, func(c *conn) error {
			name, err := s.nameOf(box)
			if err != nil {
				return fmt.Errorf("%w: %w", store.ErrGone, err)
			}
			st, err := c.client.Status(name, "UIDVALIDITY", "UIDNEXT").Wait(ctx)
			if err != nil {
				return s.absent(ctx, c, name, err)
			}
			if st.UIDValidity == 0 || validity != 0 && st.UIDValidity != validity {
				return store.ErrEpoch
			}
			validity, next = st.UIDValidity, st.UIDNext
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("prepare mailbox %q: %w", box, err)
		}
		s.mu.Lock()
		s.epochs[box], s.nexts[box] = validity, next
		s.mu.Unlock()
	}
	tokens := make([]mail.Token, len(entries))
	for i := range tokens {
		tokens[i] = token(validity, next)
	}
	return tokens, nil
}

// Bounds of one APPEND with several messages (RFC 3502).
const (
	maxTogether = 128
	maxBytes    = 8 << 20
)

// together returns how much goes into one APPEND. A server forgets all of one that is cut short, so where connections do not last, the
// next try sends less in one piece.
func (s *Store) together() (messages int, octets int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cut := 2 * min(s.lost, 5)
	return max(1, maxTogether>>cut), maxBytes >> cut
}

// putter uploads one batch.
type putter struct {
	s         *Store
	c         *conn
	name      string
	intents   []mail.Intent
	holds     mail.Storable
	done      []mail.Done
	single    bool // one message for each command
	most      int  // messages for each command, and octets
	mostBytes int64
	skip      []bool
	octets    int64 // of all messages

	open  *imap.Appender
	group []int // in open
	bytes int64
	sent  []sentGroup
}

// sentGroup is one APPEND under way.
type sentGroup struct {
	call  *imap.Call[imap.AppendResult]
	group []int
}

// Put implements store.Store: with MULTIAPPEND several messages in one command, else pipelined commands. When a command with
// several messages is refused, all that it did not say a UID for are sent once more, one by one.
func (s *Store) Put(ctx context.Context, box mail.Box, intents []mail.Intent, bodies store.Bodies) ([]mail.Done, error) {
	p := &putter{s: s, intents: intents, holds: mail.AnyFlags, done: make([]mail.Done, len(intents)), skip: make([]bool, len(intents))}
	if st, ok := s.holds(box); ok {
		p.holds = st
	}
	p.most, p.mostBytes = s.together()
	err := s.effect(ctx, box, func(c *conn) (err error) {
		defer func() {
			if broken(err) && p.octets > 0 {
				s.mu.Lock()
				s.lost++
				s.mu.Unlock()
			}
		}()
		if p.name, err = s.nameOf(box); err != nil {
			return fmt.Errorf("%w: %w", store.ErrGone, err)
		}
		if err := s.squeeze(ctx, c, up, len(intents)); err != nil {
			return err
		}
		p.c = c
		begun := time.Now()
		again, err := p.pass(ctx, bodies)
		if err == nil && !c.wire.squeezed.Load() {
			s.link.sent(p.octets, time.Since(begun))
		}
		if err == nil && again {
			p.single = true
			_, err = p.pass(ctx, bodies)
		}
		if e := refusal(err); e != nil && (e.Code == "TRYCREATE" || e.Code == "NONEXISTENT") {
			err = fmt.Errorf("%w: %w", store.ErrGone, err)
		} else if e != nil && e.Code == "NOPERM" {
			err = fmt.Errorf("%w: %w", store.ErrReadOnly, err)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("put messages into %q: %w", box, err)
	}
	return p.done, nil
}

// pass sends all messages that are not done. again says that a command with several messages was refused.
func (p *putter) pass(ctx context.Context, bodies store.Bodies) (again bool, err error) {
	var failed error // here, not at the source
	err = bodies(ctx, func(i int, e mail.Entry, b mail.Body) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		src := &source{from: b.Reader}
		if !p.skip[i] {
			err := p.add(ctx, i, e, mail.Body{Size: b.Size, Reader: src})
			if err != nil && src.failed(b.Size) {
				return err
			}
			if failed = err; err != nil {
				return err
			}
		}
		// Who hands the bodies out may digest what is read, so all is read, sent or not.
		_, err := io.Copy(io.Discard, src)
		return err
	})
	if err != nil && failed == nil {
		err = own{err}
	}
	if err != nil && p.open != nil {
		_ = p.c.client.Close() // a command that has begun can be taken back in no other way
	}
	p.finish()
	for _, g := range p.sent {
		res, gerr := g.call.Wait(ctx)
		switch e := refusal(gerr); {
		case gerr == nil:
			p.landed(g, res)
		case e == nil || concernsAll(e):
			err = errors.Join(err, gerr)
		case len(g.group) > 1:
			again = true
		default:
			if e.Code != "SERVERBUG" { // which may be gone in the next run
				gerr = fmt.Errorf("%w: %w", store.ErrRefused, gerr)
			}
			p.done[g.group[0]].Err = gerr
			p.skip[g.group[0]] = true
		}
	}
	p.sent = nil
	return again, err
}

// concernsAll reports whether a refusal is not about the message: others would be refused too. A LIMIT is one of the message: its
// size, or how many copies of it there may be.
func concernsAll(e *imap.Error) bool {
	switch e.Code {
	case "TRYCREATE", "NONEXISTENT", "NOPERM":
		return true
	case "LIMIT", "SERVERBUG":
		return e.Throttled()
	}
	return e.Temporary()
}

// add sends one message. What the server refuses shows when its command ends.
func (p *putter) add(ctx context.Context, i int, e mail.Entry, b mail.Body) error {
	if p.open != nil && (len(p.group) >= p.most || p.bytes > 0 && p.bytes+b.Size > p.mostBytes) {
		p.finish()
	}
	if p.open == nil {
		p.open = p.c.client.Append(p.name)
	}
	flags, lacks := flagNames(p.holds, e.Flags)
	p.done[i] = mail.Done{Lacks: lacks}
	m := imap.AppendMessage{Flags: flags, Size: b.Size, Body: b.Reader}
	if e.Ident.Date != 0 {
		m.Date = time.Unix(e.Ident.Date, 0)
	}
	p.group, p.bytes, p.octets = append(p.group, i), p.bytes+b.Size, p.octets+b.Size
	err := p.open.Add(ctx, m)
	if err != nil && refusal(err) == nil {
		p.finish()
		return err
	}
	if err != nil || p.single || !p.open.Multi() {
		p.finish()
	}
	return nil
}

func (p *putter) finish() {
	if p.open != nil {
		p.sent = append(p.sent, sentGroup{p.open.Finish(), p.group})
		p.open, p.group, p.bytes = nil, nil, 0
	}
}

// landed takes the UIDs of one command, if they can be believed (rule 7).
func (p *putter) landed(g sentGroup, res imap.AppendResult) {
	believed := res.Has && len(res.UIDs) == len(g.group) && imap.NumSetOf(res.UIDs...).Len() == len(res.UIDs)
	for k, i := range g.group {
		p.skip[i] = true
		validity, next, ok := parseToken(p.intents[i].Token)
		if believed && ok && res.UIDValidity == validity && res.UIDs[k] >= next {
			p.done[i].Key = mail.UIDKey(res.UIDs[k])
		}
	}
}
