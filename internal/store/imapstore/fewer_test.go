package imapstore

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
)

// TestFewerConnections: a server lets the account in once only, and four connections are wanted. (With a limit of two, Dovecot
// now and then lets in several that come at once.)
func TestFewerConnections(t *testing.T) {
	t.Parallel()
	d, err := imaptest.Start("mail_max_userip_connections = 1\n")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(d.Stop)
	s := New(Config{
		Client:      imap.Config{Address: d.Addr, Security: imap.Plain},
		Credentials: imap.Credentials{User: "few", Password: func(context.Context) (string, error) { return "pass", nil }}, Connections: 4,
	})
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Hello(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		box := mail.Box(fmt.Sprintf("B%d", i))
		if err := s.CreateBox(t.Context(), box, ""); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for range 5 {
				if _, err := s.View(t.Context(), box, ""); err != nil {
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	s.mu.Lock()
	n := len(s.open)
	s.mu.Unlock()
	if n != 1 {
		t.Errorf("%d connections", n)
	}
	// Another session begins with as many as the first: what a server let in once says nothing of later. It frees what the first one holds.
	if _, err := s.Hello(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if len(s.slots) != 0 || s.less != 0 {
		t.Errorf("%d slots are in use", len(s.slots))
	}
}
