package imapstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// maxAsked is how many keywords a mailbox may have for its messages to be searched for each.
const maxAsked = 32

var (
	errChanged = errors.New("it is not as is expected")
	errUnasked = errors.New("it has keywords that were not asked for")
)

// Echo implements store.Echoer. A search for what changed since a mark (RFC 7162 section 3.1.5), and for each flag one for what of that
// has it, tell in a few sets (RFC 4731) what a view would tell in a line for each message. The mark is that of the mailbox as it was
// opened for them: whoever changes something later gives it a higher mod-sequence. Some mailboxes are asked in one flight.
func (s *Store) Echo(ctx context.Context, list []store.Echo) ([]mail.Mark, error) {
	marks := make([]mail.Mark, len(list))
	var open []*echo
	for i, q := range list {
		if old, ok := parseMark(q.Since); ok && old.modseq > 0 {
			open = append(open, &echo{s: s, box: q.Box, since: old, expected: q.Want, mark: &marks[i]})
		}
	}
	if len(open) == 0 {
		return marks, nil
	}
	c, err := s.lease(ctx, open[0].box)
	if err == nil {
		for flight := range slices.Chunk(open, maxOpened) {
			if err = s.hear(ctx, c, flight); err != nil {
				break
			}
		}
		s.release(c, err)
	}
	if err != nil {
		return marks, fmt.Errorf("look at mailboxes again: %w", s.fault(ctx, err))
	}
	return marks, nil
}

// maxOpened is how many mailboxes are opened in one flight.
const maxOpened = 16

// hear compares the mailboxes of a flight. Where one has keywords that were not known it is asked once more. FLAGS must name all keywords
// that messages have, else one could change unseen; RFC 9051 section 7.3.1 does not demand that, though servers do it.
func (s *Store) hear(ctx context.Context, c *conn, list []*echo) error {
	if !c.condstor || !c.has("ESEARCH") || s.unlisted.Load() {
		return nil
	}
	for _, e := range list {
		e.want = wanted(e.expected)
	}
	defer func() {
		for _, e := range list {
			e.want = nil
		}
	}()
	for ask := list; len(ask) > 0; {
		for _, e := range ask {
			if err := e.send(c); err != nil {
				c.box = ""
				return err
			}
		}
		var again []*echo
		for _, e := range ask {
			err := e.compare(ctx, c)
			switch {
			case err == nil:
				*e.mark = e.now.mark()
			case errors.Is(err, errUnasked) && !e.again:
				e.again = true
				again = append(again, e)
			case errors.Is(err, errUnasked):
			case errors.Is(err, errChanged), errors.Is(err, store.ErrEpoch), refusal(err) != nil:
			default:
				c.box = ""
				return err
			}
			if err != nil {
				c.box = "" // perhaps another mailbox is open now
			}
		}
		ask = again
	}
	return nil
}

// echo compares what changed in a mailbox with what is expected.
type echo struct {
	s     *Store
	box   mail.Box
	since state
	now   state
	want  *seen // in order
	mark  *mail.Mark
	words []string // keywords that messages may have
	again bool     // it is asked a second time

	expected *mail.Expected

	op    *opening
	all   *imap.Call[imap.SearchResult]
	asked []string // flags, as criteria
	calls []*imap.Call[imap.SearchResult]
}

// wanted turns what is expected into what a view would show.
func wanted(want *mail.Expected) *seen {
	v := &seen{}
	for k, f := range want.All() {
		if uid, ok := k.UID(); ok {
			v.put(uid, f)
		}
	}
	v.order()
	return v
}

// send asks for what is to be compared.
func (e *echo) send(c *conn) (err error) {
	if c.box == e.box {
		e.words = append(e.words, wordsAmong(c.sel.Flags)...)
	}
	e.words = append(e.words, keywordsOf(e.want)...)
	slices.Sort(e.words)
	e.words = slices.Compact(e.words)
	e.asked, e.calls = []string{"SEEN", "ANSWERED", "FLAGGED", "DELETED", "DRAFT"}, nil
	for _, w := range e.words {
		if isAtom(w) && len(w) < 200 && len(e.asked) < maxAsked { // else it is missed in the end
			e.asked = append(e.asked, "KEYWORD "+w)
		}
	}
	if e.op, err = e.s.send(c, e.box, imap.SelectOptions{}); err != nil {
		return err
	}
	changed := fmt.Sprintf("MODSEQ %d", e.since.modseq+1)
	o := imap.SearchOptions{Most: len(e.want.uids) + 1}
	e.all = c.client.UIDSearch(changed, o)
	for _, w := range e.asked {
		e.calls = append(e.calls, c.client.UIDSearch(changed+" "+w, o))
	}
	return nil
}

// compare reports with an error that there is more than is expected.
func (e *echo) compare(ctx context.Context, c *conn) error {
	if _, err := e.op.call.Wait(ctx); err != nil {
		return err
	}
	if err := e.op.entered(); err != nil {
		return err
	}
	if err := e.s.check(c); err != nil {
		return err
	}
	sel := c.sel
	e.now = state{sel.UIDValidity, sel.UIDNext, sel.HighestModSeq, sel.Exists}
	if !e.now.follows(e.since) || int(e.now.messages) != e.expected.Total {
		return errChanged
	}
	changed, err := hits(ctx, e.all)
	if err != nil {
		return err
	}
	if err := e.agree(ctx, changed); err != nil {
		return err
	}
	known := wordsAmong(sel.Flags)
	for _, w := range keywordsOf(e.want) {
		if !slices.Contains(known, w) { // under another spelling, perhaps
			return errChanged
		}
	}
	for _, w := range known {
		if !slices.Contains(e.asked, "KEYWORD "+w) {
			e.words = known
			return errUnasked
		}
	}
	return nil
}

// hits returns what a search found; errChanged if that is not all, or more than can be expected.
func hits(ctx context.Context, call *imap.Call[imap.SearchResult]) (imap.NumSet, error) {
	res, err := call.Wait(ctx)
	if err == nil && (res.Over || res.Status.Code == "MESSAGELIMIT") { // RFC 9738: it searched a part
		err = errChanged
	}
	return res.All, err
}

// agree compares the sets.
func (e *echo) agree(ctx context.Context, changed imap.NumSet) error {
	sets := map[string]*imap.NumSet{}
	for _, w := range e.asked {
		sets[w] = &imap.NumSet{}
	}
	found := 0
	for i, uid := range e.want.uids {
		if !changed.Contains(uid) {
			continue // it was that already
		}
		found++
		for _, w := range criteria(e.want.table.At(e.want.flags[i])) {
			if sets[w] == nil {
				return errChanged
			}
			sets[w].Add(uid)
		}
	}
	if found != changed.Len() {
		return errChanged
	}
	for i, call := range e.calls {
		has, err := hits(ctx, call)
		if err != nil {
			return err
		}
		if !slices.Equal(has.Ranges(), sets[e.asked[i]].Ranges()) {
			return errChanged
		}
	}
	return nil
}

// criteria are those by which a search finds a message with these flags.
func criteria(f mail.Flags) (list []string) {
	for _, name := range f.Names() {
		if system, ok := strings.CutPrefix(name, `\`); ok {
			list = append(list, strings.ToUpper(system))
		} else {
			list = append(list, "KEYWORD "+name)
		}
	}
	return list
}

// keywordsOf lists the keywords that messages have.
func keywordsOf(v *seen) (words []string) {
	for i := range v.table.Len() {
		words = append(words, v.table.At(uint32(i)).Words()...) //nolint:gosec // a place
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// wordsAmong are the keywords among the flags that a server names.
func wordsAmong(names []string) []string {
	return mail.ParseFlags(names).Words()
}

var _ store.Echoer = (*Store)(nil)
