package mail

// Side is one of the two stores of an account.
type Side uint8

// The two sides. They index arrays such as Pair.Keys.
const (
	Local Side = iota
	Remote
)

// Sides lists both, for loops.
var Sides = [2]Side{Local, Remote}

// Other returns the opposite side.
func (s Side) Other() Side { return s ^ 1 }

func (s Side) String() string {
	if s == Local {
		return "local"
	}
	return "remote"
}
