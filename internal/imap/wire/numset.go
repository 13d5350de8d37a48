package wire

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Range is the numbers from Lo to Hi, both included.
type Range struct{ Lo, Hi uint32 }

// NumSet is a set of message numbers or UIDs, kept as ascending ranges that neither touch nor overlap. The zero value is
// the empty set. Adding in ascending order is quick; a copy shares its ranges until Clone.
type NumSet struct{ ranges []Range }

// NumSetOf returns the set of the given numbers.
func NumSetOf(nums ...uint32) NumSet {
	var s NumSet
	for _, n := range nums {
		s.Add(n)
	}
	return s
}

// NumRange returns the set of the numbers from lo to hi.
func NumRange(lo, hi uint32) NumSet {
	var s NumSet
	s.AddRange(lo, hi)
	return s
}

// Add adds n.
func (s *NumSet) Add(n uint32) { s.AddRange(n, n) }

// AddRange adds the numbers between lo and hi, in either order. Zero is no message number and is left out.
func (s *NumSet) AddRange(lo, hi uint32) {
	if lo > hi {
		lo, hi = hi, lo
	}
	if hi == 0 {
		return
	}
	lo = max(lo, 1)
	k := len(s.ranges)
	if k == 0 || s.ranges[k-1].Hi < lo-1 {
		s.ranges = append(s.ranges, Range{lo, hi})
		return
	}
	if last := &s.ranges[k-1]; last.Lo <= lo {
		last.Hi = max(last.Hi, hi)
		return
	}
	// The first range that touches, and the first after it that does not.
	i := sort.Search(k, func(i int) bool { return s.ranges[i].Hi >= lo-1 })
	j := i + sort.Search(k-i, func(n int) bool { return hi != math.MaxUint32 && s.ranges[i+n].Lo > hi+1 })
	if i == j {
		s.ranges = slices.Insert(s.ranges, i, Range{lo, hi})
		return
	}
	merged := Range{min(lo, s.ranges[i].Lo), max(hi, s.ranges[j-1].Hi)}
	s.ranges = slices.Replace(s.ranges, i, j, merged)
}

// AddSet adds all of t.
func (s *NumSet) AddSet(t NumSet) {
	for _, r := range t.ranges {
		s.AddRange(r.Lo, r.Hi)
	}
}

// MaxUnordered is how many ranges a set may have that AddLater adds to out of order.
const MaxUnordered = 1 << 16

// AddLater adds all of t, which a server told in another response than the rest. What does not come after the rest costs time
// in proportion to the set; false: the set is too long for that, or would have more ranges than most, and was left as it is.
func (s *NumSet) AddLater(t NumSet, most int) bool {
	if len(s.ranges) > MaxUnordered && t.Min() < s.Max() || len(s.ranges)+len(t.ranges) > most {
		return false
	}
	s.AddSet(t)
	return true
}

// Remove takes all of t out.
func (s *NumSet) Remove(t NumSet) {
	for _, r := range t.ranges {
		s.removeRange(r.Lo, r.Hi)
	}
}

func (s *NumSet) removeRange(lo, hi uint32) {
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].Hi >= lo })
	j := i + sort.Search(len(s.ranges)-i, func(n int) bool { return s.ranges[i+n].Lo > hi })
	if i == j {
		return
	}
	var rest []Range
	if first := s.ranges[i]; first.Lo < lo {
		rest = append(rest, Range{first.Lo, lo - 1})
	}
	if last := s.ranges[j-1]; last.Hi > hi {
		rest = append(rest, Range{hi + 1, last.Hi})
	}
	s.ranges = slices.Replace(s.ranges, i, j, rest...)
}

// Len returns how many numbers are in the set.
func (s NumSet) Len() int {
	n := 0
	for _, r := range s.ranges {
		n += int(r.Hi-r.Lo) + 1
	}
	return n
}

// Empty says whether the set is empty.
func (s NumSet) Empty() bool { return len(s.ranges) == 0 }

// Contains says whether n is in the set.
func (s NumSet) Contains(n uint32) bool {
	if len(s.ranges) == 1 {
		return s.ranges[0].Lo <= n && n <= s.ranges[0].Hi
	}
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].Hi >= n })
	return i < len(s.ranges) && s.ranges[i].Lo <= n
}

// Ranges returns the ranges, ascending. They must not be changed.
func (s NumSet) Ranges() []Range { return s.ranges }

// Min returns the lowest number, 0 for the empty set.
func (s NumSet) Min() uint32 {
	if s.Empty() {
		return 0
	}
	return s.ranges[0].Lo
}

// Max returns the highest number, 0 for the empty set.
func (s NumSet) Max() uint32 {
	if s.Empty() {
		return 0
	}
	return s.ranges[len(s.ranges)-1].Hi
}

// Clone returns a set that shares nothing with s.
func (s NumSet) Clone() NumSet { return NumSet{slices.Clone(s.ranges)} }

// Equal says whether both sets have the same numbers.
func (s NumSet) Equal(t NumSet) bool { return slices.Equal(s.ranges, t.ranges) }

// All yields the numbers in ascending order.
func (s NumSet) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range s.ranges {
			for n := uint64(r.Lo); n <= uint64(r.Hi); n++ {
				if !yield(uint32(n)) {
					return
				}
			}
		}
	}
}

// AppendTo appends the set in IMAP syntax (RFC 9051 section 9, sequence-set), ascending: some servers refuse others.
func (s NumSet) AppendTo(b []byte) []byte {
	for i, r := range s.ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.appendTo(b)
	}
	return b
}

func (r Range) appendTo(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(r.Lo), 10)
	if r.Hi > r.Lo {
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(r.Hi), 10)
	}
	return b
}

// String returns the set in IMAP syntax, "1:3,7". The empty set, which IMAP cannot express, is "".
func (s NumSet) String() string { return string(s.AppendTo(nil)) }

// Split cuts the set into sets whose String is at most maxOctets long, at least one range each.
func (s NumSet) Split(maxOctets int) []NumSet {
	var parts []NumSet
	var scratch [24]byte
	start, length := 0, 0
	for i, r := range s.ranges {
		n := len(r.appendTo(scratch[:0])) + 1
		if i > start && length+n-1 > maxOctets {
			parts = append(parts, NumSet{s.ranges[start:i:i]})
			start, length = i, 0
		}
		length += n
	}
	if start < len(s.ranges) {
		parts = append(parts, NumSet{s.ranges[start:len(s.ranges):len(s.ranges)]})
	}
	return parts
}

// ParseNumSet returns the set that s is in IMAP syntax; "*" counts as 4294967295. Sets in any order are understood.
func ParseNumSet(s string) (NumSet, error) {
	var set NumSet
	err := EachRange(s, func(lo, hi uint32) error {
		set.AddRange(lo, hi)
		return nil
	})
	return set, err
}

// EachRange calls fn for the ranges of s in the order they are written.
func EachRange(s string, fn func(lo, hi uint32) error) error {
	for part := range strings.SplitSeq(s, ",") {
		a, b, both := strings.Cut(part, ":")
		lo, ok := parseSetNumber(a)
		hi, ok2 := lo, true
		if both {
			hi, ok2 = parseSetNumber(b)
		}
		if !ok || !ok2 {
			return fmt.Errorf("parse set of numbers: %w", &SyntaxError{Want: "number", Got: part[:min(len(part), 40)]})
		}
		if err := fn(lo, hi); err != nil {
			return err
		}
	}
	return nil
}

func parseSetNumber(s string) (uint32, bool) {
	if s == "*" {
		return math.MaxUint32, true
	}
	return ParseNumber32(s)
}

// NumSet takes a set in any order. Its length does not count for the line, only for Limits.Numbers.
func (d *Decoder) NumSet() (NumSet, error) {
	var set NumSet
	for n := 0; ; n++ {
		if n >= d.limits.Numbers {
			return NumSet{}, d.fatal("set of numbers", int64(d.limits.Numbers))
		}
		lo, err := d.setNumber()
		if err != nil {
			return NumSet{}, err
		}
		hi := lo
		if d.Accept(':') {
			if hi, err = d.setNumber(); err != nil {
				return NumSet{}, err
			}
		}
		set.AddRange(lo, hi)
		d.lineStart = d.offset()
		if !d.Accept(',') {
			return set, nil
		}
	}
}

func (d *Decoder) setNumber() (uint32, error) {
	if d.Accept('*') {
		return math.MaxUint32, nil
	}
	return d.Number32()
}

// Numbers takes numbers separated by spaces (a SEARCH response) up to the end of the line or to what is no number. Their
// length does not count for the line, only for Limits.Numbers.
func (d *Decoder) Numbers() (NumSet, error) {
	var set NumSet
	for n := 0; ; n++ {
		if err := d.Spaces(); err != nil {
			return NumSet{}, err
		}
		b, err := d.Peek()
		if err != nil || b < '0' || b > '9' {
			return set, err
		}
		if n >= d.limits.Numbers {
			return NumSet{}, d.fatal("set of numbers", int64(d.limits.Numbers))
		}
		num, err := d.Number32()
		if err != nil {
			return NumSet{}, err
		}
		set.Add(num)
		d.lineStart = d.offset()
	}
}
