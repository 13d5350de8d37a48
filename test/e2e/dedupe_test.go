package e2e

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestDedupe: a server mailbox in which everything is there three times, under other transport headers and flags; after dedupe and
// a sync the copies are gone on both sides, the flags of all are on what stays, and the guard holds nothing back.
func TestDedupe(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	const n = 60
	for i := range n {
		upload(t, c, "INBOX", text(i), day, `\Seen`)
		upload(t, c, "INBOX", "Received: from a by b\r\nX-TUID: abc\r\n"+text(i), day.Add(time.Hour), `\Flagged`, "todo")
		upload(t, c, "INBOX", text(i), day.Add(2*time.Hour))
	}
	upload(t, c, "Sent", text(1), day)
	upload(t, c, "INBOX", text(1)+"a footer\r\n", day)
	w.run("sync", "a")
	w.equal(3*n + 2)

	before := files(t, w.mail)
	if r := w.run("dedupe", "a/INBOX"); !strings.Contains(r.out, "120 duplicates") {
		t.Fatal(r)
	}
	if after := files(t, w.mail); after != before {
		t.Fatal("looking changed something")
	}
	if r := w.try("dedupe", "--delete", "a/INBOX"); r.code != 3 || !strings.Contains(r.err, "--allow-deletes") {
		t.Fatalf("two thirds of a mailbox were not held back: %v", r)
	}
	w.equal(3*n + 2)
	r := w.run("dedupe", "--delete", "--allow-deletes", "a/INBOX")
	if !strings.Contains(r.out, "120 removed") || !strings.Contains(r.out, "60 got flags") {
		t.Fatal(r)
	}
	if s := w.summary("a"); s.Deleted_remote != 2*n || s.Copied_to_local+s.Copied_to_remote+s.Deleted_local != 0 {
		t.Fatalf("%+v", s)
	}
	w.equal(n + 2)
	for _, m := range w.remote() {
		if m.box == "INBOX" && m.size == len(lf(text(1))) && m.flags != `\Flagged \Seen todo` {
			t.Errorf("%v", m)
		}
	}
	w.run("verify", "--full", "a")
	w.still()
	if r := w.run("dedupe", "a"); !strings.Contains(r.out, "no duplicates") {
		t.Fatal(r)
	}

	// What the user let through then is not let through for good.
	must(t, os.RemoveAll(filepath.Join(w.mail, "INBOX", "cur")))
	must(t, os.Mkdir(filepath.Join(w.mail, "INBOX", "cur"), 0o700))
	if r := w.try("sync", "a"); r.code != 3 {
		t.Fatalf("all messages of a mailbox were not held back: %v", r)
	}
}

// TestDedupeUndo: what dedupe removed comes back with each byte and flag, on both sides.
func TestDedupeUndo(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	for i := range 5 {
		upload(t, c, "INBOX", text(i), day, `\Seen`)
		upload(t, c, "INBOX", text(i), day.Add(time.Hour), `\Answered`)
	}
	w.run("sync", "a")
	w.run("dedupe", "--delete", "a")
	w.run("sync", "a")
	w.equal(5)
	w.run("undo", "--restore", "a")
	w.run("sync", "a")
	w.equal(10)
	answered := 0
	for _, m := range w.local() {
		if m.flags == `\Answered` && m.date == day.Add(time.Hour).Unix() {
			answered++
		}
	}
	if answered != 5 {
		t.Errorf("%d of 5 came back as they were: %v", answered, w.local())
	}
}

// TestDedupeKilled: SIGKILL at random moments, while a mail reader changes flags all the time; at the end there is one copy of each
// message, each with the flags of all, and nothing is lost between the mailbox and the attic.
func TestDedupeKilled(t *testing.T) {
	t.Parallel()
	needProgram(t)
	w := newWorld(t)
	const n = 1500
	for i := range n {
		w.deliver("box", fmt.Sprintf("1%07d.a.host:2,S", i), lf(text(i)), day)
		w.deliver("box", fmt.Sprintf("2%07d.b.host:2,F", i), "Received: from a by b\n"+lf(text(i)), day.Add(time.Hour))
		w.deliver("box", fmt.Sprintf("3%07d.c.host", i), text(i), day.Add(2*time.Hour))
	}
	box := filepath.Join(w.mail, "box")
	before := digests(t, box)
	var stop atomic.Bool
	done := make(chan int)
	go func() { // it marks messages as answered, and that is not lost
		rnd, renamed := rand.New(rand.NewPCG(1, 2)), 0
		for !stop.Load() {
			name := filepath.Join(box, "cur", fmt.Sprintf("%d%07d.%s.host:2,", 1+rnd.IntN(2), rnd.IntN(n), "x"))
			matches, _ := filepath.Glob(strings.Replace(name, ".x.", ".?.", 1) + "*")
			for _, m := range matches {
				base, info, _ := strings.Cut(m, ":2,")
				if strings.Contains(info, "R") {
					continue
				}
				letters := strings.Join(sorted(info+"R"), "")
				if os.Rename(m, base+":2,"+letters) == nil {
					renamed++
				}
			}
		}
		done <- renamed
	}()
	rnd := rand.New(rand.NewPCG(3, 4))
	killed := 0
	for range 15 {
		c := w.command(t.Context(), "dedupe", "--delete", "--allow-deletes", box)
		must(t, c.Start())
		time.Sleep(time.Duration(20+rnd.IntN(120)) * time.Millisecond)
		_ = c.Process.Kill()
		if err := c.Wait(); err != nil {
			killed++
		}
	}
	for try := 0; ; try++ {
		r := w.try("dedupe", "--delete", "--allow-deletes", box)
		if r.code == 0 {
			break
		}
		if r.code != 3 || try == 20 {
			t.Fatal(r)
		}
	}
	stop.Store(true)
	renamed := <-done
	w.run("dedupe", "--delete", "--allow-deletes", box)
	left := localOf(t, box)
	for _, m := range left {
		if !strings.Contains(m.flags, `\Seen`) || !strings.Contains(m.flags, `\Flagged`) {
			t.Errorf("%v lacks flags of its copies", m)
		}
	}
	if len(left) != n {
		t.Errorf("%d messages are left, want %d", len(left), n)
	}
	w.run("undo", box, "--restore")
	if got := digests(t, box); !maps.Equal(got, before) {
		t.Errorf("not the same messages after undo as before")
	}
	for _, m := range localOf(t, box) { // copies have the flags that they had, and what the mail reader set
		was := map[int64]string{day.Add(time.Hour).Unix(): `\Flagged`, day.Add(2 * time.Hour).Unix(): ""}
		if want, copied := was[m.date]; copied && strings.TrimPrefix(m.flags, `\Answered `) != want {
			t.Errorf("%v came back with other flags, not %q", m, want)
		}
	}
	t.Logf("%d runs killed, %d messages marked meanwhile", killed, renamed)
	if killed == 0 || renamed == 0 {
		t.Error("nothing was killed, or nothing was renamed")
	}
}

// digests counts the messages of a mailbox by their bytes.
func digests(t *testing.T, box string) map[[32]byte]int {
	t.Helper()
	all := map[[32]byte]int{}
	for _, sub := range []string{"cur", "new"} {
		list, err := os.ReadDir(filepath.Join(box, sub))
		must(t, err)
		for _, f := range list {
			b, err := os.ReadFile(filepath.Join(box, sub, f.Name()))
			must(t, err)
			all[sha256.Sum256(b)]++
		}
	}
	return all
}

// sorted returns the letters in order.
func sorted(s string) []string {
	letters := strings.Split(s, "")
	for i := range letters {
		for j := i; j > 0 && letters[j] < letters[j-1]; j-- {
			letters[j], letters[j-1] = letters[j-1], letters[j]
		}
	}
	return letters
}
