package imapstore

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// scripted returns a store whose server greets with these capabilities, logged in, tells "/" as delimiter and then plays the
// transcript. The tags of the transcript begin with t2, with t3 if it has ENABLE. adjust may be nil.
func scripted(t *testing.T, caps, transcript string, adjust func(*Config)) *Store {
	t.Helper()
	begin := "S: * PREAUTH [CAPABILITY IMAP4rev1 " + caps + "] hello\n"
	tag := 1
	if strings.Contains(caps, "ENABLE") {
		begin += fmt.Sprintf("C~ t%d ENABLE .*\nS: * ENABLED QRESYNC CONDSTORE\nS: t%d OK\n", tag, tag)
		tag++
	}
	begin += fmt.Sprintf("C: t%d LIST \"\" \"\"\nS: * LIST (\\Noselect) \"/\" \"\"\nS: t%d OK\n", tag, tag)
	script := imaptest.NewScript(t, begin+transcript)
	cfg := Config{
		Client: imap.Config{Address: "mail.example.org:143", Security: imap.Plain, Dial: script.Dial, Timeout: 10 * time.Second},
		Wait:   time.Millisecond,
	}
	if adjust != nil {
		adjust(&cfg)
	}
	s := New(cfg)
	t.Cleanup(func() {
		s.mu.Lock()
		var open []*conn
		for c := range s.open {
			open = append(open, c)
		}
		s.mu.Unlock()
		for _, c := range open {
			s.drop(c)
		}
	})
	if _, err := s.Hello(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return s
}

// opened is the answer to a SELECT with a tag.
func opened(tag string, validity, next, exists int, more ...string) string {
	return fmt.Sprintf(`
		C~ %s (SELECT|EXAMINE) .*
		S: * %d EXISTS
		S: * OK [UIDVALIDITY %d] v
		S: * OK [UIDNEXT %d] n
		%s
		S: %s OK [READ-WRITE] open
	`, tag, exists, validity, next, strings.Join(more, "\n"), tag)
}

// bodies hands out texts in order and checks that each is read to its end, as who digests them needs.
func bodies(t *testing.T, texts ...string) store.Bodies {
	return func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		for i, text := range texts {
			r := bytes.NewReader([]byte(text))
			if err := each(i, mail.Entry{}, mail.Body{Size: int64(len(text)), Reader: r}); err != nil {
				return err
			}
			if r.Len() > 0 {
				t.Errorf("%d octets of message %d were not read", r.Len(), i)
			}
		}
		return nil
	}
}

// puts makes intents with a token.
func puts(n int, validity, next uint32) []mail.Intent {
	intents := make([]mail.Intent, n)
	for i := range intents {
		intents[i] = mail.Intent{Box: "B", Token: token(validity, next)}
	}
	return intents
}

// uids returns the UIDs of outcomes, 0 for those without a key.
func uids(done []mail.Done) []uint32 {
	list := make([]uint32, len(done))
	for i, d := range done {
		list[i], _ = d.Key.UID()
	}
	return list
}

// message is what FETCH tells of one.
func message(uid uint32, flags ...string) *imap.Message {
	return &imap.Message{UID: uid, HasFlags: true, Flags: flags}
}
