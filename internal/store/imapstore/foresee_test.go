package imapstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

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
	opens := ""
	told := 0 // lines that tell of messages
	cfg.Client.Trace = func(dir byte, line []byte) {
		if strings.Contains(string(line), " SELECT ") {
			opens = string(line)
		}
		if dir == 'S' && strings.Contains(string(line), " FETCH (") {
			told++
		}
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
	if err := errors.Join(wait(r.c.Select("INBOX", imap.SelectOptions{})), wait(r.c.UIDStore(imap.NumRange(22, 22), imap.StoreOptions{Flags: []string{`\Flagged`}}))); err != nil {
		t.Fatal(err)
	}
	move(21, 25)
	known := map[mail.Box]store.Known{"INBOX": {Count: 30, Highest: mail.UIDKey(40)}, "Archive": {Count: 10, Highest: mail.UIDKey(10)}}
	if _, err := s.Boxes(t.Context()); err != nil {
		t.Fatal(err)
	}
	clear(asked)
	told = 0
	s.Foresee(known, len(known))
	list, _ := viewed(t, s, "Archive", archive)
	if told != 5 || !strings.HasSuffix(opens, " 1:10))") {
		t.Errorf("%d messages were told of; opened by %s", told, opens)
	}
	viewed(t, s, "INBOX", inbox)
	if len(list) != 5 || fmt.Sprint(asked) != "map[11:4294967295:1]" {
		t.Fatalf("%d new, asked for %v", len(list), asked)
	}
	got := map[mail.Key]mail.Ident{}
	for _, e := range list {
		if got[e.Key] = e.Ident; !e.Identified || !e.Rough {
			t.Errorf("%s is not identified", e.Key)
		}
		if flagged := e.Flags.System&mail.Flagged != 0; flagged != (e.Key == mail.UIDKey(12)) {
			t.Errorf("%s: flags %v", e.Key, e.Flags)
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
	s.Foresee(known, len(known))
	if list, _ := viewed(t, s, "Archive", archive); len(list) != 5 || list[0].Identified || len(asked) != 0 {
		t.Errorf("asked for %v", asked)
	}
}

// TestForeseeEmpty: so is what arrived in a mailbox of which the base has nothing.
func TestForeseeEmpty(t *testing.T) {
	t.Parallel()
	d, user := imaptest.Shared(t)
	deliver(t, user, 5)
	cfg := config(d, user)
	told := 0
	cfg.Client.Trace = func(dir byte, line []byte) {
		if dir == 'S' && strings.Contains(string(line), " FETCH (") {
			told++
		}
	}
	s := New(cfg)
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Hello(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBox(t.Context(), "Empty", ""); err != nil {
		t.Fatal(err)
	}
	_, inbox := viewed(t, s, "INBOX", "")
	_, empty := viewed(t, s, "Empty", "")
	r := newReader(t, config(d, user))
	if err := errors.Join(wait(r.c.Select("INBOX", imap.SelectOptions{})), wait(r.c.UIDMove(imap.NumRange(2, 4), "Empty")), wait(r.c.Unselect())); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Boxes(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Foresee(map[mail.Box]store.Known{"INBOX": {Count: 5, Highest: mail.UIDKey(5)}, "Empty": {}}, 2)
	told = 0
	if list, _ := viewed(t, s, "Empty", empty); len(list) != 3 || !list[0].Identified || told != 3 {
		t.Errorf("%+v, %d messages were told of", list, told)
	}
	if list, _ := viewed(t, s, "INBOX", inbox); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// TestForeseeOthers: what nobody asked for is no arrival.
func TestForeseeOthers(t *testing.T) {
	t.Parallel()
	line := func(uid int) string {
		return fmt.Sprintf("S: * 2 FETCH (UID %d FLAGS (a) BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\nS: \nS: )\n", uid)
	}
	s := scripted(t, qresync, "C: t3 SELECT \"B\" (QRESYNC (7 100 1:9))\nS: * 2 EXISTS\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT 12] n\nS: * OK [HIGHESTMODSEQ 120] m\n"+
		"C~ t4 UID FETCH 10:4294967295 .*\nS: t3 OK [READ-WRITE] open\n"+line(9)+line(11)+line(4)+"S: t4 OK\n", nil)
	s.foreseen = map[mail.Box]uint32{"B": 10}
	list, _ := viewed(t, s, "B", state{7, 10, 100, 1}.seen())
	if len(list) != 1 || list[0].Key != mail.UIDKey(11) {
		t.Errorf("%+v", list)
	}
}

// TestForeseeBounds: a server does not tell more keywords than is kept, nor messages that were not asked for.
func TestForeseeBounds(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for uid := 10; uid < 30; uid++ {
		fmt.Fprintf(&lines, "S: * 2 FETCH (UID %d FLAGS (%s%d) BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\nS: \nS: )\n", uid, strings.Repeat("k", 900_000), uid)
	}
	head := "S: * OK [CLOSED] c\nS: * 20 EXISTS\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT 30] n\nS: * OK [HIGHESTMODSEQ 120] m\n"
	s := scripted(t, qresync, "C: t3 SELECT \"B\" (QRESYNC (7 100 1:9))\n"+head+"C~ t4 UID FETCH 10:4294967295 .*\nS: * 1 FETCH (UID 3 FLAGS (a) BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\nS: \nS: )\nS: t3 OK [READ-WRITE] open\n"+
		"S: * 1 FETCH (UID 4 FLAGS (b) BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\nS: \nS: )\n"+lines.String()+"S: t4 OK\n"+
		"C: t5 SELECT \"B\" (QRESYNC (7 100))\n"+head+"S: t5 OK [READ-WRITE] open\n", nil)
	s.foreseen = map[mail.Box]uint32{"B": 10}
	if list, _ := viewed(t, s, "B", state{7, 10, 100, 0}.seen()); len(list) != 0 {
		t.Errorf("%d messages", len(list))
	}
}

// TestForeseeRefused: if a server does not tell what was foreseen, the mailbox is opened as always.
func TestForeseeRefused(t *testing.T) {
	t.Parallel()
	open := func(tag, known, more string) string {
		return fmt.Sprintf("C: %s SELECT \"B\" (QRESYNC (7 100%s))\nS: * OK [CLOSED] c\nS: * 2 EXISTS\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT 12] n\nS: * OK [HIGHESTMODSEQ 120] m\n%s", tag, known, more)
	}
	for name, answer := range map[string]string{"no": "S: t4 NO not now", "a part": "S: * 2 FETCH (UID 11 FLAGS () BODY[HEADER.FIELDS (MESSAGE-ID)] {2}\nS: \nS: )\nS: t4 OK [MESSAGELIMIT 1 11] a part"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, qresync, open("t3", " 1:9", "C~ t4 UID FETCH 10:4294967295 .*\nS: t3 OK [READ-WRITE] open\n"+answer+"\n")+
				open("t5", "", "S: * 1 FETCH (UID 10 FLAGS (\\Seen) MODSEQ (110))\nS: * 2 FETCH (UID 11 FLAGS () MODSEQ (120))\nS: t5 OK [READ-WRITE] open\n"), nil)
			s.foreseen = map[mail.Box]uint32{"B": 10}
			list, _ := viewed(t, s, "B", state{7, 10, 100, 0}.seen())
			if len(list) != 2 || list[0].Identified || list[0].Flags.System != mail.Seen {
				t.Errorf("%+v", list)
			}
		})
	}
}

// TestViewsInTurn: a few mailboxes are viewed on the connection that is there, many at the same time.
func TestViewsInTurn(t *testing.T) {
	t.Parallel()
	d, user := imaptest.Shared(t)
	for _, n := range []int{maxInTurn, maxInTurn + 1} {
		s := New(config(d, user))
		t.Cleanup(func() { _ = s.Close() })
		if _, err := s.Hello(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		known := map[mail.Box]store.Known{}
		for i := range n {
			box := mail.Box(fmt.Sprintf("B%d", i))
			if err := s.CreateBox(t.Context(), box, ""); err != nil {
				t.Fatal(err)
			}
			known[box] = store.Known{}
		}
		s.Foresee(known, len(known))
		var g errgroup.Group
		var most atomic.Int32
		for box := range known {
			g.Go(func() error {
				_, err := s.View(t.Context(), box, "")
				s.mu.Lock()
				defer s.mu.Unlock()
				most.Store(max(most.Load(), int32(len(s.open))))
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := most.Load(); got > 1 && n == maxInTurn {
			t.Errorf("%d mailboxes on %d connections", n, got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.View(ctx, "B0", ""); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}
