package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// long says that the crash tests take all points.
var long = os.Getenv("MAILTWIN_CRASH") == "long"

// crashProgram builds, once, the program that kills itself at a chosen point.
var crashProgram = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(program), "mailtwin-crash")
	if out, err := exec.Command("go", "build", "-tags", "crashpoints", "-o", path, "mailtwin/cmd/mailtwin").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// crashAt syncs until a point, 0: to the end. It returns whether the program was killed, and the points that it passed.
func (w *world) crashAt(n int) (killed bool, points []string) {
	return w.crashIn(n, "sync", "--quiet", "a")
}

// crashIn is crashAt for any command.
func (w *world) crashIn(n int, args ...string) (killed bool, points []string) {
	w.t.Helper()
	path, err := crashProgram()
	must(w.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := w.command(ctx, args...)
	log := filepath.Join(w.t.TempDir(), "points")
	c.Path, c.Env = path, append(c.Env, fmt.Sprintf("MAILTWIN_CRASH_AT=%d", n), "MAILTWIN_CRASH_LOG="+log)
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	if killed = !c.ProcessState.Exited(); !killed && err != nil {
		w.t.Fatalf("crash at %d: %v %s", n, err, out)
	}
	b, err := os.ReadFile(log)
	must(w.t, err)
	return killed, strings.Split(strings.TrimSpace(string(b)), "\n")
}

// outcome is what both sides must be like in the end.
type outcome struct {
	messages []message
	boxes    []string
}

// outcome checks that both sides are equal and returns what they hold.
func (w *world) outcome() outcome {
	w.t.Helper()
	w.equal(-1)
	boxes := w.boxes()
	if l := localBoxes(w.t, w.mail); !slices.Equal(l, boxes) {
		w.t.Fatalf("mailboxes locally %q, remotely %q", l, boxes)
	}
	return outcome{w.remote(), boxes}
}

// settled checks that both sides came to an outcome, and that nothing is left to be done.
func (w *world) settled(want outcome) {
	w.t.Helper()
	got := w.outcome()
	if !slices.Equal(got.boxes, want.boxes) {
		w.t.Fatalf("mailboxes %q, want %q", got.boxes, want.boxes)
	}
	if !slices.Equal(got.messages, want.messages) {
		w.t.Fatalf("both sides are equal, but not as they should be\n%s", differences(got.messages, want.messages))
	}
	w.still()
}

func differences(got, want []message) string {
	var text bytes.Buffer
	for _, m := range got {
		if !slices.Contains(want, m) {
			fmt.Fprintf(&text, "too much: %v\n", m)
		}
	}
	for _, m := range want {
		if !slices.Contains(got, m) {
			fmt.Fprintf(&text, "missing:  %v\n", m)
		}
	}
	fmt.Fprintf(&text, "%d messages, want %d\n", len(got), len(want))
	return text.String()
}

// boxes lists the server's mailboxes.
func (w *world) boxes() (names []string) {
	w.t.Helper()
	list, err := w.dial().List("", "*", nil).Collect()
	must(w.t, err)
	for _, b := range list {
		if !slices.Contains(b.Attrs, imap.MailboxAttrNoSelect) && !slices.Contains(b.Attrs, imap.MailboxAttrNonExistent) {
			names = append(names, b.Mailbox)
		}
	}
	slices.Sort(names)
	return names
}

func localBoxes(t testing.TB, root string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "cur" {
			name, err := filepath.Rel(root, filepath.Dir(path))
			names = append(names, name)
			return err
		}
		return err
	}))
	slices.Sort(names)
	return names
}

// TestCrash kills the program at each point of a sync. Afterwards an undisturbed sync comes to the same outcome as one without
// a crash, and a further one is idle.
func TestCrash(t *testing.T) {
	t.Parallel()
	needServer(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s.prepare(w)
			killed, points := w.crashAt(0)
			if killed {
				t.Fatal("killed without a crash point")
			}
			w.run("sync", "a") // some scenarios take two, crashed or not
			want := w.outcome()
			w.still()
			step := 1
			if !long {
				step = max(1, len(points)/shortPoints)
			}
			t.Logf("%d crash points, every %d. is taken", len(points), step)
			for n := 1; n <= len(points); n += step {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					t.Parallel()
					crashOnce(t, s, n, want)
				})
			}
		})
	}
}

// shortPoints is about how many points of each scenario the short form takes.
const shortPoints = 9

func crashOnce(t *testing.T, s scenario, n int, want outcome) {
	w := newWorld(t)
	s.prepare(w)
	killed, points := w.crashAt(n)
	defer func() {
		if t.Failed() {
			t.Logf("killed at the end of:\n%s", strings.Join(points[max(0, len(points)-40):], "\n"))
		}
	}()
	if !killed && n < len(points) {
		t.Fatalf("passed %d points and lived", len(points))
	}
	for range 2 {
		if r := w.try("sync", "a"); r.code != 0 && r.code != 3 {
			t.Fatalf("after a crash: %v", r)
		}
	}
	w.settled(want)
}
