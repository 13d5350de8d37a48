package imap_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
)

func TestMain(m *testing.M) { os.Exit(imaptest.Main(m)) }

func ctxOf(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// wait waits for a call that must succeed.
func wait[T any](t testing.TB, call *imap.Call[T]) T {
	t.Helper()
	val, err := call.Wait(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	return val
}

func dialTest(t testing.TB, cfg imap.Config) *imap.Client {
	t.Helper()
	cfg.TLS = &tls.Config{RootCAs: imaptest.Certificate().Roots}
	c, err := imap.Dial(ctxOf(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		<-c.Done()
	})
	return c
}

func password(context.Context) (string, error) { return imaptest.Password, nil }

// login returns a client of a fresh account on Dovecot.
func login(t testing.TB) *imap.Client {
	t.Helper()
	d, user := imaptest.Shared(t)
	c := dialTest(t, imap.Config{Address: d.Addr, Security: imap.Plain})
	if err := c.Authenticate(ctxOf(t), imap.Credentials{User: user, Password: password}); err != nil {
		t.Fatal(err)
	}
	return c
}

func upload(t testing.TB, c *imap.Client, box string, bodies ...string) imap.AppendResult {
	t.Helper()
	a := c.Append(box)
	for _, b := range bodies {
		m := imap.AppendMessage{Flags: []string{`\Seen`, "$Work"}, Date: time.Unix(1e9, 0), Size: int64(len(b)), Body: strings.NewReader(b)}
		if err := a.Add(ctxOf(t), m); err != nil {
			t.Fatal(err)
		}
	}
	return wait(t, a.Finish())
}

func message(i int) string {
	return fmt.Sprintf("Message-ID: <%d@x>\r\nSubject: %d\r\n\r\nbody %d\r\n", i, i, i)
}

func TestDovecotSecurity(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"} {
		for _, sec := range []imap.Security{imap.TLS, imap.StartTLS, imap.Plain} {
			t.Run(fmt.Sprint(mechanism, sec), func(t *testing.T) {
				t.Parallel()
				d, user := imaptest.Shared(t)
				addr := d.Addr
				if sec == imap.TLS {
					addr = d.TLSAddr
				}
				c := dialTest(t, imap.Config{Address: addr, Security: sec, Trace: noSecrets(t)})
				cr := imap.Credentials{Mechanism: mechanism, User: user, Password: password}
				if err := c.Authenticate(ctxOf(t), cr); err != nil {
					t.Fatal(err)
				}
				if !c.Has("qresync") || !c.Has("CONDSTORE") || c.Encrypted() != (sec != imap.Plain) {
					t.Error("capabilities", c.Caps())
				}
				wait(t, c.Logout())
			})
		}
	}
}

func noSecrets(t testing.TB) func(byte, []byte) {
	return func(_ byte, line []byte) {
		for _, secret := range []string{imaptest.Password, "AHBhc3M", "cGFzcw"} {
			if bytes.Contains(line, []byte(secret)) {
				t.Errorf("the trace shows a secret: %s", line)
			}
		}
	}
}

func TestDovecotWrongPassword(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			d, user := imaptest.Shared(t)
			c := dialTest(t, imap.Config{Address: d.TLSAddr})
			err := c.Authenticate(ctxOf(t), imap.Credentials{
				Mechanism: mechanism, User: user,
				Password: func(context.Context) (string, error) { return "swordfish", nil },
			})
			var ae *imap.AuthError
			if !errors.As(err, &ae) || ae.Err.Code != "AUTHENTICATIONFAILED" || strings.Contains(err.Error(), "swordfish") {
				t.Fatalf("%v", err)
			}
			// The connection is still good.
			if err := c.Authenticate(ctxOf(t), imap.Credentials{User: user, Password: password}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDovecotUntrusted(t *testing.T) {
	t.Parallel()
	d, _ := imaptest.Shared(t)
	for _, cfg := range []imap.Config{{Address: d.TLSAddr}, {Address: d.Addr, Security: imap.StartTLS}} {
		if _, err := imap.Dial(ctxOf(t), cfg); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Error("a certificate that nobody trusts was taken:", err)
		}
	}
}

func TestDovecotMailboxes(t *testing.T) {
	t.Parallel()
	c := login(t)
	names := []string{"Entwürfe", "A&B", `quo"te`, "sub/日本語"}
	for _, n := range names {
		wait(t, c.Create(n, ""))
	}
	wait(t, c.Rename("A&B", "A&C"))
	wait(t, c.Subscribe("Entwürfe"))
	upload(t, c, "Entwürfe", message(1), message(2))
	items := map[string]imap.ListItem{}
	o := imap.ListOptions{Status: []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY", "HIGHESTMODSEQ"}, SpecialUse: true, Subscribed: true, Children: true}
	wait(t, c.List("", "*", o, func(i imap.ListItem) { items[i.Name] = i }))
	drafts := items["Entwürfe"]
	if drafts.Status == nil || drafts.Status.Messages != 2 || drafts.Status.UIDNext != 3 || drafts.Status.HighestModSeq == 0 ||
		drafts.Delim != '/' || !slices.Contains(drafts.Attrs, `\Subscribed`) || !slices.Contains(drafts.Attrs, `\HasNoChildren`) {
		t.Errorf("%+v %+v", drafts, drafts.Status)
	}
	for _, n := range []string{"INBOX", "A&C", `quo"te`, "sub", "sub/日本語"} {
		if items[n].Name == "" {
			t.Error("no", n)
		}
	}
	n := 0
	wait(t, c.Lsub("", "*", func(imap.ListItem) { n++ }))
	wait(t, c.Unsubscribe("Entwürfe"))
	st := wait(t, c.Status("Entwürfe", "messages", "MAILBOXID", "SIZE"))
	if st.Messages != 2 || st.Size == 0 || n != 1 {
		t.Errorf("%+v, %d subscribed", st, n)
	}
	wait(t, c.Delete("A&C"))
	_, err := c.Status("A&C", "MESSAGES").Wait(ctxOf(t))
	var e *imap.Error
	if !errors.As(err, &e) || e.Kind != "NO" {
		t.Error(err)
	}
	ns := wait(t, c.Namespace())
	if len(ns.Personal) != 1 || ns.Personal[0].Delim != '/' {
		t.Errorf("%+v", ns)
	}
	if id := wait(t, c.ID(map[string]string{"name": "mailtwin"})); id["name"] != "Dovecot" {
		t.Error(id)
	}
}

func fetchAll(t testing.TB, c *imap.Client, set imap.NumSet, items imap.FetchItems, o imap.FetchOptions) (got []imap.Message, bodies []string) {
	t.Helper()
	wait(t, c.UIDFetch(set, items, o, func(m *imap.Message) error {
		body := ""
		if m.HasBody {
			b, err := io.ReadAll(m.Body)
			if err != nil || int64(len(b)) != m.BodySize {
				t.Error(len(b), m.BodySize, err)
			}
			body = string(b)
		}
		m2 := *m
		m2.Header = bytes.Clone(m.Header)
		got, bodies = append(got, m2), append(bodies, body)
		return nil
	}))
	return got, bodies
}

func TestDovecotFetch(t *testing.T) {
	t.Parallel()
	c := login(t)
	up := upload(t, c, "INBOX", message(1), message(2), message(3))
	if !up.Has || len(up.UIDs) != 3 {
		t.Fatalf("%+v", up)
	}
	sel := wait(t, c.Select("INBOX", imap.SelectOptions{ReadOnly: true, Condstore: true}))
	if sel.UIDValidity != up.UIDValidity || sel.Exists != 3 || sel.UIDNext != 4 || sel.HighestModSeq == 0 || !sel.ReadOnly || len(sel.Flags) < 5 {
		t.Fatalf("%+v", sel)
	}
	all := imap.FetchItems{Flags: true, InternalDate: true, Size: true, ModSeq: true, Body: true, Header: []string{"Message-Id", "Subject"}}
	got, bodies := fetchAll(t, c, imap.NumRange(1, 1<<32-1), all, imap.FetchOptions{})
	if len(got) != 3 {
		t.Fatal(len(got))
	}
	for i, m := range got {
		wantHeader := strings.SplitAfter(message(i+1), "\r\n\r\n")[0]
		if m.UID != uint32(i+1) || bodies[i] != message(i+1) || string(m.Header) != wantHeader || !slices.Contains(m.Flags, "$Work") ||
			m.InternalDate.Unix() != 1e9 || !m.HasSize || m.Size != int64(len(bodies[i])) || m.ModSeq == 0 {
			t.Errorf("%+v %q", m, bodies[i])
		}
	}
	// An error of the callback is the error of the call, and only that.
	boom := errors.New("boom")
	n := 0
	_, err := c.UIDFetch(imap.NumRange(1, 3), all, imap.FetchOptions{}, func(*imap.Message) error { n++; return boom }).Wait(ctxOf(t))
	if !errors.Is(err, boom) || n != 1 {
		t.Error(err, n)
	}
	wait(t, c.Noop())
}

func TestDovecotStore(t *testing.T) {
	t.Parallel()
	c := login(t)
	wait(t, c.Enable("CONDSTORE"))
	upload(t, c, "INBOX", message(1), message(2))
	wait(t, c.Select("INBOX", imap.SelectOptions{Condstore: true}))
	set := imap.NumRange(1, 2)
	before, _ := fetchAll(t, c, set, imap.FetchItems{ModSeq: true}, imap.FetchOptions{})
	r := wait(t, c.UIDStore(imap.NumSetOf(1), imap.StoreOptions{Mode: imap.Add, Flags: []string{`\Flagged`, "neu"}}))
	if len(r.Messages) != 1 || !slices.Contains(r.Messages[0].Flags, "neu") || r.Messages[0].UID != 1 {
		t.Errorf("%+v", r)
	}
	r = wait(t, c.UIDStore(set, imap.StoreOptions{Mode: imap.Replace, Flags: nil, Silent: true, UnchangedSince: before[1].ModSeq}))
	if r.Modified.String() != "1" {
		t.Errorf("%+v", r)
	}
	after, _ := fetchAll(t, c, set, imap.FetchItems{Flags: true}, imap.FetchOptions{ChangedSince: before[1].ModSeq})
	if len(after) != 2 || slices.Contains(after[1].Flags, `\Seen`) || !slices.Contains(after[0].Flags, "neu") {
		t.Errorf("%+v", after)
	}
	if _, err := c.UIDStore(set, imap.StoreOptions{Flags: []string{"a b"}}).Wait(ctxOf(t)); err == nil {
		t.Error("a flag with a space went out")
	}
}

func TestDovecotCopyMoveExpungeSearch(t *testing.T) {
	t.Parallel()
	c := login(t)
	upload(t, c, "INBOX", message(1), message(2), message(3), message(4))
	sel := wait(t, c.Create("other", ""))
	_ = sel
	wait(t, c.Select("INBOX", imap.SelectOptions{}))
	cp := wait(t, c.UIDCopy(imap.NumRange(1, 2), "other"))
	if !cp.Has || !slices.Equal(cp.Src, []uint32{1, 2}) || !slices.Equal(cp.Dst, []uint32{1, 2}) || cp.UIDValidity == 0 {
		t.Errorf("%+v", cp)
	}
	mv := wait(t, c.UIDMove(imap.NumSetOf(1, 3), "other"))
	if !mv.Has || !slices.Equal(mv.Src, []uint32{1, 3}) || !slices.Equal(mv.Dst, []uint32{3, 4}) {
		t.Errorf("%+v", mv)
	}
	_, err := c.UIDCopy(imap.NumSetOf(2), "missing").Wait(ctxOf(t))
	var e *imap.Error
	if !errors.As(err, &e) || e.Code != "TRYCREATE" {
		t.Error(err)
	}
	wait(t, c.UIDStore(imap.NumSetOf(2, 4), imap.StoreOptions{Flags: []string{`\Deleted`}}))
	wait(t, c.UIDExpunge(imap.NumSetOf(2)))
	for _, mask := range []string{"", "ESEARCH"} {
		c.MaskCaps(mask)
		r := wait(t, c.UIDSearch("ALL", imap.SearchOptions{}))
		if r.All.String() != "4" || r.Count != 1 || r.Min != 4 || r.Max != 4 {
			t.Errorf("%+v", r)
		}
		r = wait(t, c.UIDSearch("SEEN UNDELETED", imap.SearchOptions{Return: []string{"COUNT"}}))
		if r.Count != 0 || !r.All.Empty() {
			t.Errorf("%+v", r)
		}
	}
	wait(t, c.Expunge())
	wait(t, c.Unselect())
	c.MaskCaps("UNSELECT", "MOVE", "UIDPLUS")
	wait(t, c.Unselect())
	_, err = c.UIDMove(imap.NumSetOf(1), "x").Wait(ctxOf(t))
	_, err2 := c.UIDExpunge(imap.NumSetOf(1)).Wait(ctxOf(t))
	if !errors.Is(err, errors.ErrUnsupported) || !errors.Is(err2, errors.ErrUnsupported) {
		t.Error(err, err2)
	}
}

func TestDovecotQResync(t *testing.T) {
	t.Parallel()
	d, user := imaptest.Shared(t)
	open := func() *imap.Client {
		c := dialTest(t, imap.Config{Address: d.Addr, Security: imap.Plain})
		if err := c.Authenticate(ctxOf(t), imap.Credentials{User: user, Password: password}); err != nil {
			t.Fatal(err)
		}
		if on := wait(t, c.Enable("QRESYNC")); !slices.Contains(on, "QRESYNC") {
			t.Fatal(on)
		}
		return c
	}
	a, b := open(), open()
	upload(t, a, "INBOX", message(1), message(2), message(3))
	sel := wait(t, a.Select("INBOX", imap.SelectOptions{Condstore: true}))
	wait(t, a.Unselect())
	wait(t, b.Select("INBOX", imap.SelectOptions{}))
	wait(t, b.UIDStore(imap.NumSetOf(1), imap.StoreOptions{Flags: []string{`\Deleted`}}))
	var vanished imap.NumSet
	b.OnUnsolicited(func(u imap.Unsolicited) {
		if u.Kind == imap.UnsolicitedVanished && !u.Earlier {
			vanished.AddSet(u.UIDs)
		}
	})
	wait(t, b.UIDExpunge(imap.NumSetOf(1)))
	wait(t, b.UIDStore(imap.NumSetOf(2), imap.StoreOptions{Flags: []string{`\Flagged`}}))
	if vanished.String() != "1" {
		t.Error("vanished:", vanished)
	}
	var gone imap.NumSet
	var changed []uint32
	sel2 := wait(t, a.Select("INBOX", imap.SelectOptions{
		QResync:    &imap.QResync{UIDValidity: sel.UIDValidity, ModSeq: sel.HighestModSeq, Known: imap.NumRange(1, 3)},
		OnFetch:    func(m imap.Message) { changed = append(changed, m.UID) },
		OnVanished: func(s imap.NumSet, earlier bool) { gone.AddSet(s) },
	}))
	if gone.String() != "1" || !slices.Equal(changed, []uint32{2}) || sel2.HighestModSeq <= sel.HighestModSeq || sel2.Exists != 2 {
		t.Error(gone, changed, sel2)
	}
	gone = imap.NumSet{}
	got, _ := fetchAll(t, a, imap.NumRange(1, 1<<32-1), imap.FetchItems{Flags: true}, imap.FetchOptions{
		ChangedSince: sel.HighestModSeq, Vanished: true, OnVanished: func(s imap.NumSet, _ bool) { gone.AddSet(s) },
	})
	if gone.String() != "1" || len(got) != 1 || got[0].UID != 2 || got[0].ModSeq == 0 {
		t.Error(gone, got)
	}
}
