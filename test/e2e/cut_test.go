package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// throughRelay makes a world whose server is reached through a relay.
func throughRelay(t *testing.T) (*world, *relay) {
	t.Helper()
	w, r := newWorld(t), startRelay(t)
	w.configure(fmt.Sprintf("[account.a]\nremote = \"imap://%s@127.0.0.1:%d\"\ntls = \"none\"\npassword_command = \"echo pass\"\nauth = \"PLAIN\"\nretries = 0\nlocal = \"maildir:%s\"\n", w.user, r.port(), w.mail))
	return w, r
}

var faults = []fault{
	{name: "before it"},
	{name: "before its answer", forward: true},
	{name: "and it is executed later", forward: true, delay: 700 * time.Millisecond},
}

// TestCut cuts the connections at each command of a sync. It ends with one error; afterwards an undisturbed sync comes to the same
// outcome as one without a cut, and a further one is idle.
func TestCut(t *testing.T) {
	t.Parallel()
	needServer(t)
	for _, s := range scenarios {
		if s.name == "first pull" || strings.HasPrefix(s.name, "new ") {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w, r := throughRelay(t)
			s.prepare(w)
			r.arm(fault{}, 0)
			w.run("sync", "--quiet", "a")
			commands, _ := r.heal()
			w.run("sync", "a")
			want := w.outcome()
			w.still()
			step := 1
			if !long {
				step = len(faults)*len(commands)/shortCuts/len(faults)*len(faults) + 1 // so that each fault has its turn
			}
			t.Logf("%d commands, %d ways to cut, every %d. is taken", len(commands), len(faults), step)
			for i := 0; i < len(faults)*len(commands); i += step {
				f, n := faults[i%len(faults)], 1+i/len(faults)
				t.Run(fmt.Sprintf("command %d %s", n, f.name), func(t *testing.T) {
					t.Parallel()
					cutOnce(t, s, f, n, want)
				})
			}
		})
	}
}

// shortCuts is how many cuts of each scenario the short form takes.
const shortCuts = 8

func cutOnce(t *testing.T, s scenario, f fault, n int, want outcome) {
	w, r := throughRelay(t)
	s.prepare(w)
	r.arm(f, n)
	first := w.try("sync", "--quiet", "a")
	commands, cut := r.heal()
	defer func() {
		if t.Failed() {
			t.Logf("cut: %v, %v\nsent:\n%s", cut, first, strings.Join(commands, "\n"))
		}
	}()
	if cut {
		expectCut(t, first, commands)
	}
	for range 2 {
		if again := w.try("sync", "a"); again.code != 0 && again.code != 3 {
			t.Fatalf("after a cut: %v", again)
		}
	}
	r.late.Wait()
	w.run("sync", "a") // what was late
	w.settled(want)
}

// expectCut checks how the program ends that lost its server.
func expectCut(t *testing.T, r result, commands []string) {
	t.Helper()
	if last := commands[len(commands)-1]; strings.HasSuffix(last, " LOGOUT") && r.code == 0 {
		return
	}
	if r.code != 10 && r.code != 1 || strings.Count(r.err, "mailtwin: ") != 1 {
		t.Errorf("not one error: %v", r)
	}
}

// TestLateUpload (rule 6): the server goes on with an upload that was sent whole, when the program is gone: before the next sync looks,
// between its two looks, while it repeats the upload, and afterwards.
func TestLateUpload(t *testing.T) {
	t.Parallel()
	needServer(t)
	for _, delay := range []time.Duration{100 * time.Millisecond, 1200 * time.Millisecond, 2300 * time.Millisecond, 5 * time.Second} {
		t.Run(delay.String(), func(t *testing.T) {
			t.Parallel()
			w, r := throughRelay(t)
			w.some("local", 0, 30)
			r.arm(fault{forward: true, delay: delay, only: " APPEND \"INBOX\""}, 1)
			first := w.try("sync", "--quiet", "a")
			commands, cut := r.heal()
			if !cut {
				t.Fatalf("no upload was cut: %v", first)
			}
			expectCut(t, first, commands)
			if again := w.try("sync", "a"); again.code != 0 && again.code != 3 {
				t.Fatalf("after a cut: %v", again)
			}
			r.late.Wait()
			w.run("sync", "a")
			w.equal(30)
			w.still()
		})
	}
}
