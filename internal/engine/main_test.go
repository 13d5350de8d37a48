package engine

import (
	"flag"
	"os"
	"testing"
)

// TestMain gives the random histories a fixed seed, so that a run of the tests says the same each time. The long form (make
// crash) takes other seeds, and rapid prints that of a failure.
func TestMain(m *testing.M) {
	flag.Parse()
	if seed := flag.Lookup("rapid.seed"); os.Getenv("MAILTWIN_CRASH") == "" && seed != nil && seed.Value.String() == "0" {
		_ = flag.Set("rapid.seed", "20240301")
	}
	os.Exit(m.Run())
}
