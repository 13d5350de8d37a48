package imapstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// viewed returns the messages that a delta shows as changed.
func viewed(t *testing.T, s *Store, box mail.Box, since mail.Mark) (list []mail.Entry, mark mail.Mark) {
	t.Helper()
	v, err := s.View(t.Context(), box, since)
	if err != nil {
		t.Fatal(err)
	}
	add := func(e mail.Entry, err error) bool {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
		return true
	}
	switch v := v.(type) {
	case mail.Delta:
		v.Changed(add)
	case mail.Whole:
		v.All(add)
	}
	if mark, err = v.At().End(); err != nil {
		t.Fatal(err)
	}
	return list, mark
}

// TestForesee: where messages are gone from one mailbox, what is new in another is identified by its view, just as Identify would; what
// the base has is not asked for.
func TestForesee(t *testing.T) {
	t.Parallel()
	d, user := imaptest.Shared(t)
	deliver(t, user, 40)
	cfg := config(d, user)
	asked := map[string]int{}
	cfg.Client.Trace = func(dir byte, line []byte) {
		if _, after, ok := strings.Cut(string(line), " UID FETCH "); ok && dir == 'C' && strings.Contains(after, "HEADER.FIELDS") {
			asked[after[:strings.Index(after, " ")]]++
		}
	}
	s := New(cfg)
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Hello(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBox(t.Context(), "Archive", ""); err != nil {
		t.Fatal(err)
	}
	_, inbox := viewed(t, s, "INBOX", "")
	r := newReader(t, config(d, user))
	move := func(first, last uint32) {
		t.Helper()
		err := wait(r.c.Select("INBOX", imap.SelectOptions{}))
		if err = errors.Join(err, wait(r.c.UIDMove(imap.NumRange(first, last), "Archive")), wait(r.c.Unselect())); err != nil {
			t.Fatal(err)
		}
	}
	move(1, 10)
	_, archive := viewed(t, s, "Archive", "") // the base has these
	_, inbox = viewed(t, s, "INBOX", inbox)
	move(21, 25)
	known := map[mail.Box]store.Known{"INBOX": {Count: 30, Highest: mail.UIDKey(40)}, "Archive": {Count: 10, Highest: mail.UIDKey(10)}}
	if _, err := s.Boxes(t.Context()); err != nil {
		t.Fatal(err)
	}
	clear(asked)
	s.Foresee(known)
	list, _ := viewed(t, s, "Archive", archive)
	viewed(t, s, "INBOX", inbox)
	if len(list) != 5 || fmt.Sprint(asked) != "map[11:4294967295:1]" {
		t.Fatalf("%d new, asked for %v", len(list), asked)
	}
	got := map[mail.Key]mail.Ident{}
	for _, e := range list {
		if got[e.Key] = e.Ident; !e.Identified {
			t.Errorf("%s is not identified", e.Key)
		}
	}
	err := s.Identify(t.Context(), "Archive", []mail.Key{mail.UIDKey(11), mail.UIDKey(12), mail.UIDKey(13), mail.UIDKey(14), mail.UIDKey(15)}, false, func(k mail.Key, id mail.Ident) error {
		if got[k] != id || id.MessageID.IsZero() || id.Size == 0 || id.Date == 0 {
			t.Errorf("%s: %+v, Identify says %+v", k, got[k], id)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing is gone: the base has what is there.
	known = map[mail.Box]store.Known{"INBOX": {Count: 25, Highest: mail.UIDKey(40)}, "Archive": {Count: 10, Highest: mail.UIDKey(10)}}
	clear(asked)
	s.Foresee(known)
	if list, _ := viewed(t, s, "Archive", archive); len(list) != 5 || list[0].Identified || len(asked) != 0 {
		t.Errorf("asked for %v", asked)
	}
}
