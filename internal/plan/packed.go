package plan

import (
	"cmp"
	"math"
	"slices"

	"mailtwin/internal/mail"
)

// Most news is plain: a message that arrived on one side, a pair with both keys whose flags changed or that is gone. A first sync, or a
// day on which half of the mail is filed away, has a million of them. Of each a Box keeps a few bytes: arrivals by key and flags, pairs by
// id, which are read again when their turn comes. What takes more to decide is unpacked: arrivals that may be a move or that both sides
// have, pairs that may have moved.

// packedNews is what one side shows of a plain pair.
type packedNews struct {
	id   int64
	show uint32 // showsGone, or a place in Box.table
	side mail.Side
}

const showsGone = math.MaxUint32

// Arrivals are messages that arrived on one side and are to be copied as they are, in key order.
type Arrivals struct {
	box    *Box
	side   mail.Side
	keys   []byte
	ends   []uint32
	flags  []uint32
	stamps []uint64    // nil: all are 0
	idents []arrivedAs // nil: all are zero
}

// arrivedAs is what a view told of who a message is.
type arrivedAs struct {
	ident mail.Ident
	all   bool // see mail.Entry.Identified
	rough bool // see mail.Entry.Rough
}

// Len returns how many there are.
func (l *Arrivals) Len() int { return len(l.ends) }

func (l *Arrivals) add(e mail.Entry) bool {
	if len(l.keys)+len(e.Key) > math.MaxUint32 {
		return false
	}
	n := l.Len()
	l.keys = append(l.keys, e.Key...)
	l.ends = append(l.ends, uint32(len(l.keys))) //nolint:gosec // see above
	place, _ := l.box.table.Add(e.Flags)
	l.flags = append(l.flags, place)
	if e.Stamp != 0 || l.stamps != nil {
		l.stamps = append(append(l.stamps, make([]uint64, n-len(l.stamps))...), e.Stamp)
	}
	if e.Ident != (mail.Ident{}) || l.idents != nil {
		l.idents = append(append(l.idents, make([]arrivedAs, n-len(l.idents))...), arrivedAs{e.Ident, e.Identified, e.Rough})
	}
	return true
}

// At unpacks one.
func (l *Arrivals) At(i int) *Arrival {
	from := uint32(0)
	if i > 0 {
		from = l.ends[i-1]
	}
	a := &Arrival{Side: l.side, Box: l.box.Name, Entry: mail.Entry{Key: mail.Key(l.keys[from:l.ends[i]]), Flags: l.box.table.At(l.flags[i])}}
	if l.stamps != nil {
		a.Entry.Stamp = l.stamps[i]
	}
	if l.idents != nil {
		as := &l.idents[i]
		a.Entry.Ident, a.Entry.Identified, a.Entry.Rough = as.ident, as.all, as.rough
		a.Asked = a.Entry.Identified
	}
	return a
}

// Copies unpacks those from first to before end as operations.
func (l *Arrivals) Copies(first, end int) []Copy {
	ops := make([]Copy, 0, end-first)
	for i := first; i < end; i++ {
		ops = append(ops, Copy{To: l.side.Other(), From: l.At(i)})
	}
	return ops
}

// pack keeps a plain change; false if it is none.
func (b *Box) pack(side mail.Side, c Change) bool {
	if !b.Packs {
		return false
	}
	if c.Pair == nil {
		l := &b.packedArrivals[side]
		l.box, l.side = b, side
		return l.add(c.Now)
	}
	p := c.Pair
	if p.Keys[mail.Local] == "" || p.Keys[mail.Remote] == "" || p.Left != mail.LeftNone || p.Allowed || b.News[p.ID] != nil {
		return false
	}
	if b.packing = b.packing || len(b.News) >= b.PackFrom; !b.packing {
		return false // it stays so once it has begun: news of one pair is in one place
	}
	n := packedNews{p.ID, showsGone, side}
	if !c.Gone {
		n.show, _ = b.table.Add(c.Now.Flags)
	}
	b.packed = append(b.packed, n)
	return true
}

// UnpackArrivals makes what arrived on a side ready to be matched.
func (b *Box) UnpackArrivals(side mail.Side) {
	l := &b.packedArrivals[side]
	for i := range l.Len() {
		b.Arrived[side] = append(b.Arrived[side], l.At(i))
	}
	*l = Arrivals{}
}

// PackedGone returns the ids of packed pairs that are gone on a side. See Unpack.
func (b *Box) PackedGone(side mail.Side) (ids []int64) {
	for _, n := range b.packed {
		if n.side == side && n.show == showsGone {
			ids = append(ids, n.id)
		}
	}
	return ids
}

// Unpack takes the news of pairs, which the caller has read, out of their packed form, with what the other side shows of them.
func (b *Box) Unpack(pairs []mail.Pair) {
	byID := make(map[int64]*mail.Pair, len(pairs))
	for i := range pairs {
		byID[pairs[i].ID] = &pairs[i]
	}
	b.packed = slices.DeleteFunc(b.packed, func(n packedNews) bool {
		p := byID[n.id]
		if p != nil {
			b.addNews(n.side, n.change(b, p))
		}
		return p != nil
	})
}

func (n packedNews) change(b *Box, p *mail.Pair) Change {
	if n.show == showsGone {
		return Change{Pair: p, Gone: true}
	}
	return Change{Pair: p, Now: mail.Entry{Key: p.Keys[n.side], Flags: b.table.At(n.show)}}
}

// IsGone reports whether a pair is gone on a side.
func (b *Box) IsGone(id int64, side mail.Side) bool {
	if n := b.News[id]; n != nil && n.Gone[side] {
		return true
	}
	return slices.Contains(b.packed, packedNews{id, showsGone, side})
}

// dropPacked forgets packed news.
func (b *Box) dropPacked(which func(packedNews) bool) { b.packed = slices.DeleteFunc(b.packed, which) }

// mergePacked is mergePair for what stayed packed: P2 to P6, without \Deleted (see Box.Packs).
func (b *Box) mergePacked() {
	edited := map[int64]bool{}
	for _, a := range b.Edited {
		edited[a.Old.ID] = true
	}
	slices.SortFunc(b.packed, func(x, y packedNews) int { return cmp.Or(cmp.Compare(x.id, y.id), cmp.Compare(x.side, y.side)) })
	flags := b.packed[:0] // what is left takes the place of what it was
	for i := 0; i < len(b.packed); {
		j := i + 1
		for j < len(b.packed) && b.packed[j].id == b.packed[i].id {
			j++
		}
		if !edited[b.packed[i].id] && !b.mergePackedPair(b.packed[i:j]) { // edited: of a later view
			flags = append(flags, b.packed[i:j]...)
		}
		i = j
	}
	b.packed, b.Ops.flagNews = nil, flags
	for _, side := range mail.Sides {
		b.Ops.Arrivals[side.Other()], b.packedArrivals[side] = b.packedArrivals[side], Arrivals{}
	}
}

// mergePackedPair takes a pair that is gone; false for one whose flags changed.
func (b *Box) mergePackedPair(news []packedNews) bool {
	var gone [2]bool
	for _, n := range news {
		gone[n.side] = gone[n.side] || n.show == showsGone
	}
	id, ops := news[0].id, &b.Ops
	switch {
	case gone[mail.Local] && gone[mail.Remote]:
		ops.ForgetIDs = append(ops.ForgetIDs, id)
	case gone[mail.Local]:
		ops.DeleteIDs[mail.Remote] = append(ops.DeleteIDs[mail.Remote], id)
	case gone[mail.Remote]:
		ops.DeleteIDs[mail.Local] = append(ops.DeleteIDs[mail.Local], id)
	default:
		return false
	}
	return true
}

// FlagIDs returns up to n ids of pairs whose flags are to be merged, and takes them out; none: there are no more.
func (b *Box) FlagIDs(n int) []int64 {
	var ids []int64
	news := b.Ops.flagNews
	taken := 0
	for taken < len(news) && (len(ids) < n || news[taken].id == ids[len(ids)-1]) {
		if id := news[taken].id; len(ids) == 0 || ids[len(ids)-1] != id {
			ids = append(ids, id)
		}
		taken++
	}
	b.taken, b.Ops.flagNews = news[:taken], news[taken:]
	return ids
}

// FlagOps returns the operations for the pairs that FlagIDs named last.
func (b *Box) FlagOps(pairs []mail.Pair) (ops []Flags) {
	byID := make(map[int64]*mail.Pair, len(pairs))
	for i := range pairs {
		byID[pairs[i].ID] = &pairs[i]
	}
	for i := 0; i < len(b.taken); {
		p := byID[b.taken[i].id]
		j := i
		var now [2]mail.Flags
		if p != nil {
			now = [2]mail.Flags{p.Flags, p.Flags}
		}
		for ; j < len(b.taken) && b.taken[j].id == b.taken[i].id; j++ {
			if n := b.taken[j]; p != nil {
				now[n.side] = Effective(p, n.side, b.table.At(n.show))
			}
		}
		i = j
		if p != nil {
			if op, _, needed := flagsOf(p, now); needed {
				ops = append(ops, op)
			}
		}
	}
	return ops
}

// DeleteOps turns pairs, of which DeleteIDs has the ids, into deletions on a side.
func DeleteOps(side mail.Side, pairs []mail.Pair) []Delete {
	ops := make([]Delete, len(pairs))
	for i := range pairs {
		ops[i].Pair = &pairs[i]
		ops[i].On[side] = true
	}
	return ops
}
