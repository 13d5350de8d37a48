package plan

import (
	"slices"

	"mailtwin/internal/mail"
)

// The operations; a closed set. Each is complete in itself: what a Flags needs of a Move or an Adopt before it is the pair
// they share.
type (
	// Adopt pairs two existing messages without copying anything. The pair has both keys and the flags that are surely agreed on.
	Adopt struct{ Pair *mail.Pair }
	// Copy takes a message to the side that lacks it.
	Copy struct {
		To   mail.Side
		From *Arrival
	}
	// Flags makes both sides' flags Want, where they differ, and remembers that.
	Flags struct {
		Pair *mail.Pair
		Want mail.Flags
		Now  [2]mail.Flags
	}
	// Delete removes a message on the sides in On.
	Delete struct {
		On       [2]bool
		Pair     *mail.Pair
		Expunges bool // case P7: what On leaves out stays, marked
		Replaced bool // cases E1, H5: only once the pair is left as replaced, that is after its new version was copied
		Vanished bool // case H6: never without the user's word
	}
	// Forget drops a pair that neither side has any more.
	Forget struct{ Pair *mail.Pair }
	// Leave makes a half pair of one that was expunged on the other side.
	Leave struct {
		On   mail.Side
		Pair *mail.Pair
	}
)

// Ops are the operations of one mailbox, by the phase in which they are carried out. A Move belongs to the mailbox it starts from.
type Ops struct {
	Adopt  []Adopt
	Copy   [2][]Copy // by Copy.To
	Move   [2][]Move // by Move.On
	Flags  []Flags
	Delete []Delete
	Forget []Forget
	Leave  []Leave

	// What stayed packed, see Arrivals: more copies, by the side that lacks the message; more deletions, by the side on which the pairs'
	// messages go; more pairs to forget. More flags are told by Box.FlagIDs.
	Arrivals  [2]Arrivals
	DeleteIDs [2][]int64
	ForgetIDs []int64
	flagNews  []packedNews
}

// Empty reports whether there is nothing to do.
func (o *Ops) Empty() bool {
	return len(o.Adopt)+o.Copies(mail.Local)+o.Copies(mail.Remote)+len(o.Move[0])+len(o.Move[1])+o.FlagChanges()+o.Deletes()+len(o.Forget)+len(o.ForgetIDs)+len(o.Leave) == 0
}

// Copies returns how many messages are copied to a side.
func (o *Ops) Copies(to mail.Side) int { return len(o.Copy[to]) + o.Arrivals[to].Len() }

// Deletes returns how many deletions there are.
func (o *Ops) Deletes() int { return len(o.Delete) + len(o.DeleteIDs[0]) + len(o.DeleteIDs[1]) }

// FlagChanges returns how many changes of flags there are; a pair that both sides changed may count as two.
func (o *Ops) FlagChanges() int { return len(o.Flags) + len(o.flagNews) }

// DropDeletes takes all deletions out of the plan.
func (o *Ops) DropDeletes() { o.Delete, o.DeleteIDs = nil, [2][]int64{} }

// Policy is what the user chose.
type Policy struct {
	Expunge     Expunge
	DeleteBoxes DeleteBoxes
	CopyBack    bool // case H6: what vanished before an import is copied to the side that lacks it
	Hints       bool // the base is of another age than a side: flags are joined, not taken away
}

// AdoptMatches turns matches into operations of the mailbox; call it before Merge.
func (b *Box) AdoptMatches(matches []Match) {
	for _, m := range matches {
		l, r := m.Of[mail.Local], m.Of[mail.Remote]
		pair := adoptedPair(b.Name, l, r)
		now := [2]mail.Flags{Effective(pair, mail.Local, l.Entry.Flags), Effective(pair, mail.Remote, r.Entry.Flags)}
		pair.Verified = m.Verified
		if m.Altered {
			pair.Left = mail.LeftAltered
		}
		b.Ops.Adopt = append(b.Ops.Adopt, Adopt{pair})
		if l.Half != nil && r.Half != nil {
			b.Ops.Forget = append(b.Ops.Forget, Forget{r.Half})
		}
		b.mergeFlags(pair, now)
	}
}

// adoptedPair builds the pair of two arrivals. Without a base, only flags that both have are agreed on, so that merging keeps
// all of either; \Deleted counts as agreed on, so that one side alone cannot delete.
func adoptedPair(box mail.Box, l, r *Arrival) *mail.Pair {
	half := l.Half
	if half == nil {
		half = r.Half
	}
	pair := &mail.Pair{Box: box, Ident: l.Entry.Ident.Merge(r.Entry.Ident)}
	if half != nil {
		copied := *half
		pair = &copied
		pair.Ident = pair.Ident.Merge(l.Entry.Ident).Merge(r.Entry.Ident)
		pair.Left = mail.LeftNone
	} else {
		pair.Flags = l.Entry.Flags.And(r.Entry.Flags)
		pair.Flags.System |= (l.Entry.Flags.System | r.Entry.Flags.System) & mail.Deleted
	}
	pair.Keys = [2]mail.Key{l.Entry.Key, r.Entry.Key}
	return pair
}

// mergeFlags plans cases P2 and P3, and returns what both sides will have.
func (b *Box) mergeFlags(pair *mail.Pair, now [2]mail.Flags) mail.Flags {
	op, want, needed := flagsOf(pair, now)
	if needed {
		b.Ops.Flags = append(b.Ops.Flags, op)
	}
	return want
}

// FlagsOf returns what makes the flags of a pair equal of which one side alone has news: case P2. Nothing else of a plan bears on it as
// long as the message stays where it is.
func FlagsOf(side mail.Side, c Change) Flags {
	now := [2]mail.Flags{c.Pair.Flags, c.Pair.Flags}
	now[side] = Effective(c.Pair, side, c.Now.Flags)
	op, _, _ := flagsOf(c.Pair, now)
	return op
}

func flagsOf(pair *mail.Pair, now [2]mail.Flags) (op Flags, want mail.Flags, needed bool) {
	want = mail.MergeFlags(pair.Flags, now[mail.Local], now[mail.Remote])
	return Flags{Pair: pair, Want: want, Now: now}, want, !want.Equal(pair.Flags) || !want.Equal(now[0]) || !want.Equal(now[1])
}

// AddMoves gives each move to the mailbox it starts from, with the flags that change on the way.
func AddMoves(boxes map[mail.Box]*Box, moves []Move) {
	for _, m := range moves {
		from := boxes[m.Pair.Box]
		boxes[m.To.Box].hasMoveTo = true
		from.Ops.Move[m.On] = append(from.Ops.Move[m.On], m)
		seen, now := m.On.Other(), m.News.Flags
		now[seen] = Effective(m.Pair, seen, m.To.Entry.Flags)
		if !m.Stale {
			from.mergeFlags(m.Pair, now)
			continue
		}
		meant := now
		meant[seen].Keywords = m.Pair.Flags.Keywords
		op, _, _ := flagsOf(m.Pair, meant)
		op.Now = now // what is there is to become what is meant
		from.Ops.Flags = append(from.Ops.Flags, op)
	}
}

// Merge turns the rest of the news into operations: call it after AdoptMatches and AddMoves.
func (b *Box) Merge(p Policy) {
	b.mergePacked()
	b.mergeEdits()
	news := b.sortedNews()
	b.Ops.grow(news)
	for _, n := range news {
		b.mergePair(n, p)
	}
	for _, side := range mail.Sides {
		if b.Missing[side.Other()] {
			continue // B2, B4: there is no mailbox to copy to
		}
		for _, a := range b.Candidates(side) { // A3, H3
			if a.waits {
				continue
			}
			b.Ops.Copy[side.Other()] = append(b.Ops.Copy[side.Other()], Copy{To: side.Other(), From: a})
		}
	}
}

// grow makes room for most of what news may become.
func (o *Ops) grow(news []*News) {
	gone := 0
	for _, n := range news {
		if n.Gone[mail.Local] || n.Gone[mail.Remote] {
			gone++
		}
	}
	o.Flags, o.Delete = slices.Grow(o.Flags, len(news)-gone), slices.Grow(o.Delete, gone)
}

func (b *Box) mergeEdits() {
	for _, a := range b.Edited { // E1, E2
		other := a.Side.Other()
		if !a.Free() || b.Missing[other] {
			continue
		}
		delete(b.News, a.Old.ID) // of a later view
		b.Ops.Copy[other] = append(b.Ops.Copy[other], Copy{To: other, From: a})
		b.removeOld(a.Old, other)
	}
	for _, p := range b.old { // H5
		b.removeOld(p, Holder(p))
	}
}

func (b *Box) removeOld(p *mail.Pair, side mail.Side) {
	var on [2]bool
	on[side] = true
	b.Ops.Delete = append(b.Ops.Delete, Delete{On: on, Pair: p, Replaced: true})
}

func (b *Box) mergePair(n *News, p Policy) {
	full := n.Pair.Keys[mail.Local] != "" && n.Pair.Keys[mail.Remote] != ""
	switch {
	case n.moved: // A2
	case n.half != nil: // H6
		b.mergeVanished(n, p)
	case n.Gone[mail.Local] && n.Gone[mail.Remote]: // P6
		b.Ops.Forget = append(b.Ops.Forget, Forget{n.Pair})
	case !full && n.Gone[Holder(n.Pair)]: // H1
		b.Ops.Forget = append(b.Ops.Forget, Forget{n.Pair})
	case !full: // H3, H4: flags of a half pair are looked at when it is whole
	case n.Gone[mail.Local] || n.Gone[mail.Remote]: // P4, P5
		b.mergeGone(n, p)
	default: // P2, P3
		if p.Hints {
			n.Pair.Flags = n.Flags[0].And(n.Flags[1])
			n.Pair.Flags.System |= (n.Flags[0].System | n.Flags[1].System) & mail.Deleted
		}
		want := b.mergeFlags(n.Pair, n.Flags)
		if on := expungeOn(p.Expunge); on != [2]bool{} && want.System&mail.Deleted != 0 { // P7
			b.Ops.Delete = append(b.Ops.Delete, Delete{On: on, Pair: n.Pair, Expunges: true})
		}
	}
}

func (b *Box) mergeVanished(n *News, p Policy) {
	side := Holder(n.Pair)
	switch {
	case !n.half.Free(): // H2
	case b.Missing[side.Other()] && p.DeleteBoxes != DeleteAllBoxes: // B3
	case p.CopyBack:
		n.half.waits = false
	default:
		var on [2]bool
		on[side] = true
		b.Ops.Delete = append(b.Ops.Delete, Delete{On: on, Pair: n.Pair, Vanished: true})
	}
}

func (b *Box) mergeGone(n *News, p Policy) {
	side := mail.Local // where it still is
	if n.Gone[mail.Local] {
		side = mail.Remote
	}
	if b.Missing[side.Other()] && p.DeleteBoxes != DeleteAllBoxes {
		return // B4
	}
	if on := expungeOn(p.Expunge); on[side.Other()] && !on[side] && n.Pair.Flags.System&mail.Deleted != 0 {
		b.Ops.Leave = append(b.Ops.Leave, Leave{side, n.Pair}) // expunged, and stopped before the commit (P7)
		return
	}
	var on [2]bool
	on[side] = true
	b.Ops.Delete = append(b.Ops.Delete, Delete{On: on, Pair: n.Pair})
}

func expungeOn(e Expunge) [2]bool {
	return [2]bool{e == ExpungeLocal || e == ExpungeBoth, e == ExpungeRemote || e == ExpungeBoth}
}
