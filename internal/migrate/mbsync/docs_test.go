package mbsync

import (
	"os"
	"strings"
	"testing"
)

// TestDocumented: docs/migrating.md says of each option that is known what becomes of it.
func TestDocumented(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../../docs/migrating.md")
	must(t, err)
	text := strings.ToLower(string(b))
	for option := range plain {
		if !strings.Contains(text, "`"+option+"`") {
			t.Errorf("%s is not in docs/migrating.md", option)
		}
	}
}
