package config

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

func TestSelection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patterns, box, role string
		want                bool
	}{
		{"", "INBOX", "", true},
		{"", "All Mail", `\All`, false},
		{"", "Starred", `\Flagged`, false},
		{"", "Sent", `\Sent`, true},
		{"*", "All Mail", `\All`, false},
		{"* All*", "All Mail", `\All`, false},
		{"*|All Mail", "All Mail", `\All`, true},
		{`*|\All`, "All Mail", `\All`, true},
		{"*|!Spam", "Spam", "", false},
		{"*|!Spam", "Spam/Old", "", true},
		{"!Spam", "Work", "", true},
		{"!Spam", "Spam", "", false},
		{"!Spam", "All Mail", `\All`, false},
		{"INBOX", "Work", "", false},
		{"inbox", "INBOX", "", true},
		{"inbox/*", "INBOX/Sub", "", true},
		{"*|!Work/*|Work/Invoices", "Work/Other", "", false},
		{"*|!Work/*|Work/Invoices", "Work/Invoices", "", true},
		{"%", "Work", "", true},
		{"%", "Work/Invoices", "", false},
		{"Work/%", "Work/Invoices", "", true},
		{"Work/%", "Work/Invoices/2026", "", false},
		{`*|!\Junk`, "Spam", `\Junk`, false},
		{`*|!\junk`, "Spam", `\Junk`, false},
		{`*|!\Junk`, "Junk", "", true},
		{"*ü*", "Entwürfe", "", true},
	} {
		var s Selection
		if c.patterns != "" {
			s = strings.Split(c.patterns, "|")
		}
		if got := s.Has(mail.Box(c.box), c.role); got != c.want {
			t.Errorf("%q of %q %q: %v", c.patterns, c.box, c.role, got)
		}
	}
}

// TestMatch compares with regular expressions.
func TestMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab/*%]{0,8}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[ab/]{0,10}`).Draw(t, "name")
		re := strings.NewReplacer("*", ".*", "%", "[^/]*").Replace(pattern)
		if want := regexp.MustCompile("^(?:" + re + ")$").MatchString(name); match(pattern, name) != want {
			t.Fatalf("%q %q: want %v", pattern, name, want)
		}
	})
}
