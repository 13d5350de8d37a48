package imapstore

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

type dialer func(context.Context, string, string) (net.Conn, error)

// inTurn gives each connection its own server.
func inTurn(dials ...dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if len(dials) == 0 {
			return nil, errors.New("one connection too many")
		}
		next := dials[0]
		dials = dials[1:]
		return next(ctx, network, addr)
	}
}

func password(secret string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return secret, nil }
}

// TestHelloFaults: what is wrong, and a word on the cure.
func TestHelloFaults(t *testing.T) {
	t.Parallel()
	lost := errors.New("the password command failed")
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
	// A pipe has no buffer, so that both sides of a failed handshake would wait for each other.
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{imaptest.Certificate().Cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	}()
	foreign := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String())
	}
	plain := func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Read(make([]byte, 4096))
			_, _ = io.WriteString(server, "* OK hello\r\n")
			_, _ = io.Copy(io.Discard, server)
		}()
		return client, nil
	}
	login := "S: * OK [CAPABILITY IMAP4rev1] hello\nC: t1 LOGIN \"me\" \"wrong\"\n"
	for name, x := range map[string]struct {
		dial     dialer
		security imap.Security
		password func(context.Context) (string, error)
		want     error
		hint     string
	}{
		"refused":     {refuse, imap.Plain, nil, store.ErrUnreachable, "993"},
		"certificate": {foreign, imap.TLS, nil, store.ErrUnreachable, "authority"},
		"no TLS":      {plain, imap.TLS, nil, store.ErrUnreachable, "does not speak TLS"},
		"bye":         {imaptest.NewScript(t, "S: * BYE too many connections").Dial, imap.Plain, nil, store.ErrUnreachable, ""},
		"password":    {imaptest.NewScript(t, login+"S: t1 NO [AUTHENTICATIONFAILED] no").Dial, imap.Plain, password("wrong"), store.ErrLogin, "app password"},
		"no password": {
			imaptest.NewScript(t, "S: * OK [CAPABILITY IMAP4rev1] hello").Dial, imap.Plain,
			func(context.Context) (string, error) { return "", lost }, lost, "",
		},
		"cut": {imaptest.NewScript(t, login+"CLOSE").Dial, imap.Plain, password("wrong"), store.ErrUnreachable, "lost"},
	} {
		s := New(Config{
			Client:      imap.Config{Address: "localhost:1", Security: x.security, Dial: x.dial, Timeout: 5 * time.Second},
			Credentials: imap.Credentials{User: "me", Password: x.password},
		})
		_, err := s.Hello(t.Context(), "")
		if !errors.Is(err, x.want) || !strings.Contains(mail.HintOf(err), x.hint) {
			t.Errorf("%s: %v, hint %q", name, err, mail.HintOf(err))
		}
		if !errors.Is(x.want, store.ErrUnreachable) && errors.Is(err, store.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHint: the next session asks for all in one flight, and what it asked for is used once.
func TestHint(t *testing.T) {
	t.Parallel()
	list := `
		S: * LIST (\HasNoChildren) "/" "INBOX"
		S: * STATUS "INBOX" (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7 HIGHESTMODSEQ 100)
		S: * LIST (\HasNoChildren \Sent) "/" "Sent"
		S: * STATUS "Sent" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 8 HIGHESTMODSEQ 0)
		S: * LIST (\Noselect) "/" "Work"
		S: * LIST () "/" "Other"
	`
	hello := "S: * PREAUTH [CAPABILITY IMAP4rev1 NAMESPACE CONDSTORE LIST-EXTENDED LIST-STATUS SPECIAL-USE] hello\n"
	spaces := `S: * NAMESPACE (("" "/")) NIL (("Other" "/"))` + "\n"
	ask := `LIST "" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))` + "\n"
	first := imaptest.NewScript(t, hello+"C: t1 NAMESPACE\n"+spaces+"S: t1 OK\nC: t2 "+ask+list+`S: t2 OK
		C: t3 STATUS "Other" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)
		S: t3 NO [NOPERM] no`)
	second := imaptest.NewScript(t, hello+"C: t1 NAMESPACE\nC: t2 "+ask+spaces+"S: t1 OK\n"+list+`S: t2 OK
		C: t3 STATUS "Other" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)
		S: t3 NO [NOPERM] no
		C: t4 `+ask+`S: t4 OK`)
	cfg := Config{Client: imap.Config{Address: "mail.example.org:143", Security: imap.Plain, Dial: inTurn(first.Dial, second.Dial)}}
	s := New(cfg)
	g, err := s.Hello(t.Context(), "{nonsense")
	if err != nil || g.Root != "imap:mail.example.org/-/" || g.Run != -1 {
		t.Fatalf("%+v, %v", g, err)
	}
	want, err := s.Boxes(t.Context())
	if err != nil || len(want) != 2 || want[0].Mark != before.mark() || want[1].Mark != "" || want[1].Role != `\Sent` || want[0].Total != 3 {
		t.Fatalf("%+v, %v", want, err)
	}
	again := New(cfg)
	if _, err := again.Hello(t.Context(), g.Hint); err != nil {
		t.Fatal(err)
	}
	if got, err := again.Boxes(t.Context()); err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if n := again.Counts().RoundTrips; n > 3 {
		t.Errorf("%d round trips", n)
	}
	if got, err := again.Boxes(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []*Store{s, again} {
		for c := range s.open {
			s.drop(c)
		}
	}
}

// TestCollisions: two names for one mailbox are told, not merged, and odd names too.
func TestCollisions(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", `
		C: t2 LIST "" "*"
		S: * LIST () "/" "INBOX"
		S: * LIST () "/" "INBOX/a"
		S: * LIST () "/" "inbox/a"
		S: * LIST () "/" "b//c"
		S: * LIST () "/" "d"
		S: * LIST () "/" "d"
		S: t2 OK
		C~ t3 STATUS .*
		C~ t4 STATUS .*
		C~ t5 STATUS .*
		C~ t6 STATUS .*
		C~ t7 STATUS .*
		C~ t8 STATUS .*
		S: t3 NO
		S: t4 NO
		S: t5 NO
		S: t6 NO
		S: t7 NO
		S: t8 NO`, nil)
	list, err := s.Boxes(t.Context())
	got := map[mail.Box]bool{}
	for _, st := range list {
		got[st.Box] = st.Err != nil
	}
	if err != nil || len(list) != 4 || got["INBOX"] || !got["INBOX/a"] || !got["b//c"] || got["d"] {
		t.Errorf("%+v, %v", list, err)
	}
}

const preauth = "S: * PREAUTH [CAPABILITY IMAP4rev1] hello\n"

// TestReconnect: a read goes on over a new connection, without telling twice; an effect does not.
func TestReconnect(t *testing.T) {
	t.Parallel()
	said := func(uid string) string {
		return `S- "* 1 FETCH (UID ` + uid + ` RFC822.SIZE 9 BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\r\n\r\n)\r\n"` + "\n"
	}
	var second *imaptest.Script
	s := scripted(t, "", opened("t2", 7, 12, 3)+"C~ t3 UID FETCH 4,9 .*\n"+said("4")+"CLOSE", func(c *Config) {
		second = imaptest.NewScript(t, preauth+opened("t1", 7, 12, 3)+"C~ t2 UID FETCH 4,9 .*\n"+said("4")+said("9")+"S: t2 OK\nC~ t3 UID STORE .*\nCLOSE")
		c.Client.Dial = inTurn(c.Client.Dial, second.Dial)
	})
	var got []uint32
	err := s.Identify(t.Context(), "B", key(4, 9), false, func(k mail.Key, _ mail.Ident) error {
		uid, _ := k.UID()
		got = append(got, uid)
		return nil
	})
	if err != nil || !slices.Equal(got, []uint32{4, 9}) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := s.SetFlags(t.Context(), "B", key(4), mail.Flags{System: mail.Seen}, mail.Flags{}); !errors.Is(err, store.ErrUnreachable) {
		t.Errorf("set flags: %v", err)
	}
}

// TestEpochAfterReconnect: the new connection may show another mailbox.
func TestEpochAfterReconnect(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", opened("t2", 7, 12, 3)+"C~ t3 UID FETCH 4 .*\nCLOSE", func(c *Config) {
		c.Client.Dial = inTurn(c.Client.Dial, imaptest.NewScript(t, preauth+opened("t1", 8, 12, 3)).Dial)
	})
	err := s.Identify(t.Context(), "B", key(4), false, func(mail.Key, mail.Ident) error { return nil })
	if !errors.Is(err, store.ErrEpoch) {
		t.Errorf("%v, want ErrEpoch", err)
	}
}

// TestBodyIsCut: who reads a body over a connection that ends learns it, and the message is not given again.
func TestBodyIsCut(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", opened("t2", 7, 12, 3)+`
		C~ t3 UID FETCH 4 .*
		S- "* 1 FETCH (UID 4 FLAGS () INTERNALDATE \"09-Sep-2001 01:46:40 +0000\" BODY[] {100}\r\nthe beginning"
		CLOSE`, nil)
	calls := 0
	err := s.Fetch(t.Context(), "B", key(4), func(_ mail.Entry, b mail.Body) error {
		calls++
		_, err := io.Copy(io.Discard, b.Reader)
		return err
	})
	if !errors.Is(err, store.ErrUnreachable) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// TestFetchStops: with the caller's error nothing more is read, though much is to come.
func TestFetchStops(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", opened("t2", 7, 12, 3)+`
		C~ t3 UID FETCH 4,9 .*
		S- "* 1 FETCH (UID 4 FLAGS () INTERNALDATE \"09-Sep-2001 01:46:40 +0000\" BODY[] {1000000000}\r\nthe beginning"`, nil)
	stop := errors.New("disk full")
	err := s.Fetch(t.Context(), "B", key(4, 9), func(mail.Entry, mail.Body) error { return stop })
	if !errors.Is(err, stop) || errors.Is(err, store.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

// TestThrottled: a read waits as long as the server asks, once.
func TestThrottled(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", `
		C~ t2 STATUS "B" .*
		S: t2 NO [UNAVAILABLE] Suggested Backoff Time: 10 milliseconds
		C~ t3 STATUS "B" .*
		S: * STATUS "B" (UIDNEXT 10 UIDVALIDITY 7)
		S: t3 OK`, nil)
	tokens, err := s.Prepare(t.Context(), "B", entries(1, 2))
	if err != nil || len(tokens) != 2 || tokens[0] != token(7, 10) || tokens[1] != tokens[0] {
		t.Errorf("%q, %v", tokens, err)
	}
}

// TestCancelledWhileItWaits: the store can be used on.
func TestCancelledWhileItWaits(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", "C~ t2 STATUS .*", func(c *Config) {
		c.Client.Dial = inTurn(c.Client.Dial, imaptest.NewScript(t, preauth+"C~ t1 STATUS .*\nS: * STATUS \"B\" (UIDNEXT 10 UIDVALIDITY 7)\nS: t1 OK").Dial)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Prepare(ctx, "B", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if _, err := s.Prepare(t.Context(), "B", nil); err != nil {
		t.Error(err)
	}
}

// TestIdentity: an account is another one where host, user or namespace is (DESIGN.md section 4, rule 12).
func TestIdentity(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, x := range []struct{ host, user, prefix string }{{"a", "u", ""}, {"b", "u", ""}, {"a", "v", ""}, {"a", "u", "INBOX."}} {
		s := scripted(t, "", "", func(c *Config) { c.Client.ServerName, c.Credentials.User = x.host, x.user })
		c, err := s.lease(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		root := s.greeting(c, space{Prefix: x.prefix, Delim: '.'}).Root
		s.release(c, nil)
		if seen[root] {
			t.Errorf("%v has the identity of another, %s", x, root)
		}
		seen[root] = true
	}
}

// TestNoExpungeIsTold: whether messages can only be marked (DESIGN.md section 4, rule 11).
func TestNoExpungeIsTold(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		caps string
		cfg  Config
		want bool
	}{
		{"", Config{}, true},
		{"MOVE", Config{}, true},
		{"UIDPLUS", Config{}, false},
		{"", Config{Expunge: ExpungePlain}, false},
		{"", Config{Expunge: ExpungePlain, DeleteTo: "Trash"}, true},
		{"MOVE", Config{DeleteTo: "Trash"}, false},
	} {
		s := scripted(t, x.caps, "", func(c *Config) { c.Expunge, c.DeleteTo = x.cfg.Expunge, x.cfg.DeleteTo })
		c, err := s.lease(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := s.greeting(c, space{}).Caps.NoExpunge; got != x.want {
			t.Errorf("%q, %+v: %v", x.caps, x.cfg, got)
		}
		s.release(c, nil)
	}
}
