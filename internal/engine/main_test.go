package engine

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// TestMain gives the random histories a fixed seed, so that a run of the tests says the same each time. The long form (make
// crash) takes another seed each time, which it prints, and as many histories as MAILTWIN_HISTORIES says for each kind of account.
func TestMain(m *testing.M) {
	flag.Parse()
	seed := flag.Lookup("rapid.seed")
	switch {
	case seed == nil || seed.Value.String() != "0":
	case os.Getenv("MAILTWIN_CRASH") == "":
		_ = flag.Set("rapid.seed", "20240301")
		if testing.Short() { // the race detector is after other things, and ten times as slow
			_ = flag.Set("rapid.checks", "20")
		}
	default:
		_ = flag.Set("rapid.seed", fmt.Sprint(time.Now().UnixNano()))
		if n := os.Getenv("MAILTWIN_HISTORIES"); n != "" {
			_ = flag.Set("rapid.checks", n)
		}
		fmt.Printf("histories: seed %s\n", seed.Value)
	}
	os.Exit(m.Run())
}
