package mail

import "iter"

// Expected is how effects leave a mailbox: which messages they stored, moved there or changed, with which flags, and how many are there
// in all. The zero value expects nothing. Not safe for concurrent use.
type Expected struct {
	Total int

	keys  []Key
	flags []uint32
	table FlagTable
}

// Add notes a message. Of several notes of one message the last counts.
func (x *Expected) Add(k Key, f Flags) {
	place, _ := x.table.Add(f)
	x.keys, x.flags = append(x.keys, k), append(x.flags, place)
}

// Len returns how many notes there are.
func (x *Expected) Len() int { return len(x.keys) }

// All yields the notes in the order in which they were made.
func (x *Expected) All() iter.Seq2[Key, Flags] {
	return func(yield func(Key, Flags) bool) {
		for i, k := range x.keys {
			if !yield(k, x.table.At(x.flags[i])) {
				return
			}
		}
	}
}
