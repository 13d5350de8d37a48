package plan

import (
	"cmp"
	"slices"

	"mailtwin/internal/mail"
)

// News is what both sides show of one pair that at least one of them has news of.
type News struct {
	Pair  *mail.Pair
	Flags [2]mail.Flags // effective flags, of the base where there is no news
	Gone  [2]bool
	Trace mail.Hash // of the header, from the other side's copy; zero: has none, or nobody asked
	moved bool      // a move accounts for the disappearance
	half  *Arrival  // of a message that vanished before an import (H6); nil else
}

// gone reports whether the message is gone on a side alone, and nothing accounts for that yet.
func (n *News) gone(side mail.Side) bool {
	return n.Gone[side] && !n.Gone[side.Other()] && (n.half == nil || n.half.Free())
}

// Arrival is a message that one side shows and the base does not know; or a half pair, which the other side is to get.
type Arrival struct {
	Side  mail.Side
	Box   mail.Box
	Entry mail.Entry // with the identity, as far as it was asked for
	Half  *mail.Pair // nil: not known yet
	// Old is the pair whose message has this content now; its other copy has the content of before.
	Old   *mail.Pair
	Asked bool // the store was asked for its identity: what is zero now it does not have
	// Trace is mail.TraceDigest, for what has no Message-ID.
	Trace  mail.Hash
	Traced bool // the store was asked for that

	taken  bool
	absent bool
	waits  bool // to be adopted, not copied
}

// Vanished marks an arrival as gone before it could be looked at; it is left to the next run.
func (a *Arrival) Vanished() { a.absent = true }

// Free reports whether the arrival is still there and not paired yet.
func (a *Arrival) Free() bool { return !a.taken && !a.absent }

// Box collects the news of one mailbox and, after Merge, the operations for it. It is not safe for concurrent use.
type Box struct {
	Name    mail.Box
	News    map[int64]*News // by pair
	Halves  []*Arrival      // half pairs that are waiting for a copy or an arrival
	Edited  []*Arrival      // new versions of messages that both sides have
	old     []*mail.Pair    // half pairs with an older version
	Arrived [2][]*Arrival
	Missing [2]bool // the mailbox does not exist on this side, though both had it
	// Packs says that plain news may be kept in few bytes, see Arrivals. Not where more than flags and keys decides: in a mailbox that is
	// missing on a side, when \Deleted means something, when the base is of another age.
	Packs bool
	// PackFrom is how much news of pairs is kept as it is all the same: to read few pairs again is not worth it.
	PackFrom int

	hasMoveTo      bool // a message was moved here
	packing        bool // see PackFrom
	packed         []packedNews
	packedArrivals [2]Arrivals
	table          mail.FlagTable
	taken          []packedNews // by FlagIDs

	Ops  Ops
	Held []Delete // what HoldBack took out
}

// NewBox returns an empty collection.
func NewBox(name mail.Box) *Box { return &Box{Name: name, News: map[int64]*News{}} }

// Add takes one change of one side.
func (b *Box) Add(side mail.Side, c Change) {
	switch {
	case b.pack(side, c):
	case c.Pair == nil:
		b.Arrived[side] = append(b.Arrived[side], &Arrival{Side: side, Box: b.Name, Entry: c.Now, Asked: c.Now.Identified})
	default:
		b.addNews(side, c)
	}
}

func (b *Box) addNews(side mail.Side, c Change) {
	n := b.news(c.Pair)
	if c.Gone {
		n.Gone[side] = true
		return
	}
	n.Flags[side] = Effective(c.Pair, side, c.Now.Flags)
}

func (b *Box) news(p *mail.Pair) *News {
	n := b.News[p.ID]
	if n == nil {
		n = &News{Pair: p, Flags: [2]mail.Flags{p.Flags, p.Flags}}
		b.News[p.ID] = n
	}
	return n
}

// Reset forgets one side's news, before that side is viewed again.
func (b *Box) Reset(side mail.Side) {
	b.Arrived[side], b.packedArrivals[side] = nil, Arrivals{}
	b.dropPacked(func(n packedNews) bool { return n.side == side })
	for id, n := range b.News {
		n.Gone[side], n.Flags[side] = false, n.Pair.Flags
		if o := side.Other(); !n.Gone[o] && n.Flags[o].Equal(n.Pair.Flags) {
			delete(b.News, id)
		}
	}
}

// HasGone reports whether a full pair is gone on side.
func (b *Box) HasGone(side mail.Side) bool {
	for _, n := range b.News {
		if n.Gone[side] {
			return true
		}
	}
	return slices.ContainsFunc(b.packed, func(n packedNews) bool { return n.side == side && n.show == showsGone })
}

// Unmoved returns how many pairs are gone on side for which no move accounts.
func (b *Box) Unmoved(side mail.Side) (n int) {
	for _, news := range b.News {
		if news.Gone[side] && !news.moved {
			n++
		}
	}
	for _, p := range b.packed {
		if p.side == side && p.show == showsGone {
			n++
		}
	}
	return n
}

// CountArrived returns how many messages arrived on side that are not accounted for yet.
func (b *Box) CountArrived(side mail.Side) int {
	n := b.packedArrivals[side].Len()
	for _, a := range b.Arrived[side] {
		if a.Free() {
			n++
		}
	}
	return n
}

// HasArrived reports whether anything arrived on side that is not accounted for yet.
func (b *Box) HasArrived(side mail.Side) bool {
	return b.packedArrivals[side].Len() > 0 || slices.ContainsFunc(b.Arrived[side], (*Arrival).Free)
}

// HasCandidates reports whether anything on side waits for a match, see Candidates.
func (b *Box) HasCandidates(side mail.Side) bool {
	return b.HasArrived(side) || slices.ContainsFunc(b.Halves, func(a *Arrival) bool { return a.Side == side && a.Free() })
}

// DropGone forgets disappearances on side for which no move accounts: they wait for the next run. It returns how many there were.
func (b *Box) DropGone(side mail.Side) int {
	// What the other side shows of them waits too.
	gone := map[int64]bool{}
	for _, n := range b.packed {
		if n.side == side && n.show == showsGone {
			gone[n.id] = true
		}
	}
	b.dropPacked(func(n packedNews) bool { return gone[n.id] })
	count := len(gone)
	for id, n := range b.News {
		if n.Gone[side] && !n.moved {
			count++
			delete(b.News, id)
		}
	}
	return count
}

// AddHalves takes the half pairs of the mailbox; call it after all Add. refused says whether refused messages are to be
// tried again.
func (b *Box) AddHalves(halves []mail.Pair, refused bool) {
	for i := range halves {
		p := &halves[i]
		holder := Holder(p)
		n, flags := b.News[p.ID], p.Flags
		if n != nil {
			if n.Gone[holder] {
				continue // H1, by Merge
			}
			flags = n.Flags[holder]
		}
		delete(b.News, p.ID)
		if p.Left == mail.LeftReplaced {
			b.old = append(b.old, p)
			continue
		}
		if p.Left == mail.LeftVanished {
			b.addVanished(p, holder, flags)
			continue
		}
		wait := waits(p, flags, refused)
		if wait && p.Left != mail.LeftRefused {
			continue
		}
		b.Halves = append(b.Halves, &Arrival{waits: wait, Side: holder, Box: b.Name, Half: p, Entry: mail.Entry{Key: p.Keys[holder], Flags: flags, Ident: p.Ident}})
	}
}

// addVanished takes a half pair that another tool had on both sides: it can be found again in its mailbox, where it is adopted,
// or elsewhere, as a move.
func (b *Box) addVanished(p *mail.Pair, holder mail.Side, flags mail.Flags) {
	a := &Arrival{waits: true, Side: holder, Box: b.Name, Half: p, Entry: mail.Entry{Key: p.Keys[holder], Flags: flags, Ident: p.Ident}}
	n := &News{Pair: p, half: a}
	n.Flags[holder], n.Flags[holder.Other()] = flags, p.Flags
	n.Gone[holder.Other()] = true
	b.Halves, b.News[p.ID] = append(b.Halves, a), n
}

// AddEdit takes a new version of a message that both sides have, under the key that it had. It beats a deletion and changes of
// flags on the other side.
func (b *Box) AddEdit(side mail.Side, p *mail.Pair, now mail.Entry) {
	b.Unpack([]mail.Pair{*p})
	flags := p.Flags
	if n := b.News[p.ID]; n != nil {
		if n.Gone[side] {
			return
		}
		flags = n.Flags[side]
		delete(b.News, p.ID)
	}
	now.Key, now.Flags = p.Keys[side], flags
	b.Edited = append(b.Edited, &Arrival{Side: side, Box: b.Name, Entry: now, Old: p})
}

// waits implements case H4.
func waits(p *mail.Pair, flags mail.Flags, refused bool) bool {
	switch p.Left {
	case mail.LeftDeleting, mail.LeftExpunged:
		return flags.System&mail.Deleted != 0
	case mail.LeftRefused:
		return !refused
	default:
		return false
	}
}

// Holder returns the side that has the message of a half pair.
func Holder(p *mail.Pair) mail.Side {
	if p.Keys[mail.Local] == "" {
		return mail.Remote
	}
	return mail.Local
}

// Candidates returns the free arrivals of side that are not packed, half pairs that side holds included, in key order.
func (b *Box) Candidates(side mail.Side) []*Arrival {
	var list []*Arrival
	for _, a := range b.Arrived[side] {
		if a.Free() {
			list = append(list, a)
		}
	}
	for _, a := range b.Halves {
		if a.Side == side && a.Free() {
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b *Arrival) int { return cmp.Compare(a.Entry.Key, b.Entry.Key) })
	return list
}

// sortedNews returns the news in a fixed order, so that a plan does not depend on map order.
func (b *Box) sortedNews() []*News {
	list := make([]*News, 0, len(b.News))
	for _, n := range b.News {
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *News) int { return cmp.Compare(a.Pair.ID, b.Pair.ID) })
	return list
}
