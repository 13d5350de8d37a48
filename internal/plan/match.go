package plan

import "mailtwin/internal/mail"

// Match is one message that both sides have, found by identity.
type Match struct {
	Of       [2]*Arrival // by side
	Verified bool        // by digest
	Altered  bool        // by Message-ID alone; the contents differ
}

// MatchArrivals pairs the arrivals of a mailbox's two sides as multisets: two real identical copies stay two. Digests
// decide; same Message-ID and same size do without only where both are alone with that Message-ID. doubt has those whose
// digest is needed before anything can be said; with every doubt removed, a second call has none. Matched arrivals are
// taken only when there is no doubt left.
func MatchArrivals(b *Box) (matches []Match, doubt [2][]*Arrival) {
	m := matcher{free: [2][]*Arrival{b.Candidates(mail.Local), b.Candidates(mail.Remote)}}
	if len(m.free[0]) == 0 || len(m.free[1]) == 0 {
		return nil, doubt
	}
	m.alone = [2]map[mail.Hash]int{countIDs(m.free[0]), countIDs(m.free[1])}
	m.byDigest()
	m.byMessageID()
	m.withoutID()
	if len(m.doubt[0])+len(m.doubt[1]) > 0 {
		return nil, m.doubt
	}
	for _, match := range m.matches {
		match.Of[0].taken, match.Of[1].taken = true, true
	}
	return m.matches, doubt
}

type matcher struct {
	free    [2][]*Arrival
	alone   [2]map[mail.Hash]int // how many have a Message-ID
	matches []Match
	doubt   [2][]*Arrival
}

func countIDs(list []*Arrival) map[mail.Hash]int {
	counts := make(map[mail.Hash]int, len(list))
	for _, a := range list {
		counts[a.Entry.Ident.MessageID]++
	}
	return counts
}

// pairable says that two arrivals may become one pair: two halves may, if they lack different sides, which the sides of
// the candidates see to.
func (m *matcher) take(l, r *Arrival, match Match) {
	match.Of = [2]*Arrival{l, r}
	m.matches = append(m.matches, match)
}

// byDigest pairs equal digests.
func (m *matcher) byDigest() {
	index := map[mail.Hash][]*Arrival{}
	for _, r := range m.free[1] {
		if d := r.Entry.Ident.Digest; !d.IsZero() {
			index[d] = append(index[d], r)
		}
	}
	matched := map[*Arrival]bool{}
	for _, l := range m.free[0] {
		d := l.Entry.Ident.Digest
		if rest := index[d]; !d.IsZero() && len(rest) > 0 {
			m.take(l, rest[0], Match{Verified: true})
			index[d], matched[l], matched[rest[0]] = rest[1:], true, true
		}
	}
	m.drop(matched)
}

func (m *matcher) drop(matched map[*Arrival]bool) {
	for s := range m.free {
		kept := m.free[s][:0]
		for _, a := range m.free[s] {
			if !matched[a] {
				kept = append(kept, a)
			}
		}
		m.free[s] = kept
	}
}

// byMessageID pairs what has no digest on one side at least, or differs.
func (m *matcher) byMessageID() {
	groups := map[mail.Hash][]*Arrival{}
	for _, r := range m.free[1] {
		if id := r.Entry.Ident.MessageID; !id.IsZero() {
			groups[id] = append(groups[id], r)
		}
	}
	asked := map[*Arrival]bool{}
	for _, l := range m.free[0] {
		id := l.Entry.Ident.MessageID
		if id.IsZero() || len(groups[id]) == 0 {
			continue
		}
		if m.alone[0][id] == 1 && m.alone[1][id] == 1 && m.single(l, groups[id][0]) {
			continue
		}
		m.ask(asked, append([]*Arrival{l}, groups[id]...))
	}
}

// single settles a Message-ID that each side has once; false if it takes digests.
func (m *matcher) single(l, r *Arrival) bool {
	known := !l.Entry.Ident.Digest.IsZero() && !r.Entry.Ident.Digest.IsZero()
	switch {
	case known: // and not equal, else they would be matched
		m.take(l, r, Match{Altered: true})
	case l.Entry.Ident.Size == r.Entry.Ident.Size && l.Entry.Ident.Size > 0:
		m.take(l, r, Match{})
	default:
		return false
	}
	return true
}

func (m *matcher) ask(asked map[*Arrival]bool, list []*Arrival) {
	for _, a := range list {
		if a.Entry.Ident.Digest.IsZero() && !asked[a] {
			asked[a] = true
			m.doubt[a.Side] = append(m.doubt[a.Side], a)
		}
	}
}

// withoutID asks for the digests of messages without Message-ID, if both sides have such. Sizes would not do: some servers
// lie about them.
func (m *matcher) withoutID() {
	var lists [2][]*Arrival
	for s := range m.free {
		for _, a := range m.free[s] {
			if a.Entry.Ident.MessageID.IsZero() {
				lists[s] = append(lists[s], a)
			}
		}
	}
	if len(lists[0]) > 0 && len(lists[1]) > 0 {
		asked := map[*Arrival]bool{}
		m.ask(asked, lists[0])
		m.ask(asked, lists[1])
	}
}
