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
	"github.com/emersion/go-imap/v2/imapclient"
)

// letter is a message that a server gets, perhaps a second time.
type letter struct {
	box, body string
	hour      int // its date
	flags     []imap.Flag
}

func (l letter) put(t testing.TB, c *imapclient.Client) {
	t.Helper()
	upload(t, c, l.box, l.body, day.Add(time.Duration(l.hour)*time.Hour), l.flags...)
}

// mixed is what a mailbox has: 8 usual messages and a large one, 3 without Message-ID, of them 2 true identical copies, and 2 others
// with the same Message-ID.
func mixed(box string) (all []letter) {
	for i := range 8 {
		all = append(all, letter{box, text(i), i, []imap.Flag{imap.FlagSeen}})
	}
	all = append(all, letter{box, text(8) + strings.Repeat("a line of some length\r\n", 50_000), 8, nil})
	for _, body := range []string{
		"Subject: no id\r\n\r\nthe same\r\n", "Subject: no id\r\n\r\nthe same\r\n", "Subject: no id\r\n\r\nnot the same\r\n",
		"Message-ID: <list@x>\r\nSubject: from me\r\n\r\nbody\r\n", "Message-ID: <list@x>\r\nSubject: from me\r\n\r\nbody\r\n-- \r\nthe list\r\n",
	} {
		all = append(all, letter{box, body, 9, []imap.Flag{imap.FlagFlagged}})
	}
	return all
}

// renumbered takes the first letter of a mailbox away, changes the flags of two, and gives the rest in another order, with a new one.
func renumbered(box string, was []letter) (now []letter) {
	for i := len(was) - 1; i > 0; i-- {
		l := was[i]
		switch i {
		case 1:
			l.flags = []imap.Flag{imap.FlagAnswered} // not seen any more
		case 2:
			l.flags = []imap.Flag{imap.FlagSeen, imap.FlagFlagged}
		}
		now = append(now, l)
	}
	return append(now, letter{box, text(50), 10, nil})
}

// changeLocally makes the changes of a user who knows nothing of the new numbers: flags of the same two messages, one message
// deleted, one delivered.
func (w *world) changeLocally(box string) {
	w.t.Helper()
	here := w.paths(box)
	flag(w.t, here[1], "FS")
	flag(w.t, here[2], "")
	must(w.t, os.Remove(here[3]))
	w.deliver(box, "1700000060.M1P1.host:2,", lf(text(60)), day)
}

// checkMerged checks the outcome of renumbered and changeLocally: all that was on either side is on both, once, with the flags that
// merging with those of old gives. A removal does not count against a server that changed all numbers.
func (w *world) checkMerged(box string, was []letter) {
	w.t.Helper()
	w.equal(-1)
	flags, n := map[string]string{}, 0
	for _, m := range w.local() {
		if m.box == box {
			flags[fmt.Sprintf("%x", m.sum)], n = m.flags, n+1
		}
	}
	if want := len(was) + 2; n != want { // the new ones
		w.t.Errorf("%s: %d messages, want %d", box, n, want)
	}
	for i, want := range map[int]string{0: `\Seen`, 1: `\Answered \Flagged`, 2: `\Flagged`, 3: `\Seen`, 4: `\Seen`, 8: "", 50: "", 60: ""} {
		body := text(i)
		if i < len(was) {
			body = was[i].body
		}
		if got, ok := flags[fmt.Sprintf("%x", sum([]byte(body)))]; !ok || got != want {
			w.t.Errorf("%s: message %d has flags [%s] (there: %v), want [%s]", box, i, got, ok, want)
		}
	}
}

// down syncs and returns the summary, and how many octets came from the server.
func (w *world) down() (summary, int64) {
	w.t.Helper()
	r := w.run("sync", "--json", "a")
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	var s struct {
		BytesDown int64 `json:"bytes_down"`
	}
	must(w.t, json.Unmarshal([]byte(lines[len(lines)-1]), &s))
	return parseSummary(w.t, r), s.BytesDown
}

// TestEpochOfOne (rule 9): a mailbox has another UIDVALIDITY, and messages were added and removed meanwhile.
func TestEpochOfOne(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	was := mixed("Box")
	upload(t, c, "INBOX", text(70), day)
	for _, l := range was {
		l.put(t, c)
	}
	w.run("sync", "a")
	renumber(t, c, "Box")
	for _, l := range renumbered("Box", was) {
		l.put(t, c)
	}
	w.changeLocally("Box")
	s, bytes := w.down()
	// Down: the new one, and the one that was deleted here; up: the new one, and the one that the server lacks.
	if s.Copied_to_local != 2 || s.Copied_to_remote != 2 || s.Deleted_local+s.Deleted_remote+s.Moved_local+s.Moved_remote+s.Held_back != 0 {
		t.Errorf("%+v", s)
	}
	if bytes > 200_000 {
		t.Errorf("%d octets came from the server: bodies that were known were read again", bytes)
	}
	w.checkMerged("Box", was)
	w.still()
	w.run("verify", "--full", "a")
}

// TestEpochOfAll: a server that was set up anew has all messages under other numbers.
func TestEpochOfAll(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	boxes := []string{"INBOX", "Box", "Box/Deep", "Sent"}
	c := w.dial()
	was := map[string][]letter{}
	for _, box := range boxes {
		was[box] = mixed(box)
		for _, l := range was[box] {
			l.put(t, c)
		}
	}
	w.run("sync", "a")
	must(t, c.Logout().Wait())
	must(t, os.RemoveAll(filepath.Join(dovecot.Dir, "home", w.user)))
	time.Sleep(1100 * time.Millisecond) // UIDVALIDITY is a time
	c = w.dial()
	for _, box := range boxes {
		for _, l := range renumbered(box, was[box]) {
			l.put(t, c)
		}
		w.changeLocally(box)
	}
	s, bytes := w.down()
	n := len(boxes)
	if s.Copied_to_local != 2*n || s.Copied_to_remote != 2*n || s.Deleted_local+s.Deleted_remote+s.Moved_local+s.Moved_remote+s.Held_back != 0 {
		t.Errorf("%+v", s)
	}
	if bytes > 200_000*int64(n) {
		t.Errorf("%d octets came from the server: bodies that were known were read again", bytes)
	}
	for _, box := range boxes {
		w.checkMerged(box, was[box])
	}
	w.still()
	w.run("verify", "--full", "a")
}
