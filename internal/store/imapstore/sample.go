package imapstore

import (
	"context"
	"fmt"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// sample compares the first and the highest message with what is known of them, before anything is removed (rule 9): a server that
// was restored may show other messages under the same UIDs.
type sample struct {
	known map[uint32]mail.Ident
	set   imap.NumSet
	doubt imap.NumSet // they may be others
}

func sampleOf(entries []mail.Entry) *sample {
	p := &sample{known: map[uint32]mail.Ident{}}
	if len(entries) == 0 {
		return p
	}
	highest := entries[0]
	for _, e := range entries {
		if e.Key > highest.Key {
			highest = e
		}
	}
	for _, e := range []mail.Entry{entries[0], highest} {
		if uid, ok := e.Key.UID(); ok && e.Ident != (mail.Ident{}) {
			p.known[uid] = e.Ident
			p.set.Add(uid)
		}
	}
	return p
}

// look asks who they are. What comes before ready is of another mailbox.
func (p *sample) look(ctx context.Context, c *conn, ready func() (bool, error)) error {
	p.doubt = imap.NumSet{}
	if p.set.Empty() {
		return nil
	}
	return fetchAll(ctx, c, p.set, idItems(false), func(m *imap.Message) error {
		if ok, err := ready(); !ok {
			return err
		}
		is, err := identOf(m)
		if want := p.known[m.UID]; err == nil && !surely(want, is) {
			p.doubt.Add(m.UID)
		}
		return err
	})
}

// read reads those of which that does not say enough.
func (p *sample) read(ctx context.Context, c *conn) error {
	if p.doubt.Empty() {
		return nil
	}
	return fetchAll(ctx, c, p.doubt, idItems(true), func(m *imap.Message) error {
		is, err := identOf(m)
		if want := p.known[m.UID]; err == nil && (want.Digest.IsZero() || want.Digest != is.Digest) {
			err = fmt.Errorf("%w: message %d is another one than was synced", store.ErrEpoch, m.UID)
		}
		return err
	})
}

// removing is change for what takes messages out of a mailbox. A sample of them is asked for in the flight that opens it.
func (s *Store) removing(ctx context.Context, box mail.Box, entries []mail.Entry, fn func(*conn) error) error {
	p := sampleOf(entries)
	var looked error
	open := func(c *conn) error {
		return s.visiting(ctx, c, box, maxUID, func(ready func() (bool, error)) error {
			looked = p.look(ctx, c, ready)
			return ifBroken(looked)
		})
	}
	return s.changing(ctx, box, open, func(c *conn) error {
		if looked != nil {
			return looked
		}
		if err := p.read(ctx, c); err != nil {
			return err
		}
		return fn(c)
	})
}

// surely reports whether a message is the known one without reading it.
func surely(want, is mail.Ident) bool {
	switch {
	case want.Stable != "" && is.Stable != "" && want.Stable == is.Stable:
		return true
	case want.Size != 0 && want.Size != is.Size:
		return false
	case !want.MessageID.IsZero() || !is.MessageID.IsZero():
		return want.MessageID == is.MessageID
	}
	return want.Date == is.Date
}
