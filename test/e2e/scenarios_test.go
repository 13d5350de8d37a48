package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// scenario is an account with something to be synced.
type scenario struct {
	name    string
	prepare func(w *world)
}

var scenarios = []scenario{
	{"first pull", func(w *world) { w.some("remote", 0, 6) }},
	{"first push", func(w *world) { w.some("local", 0, 6) }},
	{"deletions", prepareDeletions},
	{"flags", prepareFlags},
	{"moves", prepareMoves},
	{"new mailboxes", prepareMailboxes},
	{"renamed mailboxes", prepareRenames},
	{"new epoch", prepareEpoch},
}

// some puts messages on one side: INBOX has most, one has neither a Message-ID nor another text than the last, two are in
// another mailbox.
func (w *world) some(side string, from, n int) {
	w.t.Helper()
	var c *imapclient.Client
	if side == "remote" {
		c = w.dial()
	}
	for i := range n {
		box, body := "INBOX", text(from+i)
		switch {
		case i >= n-2:
			box = "Work"
		case i <= 1 && n > 4:
			body = "Subject: twins without Message-ID\r\n\r\nbody\r\n"
		}
		date := day.Add(time.Duration(i/2) * time.Hour)
		if c != nil {
			upload(w.t, c, box, body, date, []imap.Flag{`\Seen`, `\Flagged`}[i%2])
		} else {
			w.deliver(box, fmt.Sprintf("17000%05d.M1P1.host:2,%s", from+i, []string{"S", "F"}[i%2]), lf(body), date)
		}
	}
}

// files lists the local messages of a mailbox, by the number in their text; twins without a number are left out.
func (w *world) paths(box string) map[int]string {
	w.t.Helper()
	found := map[int]string{}
	for _, sub := range []string{"new", "cur"} {
		dir := filepath.Join(w.mail, box, sub)
		names, err := os.ReadDir(dir)
		if os.IsNotExist(err) {
			continue
		}
		must(w.t, err)
		for _, name := range names {
			path := filepath.Join(dir, name.Name())
			if b, err := os.ReadFile(path); err == nil { // else renamed meanwhile
				if n, ok := number(b); ok {
					found[n] = path
				}
			}
		}
	}
	return found
}

// number finds the number of a message that text made.
func number(body []byte) (n int, ok bool) {
	_, rest, ok := strings.Cut(string(body), "Subject: message ")
	if !ok {
		return 0, false
	}
	_, err := fmt.Sscan(rest, &n)
	return n, err == nil
}

// uids lists the server's messages of a mailbox, by the number in their text, and selects it.
func uids(t testing.TB, c *imapclient.Client, box string) map[int]imap.UID {
	t.Helper()
	found := map[int]imap.UID{}
	sel, err := c.Select(box, nil).Wait()
	must(t, err)
	if sel.NumMessages == 0 {
		return found
	}
	list, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{UID: true, Envelope: true}).Collect()
	must(t, err)
	for _, m := range list {
		var n int
		if m.Envelope == nil {
			continue
		}
		if _, err := fmt.Sscanf(m.Envelope.Subject, "message %d", &n); err == nil {
			found[n] = m.UID
		}
	}
	return found
}

func store(t testing.TB, c *imapclient.Client, set imap.UIDSet, op imap.StoreFlagsOp, flags ...imap.Flag) {
	t.Helper()
	must(t, c.Store(set, &imap.StoreFlags{Op: op, Flags: flags, Silent: true}, nil).Close())
}

func expunge(t testing.TB, c *imapclient.Client, set imap.UIDSet) {
	t.Helper()
	store(t, c, set, imap.StoreFlagsAdd, imap.FlagDeleted)
	must(t, c.UIDExpunge(set).Close())
}

func prepareDeletions(w *world) {
	w.some("remote", 0, 8)
	w.run("sync", "--quiet", "a")
	c := w.dial()
	at := uids(w.t, c, "INBOX")
	expunge(w.t, c, imap.UIDSetNum(at[2], at[3]))
	here := w.paths("INBOX")
	must(w.t, os.Remove(here[4]))
	must(w.t, os.Remove(w.paths("Work")[6]))
}

func prepareFlags(w *world) {
	w.some("remote", 0, 6)
	w.run("sync", "--quiet", "a")
	c := w.dial()
	at := uids(w.t, c, "INBOX")
	store(w.t, c, imap.UIDSetNum(at[2]), imap.StoreFlagsAdd, imap.FlagAnswered, "todo")
	store(w.t, c, imap.UIDSetNum(at[3]), imap.StoreFlagsDel, imap.FlagFlagged)
	here := w.paths("INBOX")
	flag(w.t, here[2], "FST") // remotely \Answered came, locally \Flagged and \Deleted
	flag(w.t, here[3], "FR")
	work := w.paths("Work")
	flag(w.t, work[4], "")
	flag(w.t, work[5], "DFS")
}

// flag gives a local message other flags, as a mail reader does.
func flag(t testing.TB, path, flags string) {
	t.Helper()
	dir, name := filepath.Split(path)
	unique, _, _ := strings.Cut(name, ":2,")
	must(t, os.Rename(path, filepath.Join(filepath.Dir(filepath.Clean(dir)), "cur", unique+":2,"+flags)))
}

func prepareMoves(w *world) {
	w.some("remote", 0, 8)
	w.run("sync", "--quiet", "a")
	c := w.dial()
	at := uids(w.t, c, "INBOX")
	_, err := c.Move(imap.UIDSetNum(at[2], at[3]), "Work").Wait()
	must(w.t, err)
	here := w.paths("INBOX")
	w.moveFile(here[4], "Work", "")
	w.moveFile(here[5], "Work", "1710000001.R1.reader:2,F")
	w.moveFile(w.paths("Work")[6], "Later", "")
}

// moveFile re-files a local message; name "" keeps its name.
func (w *world) moveFile(path, box, name string) {
	w.t.Helper()
	for _, d := range []string{"cur", "new", "tmp"} {
		must(w.t, os.MkdirAll(filepath.Join(w.mail, box, d), 0o700))
	}
	if name == "" {
		name = filepath.Base(path)
	}
	if !strings.Contains(name, ":2,") {
		name += ":2,"
	}
	must(w.t, os.Rename(path, filepath.Join(w.mail, box, "cur", name)))
}

func prepareMailboxes(w *world) {
	w.some("remote", 0, 4)
	w.run("sync", "--quiet", "a")
	c := w.dial()
	must(w.t, c.Create("Far/Empty", nil).Wait())
	upload(w.t, c, "Entwürfe/Neu", text(20), day)
	w.deliver("Near/Ünder", "1700000021.M1P1.host:2,S", lf(text(21)), day)
	for _, d := range []string{"cur", "new", "tmp"} {
		must(w.t, os.MkdirAll(filepath.Join(w.mail, "Hollow", d), 0o700))
	}
	w.moveFile(w.paths("INBOX")[1], "Near", "")
}

// prepareRenames renames a mailbox with another below it on each side, with changes in them.
func prepareRenames(w *world) {
	w.some("remote", 0, 4)
	c := w.dial()
	for i, box := range []string{"Far", "Far/Deep", "Near", "Near/Deep"} {
		for k := range 2 {
			upload(w.t, c, box, text(40+2*i+k), day)
		}
	}
	w.run("sync", "--quiet", "a")
	must(w.t, c.Rename("Far", "Farther", nil).Wait())
	upload(w.t, c, "Farther", text(60), day)
	store(w.t, c, imap.UIDSetNum(uids(w.t, c, "Farther")[41]), imap.StoreFlagsAdd, imap.FlagAnswered)
	must(w.t, os.Rename(filepath.Join(w.mail, "Near"), filepath.Join(w.mail, "Nearer")))
	w.deliver("Nearer", "1700000061.M1P1.host:2,S", lf(text(61)), day)
}

func prepareEpoch(w *world) {
	w.some("remote", 0, 8)
	w.run("sync", "--quiet", "a")
	c := w.dial()
	renumber(w.t, c, "Work")
	for _, n := range []int{7, 30, 6} {
		upload(w.t, c, "Work", text(n), day.Add(3*time.Hour))
	}
	store(w.t, c, imap.UIDSetNum(uids(w.t, c, "Work")[6]), imap.StoreFlagsAdd, imap.FlagAnswered)
	flag(w.t, w.paths("Work")[7], "FRS")
	w.deliver("Work", "1700000031.M1P1.host:2,S", lf(text(31)), day)
}

// renumber removes a mailbox and makes it anew, empty: another UIDVALIDITY.
func renumber(t testing.TB, c *imapclient.Client, box string) {
	t.Helper()
	ask := func() uint32 {
		st, err := c.Status(box, &imap.StatusOptions{UIDValidity: true}).Wait()
		must(t, err)
		return st.UIDValidity
	}
	for old := ask(); ask() == old; time.Sleep(100 * time.Millisecond) {
		_ = c.Unselect().Wait() // there may be no mailbox selected
		must(t, c.Delete(box).Wait())
		must(t, c.Create(box, nil).Wait())
	}
}
