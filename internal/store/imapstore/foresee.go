package imapstore

import (
	"context"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// maxForeseen is how many messages are identified at most although nobody asked yet.
const maxForeseen = 20_000

// Foresee implements store.Foreseer: if messages are missing in one mailbox and there are new ones in another, who these are will be
// asked next. It takes a server time to find out, and the answer a round trip, unless the views ask for it.
func (s *Store) Foresee(known map[mail.Box]store.Known, views int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.few = views <= maxInTurn && views == len(known) // changes since a mark, not all messages
	s.foreseen = nil
	from := map[mail.Box]uint32{}
	gone, arrived := 0, 0
	for box, k := range known {
		now, ok := s.told[box]
		last, isUID := k.Highest.UID()
		if !ok || !isUID && k.Highest != "" || last == maxUID {
			continue
		}
		n := 0
		if now.next > last+1 {
			n = min(int(now.next-last-1), int(now.messages))
			from[box] = last + 1
		}
		arrived += n
		gone += max(0, k.Count+n-int(now.messages))
	}
	if gone > 0 && arrived > 0 && arrived <= maxForeseen {
		s.foreseen = from
	}
}

// maxInTurn is how many mailboxes are viewed one after the other on one connection rather than at the same time: to open and log in on
// another takes four round trips and more.
const maxInTurn = 3

// turn waits until a view may begin; the function that it returns ends it.
func (s *Store) turn(ctx context.Context) (end func(), err error) {
	s.mu.Lock()
	few := s.few
	s.mu.Unlock()
	if !few {
		return func() {}, nil
	}
	select {
	case s.viewing <- struct{}{}:
		return func() { <-s.viewing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// tellFrom is how many messages are told at a time.
const tellFrom = 256

// Tell implements store.Teller: of what QRESYNC tells while a mailbox is opened.
func (s *Store) Tell(fn func(mail.Box, []mail.Key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell = fn
}

// tell returns what passes on the messages that the server told of.
func (v *viewer) tell() func(uid uint32) {
	v.s.mu.Lock()
	fn := v.s.tell
	v.s.mu.Unlock()
	if fn == nil {
		return func(uint32) {}
	}
	var keys []mail.Key
	return func(uid uint32) {
		if keys == nil {
			keys = make([]mail.Key, 0, tellFrom)
		}
		if keys = append(keys, mail.UIDKey(uid)); len(keys) == tellFrom {
			fn(v.box, keys)
			keys = nil
		}
	}
}

// enter opens the mailbox. What arrived is told in the same flight with its identity, if that is going to be asked for.
func (v *viewer) enter(ctx context.Context, o imap.SelectOptions) error {
	v.s.mu.Lock()
	from, ok := v.s.foreseen[v.box]
	delete(v.s.foreseen, v.box)
	v.s.mu.Unlock()
	if !ok || o.QResync == nil || o.QResync.UIDValidity == 0 || from == 0 {
		return v.s.enter(ctx, v.c, v.box, o)
	}
	told, err := v.enterKnowing(ctx, o, from)
	if err != nil || told {
		return err
	}
	v.seen, v.gone, v.vague = seen{}, imap.NumSet{}, false
	return v.s.enter(ctx, v.c, v.box, o)
}

// enterKnowing opens the mailbox and has the server tell changes of what is below a UID only (RFC 7162 section 3.2.5.1); of what is above,
// each message is told once, flags and identity together. false: the server did not tell that.
func (v *viewer) enterKnowing(ctx context.Context, o imap.SelectOptions, from uint32) (told bool, err error) {
	if known := *o.QResync; from > 1 {
		known.Known = imap.NumRange(1, from-1)
		o.QResync = &known
	} else { // nothing is known
		o = imap.SelectOptions{}
	}
	op, err := v.s.send(v.c, v.box, o)
	if err != nil {
		return false, err
	}
	var arrived seen
	over := func() bool { return len(arrived.uids) > 2*maxForeseen || arrived.octets > maxKeywords }
	items := idItems(false)
	items.Header, items.Flags = items.Header[:1], true
	call := v.c.client.UIDFetch(imap.NumRange(from, maxUID), items, imap.FetchOptions{}, func(m *imap.Message) error {
		select {
		case <-op.call.Done():
		default:
			return nil // of the mailbox that was open before
		}
		if m.UID < from || !m.HasFlags || over() {
			return nil
		}
		arrived.add(m)
		id, err := identOf(m)
		if err == nil && m.HasSize && len(m.Header) > 0 {
			arrived.identify(m.UID, id)
		}
		return err
	})
	if _, err := op.call.Wait(ctx); err != nil {
		return false, v.s.absent(ctx, v.c, op.name, err)
	}
	if err := op.entered(); err != nil {
		return false, err
	}
	st, err := call.Wait(ctx)
	if err != nil || st.Code == "MESSAGELIMIT" || over() {
		return false, ifBroken(err)
	}
	v.arrived = arrived
	return true, nil
}
