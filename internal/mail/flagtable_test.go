package mail

import "testing"

func TestFlagTable(t *testing.T) {
	t.Parallel()
	var table FlagTable
	sets := []Flags{{}, {System: Seen}, {System: Seen, Keywords: "Work"}}
	for round := range 2 {
		for i, f := range sets {
			place, fresh := table.Add(f)
			if place != uint32(i) || fresh != (round == 0) || table.At(place) != f {
				t.Errorf("%v: place %d, new %v, %v", f, place, fresh, table.At(place))
			}
		}
	}
}
