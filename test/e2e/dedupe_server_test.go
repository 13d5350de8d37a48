package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// newDoubled fills a server with n messages, each three times, with other transport headers and flags, and some that only look alike.
func newDoubled(t *testing.T, n int, settings ...string) *world {
	t.Helper()
	w := newWorld(t, settings...)
	c := w.dial()
	for i := range n {
		upload(t, c, "INBOX", text(i), day, `\Seen`)
		upload(t, c, "INBOX", "Received: from a by b\r\nX-TUID: abc\r\n"+text(i), day.Add(time.Hour), `\Flagged`, "todo")
		upload(t, c, "INBOX", text(i), day.Add(2*time.Hour))
	}
	upload(t, c, "INBOX", text(1)+"a footer\r\n", day)
	upload(t, c, "INBOX", "Subject: none has an id\r\n\r\nbody\r\n", day)
	upload(t, c, "INBOX", "Subject: none has an id\r\nReceived: x\r\n\r\nbody\r\n", day, `\Answered`)
	upload(t, c, "INBOX", "Subject: another body\r\n\r\nbody\r\n", day)
	upload(t, c, "Sent", text(1), day)
	return w
}

// TestDedupeServer: duplicates on a server without any Maildir: found by Message-IDs and few bodies, moved to the trash, and back.
func TestDedupeServer(t *testing.T) {
	t.Parallel()
	needServer(t)
	for name, setting := range map[string]string{"all": "", "no MOVE": `disable_extensions = ["MOVE"]`, "bare": `disable_extensions = ["MOVE", "UIDPLUS", "CONDSTORE", "QRESYNC", "LIST-STATUS", "ESEARCH"]` + "\nexpunge = [\"none\", \"plain\"]"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 30
			w := newDoubled(t, n, setting)
			before := letters(w.remote())
			r := w.run("dedupe", "--server", "a")
			if !strings.Contains(r.out, fmt.Sprintf("%d duplicates", 2*n+1)) || !strings.Contains(r.out, "message 3") || !strings.Contains(r.out, "UID ") {
				t.Fatal(r)
			}
			if letters(w.remote()) != before {
				t.Fatal("looking changed something")
			}
			if r := w.try("dedupe", "--server", "--delete", "a"); r.code != 3 || !strings.Contains(r.err, "--allow-deletes") {
				t.Fatalf("most of a mailbox was not held back: %v", r)
			}
			r = w.run("dedupe", "--server", "--delete", "--allow-deletes", "a")
			if !strings.Contains(r.out, fmt.Sprintf("%d removed", 2*n+1)) {
				t.Fatal(r)
			}
			trash, seen := 0, 0
			for _, m := range w.remote() {
				switch {
				case m.box == "Trash":
					trash++
				case m.box == "INBOX" && m.flags == `\Flagged \Seen todo`:
					seen++
				}
			}
			if trash != 2*n+1 || seen != n {
				t.Fatalf("%d in the trash, %d got flags", trash, seen)
			}
			if r := w.run("dedupe", "--server", "a/INBOX"); !strings.Contains(r.out, "no duplicates") {
				t.Fatal(r)
			}
			if r := w.run("undo", "--server", "a", "--subject", "message 3"); !strings.Contains(r.out, "message 3") {
				t.Fatal(r)
			}
			w.run("undo", "--server", "a", "--restore")
			after := strings.ReplaceAll(letters(w.remote()), `\Flagged \Seen todo`, "?")
			for _, flags := range []string{`\Flagged todo`, `\Seen`} {
				before, after = strings.ReplaceAll(before, "["+flags+"]", "[?]"), strings.ReplaceAll(after, "["+flags+"]", "[?]")
			}
			if bare := strings.ReplaceAll(strings.ReplaceAll(before, `[\Answered]`, "[]"), "[?]", "[]"); bare != strings.ReplaceAll(strings.ReplaceAll(after, `[\Answered]`, "[]"), "[?]", "[]") {
				t.Fatalf("not all came back:\n%s\n\n%s", before, after)
			}
			if r := w.run("undo", "--server", "a"); !strings.Contains(r.out, "nothing to bring back") {
				t.Fatal(r)
			}
		})
	}
}

// letters is all messages as one text.
func letters(list []message) string {
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintln(&b, m)
	}
	return b.String()
}

// TestDedupeServerReads: second runs and messages that nothing has in common with others cost no bodies.
func TestDedupeServerReads(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	for i := range 50 {
		upload(t, c, "INBOX", text(i), day)
	}
	upload(t, c, "INBOX", text(7), day)
	for _, read := range []int{2, 0} {
		if r := w.run("dedupe", "--server", "--json", "a"); !strings.Contains(r.out, `"copies":1,`) || !strings.Contains(r.out, fmt.Sprintf(`"read":%d,`, read)) {
			t.Fatal(r)
		}
	}
	upload(t, c, "INBOX", text(9), day)
	if r := w.run("dedupe", "--server", "--json", "a"); !strings.Contains(r.out, `"copies":2,`) || !strings.Contains(r.out, `"read":2,`) {
		t.Fatal(r)
	}
}

// TestDedupeServerSynced: on the server of an account that is in sync, the next sync carries out the same on the other side.
func TestDedupeServerSynced(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newDoubled(t, 20)
	w.run("sync", "a")
	all := len(w.local())
	w.run("dedupe", "--server", "--delete", "--allow-deletes", "a")
	s := w.summary("a")
	if s.Moved_local != 41 || s.Copied_to_local+s.Copied_to_remote+s.Deleted_local+s.Deleted_remote+s.Held_back != 0 {
		t.Fatalf("%+v", s)
	}
	w.equal(all)
	w.run("undo", "--server", "a", "--restore")
	w.summary("a")
	w.equal(all)
	for _, m := range w.local() {
		if m.box == "Trash" {
			t.Fatal("something is left in the trash")
		}
	}
}

// TestDedupeServerKilled: killed at each of its points, nothing is lost, the next run goes on, and undo brings back what went; and
// undo is killed alike.
func TestDedupeServerKilled(t *testing.T) {
	t.Parallel()
	needServer(t)
	for name, setting := range map[string]string{"all": "", "no MOVE": `disable_extensions = ["MOVE"]`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 4
			w := newDoubled(t, n, setting)
			all, before := len(w.remote()), inboxOf(w)
			remove := []string{"dedupe", "--server", "--delete", "--allow-deletes", "a"}
			restore := []string{"undo", "--server", "a", "--restore"}
			step := 5
			if long {
				step = 1
			}
			for at, killed := 1, true; killed; at += step {
				killed, _ = w.crashIn(at, remove...)
				if now := len(w.remote()); now < all {
					t.Fatalf("killed at %d: %d messages of %d", at, now, all)
				}
				w.run(remove...)
				if now := inboxOf(w); now != n+3 {
					t.Fatalf("killed at %d: %d messages stay", at, now)
				}
				w.run(restore...)
				if now := inboxOf(w); now != before {
					t.Fatalf("killed at %d: %d of %d messages are back", at, now, before)
				}
			}
			for at, killed := 1, true; killed; at += step {
				w.run(remove...)
				killed, _ = w.crashIn(at, restore...)
				w.run(restore...)
				if now := inboxOf(w); now != before {
					t.Fatalf("undo killed at %d: %d of %d messages are back", at, now, before)
				}
			}
		})
	}
}

func inboxOf(w *world) (n int) {
	for _, m := range w.remote() {
		if m.box == "INBOX" {
			n++
		}
	}
	return n
}

// TestDedupeServerAddress: a server without any account; wrong words are told.
func TestDedupeServerAddress(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	if r := w.try("dedupe", "imaps://127.0.0.1:1/INBOX"); r.code != 2 || !strings.Contains(r.err, "no user is given") {
		t.Fatal(r)
	}
	if r := w.try("dedupe", "imaps://me@127.0.0.1:1/INBOX"); r.code != 10 && r.code != 12 && r.code != 1 {
		t.Fatal(r)
	}
	if r := w.try("undo", "imaps://me@127.0.0.1:1"); r.code != 0 || !strings.Contains(r.out, "nothing to bring back") { // known without asking
		t.Fatal(r)
	}
}
