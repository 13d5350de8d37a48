package mail

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// Sum is a fingerprint of what a side of a mailbox shows: a set of keys with their flags, in any order, and how many there are.
// Two equal sums mean equal sets; the sum is kept up to date without looking at the whole set. The zero value is the empty set.
type Sum [3]uint64

// Count returns how many messages are in the set.
func (s Sum) Count() int { return int(s[2]) } //nolint:gosec // of messages

// Add puts a message into the set.
func (s *Sum) Add(key Key, flags Flags) {
	a, b := fingerprint(key, flags)
	s[0] += a
	s[1] += b
	s[2]++
}

// Remove takes a message out of the set.
func (s *Sum) Remove(key Key, flags Flags) {
	a, b := fingerprint(key, flags)
	s[0] -= a
	s[1] -= b
	s[2]--
}

// Plus joins two sums.
func (s Sum) Plus(t Sum) Sum { return Sum{s[0] + t[0], s[1] + t[1], s[2] + t[2]} }

func fingerprint(key Key, flags Flags) (a, b uint64) {
	var space [128]byte
	text := append(space[:0], byte(flags.System))
	text = append(text, strings.ToLower(flags.Keywords)...) // letter case of keywords does not count
	text = append(text, 0)
	text = append(text, key...)
	h := sha256.Sum256(text)
	return binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:16])
}

// Shown returns the flags that a side shows of a pair when nothing changed there.
func (p *Pair) Shown(side Side) Flags { return p.Flags.Minus(p.Lacks[side]) }
