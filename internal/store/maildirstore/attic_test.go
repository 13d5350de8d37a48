package maildirstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/mail"
)

// noon is a time within the first hours of which tests have all the attic's days to themselves.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// clock is a time that tests set.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// remove deletes all messages of a mailbox.
func remove(t *testing.T, s *Store, box mail.Box) {
	t.Helper()
	var list []mail.Entry
	for k := range entries(t, s, box) {
		list = append(list, mail.Entry{Key: k})
	}
	if _, err := s.Delete(t.Context(), box, list); err != nil {
		t.Fatal(err)
	}
}

func removed(t *testing.T, s *Store, boxes ...mail.Box) []Removed {
	t.Helper()
	list, err := s.Removed(t.Context(), time.Time{}, boxes...)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestAtticNames: whatever a mailbox is called, the attic knows what it lost, in every layout.
func TestAtticNames(t *testing.T) {
	t.Parallel()
	long := mail.Box("L" + strings.Repeat("ä/b", 60))
	boxes := []mail.Box{"INBOX", "A/B", "A%2FB", "A.B", "cur", ".dot", "%25", "50%25 off", "e\u0301", "Über", long}
	for _, layout := range []string{Nested, MaildirPP} {
		s := open(t, Config{Path: t.TempDir(), Layout: layout, FS: unsynced{}})
		for i, box := range boxes {
			if layout == MaildirPP && box == long {
				continue // a folder cannot be called so
			}
			if err := s.CreateBox(t.Context(), box, ""); err != nil {
				t.Fatal(err)
			}
			b, err := s.box(t.Context(), box)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(b.dir, "cur", fmt.Sprintf("%d.x:2,S", i)), []byte("Subject: =?utf-8?q?f=C3=BCr?=\nFrom: a@b\nDate: Mon, 2 Mar 2026 10:00:00 +0000\n\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			remove(t, s, box)
			list := removed(t, s, box)
			if len(list) != 1 || list[0].Box != box || time.Since(list[0].At) > time.Hour {
				t.Errorf("%s: removed from %q: %+v", layout, box, list)
				continue
			}
			if h, err := s.Header(list[0]); err != nil || h.Subject != "für" || h.From != "a@b" || h.Date.Unix() != time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC).Unix() {
				t.Errorf("%+v, %v", h, err)
			}
		}
	}
}

// TestRestore: messages come back with flags, keywords and date, under fresh names, into mailboxes that are there again.
func TestRestore(t *testing.T) {
	t.Parallel()
	root := tree(t, "Work/Sub/cur/1.x:2,FSTac", "Work/Sub/cur/dovecot-keywords", "Work/Sub/new/2.x", "Work/Sub/cur/3.x:2,", "Keep/cur/1.x:2,")
	path := filepath.Join(root, "Work/Sub")
	if err := os.WriteFile(filepath.Join(path, "dovecot-keywords"), []byte("0 red\n2 blue\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	date := time.Unix(1_600_000_000, 0)
	if err := os.Chtimes(filepath.Join(path, "cur/1.x:2,FSTac"), date, date); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Path: root})
	remove(t, s, "Work/Sub")
	if err := s.DeleteBox(t.Context(), "Work/Sub"); err != nil {
		t.Fatal(err)
	}
	list := removed(t, s)
	if len(list) != 4 || len(removed(t, s, "Keep")) != 0 {
		t.Fatalf("%+v", list)
	}
	if again, err := s.Removed(t.Context(), time.Now().Add(time.Minute)); err != nil || len(again) != 0 {
		t.Errorf("removed from now on: %v, %v", again, err)
	}
	s = open(t, Config{Path: root})
	keys, err := s.Restore(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	all := entries(t, s, "Work/Sub")
	if len(all) != 4 || len(removed(t, s)) != 0 {
		t.Errorf("%d came back, %d are left", len(all), len(removed(t, s)))
	}
	found := false
	for i, k := range keys {
		flags, ok := all[k]
		if !ok || strings.Contains(string(k), ".x") {
			t.Errorf("message %s has the key %q of %v", list[i].ID, k, all)
		}
		if flags.Equal(mail.Flags{System: mail.Seen | mail.Flagged, Keywords: "blue red"}) {
			found = true
			err := s.Fetch(t.Context(), "Work/Sub", []mail.Key{k}, func(e mail.Entry, _ mail.Body) error {
				if e.Ident.Date != date.Unix() {
					t.Errorf("its date is %d", e.Ident.Date)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	if !found {
		t.Errorf("flags of none came back: %v", all)
	}
	if _, err := os.Stat(filepath.Join(path, "new", string(keys[indexName(list, "2.x")]))); err != nil {
		t.Error(err)
	}
	if keys, err := s.Restore(t.Context(), list); err != nil || strings.Join(strings.Fields(fmt.Sprint(keys)), "") != "[]" {
		t.Errorf("what is not there any more came back: %q, %v", keys, err)
	}
}

func indexName(list []Removed, name string) int {
	for i := range list {
		if list[i].name == name {
			return i
		}
	}
	return -1
}

// TestPowerRestore: a message that is brought back is in the attic or in its mailbox, whenever the power goes.
func TestPowerRestore(t *testing.T) {
	t.Parallel()
	setup := func(p *powerRun) {
		texts := []string{p.message(), p.message()}
		done, err := p.put("Work", p.prepared("Work", texts), texts)
		p.must(err)
		_, err = p.s.Delete(p.Context(), "Work", []mail.Entry{{Key: done[0].Key}, {Key: done[1].Key}})
		p.must(err)
		p.must(p.s.DeleteBox(p.Context(), "Work"))
	}
	act := func(p *powerRun) error {
		list, err := p.s.Removed(p.Context(), time.Time{})
		if err == nil {
			_, err = p.s.Restore(p.Context(), list)
		}
		return err
	}
	eachCut(t, Nested, false, setup, act, func(p *powerRun, finished bool) {
		found, attic := p.whole(), p.attic()
		for n := 1; n <= 2; n++ {
			if len(found[n])+attic[n] == 0 || finished && len(found[n]) != 1 || len(found[n]) > 1 {
				p.Errorf("message %d: in mailboxes %v, in the attic %d", n, found[n], attic[n])
			}
		}
	})
}

// TestPrune: what is too old goes, then what is too much, never the last 7 days (rule 15), and once a day at most.
func TestPrune(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/x:2,S")
	c := &clock{}
	conf := Config{Path: root, FS: unsynced{}, Now: c.Now, KeepSize: 500}
	text := []byte("Subject: x\n\n" + strings.Repeat("1234567\n", 12))
	fill := func(daysAgo int) {
		c.now = noon.AddDate(0, 0, -daysAgo)
		for i := range 3 {
			if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("INBOX/cur/%d.%d:2,S", daysAgo, i)), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		remove(t, open(t, conf), "INBOX")
	}
	left := func() string {
		days := map[string]int{}
		for _, r := range removed(t, open(t, conf)) {
			days[r.dir.path[len(root)+len("/.mailtwin/attic/"):][:10]]++
		}
		return fmt.Sprint(days)
	}
	prune := func(want string) {
		t.Helper()
		if err := open(t, conf).Prune(t.Context()); err != nil {
			t.Error(err)
		}
		if got := left(); got != want {
			t.Errorf("left %s, want %s", got, want)
		}
	}
	if err := os.Remove(filepath.Join(root, "INBOX/cur/x:2,S")); err != nil {
		t.Fatal(err)
	}
	c.now = noon
	prune("map[]")
	if _, err := os.Stat(filepath.Join(root, ".mailtwin")); err == nil {
		t.Error("an attic that is not there was looked through")
	}
	for _, ago := range []int{40, 31, 20, 10, 3, 0} {
		fill(ago)
	}
	all := "map[2026-01-21:3 2026-01-30:3 2026-02-10:3 2026-02-20:3 2026-02-27:3 2026-03-02:3]"
	c.now = noon
	prune(all) // the first look only notes the time
	c.now = noon.Add(23 * time.Hour)
	prune(all)
	c.now = noon.Add(25 * time.Hour)
	prune("map[2026-02-27:3 2026-03-02:3]") // 648 octets are too much, but young
	if list, err := os.ReadDir(filepath.Join(root, ".mailtwin/attic")); err != nil || len(list) != 3 {
		t.Errorf("empty folders stay: %v %v", list, err)
	}
	c.now = noon.AddDate(0, 0, 8)
	prune("map[2026-02-27:1 2026-03-02:3]")
}

// TestPruneClock: a clock that jumps removes nothing for a day, and one that was set back does not stop the pruning for good.
func TestPruneClock(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S")
	c := &clock{now: noon}
	conf := Config{Path: root, FS: unsynced{}, Now: c.Now}
	remove(t, open(t, conf), "INBOX")
	for i, x := range []struct {
		now  time.Time
		left int
	}{
		{noon, 1},
		{noon.AddDate(20, 0, 0), 1},
		{noon.AddDate(20, 0, 0).Add(time.Hour), 1},
		{noon.Add(time.Hour), 1},
		{noon.AddDate(0, 0, 1), 1},
		{noon.AddDate(0, 0, 2), 1},
		{noon.AddDate(0, 0, 32), 1},
		{noon.AddDate(0, 0, 33).Add(time.Hour), 0},
	} {
		c.now = x.now
		s := open(t, conf)
		if err := s.Prune(t.Context()); err != nil {
			t.Error(err)
		}
		if got := len(removed(t, s)); got != x.left {
			t.Errorf("look %d: %d left, want %d", i, got, x.left)
		}
	}
}

// TestPruneReadOnly: who may not write does not.
func TestPruneReadOnly(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S")
	remove(t, open(t, Config{Path: root}), "INBOX")
	s := open(t, Config{Path: root, ReadOnly: true, Now: func() time.Time { return time.Now().AddDate(1, 0, 0) }})
	if err := s.Prune(t.Context()); err != nil {
		t.Error(err)
	}
	list := removed(t, s)
	if keys, err := s.Restore(t.Context(), list); err == nil || len(list) != 1 || keys[0] != "" {
		t.Errorf("%v %v", keys, err)
	}
	if _, err := os.Stat(filepath.Join(root, ".mailtwin/attic/.pruned")); err == nil {
		t.Error("something was written")
	}
}
