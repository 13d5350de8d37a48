package mail

// FlagTable keeps each set of flags once, for lists of very many messages. The zero value is empty.
type FlagTable struct {
	list  []Flags
	index map[Flags]uint32
}

// Add returns the place of a set, and whether it is new.
func (t *FlagTable) Add(f Flags) (place uint32, fresh bool) {
	place, ok := t.index[f]
	if !ok {
		if t.index == nil {
			t.index = map[Flags]uint32{}
		}
		place = uint32(len(t.list)) //nolint:gosec // at most one for each message
		t.index[f] = place
		t.list = append(t.list, f)
	}
	return place, !ok
}

// At returns the set at a place.
func (t *FlagTable) At(place uint32) Flags { return t.list[place] }

// Len returns how many sets there are.
func (t *FlagTable) Len() int { return len(t.list) }
