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
			open = append(open, &echo{s: s, box: q.Box, since: old, want: expected(q.Want), total: q.Want.Total, mark: &marks[i]})
		}
	}
	if len(open) == 0 {
		return marks, nil
	}
	c, err := s.lease(ctx, open[0].box)
	if err == nil {
		for flight := range slices.Chunk(open, maxOpened) {
			if err = hear(ctx, c, flight); err != nil {
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

// hear compares the mailboxes of a flight. Where one has keywords that were not known it is asked once more.
func hear(ctx context.Context, c *conn, list []*echo) error {
	if !c.condstor || !c.has("ESEARCH") {
		return nil
	}
	for range 2 {
		for _, e := range list {
			if err := e.send(c); err != nil {
				return err
			}
		}
		var again []*echo
		for _, e := range list {
			err := e.compare(ctx, c)
			switch {
			case err == nil:
				*e.mark = e.now.mark()
			case errors.Is(err, errUnasked):
				again = append(again, e)
			case errors.Is(err, errChanged), errors.Is(err, store.ErrEpoch), refusal(err) != nil:
			default:
				return err
			}
			if err != nil {
				c.box = "" // what is open now does not matter
			}
		}
		if list = again; len(list) == 0 {
			break
		}
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
	total int
	mark  *mail.Mark
	words []string // keywords that messages may have

	op    *opening
	all   *imap.Call[imap.SearchResult]
	asked []string // flags, as criteria
	calls []*imap.Call[imap.SearchResult]
}

// expected turns what is expected into what a view would show.
func expected(want *mail.Expected) *seen {
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
	e.all = c.client.UIDSearch(changed, imap.SearchOptions{})
	for _, w := range e.asked {
		e.calls = append(e.calls, c.client.UIDSearch(changed+" "+w, imap.SearchOptions{}))
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
	if !e.now.follows(e.since) || int(e.now.messages) != e.total {
		return errChanged
	}
	changed, err := e.all.Wait(ctx)
	if err != nil {
		return err
	}
	if err := e.agree(ctx, changed.All); err != nil {
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
		has, err := call.Wait(ctx)
		if err != nil {
			return err
		}
		if !slices.Equal(has.All.Ranges(), sets[e.asked[i]].Ranges()) {
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
