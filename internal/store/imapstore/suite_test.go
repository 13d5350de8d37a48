package imapstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(imaptest.Main(m)) }

// reader is a mail reader with a connection of its own.
type reader struct {
	t   *testing.T
	cfg Config
	c   *imap.Client
	s   *Store
}

func config(d *imaptest.Dovecot, user string) Config {
	password := func(context.Context) (string, error) { return "pass", nil }
	return Config{
		Client:      imap.Config{Address: d.Addr, Security: imap.Plain},
		Credentials: imap.Credentials{User: user, Password: password}, Wait: 50 * time.Millisecond,
	}
}

func newReader(t *testing.T, cfg Config) *reader {
	t.Helper()
	r := &reader{t: t, cfg: cfg}
	var err error
	if r.c, err = imap.Dial(t.Context(), cfg.Client); err == nil {
		err = r.c.Authenticate(t.Context(), cfg.Credentials)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.c.Close() })
	return r
}

func name(box mail.Box) string { return strings.Join(box.Components(), "/") }

func wait[T any](call *imap.Call[T]) error {
	_, err := call.Wait(context.Background())
	return err
}

func (r *reader) CreateBox(box mail.Box) error {
	var e *imap.Error
	if err := wait(r.c.Create(name(box), "")); !errors.As(err, &e) || e.Code != "ALREADYEXISTS" {
		return err
	}
	return nil
}

func (r *reader) Deliver(box mail.Box, m storetest.Message) error {
	a := r.c.Append(name(box))
	err := a.Add(context.Background(), imap.AppendMessage{
		Flags: m.Flags.Names(), Date: time.Unix(m.Date, 0), Size: int64(len(m.Data)), Body: bytes.NewReader(m.Data),
	})
	return errors.Join(err, wait(a.Finish()))
}

func (r *reader) List(box mail.Box) (list []storetest.Message, err error) {
	if err := wait(r.c.Select(name(box), imap.SelectOptions{})); err != nil {
		return nil, err
	}
	err = wait(r.c.UIDFetch(imap.NumRange(1, maxUID), imap.FetchItems{Flags: true, InternalDate: true, Body: true}, imap.FetchOptions{}, func(m *imap.Message) error {
		data, err := io.ReadAll(m.Body)
		list = append(list, storetest.Message{Key: mail.UIDKey(m.UID), Flags: mail.ParseFlags(m.Flags), Date: m.InternalDate.Unix(), Data: data})
		return err
	}))
	return list, err
}

// on opens a mailbox and calls fn with the UID of a key, which must be there.
func (r *reader) on(box mail.Box, key mail.Key, fn func(set imap.NumSet) error) error {
	sel, err := r.c.Select(name(box), imap.SelectOptions{}).Wait(context.Background())
	if err != nil {
		return err
	}
	found, err := r.c.UIDSearch("ALL", imap.SearchOptions{}).Wait(context.Background())
	uid, _ := key.UID()
	if err == nil && (sel.Exists == 0 || !found.All.Contains(uid)) {
		err = fmt.Errorf("no message %d", uid)
	}
	if err != nil {
		return err
	}
	return fn(imap.NumSetOf(uid))
}

func (r *reader) Delete(box mail.Box, key mail.Key) error {
	return r.on(box, key, func(set imap.NumSet) error {
		return errors.Join(wait(r.c.UIDStore(set, imap.StoreOptions{Flags: []string{`\Deleted`}})), wait(r.c.UIDExpunge(set)))
	})
}

func (r *reader) SetFlags(box mail.Box, key mail.Key, flags mail.System) error {
	return r.on(box, key, func(set imap.NumSet) error {
		return errors.Join(
			wait(r.c.UIDStore(set, imap.StoreOptions{Mode: imap.Remove, Flags: mail.Flags{System: mail.AllSystem}.Names()})),
			wait(r.c.UIDStore(set, imap.StoreOptions{Mode: imap.Add, Flags: mail.Flags{System: flags}.Names()})),
		)
	})
}

func (r *reader) Move(box mail.Box, key mail.Key, to mail.Box) error {
	return r.on(box, key, func(set imap.NumSet) error { return wait(r.c.UIDMove(set, name(to))) })
}

// Renumber makes the mailbox anew with the same messages. The store's connections end: Dovecot is at times at a loss with a
// session whose open mailbox was replaced.
func (r *reader) Renumber(box mail.Box) error {
	list, err := r.List(box)
	if err != nil {
		return err
	}
	_ = wait(r.c.Unselect())
	r.s.mu.Lock()
	idle := r.s.idle
	r.s.idle = nil
	r.s.mu.Unlock()
	for _, c := range idle {
		_ = wait(c.client.Logout())
		r.s.drop(c)
	}
	if err := errors.Join(wait(r.c.Delete(name(box))), wait(r.c.Create(name(box), ""))); err != nil {
		return err
	}
	for _, m := range list {
		if err := r.Deliver(box, m); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) Reopen() (store.Store, error) {
	r.s = New(r.cfg)
	return r.s, nil
}

func TestSuite(t *testing.T) {
	for name, o := range map[string]struct {
		mask  []string
		delta bool
		marks bool
	}{
		"all extensions": {nil, true, true},
		"no QRESYNC":     {[]string{"QRESYNC"}, false, true},
		"no CONDSTORE":   {[]string{"QRESYNC", "CONDSTORE"}, false, false},
		"no MOVE":        {[]string{"MOVE", "MULTIAPPEND", "LITERAL+"}, true, true},
		"no UIDPLUS":     {[]string{"UIDPLUS", "MULTIAPPEND"}, true, true},
		"bare":           {[]string{"QRESYNC", "CONDSTORE", "MOVE", "MULTIAPPEND", "LITERAL+", "LIST-STATUS", "LIST-EXTENDED", "ESEARCH", "SPECIAL-USE", "SASL-IR", "NAMESPACE", "ENABLE", "UNSELECT"}, false, false},
	} {
		streams := name == "all extensions" // it measures memory, so alone
		t.Run(name, func(t *testing.T) {
			if !streams {
				t.Parallel()
			}
			storetest.Run(t, storetest.Options{
				New: func(t *testing.T) (store.Store, storetest.User) {
					d, user := imaptest.Shared(t)
					cfg := config(d, user)
					cfg.Mask = o.mask
					s, r := New(cfg), newReader(t, cfg)
					r.s = s
					return s, r
				},
				Marks: o.marks, Delta: o.delta, SomeDeltas: true, Keywords: true, UserKeywords: true, Streams: streams, DropsFinalCR: true, LastDate: 1_700_000_000, // it takes none in the future
				BadName: func(b mail.Box) bool {
					for _, part := range b.Components() {
						if strings.ContainsAny(part, "/\x00\r\n") || strings.HasPrefix(part, "~") || part == "." || part == ".." || len(part) > 200 {
							return true
						}
					}
					return false
				},
			})
		})
	}
}
