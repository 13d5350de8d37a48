package ui

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]engine.Summary{
		"3 new, 2 flags, 1 deleted, 41 mailboxes, 0.4 s":                         {CopiedToLocal: 2, CopiedToRemote: 1, FlaggedLocal: 2, DeletedRemote: 1, Mailboxes: 41, Seconds: 0.4},
		"1 new, 1 flag, 1 mailbox, 1.0 s":                                        {CopiedToLocal: 1, FlaggedRemote: 1, Mailboxes: 1, Seconds: 0.96},
		"nothing to do, 41 mailboxes, 0.03 s":                                    {Mailboxes: 41, Seconds: 0.03},
		"nothing to do, 0 mailboxes, 0.00 s":                                     {},
		"1 mailbox renamed, 2 mailboxes, 0.3 s":                                  {RenamedRemote: 1, Mailboxes: 2, Seconds: 0.3},
		"12,345 moved, 2 mailboxes, 1 min 30 s":                                  {MovedLocal: 12000, MovedRemote: 345, Mailboxes: 2, Seconds: 89.7},
		"nothing to do, 812 deletions held back, 1 mailbox, 0.2 s":               {HeldBack: 812, Mailboxes: 1, Seconds: 0.2},
		"5 already on both sides, 1 mailbox, 0.2 s":                              {Adopted: 5, Mailboxes: 1, Seconds: 0.2},
		"1 new, 1 deletion held back, 2 left, 1 error, 1 mailbox, 2 h 1 min":     {CopiedToLocal: 1, HeldBack: 1, Left: 2, Errors: 1, Mailboxes: 1, Seconds: 7260},
		"dry run, nothing was changed; a sync would be: 1 new, 1 mailbox, 0.2 s": {DryRun: true, CopiedToLocal: 1, Mailboxes: 1, Seconds: 0.2},
	} {
		if got := Line(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                       "plain",
		"Grüße 日本語":                   "Grüße 日本語",
		"\x1b[2J\x1b]0;title\x07":     "?[2J?]0;title?",
		"a\r\nb\tc":                   "a b c",
		"a\u009bb\u0085\x7f":          "a?b??",
		"abc\u202egnp.exe":            "abc?gnp.exe",
		"bad \xff\xfe":                "bad ??",
		"\ufffd stays":                "\ufffd stays",
		"tag\U000E0041 line\u2028sep": "tag? line?sep",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		got := Clean(string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")))
		if strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q", got)
		}
	})
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := number(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 45_300_000: "45 MB", 999_600_000: "1.0 GB", 1 << 60: "1152922 TB"} {
		if got := bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{300 * time.Millisecond: "1 s left", 11500 * time.Millisecond: "12 s left", 3 * time.Minute: "3 min left", 200 * time.Second: "3 min 20 s left"} {
		if got := left(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{time.Second: "less than a minute ago", time.Minute: "1 minute ago", 5 * time.Hour: "5 hours ago", 72 * time.Hour: "3 days ago", -time.Hour: "in the future"} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	if got := key(mail.UIDKey(4711)); got != "UID 4711" {
		t.Error(got)
	}
	if got := key("1700.M1\x1b.host"); got != "1700.M1?.host" {
		t.Error(got)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, n := rapid.String().Draw(t, "text"), rapid.IntRange(2, 40).Draw(t, "columns")
		if w := width(fit(s, n)); w > n {
			t.Fatalf("%q takes %d columns of %d", fit(s, n), w, n)
		}
	})
	if got := fit("日本語です", 6); got != "日本…" {
		t.Error(got)
	}
	if got := pad("日本", 6); got != "日本  " {
		t.Errorf("%q", got)
	}
}
