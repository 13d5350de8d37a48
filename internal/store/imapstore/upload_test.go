package imapstore

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
)

// uploads are what a trace shows of uploads.
type uploads struct {
	mu                     sync.Mutex
	commands, now, consent int // APPENDs; literals that went at once, and after the server's consent
	mostNow                int // the longest of those that went at once
}

var literalEnd = regexp.MustCompile(`\{(\d+)(\+?)\}$`)

func (u *uploads) trace(dir byte, line []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if dir != 'C' {
		return
	}
	if strings.Contains(string(line), " APPEND ") {
		u.commands++
	}
	if m := literalEnd.FindSubmatch(line); m != nil {
		if string(m[2]) == "" {
			u.consent++
			return
		}
		u.now++
		n := 0
		_, _ = fmt.Sscan(string(m[1]), &n)
		u.mostNow = max(u.mostNow, n)
	}
}

// TestUploadWays: several messages in one command where the server can, else one command after the other without waiting, as far as
// literals may go without consent; and every way leaves the same messages, with their UIDs.
func TestUploadWays(t *testing.T) {
	t.Parallel()
	imaptest.Shared(t) // or it skips
	minus, err := imaptest.Start("imap_literal_minus = yes\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(minus.Stop)
	const n, large = 150, 5 // messages, and those of more than 4 KiB
	plus, _ := imaptest.Shared(t)
	for name, x := range map[string]struct {
		d        *imaptest.Dovecot
		mask     []string
		commands int // 0: one for each message
		consent  int
		trips    int64 // at most
	}{
		"MULTIAPPEND, LITERAL+":     {d: plus, commands: 2, consent: 0, trips: 2},
		"LITERAL+":                  {d: plus, mask: []string{"MULTIAPPEND"}, consent: 0, trips: 2},
		"MULTIAPPEND, LITERAL-":     {d: minus, commands: 2, consent: large, trips: large + 2},
		"LITERAL-":                  {d: minus, mask: []string{"MULTIAPPEND"}, consent: large, trips: large + 2},
		"MULTIAPPEND":               {d: plus, mask: []string{"LITERAL+"}, commands: 2, consent: n, trips: n + 2},
		"none":                      {d: plus, mask: []string{"MULTIAPPEND", "LITERAL+"}, consent: n, trips: n + 2},
		"LITERAL+, without UIDPLUS": {d: plus, mask: []string{"MULTIAPPEND", "UIDPLUS"}, consent: 0, trips: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var u uploads
			cfg := config(x.d, strings.NewReplacer(" ", "", ",", "", "+", "p", "-", "m").Replace(name))
			cfg.Mask = append([]string{"IMAP4REV2"}, x.mask...)
			cfg.Client.Trace = u.trace
			s := New(cfg)
			t.Cleanup(func() { _ = s.Close() })
			if _, err := s.Hello(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			texts := make([]string, n)
			list := make([]mail.Entry, n)
			for i := range texts {
				texts[i] = fmt.Sprintf("Message-ID: <%d@x>\r\n\r\nbody\r\n", i)
				if i%(n/large) == 7 {
					texts[i] += strings.Repeat("more than four kilobytes\r\n", 200)
				}
			}
			tokens, err := s.Prepare(t.Context(), "INBOX", list)
			if err != nil {
				t.Fatal(err)
			}
			intents := make([]mail.Intent, n)
			for i := range intents {
				intents[i] = mail.Intent{Box: "INBOX", Token: tokens[i]}
			}
			before := s.Counts().RoundTrips
			done, err := s.Put(t.Context(), "INBOX", intents, bodies(t, texts...))
			if err != nil {
				t.Fatal(err)
			}
			trips := s.Counts().RoundTrips - before
			for i, d := range done {
				if d.Err != nil || d.Key != mail.UIDKey(uint32(i+1)) {
					t.Fatalf("message %d: %+v", i, d)
				}
			}
			commands := x.commands
			if commands == 0 {
				commands = n
			}
			if u.commands != commands || u.consent != x.consent || u.now != n-x.consent || trips > x.trips {
				t.Errorf("%d commands, %d literals at once, %d after consent, %d round trips", u.commands, u.now, u.consent, trips)
			}
			if x.d == minus && u.mostNow > 4096 {
				t.Errorf("a literal of %d octets went without consent (RFC 7888 section 5)", u.mostNow)
			}
			r := newReader(t, config(x.d, cfg.Credentials.User))
			got, err := r.List("INBOX")
			if err != nil || len(got) != n {
				t.Fatalf("%d messages, %v", len(got), err)
			}
			for i, m := range got {
				if string(m.Data) != texts[i] {
					t.Errorf("message %d is not what was sent", i)
				}
			}
		})
	}
}
