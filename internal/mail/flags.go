package mail

import (
	"slices"
	"strings"
)

// System is the set of the IMAP system flags that are kept in sync (RFC 9051 section 2.3.2; \Recent is none of them).
type System uint8

// The system flags.
const (
	Seen System = 1 << iota
	Answered
	Flagged
	Draft
	Deleted

	AllSystem = Seen | Answered | Flagged | Draft | Deleted
)

// Flags is a set of system flags and keywords. Keywords are in canonical form: separated by single spaces, sorted by
// their lower-case form, none twice; make them with [Keywords]. The zero value is the empty set. Keywords differ by more
// than letter case (RFC 9051 section 2.3.2), so compare with Equal, not ==.
type Flags struct {
	System   System
	Keywords string
}

// Keywords returns the canonical form of a list of keywords. Words with spaces or control characters and empty ones are
// left out: they cannot be keywords.
func Keywords(words ...string) string {
	kept := make([]string, 0, len(words))
	for _, w := range words {
		if w != "" && strings.IndexFunc(w, func(r rune) bool { return r <= ' ' || r == 0x7f }) < 0 {
			kept = append(kept, w)
		}
	}
	if len(kept) == 0 {
		return ""
	}
	slices.SortFunc(kept, compareFold)
	kept = slices.CompactFunc(kept, strings.EqualFold)
	return strings.Join(kept, " ")
}

func compareFold(a, b string) int {
	if c := strings.Compare(strings.ToLower(a), strings.ToLower(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// Words returns the keywords one by one; nil if there are none.
func (f Flags) Words() []string {
	if f.Keywords == "" {
		return nil
	}
	return strings.Split(f.Keywords, " ")
}

// Empty reports whether no flag is set.
func (f Flags) Empty() bool { return f.System == 0 && f.Keywords == "" }

// Equal compares two sets; letter case of keywords does not count.
func (f Flags) Equal(g Flags) bool {
	return f.System == g.System && (f.Keywords == g.Keywords || strings.EqualFold(f.Keywords, g.Keywords))
}

// Union returns all flags that are in f or g.
func (f Flags) Union(g Flags) Flags {
	return Flags{f.System | g.System, f.keywords(g, func(bool) bool { return true }, true)}
}

// Minus returns the flags of f that are not in g.
func (f Flags) Minus(g Flags) Flags {
	return Flags{f.System &^ g.System, f.keywords(g, func(both bool) bool { return !both }, false)}
}

// And returns the flags that are in both.
func (f Flags) And(g Flags) Flags {
	return Flags{f.System & g.System, f.keywords(g, func(both bool) bool { return both }, false)}
}

// keywords merges the keywords of f that keep accepts (told whether g has them too), and all of g's if wanted.
func (f Flags) keywords(g Flags, keep func(both bool) bool, all bool) string {
	switch {
	case f.Keywords == g.Keywords && keep(true):
		return f.Keywords
	case f.Keywords == "" && !all:
		return ""
	case f.Keywords == "":
		return g.Keywords
	case g.Keywords == "" && keep(false):
		return f.Keywords
	}
	theirs := g.Words()
	var words []string
	for _, w := range f.Words() {
		both := slices.ContainsFunc(theirs, func(t string) bool { return strings.EqualFold(t, w) })
		if keep(both) {
			words = append(words, w)
		}
	}
	if all {
		words = append(words, theirs...)
	}
	return Keywords(words...)
}

var systemNames = []struct {
	flag System
	name string
}{{Answered, `\Answered`}, {Deleted, `\Deleted`}, {Draft, `\Draft`}, {Flagged, `\Flagged`}, {Seen, `\Seen`}}

// ParseFlag returns the set that holds one flag as IMAP writes it; \Recent and unknown system flags are the empty set.
func ParseFlag(s string) Flags {
	if !strings.HasPrefix(s, `\`) {
		return Flags{Keywords: Keywords(s)}
	}
	for _, n := range systemNames {
		if strings.EqualFold(n.name, s) {
			return Flags{System: n.flag}
		}
	}
	return Flags{}
}

// ParseFlags returns the set of the flags as IMAP writes them.
func ParseFlags(names []string) Flags {
	var f Flags
	var words []string
	for _, s := range names {
		if strings.HasPrefix(s, `\`) {
			f.System |= ParseFlag(s).System
		} else {
			words = append(words, s)
		}
	}
	f.Keywords = Keywords(words...)
	return f
}

// Names returns the flags as IMAP writes them, system flags first.
func (f Flags) Names() []string {
	var names []string
	for _, n := range systemNames {
		if f.System&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	return append(names, f.Words()...)
}

func (f Flags) String() string { return "(" + strings.Join(f.Names(), " ") + ")" }

// Storable says which flags a mailbox can hold (PERMANENTFLAGS, RFC 9051 section 7.1).
type Storable struct {
	Flags Flags // these
	New   bool  // and any further keyword
}

// AnyFlags is a mailbox without limits.
var AnyFlags = Storable{Flags: Flags{System: AllSystem}, New: true}

// Lacks returns the flags of f that the mailbox cannot hold.
func (s Storable) Lacks(f Flags) Flags {
	rest := f.Minus(s.Flags)
	if s.New {
		rest.Keywords = ""
	}
	return rest
}

// MergeFlags merges both sides' flags bit by bit against what they last agreed on: a bit that one side changed is taken
// from that side; both can only have changed it to the same.
func MergeFlags(base, a, b Flags) Flags {
	added := a.Minus(base).Union(b.Minus(base))
	removed := base.Minus(a).Union(base.Minus(b))
	return base.Minus(removed).Union(added)
}
