package online

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// TestFind: what counts as a duplicate, and what only looks like one.
func TestFind(t *testing.T) {
	t.Parallel()
	for _, reverse := range []bool{false, true} {
		w := newWorld(t, memstore.Options{Reverse: reverse})
		for n, s := range []string{
			text("a", "body"), text("a", "body\r\n--\r\nfooter of a list"), text("b", "body"), // 1 to 3
			"", "", "Subject: x\r\n\r\n", "Subject: x\r\n\r\n", // 4 to 7: nothing to tell them by
			text("draft", "begun"), text("draft", "begun and more"), // 8, 9
			text("c", "body"), text("c", "body", "Received: by x", "X-TUID: 1"), // 10, 11
			text("", "no id"), text("", "no id", "Delivered-To: me"), text("", "other"), // 12 to 14
			text("d", "one"), text("d", "one"), // 15, 16
		} {
			w.put(mail.Inbox, s, "", 100-n)
		}
		for _, test := range []struct {
			by   dedupe.By
			want string
			read int
		}{
			{dedupe.Content, "10 11, 12 13, 15 16", 15}, // all but 3
			{dedupe.Exact, "15 16", 15},
			{dedupe.MessageID, "1 2, 10 11, 12 13, 15 16, 8 9", 7}, // those without id
		} {
			w.policy.By = test.by
			f := w.find()
			if got := f.names(); got != test.want || f.Read != test.read {
				t.Errorf("%v: got %s, %d were read; want %s, %d", test.by, got, f.Read, test.want, test.read)
			}
			if again := w.find(); again.names() != test.want {
				t.Errorf("%v, a second time: %s", test.by, again.names())
			}
		}
	}
}

// TestStays: which one it is does not depend on the order of answers.
func TestStays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		policy dedupe.Policy
		want   string
	}{
		{"one that is known on both sides", dedupe.Policy{}, "3 1 2 4"},
		{"the oldest", dedupe.Policy{Keep: dedupe.KeepOldest}, "2 1 3 4"},
		{"the newest that is not about to be expunged", dedupe.Policy{Keep: dedupe.KeepNewest}, "1 2 3 4"},
		{"the largest", dedupe.Policy{Keep: dedupe.KeepLargest}, "3 1 2 4"},
	} {
		for _, reverse := range []bool{false, true} {
			w := newWorld(t, memstore.Options{Reverse: reverse})
			w.policy, w.known = test.policy, map[mail.Key]bool{mail.UIDKey(3): true}
			w.put(mail.Inbox, text("a", "b"), "", 1)
			w.put(mail.Inbox, text("a", "b"), "", 9)
			w.put(mail.Inbox, text("a", "b", "Received: by a longer way"), "", 5)
			w.put(mail.Inbox, text("a", "b"), "T", 0)
			if got := w.find().names(); got != test.want {
				t.Errorf("%s: got %s, want %s", test.name, got, test.want)
			}
		}
	}
}

// TestAcross: mailboxes are looked at by themselves unless asked otherwise, and then by rank.
func TestAcross(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{})
	w.boxes = []mail.Box{mail.Inbox, "Sent"}
	w.put(mail.Inbox, text("a", "b"), "", 1)
	w.put("Sent", text("x", "y"), "", 1)
	w.put("Sent", text("a", "b"), "", 2)
	if got := w.find().names(); got != "" {
		t.Error(got)
	}
	for rank, want := range map[int]string{0: "1 2", 2: "2 1"} {
		w.policy = dedupe.Policy{Across: true, Rank: []int{rank, 1}}
		if got := w.find().names(); got != want {
			t.Errorf("rank %d: %s", rank, got)
		}
	}
}

// TestMailboxes: what is read of a message is not taken for that of another one that has its UID in another mailbox.
func TestMailboxes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{})
	w.boxes = []mail.Box{"A", "B", "Empty", "C", "D"}
	for _, m := range []struct {
		box  mail.Box
		text string
	}{
		{"A", text("x", "body")}, {"A", text("x", "body")}, {"A", text("other", "a")}, // a group
		{"B", text("x", "body\r\nwith a footer")}, {"B", text("x", "body")}, {"B", text("y", "b")}, // none
		{"C", text("y", "c")}, {"C", text("x", "body")}, {"C", text("x", "body")}, // a group
		{"D", text("x", "body\r\nwith a footer")}, {"D", text("z", "d")}, {"D", text("x", "body\r\nwith a footer")}, // a group
	} {
		w.put(m.box, m.text, "", 0)
	}
	w.server.CreateUser("Empty", "")
	for range 2 {
		if got := w.find().names(); got != "1 2, 1 3, 2 3" {
			t.Error(got)
		}
	}
	for name, want := range map[mail.Box]int{"A": 1, "B": 0, "C": 1, "D": 1} {
		w.boxes = []mail.Box{name}
		if f := w.find(); f.Groups.Copies() != want || f.Read != 0 {
			t.Errorf("%s by itself: %d copies, %d were read", name, f.Groups.Copies(), f.Read)
		}
	}
}

// labelled is a server whose mailboxes are labels.
type labelled struct{ store.Store }

func (l labelled) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	v, err := l.Store.View(ctx, box, since)
	w, ok := v.(mail.Whole)
	if err != nil || !ok {
		return v, err
	}
	all := w.All
	w.All = iter.Seq2[mail.Entry, error](func(yield func(mail.Entry, error) bool) {
		all(func(e mail.Entry, err error) bool {
			e.Ident.Stable = "gmail:1"
			return yield(e, err)
		})
	})
	return w, nil
}

// TestLabels: where one message is in several mailboxes at once, it is no copy of itself: moved to the trash it would be gone.
func TestLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{})
	w.store, w.boxes, w.policy.Across = labelled{w.server}, []mail.Box{mail.Inbox, "Work"}, true
	w.put(mail.Inbox, text("a", "b"), "", 1)
	w.put("Work", text("a", "b"), "", 1)
	if _, err := w.remove(nil); err == nil || mail.HintOf(err) == "" || len(w.server.Dump()) != 2 {
		t.Error(err, w.server.Dump())
	}
	w.policy.Across = false
	w.put("Work", text("a", "b"), "", 1)
	if got := w.find().names(); got != "1 2" {
		t.Error(got)
	}
}

// TestRemembered: a second run asks for nothing but the list; after new mail, for what is new. Another epoch and damage cost time only.
func TestRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{})
	for i := range 20 {
		w.put(mail.Inbox, text(fmt.Sprint(i%15), "body"), "", i)
	}
	asked := map[memstore.Method]int{}
	w.server.Reads = func(r memstore.Read) error {
		if r.Key != "" {
			asked[r.Method]++
		}
		return nil
	}
	check := func(what string, identified, read, copies int) {
		t.Helper()
		clear(asked)
		f := w.find()
		if asked[memstore.Identify] != identified || f.Read != read || asked[memstore.Fetch] != read || f.Groups.Copies() != copies {
			t.Errorf("%s: %v, %d were read, %d copies", what, asked, f.Read, f.Groups.Copies())
		}
	}
	check("first", 20, 10, 5)
	check("second", 0, 0, 5)
	w.put(mail.Inbox, text("9", "body"), "", 0)
	check("after new mail", 1, 2, 6)
	w.server.NewEpoch(mail.Inbox)
	check("after renumbering", 21, 12, 6)
	files, err := filepath.Glob(filepath.Join(w.memo.Cache, "*"))
	w.must(err)
	for _, f := range files {
		w.must(os.WriteFile(f, []byte("\x05\x00\x00\x00nonsense"), 0o600))
	}
	check("after damage", 21, 12, 6)
}
