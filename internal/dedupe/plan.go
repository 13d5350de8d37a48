package dedupe

import (
	"bytes"
	"cmp"
	"slices"
)

// By says what makes two messages duplicates.
type By uint8

// The kinds.
const (
	Content   By = iota // same Message-ID, same other header fields but for the ignored ones, same body but for line ends
	Exact               // every byte
	MessageID           // the Message-ID alone
)

var byNames = []string{"content", "exact", "message-id"}

func (b By) String() string { return byNames[b] }

// ParseBy reads the name of a kind.
func ParseBy(s string) (By, bool) {
	i := slices.Index(byNames, s)
	return By(max(i, 0)), i >= 0 //nolint:gosec // one of three
}

// Keep says which of several copies stays, where nothing more important decides.
type Keep uint8

// The kinds. KeepDefault is the oldest, but one that the state database knows comes first.
const (
	KeepDefault Keep = iota
	KeepOldest
	KeepNewest
	KeepLargest
)

// Policy says what is asked for.
type Policy struct {
	By     By
	Keep   Keep
	Across bool
	Rank   []int // of mailboxes, by Message.Box; the lowest is where a message stays. nil: all the same
}

// Groups are the duplicates that were found: for each the message that stays, and its copies after it.
type Groups struct {
	list []uint32
	ends []uint32
}

// Len returns the number of groups.
func (g *Groups) Len() int { return len(g.ends) }

// Copies returns the number of messages that are too many.
func (g *Groups) Copies() int { return len(g.list) - len(g.ends) }

// At returns a group: the first message stays.
func (g *Groups) At(i int) []uint32 {
	begin := uint32(0)
	if i > 0 {
		begin = g.ends[i-1]
	}
	return g.list[begin:g.ends[i]]
}

// usable reports whether a message can be in a group.
func usable(m *Message) bool { return m.Bits&(Bare|Gone) == 0 && m.Bits&HasKey != 0 }

// compareKeys orders messages so that those that may match are neighbours.
func (p Policy) compareKeys(a, b *Message) int {
	if c := cmp.Compare(a.Key, b.Key); c != 0 || p.Across {
		return c
	}
	return cmp.Compare(a.Box, b.Box)
}

// Candidates returns the messages whose content must be read because another one has the same key, in no order.
func (t *Table) Candidates(p Policy) []uint32 {
	list := t.Index(usable, p.compareKeys)
	kept := list[:0]
	eachRun(list, func(a, b uint32) bool { return p.compareKeys(t.At(a), t.At(b)) == 0 }, func(run []uint32) {
		for _, i := range run {
			if len(run) > 1 && t.At(i).Bits&HasSum == 0 {
				kept = append(kept, i)
			}
		}
	})
	return kept
}

// eachRun calls fn for each run of equal neighbours. fn may overwrite what is before the run's end.
func eachRun(list []uint32, equal func(a, b uint32) bool, fn func(run []uint32)) {
	for i := 0; i < len(list); {
		j := i + 1
		for j < len(list) && equal(list[i], list[j]) {
			j++
		}
		next := j
		fn(list[i:j])
		i = next
	}
}

// Compare orders messages by what makes them match, and those of a group so that the one that stays comes first. A table in this order is
// planned in a moment.
func (p Policy) Compare(t *Table, a, b *Message) int {
	if c := p.match(a, b); c != 0 {
		return c
	}
	return p.prefer(t, a, b)
}

func (p Policy) match(a, b *Message) int {
	if c := p.compareKeys(a, b); c != 0 || p.By == MessageID {
		return c
	}
	return bytes.Compare(a.Sum[:], b.Sum[:])
}

// prefer decides between two copies. Nothing in it changes when flags other than \Deleted change.
func (p Policy) prefer(t *Table, a, b *Message) int {
	if c := cmp.Compare(a.Bits&Deleted, b.Bits&Deleted); c != 0 { // one that is about to be expunged must not be the last
		return c
	}
	if p.Rank != nil {
		if c := cmp.Compare(p.Rank[a.Box], p.Rank[b.Box]); c != 0 {
			return c
		}
	}
	switch p.Keep {
	case KeepNewest:
		if c := cmp.Compare(b.Date, a.Date); c != 0 {
			return c
		}
	case KeepLargest:
		if c := cmp.Compare(b.Size, a.Size); c != 0 {
			return c
		}
	case KeepOldest:
		if c := cmp.Compare(a.Date, b.Date); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(b.Bits&Known, a.Bits&Known); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Date, b.Date); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Box, b.Box); c != 0 {
		return c
	}
	na, nb := t.Name(a), t.Name(b)
	if c := bytes.Compare(Unique(na), Unique(nb)); c != 0 {
		return c
	}
	return cmp.Compare(a.Stamp, b.Stamp)
}

// Plan finds the groups. Messages without the sum that p.By needs must be read before, see Candidates.
func (t *Table) Plan(p Policy) Groups {
	list := t.Index(func(m *Message) bool { return usable(m) && (p.By == MessageID || m.Bits&HasSum != 0) },
		func(a, b *Message) int { return p.Compare(t, a, b) })
	g := Groups{}
	kept := list[:0]
	eachRun(list, func(a, b uint32) bool { return p.match(t.At(a), t.At(b)) == 0 }, func(run []uint32) {
		if len(run) < 2 {
			return
		}
		before := len(kept)
		for k, i := range run {
			if k == 0 || !t.sameFile(run[:k], i) {
				kept = append(kept, i)
			}
		}
		if len(kept)-before < 2 {
			kept = kept[:before]
			return
		}
		g.ends = append(g.ends, uint32(len(kept))) //nolint:gosec // at most 1<<31
	})
	g.list = kept
	return g
}

// sameFile reports whether message i is one of those before under another name: a mail reader renames by a link and an unlink,
// and is between the two. Removing one name while it removes the other would take the message away.
func (t *Table) sameFile(before []uint32, i uint32) bool {
	m := t.At(i)
	for k := len(before) - 1; k >= 0; k-- {
		o := t.At(before[k])
		if o.Stamp == m.Stamp && o.Box == m.Box && bytes.Equal(Unique(t.Name(o)), Unique(t.Name(m))) {
			return true
		}
		if !bytes.Equal(Unique(t.Name(o)), Unique(t.Name(m))) {
			return false // names of one file are neighbours, unless they have flags of different kinds
		}
	}
	return false
}

// MostOf reports whether so many copies are most of a mailbox, which is not to be removed without being asked.
func MostOf(copies, of int) bool { return copies >= 10 && 2*copies > of }
