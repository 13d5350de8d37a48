package imapstore

import (
	"strings"
	"testing"
)

// TestMailboxID: what RFC 8474 does not permit is not believed.
func TestMailboxID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"F2212ea87-6097_4256": "F2212ea87-6097_4256", "": "", "\x03j\x16\x8a\x82U": "", "a b": "", "ü": "", strings.Repeat("a", 256): "",
	} {
		if got := mailboxID(id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}
