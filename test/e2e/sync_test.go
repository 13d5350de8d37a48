package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// summary is the last line of --json.
type summary struct {
	Event                                                 string
	Copied_to_local, Copied_to_remote                     int
	Flagged_local, Flagged_remote                         int
	Deleted_local, Deleted_remote                         int
	Moved_local, Moved_remote, Adopted, Held_back, Errors int
	Renamed_local, Renamed_remote                         int
	Mailboxes, Messages                                   int
	Round_trips                                           int
	Bytes_down, Bytes_up                                  int64
}

func (w *world) summary(args ...string) summary {
	w.t.Helper()
	return parseSummary(w.t, w.run(append([]string{"sync", "--json"}, args...)...))
}

func parseSummary(t testing.TB, r result) (s summary) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil || s.Event != "summary" {
		t.Fatalf("no summary in the last line: %v\n%v", err, r)
	}
	return s
}

// still checks that a further sync does nothing.
func (w *world) still() {
	w.t.Helper()
	s := w.summary("a")
	if s.Copied_to_local+s.Copied_to_remote+s.Flagged_local+s.Flagged_remote+s.Deleted_local+s.Deleted_remote+s.Moved_local+s.Moved_remote+s.Adopted+s.Held_back+s.Errors != 0 {
		w.t.Fatalf("a further sync was not idle: %+v", s)
	}
}

// fill puts messages on both sides: mailboxes with umlauts, spaces, dots and levels, flags, keywords, odd dates.
func (w *world) fill() (want int) {
	c := w.dial()
	for i := range 20 {
		upload(w.t, c, "INBOX", text(i), day.Add(time.Duration(i)*time.Hour), []imap.Flag{`\Seen`, `\Flagged`, "$Forwarded", "work"}[i%4])
	}
	for i, box := range []string{"Entwürfe/2024", "a b.c", "Work/Invoices", "Work", "&-quote\"s", "日本語"} {
		upload(w.t, c, box, text(100+i), day)
	}
	for i := range 5 {
		w.deliver("INBOX", fmt.Sprintf("1700000%d.M1P1.host,U=%d:2,S", i, i), lf(text(200+i)), day)
		w.deliver("Local Only/Deep", fmt.Sprintf("170000%d.M2P2.host", i), lf(text(300+i)), day)
	}
	return 20 + 6 + 5 + 5
}

func TestBothWays(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	want := w.fill()
	w.run("sync", "a")
	w.equal(want)
	w.still()
	w.run("verify", "a")
	w.run("verify", "--full", "a")

	// A day's changes on both sides.
	c := w.dial()
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	must(t, c.Store(imap.UIDSetNum(1, 2), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{`\Answered`, "todo"}}, nil).Close())
	must(t, c.Store(imap.UIDSetNum(3, 4), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{`\Deleted`}}, nil).Close())
	must(t, c.UIDExpunge(imap.UIDSetNum(3, 4)).Close())
	upload(t, c, "INBOX", text(400), day)
	w.deliver("INBOX", "1700000900.M9P9.host:2,FS", lf(text(401)), day)
	local, err := filepath.Glob(filepath.Join(w.mail, "INBOX", "cur", "17000000.*"))
	must(t, err)
	must(t, os.Remove(local[0]))
	if s := w.summary("a"); s.Copied_to_local != 1 || s.Copied_to_remote != 1 || s.Deleted_local != 2 || s.Deleted_remote != 1 || s.Flagged_local < 2 {
		t.Fatalf("%+v", s)
	}
	w.equal(want - 1)
	w.still()
}

func TestMovesAreMoves(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	for i := range 10 {
		upload(t, c, "INBOX", text(i), day)
	}
	upload(t, c, "Archive", text(99), day)
	w.run("sync", "a")
	names, err := filepath.Glob(filepath.Join(w.mail, "INBOX", "*", "*.mt*"))
	must(t, err)
	if len(names) != 10 {
		t.Fatal(names)
	}
	for i, name := range names[:4] {
		to := filepath.Base(name)
		if i%2 == 0 { // some mail readers choose another name
			to = fmt.Sprintf("17100000%d.R%d.reader:2,S", i, i)
		}
		must(t, os.Rename(name, filepath.Join(w.mail, "Archive", "cur", to)))
	}
	if s := w.summary("a"); s.Moved_remote != 4 || s.Copied_to_local+s.Copied_to_remote+s.Deleted_local+s.Deleted_remote != 0 {
		t.Fatalf("%+v", s)
	}
	w.equal(11)
	_, err = c.Select("INBOX", nil).Wait()
	must(t, err)
	_, err = c.Move(imap.SeqSet{{Start: 1, Stop: 3}}, "Archive").Wait()
	must(t, err)
	if s := w.summary("a"); s.Moved_local != 3 || s.Copied_to_local+s.Copied_to_remote+s.Deleted_local+s.Deleted_remote != 0 {
		t.Fatalf("%+v", s)
	}
	w.equal(11)
	w.still()
}

// TestMovedKeywords: a file that is moved with the letters of its keywords keeps the keywords, although the letters mean something else,
// or nothing, in the other mailbox; what was changed by who knows the letters is changed.
func TestMovedKeywords(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	for i := range 4 {
		upload(t, c, "INBOX", text(i), day, "$Work", `\Seen`)
	}
	upload(t, c, "Archive", text(98), day, "$Other")
	upload(t, c, "Plain", text(99), day)
	w.run("sync", "a")
	names, err := filepath.Glob(filepath.Join(w.mail, "INBOX", "cur", "*:2,*a"))
	must(t, err)
	if len(names) != 4 {
		t.Fatal(names)
	}
	for i, to := range []string{"Archive", "Plain"} {
		must(t, os.Rename(names[i], filepath.Join(w.mail, to, "cur", filepath.Base(names[i]))))
	}
	base, _, _ := strings.Cut(filepath.Base(names[2]), ":2,")
	must(t, os.Rename(names[2], filepath.Join(w.mail, "Archive", "cur", base+":2,S"))) // no keyword any more
	if s := w.summary("a"); s.Moved_remote != 3 || s.Flagged_remote != 1 || s.Copied_to_local+s.Copied_to_remote+s.Deleted_local+s.Deleted_remote != 0 {
		t.Errorf("%+v", s)
	}
	w.equal(6)
	all := fmt.Sprint(w.remote())
	if work, other := strings.Count(all, "$Work"), strings.Count(all, "$Other"); work != 3 || other != 1 {
		t.Errorf("%d messages have their keyword, want 3, and %d another one's, want 1", work, other)
	}
	w.still()
}

func TestDryRunWritesNothing(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	want := w.fill()
	before, remote := files(t, w.home), w.remote()
	r := w.run("sync", "--dry-run", "a")
	if !strings.Contains(r.out, "INBOX") {
		t.Fatal(r)
	}
	if after := files(t, w.home); after != before {
		t.Fatalf("a dry run changed files:\n%s\n%s", before, after)
	}
	sameMessages(t, remote, w.remote(), -1)
	w.run("sync", "a")
	w.equal(want)
	before = files(t, w.home)
	w.run("sync", "--dry-run", "a")
	if after := files(t, w.home); after != before {
		t.Fatalf("a dry run changed files:\n%s\n%s", before, after)
	}
}

func TestLostState(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	want := w.fill()
	w.run("sync", "a")
	must(t, os.RemoveAll(filepath.Join(w.home, "state")))
	if s := w.summary("a"); s.Copied_to_local+s.Copied_to_remote != 0 || s.Adopted != want {
		t.Fatalf("%+v", s)
	}
	w.equal(want)
	w.still()
}

// TestNewEpoch removes and makes a mailbox anew with the same messages: another UIDVALIDITY.
func TestNewEpoch(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	for i := range 12 {
		upload(t, c, "Box", text(i), day)
	}
	w.run("sync", "a")
	must(t, c.Delete("Box").Wait())
	time.Sleep(1100 * time.Millisecond) // UIDVALIDITY is a time
	for i := 11; i >= 0; i-- {
		upload(t, c, "Box", text(i), day)
	}
	upload(t, c, "Box", text(77), day)
	if s := w.summary("a"); s.Copied_to_local != 1 || s.Copied_to_remote+s.Deleted_local+s.Deleted_remote != 0 {
		t.Fatalf("%+v", s)
	}
	w.equal(13)
	w.still()
}

func TestSelection(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t, `mailboxes = ["*", "!Spam", "!Work/*", "Work/Invoices"]`)
	c := w.dial()
	for i, box := range []string{"INBOX", "Spam", "Work/Invoices", "Work/Other"} {
		upload(t, c, box, text(i), day)
	}
	w.run("sync", "a")
	if l := w.local(); len(l) != 2 || l[0].box != "INBOX" || l[1].box != "Work/Invoices" {
		t.Fatal(l)
	}
}

func TestMaildirPlusPlus(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t, `layout = "maildir++"`)
	c := w.dial()
	upload(t, c, "INBOX", text(1), day)
	upload(t, c, "Work/Invoices", text(2), day)
	w.run("sync", "a")
	for _, dir := range []string{"new", ".Work.Invoices/new"} {
		if names, err := os.ReadDir(filepath.Join(w.mail, dir)); err != nil || len(names) != 1 {
			t.Fatal(dir, names, err)
		}
	}
	w.still()
	w.run("verify", "a")
}

// TestIMAPToIMAP keeps two accounts of a server identical.
func TestIMAPToIMAP(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	other := w.user + "-two"
	w.configure(fmt.Sprintf("[account.a]\nremote = \"imap://%s@127.0.0.1:%d\"\nlocal = \"imap://%s@127.0.0.1:%[2]d\"\ntls = \"none\"\npassword_command = \"echo pass\"\n", w.user, dovecot.plain, other))
	one, two := w.dial(), w.dialAs(other)
	for i := range 15 {
		upload(t, one, "INBOX", text(i), day, `\Seen`, "work")
		upload(t, two, "Sub/Box", text(50+i), day)
	}
	upload(t, two, "INBOX", text(3), day) // both have it
	check := func(want int) {
		t.Helper()
		sameMessages(t, w.remoteOf(other), w.remote(), want)
	}
	w.run("sync", "a")
	check(30)
	w.still()
	_, err := two.Select("INBOX", nil).Wait()
	must(t, err)
	must(t, two.Store(imap.SeqSet{{Start: 1, Stop: 2}}, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{`\Deleted`}}, nil).Close())
	must(t, two.Expunge().Close())
	upload(t, one, "INBOX", text(90), day)
	w.run("sync", "a")
	check(29)
	w.still()
	w.run("verify", "--full", "a")
}

// TestMaildirToMaildir keeps two trees identical, of different layouts.
func TestMaildirToMaildir(t *testing.T) {
	t.Parallel()
	needProgram(t)
	w := newWorld(t)
	other := filepath.Join(w.home, "Other")
	w.configure(fmt.Sprintf("[account.a]\nlocal = \"maildir:%s\"\nremote = \"maildir:%s\"\n", w.mail, other))
	for i := range 10 {
		w.deliver("INBOX", fmt.Sprintf("17000000%d.M1P1.host:2,S", i), lf(text(i)), day)
	}
	w.run("sync", "a")
	sameMessages(t, localOf(t, w.mail), localOf(t, other), 10)
	names, err := filepath.Glob(filepath.Join(other, "INBOX", "cur", "*"))
	must(t, err)
	must(t, os.Remove(names[0]))
	must(t, os.Rename(names[1], names[1]+"F"))
	w.deliver("Work", "1700000500.M1P1.host", lf(text(50)), day)
	w.run("sync", "a")
	sameMessages(t, localOf(t, w.mail), localOf(t, other), 10)
	w.still()
	w.run("verify", "--full", "a")
}

// TestAdHoc syncs without a configuration; the password comes from a terminal, or as here from nowhere.
func TestAdHoc(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	must(t, os.RemoveAll(filepath.Join(w.home, "config")))
	two := filepath.Join(w.home, "two")
	w.deliver("INBOX", "1700000500.M1P1.host", lf(text(50)), day)
	w.run("sync", w.mail, "maildir:"+two)
	sameMessages(t, localOf(t, w.mail), localOf(t, two), 1)
	r := w.try("sync", fmt.Sprintf("imaps://someone@localhost:%d", dovecot.tls), w.mail)
	if r.code == 0 || !strings.Contains(r.err, "hint:") {
		t.Fatal(r)
	}
}

func TestHookAndStatus(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t, `after_sync = "cat >> hook.json"`)
	upload(t, w.dial(), "INBOX", text(1), day)
	w.run("sync", "a")
	b, err := os.ReadFile(filepath.Join(w.home, "hook.json"))
	must(t, err)
	if !strings.Contains(string(b), `"copied_to_local":1`) {
		t.Fatalf("%s", b)
	}
	w.run("sync", "a")
	if again, _ := os.ReadFile(filepath.Join(w.home, "hook.json")); len(again) != len(b) {
		t.Fatalf("the hook ran although nothing changed: %s", again)
	}
	if r := w.run("status", "a"); !strings.Contains(r.out, "INBOX") {
		t.Fatal(r)
	}
	if r := w.run("sync", "--quiet", "a"); r.out+r.err != "" {
		t.Fatal(r)
	}
}
