package imapstore

import (
	"slices"
	"testing"

	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
	"mailtwin/internal/store/storetest"
)

// TestStaleSession: what others did to a mailbox since it was opened is seen, and what they removed is passed over.
func TestStaleSession(t *testing.T) {
	t.Parallel()
	d, user := imaptest.Shared(t)
	s, r := New(config(d, user)), newReader(t, config(d, user))
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Hello(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fetched := func(uids ...uint32) (flags []mail.Flags) {
		t.Helper()
		must(s.Fetch(t.Context(), "B", key(uids...), func(e mail.Entry, _ mail.Body) error {
			flags = append(flags, e.Flags)
			return nil
		}))
		n := 0
		must(s.Identify(t.Context(), "B", key(uids...), false, func(mail.Key, mail.Ident) error { n++; return nil }))
		if n < len(flags) { // of what was just removed a server may still know this
			t.Errorf("identified %d of %d", n, len(flags))
		}
		return flags
	}
	must(r.CreateBox("B"))
	for range 3 {
		must(r.Deliver("B", storetest.Message{Date: 1e9, Data: []byte("Subject: x\r\n\r\nx\r\n")}))
	}
	shown(t, s, "")
	must(r.Deliver("B", storetest.Message{Date: 1e9, Data: []byte("Subject: y\r\n\r\ny\r\n")}))
	if n := len(fetched(4)); n != 1 {
		t.Errorf("the message that came is seen %d times", n)
	}
	// Another connection takes the view, so the first has the mailbox open from before.
	c, err := s.lease(t.Context(), "B")
	must(err)
	must(r.SetFlags("B", mail.UIDKey(2), mail.Flagged))
	shown(t, s, "")
	s.release(c, nil)
	s.mu.Lock()
	slices.Reverse(s.idle) // the first is found first
	s.mu.Unlock()
	if got := fetched(2); len(got) != 1 || got[0].System != mail.Flagged {
		t.Errorf("flags %v are older than the view", got)
	}
	must(r.Delete("B", mail.UIDKey(3)))
	if n := len(fetched(2, 3)); n != 1 {
		t.Errorf("fetched %d messages, want 1", n)
	}
	must(r.Delete("B", mail.UIDKey(1)))
	_, err = s.SetFlags(t.Context(), "B", key(1, 2), mail.Flags{System: mail.Seen}, mail.Flags{})
	must(err)
	if got := fetched(1, 2); len(got) != 1 || got[0].System != mail.Flagged|mail.Seen {
		t.Errorf("flags %v", got)
	}
}
