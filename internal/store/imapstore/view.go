package imapstore

import (
	"context"
	"fmt"
	"slices"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
)

// viewer takes one view.
type viewer struct {
	s     *Store
	c     *conn
	box   mail.Box
	old   state
	since bool // old is of use
	back  bool // the mailbox is older than what was seen of it (rule 9)
	seen  seen
	gone  imap.NumSet
	vague bool // a message changed, but the server did not say how

	arrived seen // what was asked for because it was foreseen
}

// View implements store.Store. It shows a Delta where QRESYNC or CONDSTORE (RFC 7162) tell what changed since the mark, else all
// messages.
func (s *Store) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	var view mail.View
	end, err := s.turn(ctx)
	if err != nil {
		return nil, fmt.Errorf("view mailbox %q: %w", box, err)
	}
	defer end()
	err = s.read(ctx, box, func(c *conn) (err error) {
		v := &viewer{s: s, c: c, box: box}
		v.old, v.since = parseMark(since)
		view, err = v.take(ctx)
		v.compareFlags()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("view mailbox %q: %w", box, err)
	}
	return view, nil
}

// compareFlags notes whether messages have keywords that FLAGS does not name.
func (v *viewer) compareFlags() {
	known := wordsAmong(v.c.sel.Flags)
	for _, w := range keywordsOf(&v.seen) {
		if !slices.Contains(known, w) {
			v.s.unlisted.Store(true)
		}
	}
}

func (v *viewer) take(ctx context.Context) (mail.View, error) {
	o := imap.SelectOptions{}
	if v.since && v.c.qresync && v.old.modseq > 0 {
		o.QResync = &imap.QResync{UIDValidity: v.old.validity, ModSeq: v.old.modseq}
		tell := v.tell()
		o.OnFetch = func(m imap.Message) {
			if v.vague = v.vague || !m.HasFlags || len(v.seen.uids) > maxChanged || v.seen.octets > maxKeywords; v.vague {
				v.seen = seen{} // everything is asked for
				return
			}
			v.seen.add(&m)
			tell(m.UID)
		}
		o.OnVanished = func(set imap.NumSet, _ bool) {
			if v.vague = v.vague || !v.gone.AddLater(set, maxGone/2); v.vague {
				v.gone = imap.NumSet{} // everything is asked for
			}
		}
	}
	if o.QResync == nil && (!v.since || !v.c.condstor || v.c.qresync || v.old.modseq == 0) {
		return v.takeWhole(ctx)
	}
	if err := v.enter(ctx, o); err != nil {
		return nil, err
	}
	now := v.entered()
	switch {
	case v.back:
	case !v.since || !now.follows(v.old) || now.modseq == 0:
	case v.c.qresync:
		v.gone = below(v.gone, now.next)
		if v.vague || v.gone.Len() > maxGone {
			break
		}
		v.seen.join(&v.arrived)
		v.seen.order()
		v.seen.drop(v.gone)
		d := v.delta(ctx, now)
		d.Total = int(now.messages) // while these were fetched, others may have come that the delta does not show
		return d, nil
	case v.c.condstor:
		if view, err := v.condstore(ctx, now); view != nil || err != nil {
			return view, err
		}
	}
	v.seen, v.gone = seen{}, imap.NumSet{}
	return v.whole(ctx, now)
}

// entered notes that the mailbox was opened for this view, and returns its state.
func (v *viewer) entered() state {
	sel := v.c.sel
	now := state{sel.UIDValidity, sel.UIDNext, sel.HighestModSeq, sel.Exists}
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	v.back = v.since && now.fellBack(v.old.validity, v.old.next) || now.fellBack(v.s.epochs[v.box], v.s.floors[v.box])
	v.s.views++
	v.s.viewed[v.box], v.c.opened = v.s.views, v.s.views
	v.s.epochs[v.box], v.s.floors[v.box] = sel.UIDValidity, sel.UIDNext
	return now
}

// isFilled reports whether a mailbox had messages when it was listed, so that they are worth asking for before it is open.
func (s *Store) isFilled(box mail.Box) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filled[box]
}

// takeWhole opens the mailbox and lists all messages in one flight.
func (v *viewer) takeWhole(ctx context.Context) (mail.View, error) {
	op, err := v.s.send(v.c, v.box, imap.SelectOptions{})
	if err != nil {
		return nil, err
	}
	var st imap.Status
	var lerr error
	listed := v.s.isFilled(v.box)
	if listed {
		st, lerr = v.listing(ctx, imap.NumRange(1, maxUID), imap.FetchOptions{}, func() bool {
			select {
			case <-op.call.Done():
				return op.entered() == nil
			default:
				return false
			}
		})
	}
	switch _, err := op.call.Wait(ctx); {
	case err != nil && broken(lerr):
		return nil, lerr
	case err != nil:
		return nil, v.s.absent(ctx, v.c, op.name, err)
	}
	if err := op.entered(); err != nil {
		return nil, err
	}
	now := v.entered()
	switch {
	case now.messages == 0 && (lerr == nil || refusal(lerr) != nil):
		v.seen = seen{}
		return mail.Whole{Head: v.head(now), All: v.seen.all(ctx)}, nil
	case !listed:
		return v.whole(ctx, now)
	case lerr != nil:
		return nil, lerr
	}
	v.seen.order()
	if err := v.complete(ctx, st); err != nil {
		return nil, err
	}
	return mail.Whole{Head: v.head(now), All: v.seen.all(ctx)}, nil
}

func (v *viewer) head(now state) mail.Head {
	h := mail.Head{Box: v.box, ID: mailboxID(v.c.sel.MailboxID), Epoch: epoch(now.validity), Storable: mail.AnyFlags, ReadOnly: !v.c.writable && !v.s.cfg.ReadOnly}
	if st, ok := v.s.holds(v.box); ok {
		h.Storable = st
	}
	h.Total = v.c.total()
	mark := now.seen()
	if v.back { // a name of its own for this view alone; without a mark the next one is sure to follow
		h.Epoch, mark = fmt.Sprintf("%s below %d", h.Epoch, now.next), ""
	}
	h.End = func() (mail.Mark, error) { return mark, nil }
	return h
}

// delta is what QRESYNC told.
func (v *viewer) delta(ctx context.Context, now state) mail.Delta {
	gone := v.gone
	return mail.Delta{Head: v.head(now), Changed: v.seen.all(ctx), Gone: func(yield func(mail.Key, error) bool) {
		for uid := range gone.All() {
			if ctx.Err() != nil {
				yield("", ctx.Err())
				return
			}
			if !yield(mail.UIDKey(uid), nil) {
				return
			}
		}
	}}
}

// condstore asks what changed; nil if messages were expunged too: CONDSTORE does not tell which.
func (v *viewer) condstore(ctx context.Context, now state) (mail.View, error) {
	if _, err := v.list(ctx, imap.NumRange(1, maxUID), imap.FetchOptions{ChangedSince: v.old.modseq}); err != nil {
		return nil, err
	}
	v.seen.order()
	arrived := 0
	for _, uid := range v.seen.uids {
		if uid >= v.old.next {
			arrived++
		}
	}
	total := v.c.total()
	if int(v.old.messages)+arrived != total {
		return nil, nil
	}
	return v.delta(ctx, now), nil
}

const (
	maxUID  = 1<<32 - 1
	maxGone = 1 << 21 // a list of what is there is shorter than one of more that is not
)

// below returns what of a set is below a UID: a server may say that more is gone than ever was.
func below(set imap.NumSet, uid uint32) imap.NumSet {
	var cut imap.NumSet
	for _, r := range set.Ranges() {
		if r.Lo < uid {
			cut.AddRange(r.Lo, min(r.Hi, uid-1))
		}
	}
	return cut
}

// list asks for messages and their flags. The rest of an answer that cannot be is not waited for.
func (v *viewer) list(ctx context.Context, set imap.NumSet, o imap.FetchOptions) (imap.Status, error) {
	return v.listing(ctx, set, o, func() bool { return true })
}

// listing is list in a mailbox that is still being opened: what comes before it is open does not count.
func (v *viewer) listing(ctx context.Context, set imap.NumSet, o imap.FetchOptions, open func() bool) (imap.Status, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lies error
	st, err := v.c.client.UIDFetch(set, v.items(), o, func(m *imap.Message) error {
		if !open() {
			return nil
		}
		if lies == nil {
			lies = v.full(v.c.total())
		}
		switch {
		case lies != nil:
			cancel()
		case m.HasFlags:
			v.seen.add(m)
		}
		return lies
	}).Wait(ctx)
	if lies != nil {
		return st, lies
	}
	return st, err
}

// full reports that a server tells more than can be of so many messages.
func (v *viewer) full(total int) error {
	switch {
	case len(v.seen.uids) > 2*min(total, maxMessages)+100_000:
		return fmt.Errorf("%w: flags of more messages than there are", errLies)
	case v.seen.octets > maxKeywords:
		return fmt.Errorf("%w: keywords of more than %d octets", errLies, maxKeywords)
	}
	return nil
}

func (v *viewer) items() imap.FetchItems {
	return imap.FetchItems{Flags: true, EmailID: v.c.has("OBJECTID"), GmailMsgID: v.c.has("X-GM-EXT-1")}
}

// whole lists all messages. A list that does not agree with EXISTS shows only a part: what it lacks is not gone (rule 10).
func (v *viewer) whole(ctx context.Context, now state) (mail.View, error) {
	if total := v.c.total(); total > 0 {
		st, err := v.list(ctx, imap.NumRange(1, maxUID), imap.FetchOptions{})
		if err != nil {
			return nil, err
		}
		v.seen.order()
		if err := v.complete(ctx, st); err != nil {
			return nil, err
		}
	}
	return mail.Whole{Head: v.head(now), All: v.seen.all(ctx)}, nil
}

// complete makes sure that the list has every message of the mailbox.
func (v *viewer) complete(ctx context.Context, st imap.Status) error {
	total := v.c.total()
	if len(v.seen.uids) == total && st.Code != "MESSAGELIMIT" {
		return nil
	}
	found, err := v.c.client.UIDSearch("ALL", imap.SearchOptions{}).Wait(ctx)
	if err != nil {
		return err
	}
	total = v.c.total()
	if found.All.Len() != total || found.Status.Code == "MESSAGELIMIT" {
		return partial(found.All.Len(), total)
	}
	var lacking, gone imap.NumSet
	have := imap.NumSet{}
	for _, uid := range v.seen.uids {
		have.Add(uid)
		if !found.All.Contains(uid) {
			gone.Add(uid)
		}
	}
	for uid := range found.All.All() {
		if !have.Contains(uid) {
			lacking.Add(uid)
		}
	}
	v.seen.drop(gone)
	for _, set := range lacking.Split(maxSet) {
		if _, err := v.list(ctx, set, imap.FetchOptions{}); err != nil {
			return err
		}
	}
	v.seen.order()
	if total = v.c.total(); len(v.seen.uids) != total {
		return partial(len(v.seen.uids), total)
	}
	return nil
}

// partial says that a list does not agree with EXISTS.
func partial(listed, total int) error {
	if listed > total {
		return fmt.Errorf("%w: %d messages of %d", errLies, listed, total)
	}
	return fmt.Errorf("%w: %d of %d", errPartial, listed, total)
}

// maxSet is the length of a set in one command, in octets; servers take lines of 8,000 and more.
const maxSet = 7000

// setOf turns keys into a set; keys that are no UIDs are of no message.
func setOf(keys []mail.Key) imap.NumSet {
	var set imap.NumSet
	for _, k := range keys {
		if uid, ok := k.UID(); ok && uid != 0 {
			set.Add(uid)
		}
	}
	return set
}
