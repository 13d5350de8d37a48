package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
	"mailtwin/internal/store"
)

// TestImportContent: two messages with one Message-ID and one size, but other content.
func TestImportContent(t *testing.T) {
	t.Parallel()
	for _, verify := range []bool{false, true} {
		w := newWorld(t)
		w.both(inbox, 1)
		w.old.Folders[0].Entries = from(append(slices.Collect(entries(t, &w.old.Folders[0])), w.put(inbox, text(100, " a"), text(100, " b"))))
		res, err := w.try(func(o *migrate.Options) { o.Verify = verify })
		must(t, err)
		want := migrate.Box{Name: "INBOX", Known: 2, Why: "of 2 messages whose content was compared, 1 are not the same on both sides"}
		if verify {
			want = migrate.Box{Name: "INBOX", Known: 2, Paired: 1, Compared: 1, Doubtful: 1}
		}
		if len(res.Boxes) != 1 || res.Boxes[0] != want {
			t.Errorf("%+v", res.Boxes)
		}
		w.sync()
	}
}

// TestImportAltered: OfflineIMAP stores messages with other spaces and line ends than the server has; they are one message all the same, with or
// without a Message-ID, and neither side gets the other's.
func TestImportAltered(t *testing.T) {
	t.Parallel()
	bare := func(n int, subject string) []byte {
		return fmt.Appendf(nil, "Subject:%smessage %d\r\n\r\nbody\r\n", subject, n)
	}
	for name, c := range map[string]struct {
		local, remote []byte
		want          migrate.Box // of this message
	}{
		"with Message-ID": {text(100, " "), text(100, ""), migrate.Box{Paired: 1, Compared: 1, Altered: 1}},
		"without":         {bare(100, " "), bare(100, ""), migrate.Box{Paired: 1, Compared: 1, Altered: 1}},
		"Message-ID lost": {append([]byte("X: y\r\n\r\nno header\r\n"), text(100, "")...), append([]byte("X: y\r\nno header\r\n"), text(100, "")...), migrate.Box{Paired: 1, Compared: 1, Altered: 1}},
		"same size":       {text(100, " \t"), text(100, "\t "), migrate.Box{Paired: 1, Compared: 1, Altered: 1}},
		"another message": {bare(100, " another "), bare(100, ""), migrate.Box{Doubtful: 1}},
		"an empty file":   {[]byte{}, bare(100, ""), migrate.Box{Doubtful: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.both(inbox, 2) // so few that all are compared
			f := w.folder(inbox)
			f.Entries = from(append(slices.Collect(entries(t, f)), w.put(inbox, c.local, c.remote)))
			got := w.take()
			if got.Paired-2 != c.want.Paired || got.Altered != c.want.Altered || got.Doubtful != c.want.Doubtful {
				t.Fatalf("%+v", got)
			}
			if s := w.sync(); c.want.Paired > 0 && s.CopiedToLocal+s.CopiedToRemote+s.Adopted+s.HeldBack > 0 {
				t.Errorf("the first sync: %+v", s)
			}
			if reports, err := w.db.Reports(t.Context()); err != nil || c.want.Altered > 0 && (len(reports) != 1 || !strings.Contains(reports[0].Text, "spaces or line ends")) {
				t.Errorf("%+v %v", reports, err)
			}
		})
	}
}

// TestImportAlteredGone: what is said of altered messages counts those that are left.
func TestImportAlteredGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder(inbox)
	var list []migrate.Entry
	for n := range 3 {
		list = append(list, w.put(inbox, text(100+n, " "), text(100+n, "")))
	}
	f.Entries = from(list)
	if got := w.take(); got.Altered != 3 {
		t.Fatalf("%+v", got)
	}
	w.sync()
	for side, key := range []mail.Key{mail.Key(list[0].File), mail.UIDKey(list[0].UID)} {
		w.stores[side].DeleteUser(inbox, key)
	}
	_, err := engine.Sync(t.Context(), w.engine())
	must(t, err)
	if reports, err := w.db.Reports(t.Context()); err != nil || len(reports) != 1 || !strings.HasPrefix(reports[0].Text, "2 messages differ between both sides in spaces") {
		t.Errorf("%+v %v", reports, err)
	}
}

// TestImportStub: a placeholder that mbsync left for a large message is not taken for a message, and goes nowhere.
func TestImportStub(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.both(inbox, 2)
	f := w.folder(inbox)
	stub := w.put(inbox, []byte("Subject: [placeholder] x\r\n\r\ntoo large\r\n"), []byte("Subject: x\r\n\r\nlarge\r\n"))
	stub.Stub = true
	f.Entries = from(append(slices.Collect(entries(t, f)), stub))
	if got := w.take(); got.Paired != 3 || got.Stubs != 1 || got.Altered != 0 || got.Compared != 2 {
		t.Fatalf("%+v", got)
	}
	if s := w.sync(); s.CopiedToLocal+s.CopiedToRemote+s.Adopted+s.HeldBack > 0 || s.Left != 1 {
		t.Errorf("the first sync: %+v", s)
	}
	if reports, err := w.db.Reports(t.Context()); err != nil || len(reports) != 1 || !strings.Contains(reports[0].Text, "placeholders of mbsync") || reports[0].Hint == "" {
		t.Errorf("%+v %v", reports, err)
	}
}

// TestImportManyApart: of a state that is wrong in most, not everything is read.
func TestImportManyApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.folder(inbox)
	var list []migrate.Entry
	for n := range 1500 {
		list = append(list, w.put(inbox, text(10_000+n, ""), text(20_000+n, "")))
	}
	f.Entries = from(list)
	reading := &counting{Store: w.stores[1]}
	res, err := w.try(func(o *migrate.Options) { o.Stores[1] = reading; o.DryRun = true })
	if err != nil || !strings.Contains(res.Boxes[0].Why, "another mailbox") || reading.n > 500 {
		t.Fatalf("%+v %v, %d read", res, err, reading.n)
	}
}

// counting counts the messages that are read.
type counting struct {
	store.Store
	n int
}

func (c *counting) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	c.n += len(keys)
	return c.Store.Fetch(ctx, box, keys, fn)
}

// breaking is a server whose connection breaks with every second message that is read.
type breaking struct {
	store.Store
	calls int
	never bool // nothing comes any more
}

func (b *breaking) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	b.calls++
	if b.never {
		return store.ErrUnreachable
	}
	n := 0
	return b.Store.Fetch(ctx, box, keys, func(e mail.Entry, body mail.Body) error {
		if n++; n == 2 {
			return store.ErrUnreachable
		}
		return fn(e, body)
	})
}

// TestImportBreaks: connections that break do not make an import begin anew, as long as something comes.
func TestImportBreaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.both(inbox, 10)
	far := &breaking{Store: w.stores[1]}
	w.faulty = far
	res, err := w.try(func(o *migrate.Options) { o.Verify, o.DryRun = true, true })
	if err != nil || res.Sum().Compared != 10 || far.calls != 10 {
		t.Fatalf("%+v %v, %d calls", res, err, far.calls)
	}
	far.never, far.calls = true, 0
	if _, err := w.try(nil); !errors.Is(err, store.ErrUnreachable) || far.calls != 2 {
		t.Fatalf("%v, %d calls", err, far.calls)
	}
}
