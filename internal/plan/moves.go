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
}

// MatchMoves pairs, on one side, pairs that vanished there with arrivals there, account-wide. Equal digests prove a move, else
// Message-ID, size and internal date together; Message-ID alone never does, nor does an inode. doubt has arrivals
// whose digest is needed; with every doubt removed, a second call has none. Arrivals and disappearances are taken only
// when there is no doubt left.
func MatchMoves(side mail.Side, boxes []*Box) (moves []Move, doubt []*Arrival) {
	gone := gonePairs(side, boxes)
	if len(gone) == 0 {
		return nil, nil
	}
	digests, idents, hints := map[mail.Hash][]*News{}, map[mail.Ident][]*News{}, map[mail.Ident]int{}
	for _, n := range gone {
		id := n.Pair.Ident
		if !id.Digest.IsZero() {
			digests[id.Digest] = append(digests[id.Digest], n)
		}
		if !id.MessageID.IsZero() && id.Date != 0 {
			idents[evidence(id)] = append(idents[evidence(id)], n)
		}
		hints[nominee(id)]++
	}
	pick := func(list []*News) *News {
		for _, n := range list {
			if !n.moved {
				return n
			}
		}
		return nil
	}
	for _, b := range boxes {
		for _, a := range b.Arrived[side] {
			if !a.Free() {
				continue
			}
			id, n := a.Entry.Ident, (*News)(nil)
			switch {
			case !id.Digest.IsZero():
				n = pick(digests[id.Digest])
			case !id.MessageID.IsZero() && id.Date != 0:
				n = pick(idents[evidence(id)])
			}
			if n != nil {
				n.moved, a.taken = true, true
				moves = append(moves, Move{On: side.Other(), Pair: n.Pair, To: a, News: n})
			} else if id.Digest.IsZero() && hints[nominee(id)] > 0 {
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

// evidence is what together proves a move without a digest.
func evidence(id mail.Ident) mail.Ident {
	return mail.Ident{MessageID: id.MessageID, Size: id.Size, Date: id.Date}
}

// nominee is what makes a digest worth asking for: the same Message-ID, or none and the same size.
func nominee(id mail.Ident) mail.Ident {
	if !id.MessageID.IsZero() {
		return mail.Ident{MessageID: id.MessageID}
	}
	return mail.Ident{Size: id.Size}
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
