package plan

import (
	"cmp"
	"slices"

	"mailtwin/internal/mail"
)

// Move says that a message, seen to have moved on one side, moves on the other.
type Move struct {
	On   mail.Side // the side that is changed
	Pair *mail.Pair
	To   *Arrival // where it is on the other side now
	News *News
	// Stale says that the keywords of the arrival are only what the name of its file has carried along, which means something else, or
	// nothing, where it is now: nobody changed them.
	Stale bool
}

// MatchMoves pairs, on one side, pairs that vanished there with arrivals there, account-wide. Equal digests prove a move, or the same
// stable id of the store (RFC 8474: two messages that have it have the same content), else Message-ID, size and internal date together;
// Message-ID alone never does, nor does an inode. Where there is none, the whole header takes its place if it has the trace of a server (mail.TraceDigest). doubt has arrivals
// whose digest is needed, or first the exact size of one that is rough; with every doubt removed, a further call has none. Arrivals and disappearances are taken only
// when there is no doubt left.
func MatchMoves(side mail.Side, boxes []*Box) (moves []Move, doubt []*Arrival) {
	gone := gonePairs(side, boxes)
	if len(gone) == 0 {
		return nil, nil
	}
	x := indexGone(gone)
	for _, b := range boxes {
		for _, a := range b.Arrived[side] {
			if !a.Free() {
				continue
			}
			id, n := a.Entry.Ident, (*News)(nil)
			switch {
			case !id.Digest.IsZero():
				n = pick(x.digests[id.Digest])
			case id.Stable != "" && len(x.stable[id.Stable]) > 0:
				n = pick(x.stable[id.Stable])
			case !id.MessageID.IsZero() && id.Date != 0:
				n = pick(x.idents[evidenceOf(id)])
			case !a.Trace.IsZero() && id.MessageID.IsZero() && id.Date != 0:
				n = pick(x.idents[evidence{a.Trace, id.Size, id.Date}])
			}
			if n != nil {
				n.moved, a.taken = true, true
				moves = append(moves, Move{On: side.Other(), Pair: n.Pair, To: a, News: n})
			} else if id.Digest.IsZero() && x.nominates(&a.Entry) {
				doubt = append(doubt, a)
			}
		}
	}
	if len(doubt) > 0 {
		for _, m := range moves {
			m.News.moved, m.To.taken = false, false
		}
		return nil, doubt
	}
	return moves, nil
}

// Nameless returns what is gone on a side and could be one of some arrivals, if their headers are the same: it has no Message-ID, and
// the size and date of one of them.
func Nameless(side mail.Side, boxes []*Box, arrivals []*Arrival) (news []*News) {
	like := map[evidence]bool{}
	for _, a := range arrivals {
		if id := a.Entry.Ident; !a.Trace.IsZero() && id.Size != 0 && id.Date != 0 {
			like[evidence{size: id.Size, date: id.Date}] = true
		}
	}
	for _, n := range gonePairs(side, boxes) {
		if id := n.Pair.Ident; id.MessageID.IsZero() && n.Trace.IsZero() && like[evidence{size: id.Size, date: id.Date}] {
			news = append(news, n)
		}
	}
	return news
}

// goneIndex finds disappearances by identity. Each chain is in the order of ids.
type goneIndex struct {
	gone    []*News
	digests map[mail.Hash][]*News
	idents  map[evidence][]*News
	stable  map[string][]*News
	hints   map[nominee]bool // made when it is needed first

	nameless bool // some have no Message-ID
}

func indexGone(gone []*News) *goneIndex {
	x := &goneIndex{gone: gone, digests: make(map[mail.Hash][]*News, len(gone)), idents: make(map[evidence][]*News, len(gone))}
	space := make([]*News, 2*len(gone)) // nearly all chains have one link
	chain := func(old []*News, n *News) []*News {
		if old == nil {
			old, space = space[0:0:1], space[1:]
		}
		return append(old, n)
	}
	for _, n := range gone {
		id := &n.Pair.Ident
		if !id.Digest.IsZero() {
			x.digests[id.Digest] = chain(x.digests[id.Digest], n)
		}
		if id.Stable != "" {
			if x.stable == nil {
				x.stable = make(map[string][]*News, len(gone))
			}
			x.stable[id.Stable] = append(x.stable[id.Stable], n)
		}
		if !id.MessageID.IsZero() && id.Date != 0 {
			e := evidenceOf(*id)
			x.idents[e] = chain(x.idents[e], n)
		} else if !n.Trace.IsZero() && id.MessageID.IsZero() && id.Date != 0 {
			e := evidence{n.Trace, id.Size, id.Date}
			x.idents[e] = chain(x.idents[e], n)
		}
	}
	return x
}

// nominates reports whether more is worth asking for: something of the same Message-ID is gone, or of none and the same size.
func (x *goneIndex) nominates(e *mail.Entry) bool {
	if x.hints == nil {
		x.hints = make(map[nominee]bool, len(x.gone))
		for _, n := range x.gone {
			x.hints[nomineeOf(n.Pair.Ident)] = true
			x.nameless = x.nameless || n.Pair.Ident.MessageID.IsZero()
		}
	}
	if e.Rough && e.Ident.MessageID.IsZero() {
		return x.nameless
	}
	return x.hints[nomineeOf(e.Ident)]
}

func pick(list []*News) *News {
	for _, n := range list {
		if !n.moved {
			return n
		}
	}
	return nil
}

// evidence is what together proves a move without a digest.
type evidence struct {
	name       mail.Hash // of the Message-ID, or of the whole header
	size, date int64
}

func evidenceOf(id mail.Ident) evidence { return evidence{id.MessageID, id.Size, id.Date} }

type nominee struct {
	messageID mail.Hash
	size      int64
}

func nomineeOf(id mail.Ident) nominee {
	if !id.MessageID.IsZero() {
		return nominee{messageID: id.MessageID}
	}
	return nominee{size: id.Size}
}

func gonePairs(side mail.Side, boxes []*Box) []*News {
	var gone []*News
	for _, b := range boxes {
		for _, n := range b.News {
			if n.gone(side) && n.Pair.Keys[side.Other()] != "" && n.Pair.Left != mail.LeftAltered {
				gone = append(gone, n)
			}
		}
	}
	slices.SortFunc(gone, func(a, b *News) int { return cmp.Compare(a.Pair.ID, b.Pair.ID) })
	return gone
}
