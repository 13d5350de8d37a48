package offlineimap

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDocumented: docs/migrating.md says of each option that is known what becomes of it.
func TestDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/migrating.md")
	must(t, err)
	for _, option := range slices.Concat(translated, slices.Collect(maps.Keys(missingHere))) {
		if !strings.Contains(string(text), "`"+option+"`") {
			t.Errorf("%s is not in docs/migrating.md", option)
		}
	}
}
