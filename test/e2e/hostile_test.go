package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"mailtwin/internal/imap/imaptest"
)

// What the program may use of time and memory, whatever a server does.
const (
	hostileTime   = 30 * time.Second
	hostileMemory = 128 << 20
)

// misdeed is one way of a server to be malicious.
type misdeed struct {
	turn
	code   int    // exit code
	says   string // in the error
	errors int    // how many errors; 0: one
	config string // more lines of configuration
	args   []string
	more   bool  // messages may arrive
	memory int64 // in place of hostileMemory
}

// on makes a turn that does something at commands with this beginning.
func on(prefix string, do func(v *visit, tag string) bool) turn {
	return turn{on: func(v *visit, tag, command string) bool {
		return strings.HasPrefix(command, prefix) && do(v, tag)
	}}
}

func (t turn) with(caps string) turn {
	t.caps = caps
	return t
}

// suffer syncs with a good server, then runs a command against it when it is not good any more, and checks what must hold
// whatever happens.
func suffer(t *testing.T, m misdeed) (*world, *villain, result) {
	t.Helper()
	w, v := newVictim(t, m.config)
	before := contents(t, w.mail)
	around := surroundings(t, w)
	v.takeTurn(m.turn)
	args := m.args
	if args == nil {
		args = []string{"sync", "a"}
	}
	r := w.tryBounded(args...)
	t.Logf("%v, %.1f MB resident at most, %.200q", r.took.Round(time.Millisecond), float64(r.peak)/(1<<20), r.err)
	if r.code != m.code {
		t.Errorf("exit code %d, want %d", r.code, m.code)
	}
	errors := strings.Count(r.err, "mailtwin: ")
	if want := max(m.errors, 1); m.code != 0 && errors != want || !strings.Contains(r.err, m.says) {
		t.Errorf("%d errors, want %d, with %q", errors, want, m.says)
	}
	if r.took > hostileTime || r.peak > cmp.Or(m.memory, hostileMemory) {
		t.Errorf("it took %v and %d MB", r.took, r.peak>>20)
	}
	fitForTerminal(t, r)
	if after := surroundings(t, w); after != around {
		t.Errorf("something was written elsewhere:\n%s\nwas\n%s", after, around)
	}
	after := contents(t, w.mail)
	for path, body := range before {
		if after[path] != body {
			t.Errorf("%s is gone or another", path)
		}
	}
	if !m.more && len(after) != len(before) {
		t.Errorf("%d messages, were %d", len(after), len(before))
	}
	if t.Failed() {
		t.Logf("%.3000v\n%.3000s", r, strings.Join(v.commands(), "\n"))
	}
	return w, v, r
}

// tryBounded runs the program to its end, and no longer than it may take. Its peak memory is read while it runs: what the system
// counts for a child includes the test's own before it became the program.
func (w *world) tryBounded(args ...string) (r result) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hostileTime+5*time.Second)
	defer cancel()
	c := w.command(ctx, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	begun := time.Now()
	must(w.t, c.Start())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
			_, line, found := strings.Cut(string(text), "VmHWM:")
			if err != nil || !found && r.peak > 0 {
				return
			}
			kb, _ := strconv.ParseInt(strings.Fields(line + " 0")[0], 10, 64)
			if r.peak = max(r.peak, kb<<10); r.peak > 4*hostileMemory {
				_ = c.Process.Kill() // before it takes the machine down
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	_ = c.Wait() // its exit code tells
	<-over
	r.code, r.out, r.err, r.took = c.ProcessState.ExitCode(), out.String(), errs.String(), time.Since(begun)
	return r
}

// newVictim is a world that was synced with a good server.
func newVictim(t *testing.T, config string) (*world, *villain) {
	t.Helper()
	boxes := map[string][]string{}
	for i := range 24 {
		box := []string{"INBOX", "Box"}[i/12]
		boxes[box] = append(boxes[box], text(i))
	}
	v := newVillain(t, boxes)
	v.traps = []string{trapped(0)}
	w := newWorld(t)
	must(t, os.MkdirAll(filepath.Join(w.home, "tmp"), 0o700))
	w.env = append(w.env, "TMPDIR="+filepath.Join(w.home, "tmp"))
	ca := filepath.Join(w.home, "ca.pem")
	must(t, os.WriteFile(ca, imaptest.Certificate().PEM, 0o600))
	if !strings.Contains(config, "tls") {
		config += "\ntls = \"none\""
	}
	w.configure(fmt.Sprintf("[account.a]\nremote = \"imap://me@127.0.0.1:%d\"\npassword_command = \"echo correct-horse\"\nlocal = \"maildir:%s\"\ntimeout = \"1s\"\n%s\n",
		v.port(), w.mail, strings.ReplaceAll(config, "CA", ca)))
	v.takeTurn(good)
	w.run("sync", "a")
	if n := len(w.local()); n != 24 {
		t.Fatalf("%d messages came from the good server", n)
	}
	return w, v
}

// contents returns the messages in a Maildir: mailbox and unique name, and content.
func contents(t testing.TB, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if sub := filepath.Base(filepath.Dir(path)); sub == "cur" || sub == "new" {
			body, err := os.ReadFile(path)
			must(t, err)
			unique, _, _ := strings.Cut(path, ":2,")
			all[unique] = string(body)
		}
		return nil
	}))
	return all
}

// surroundings lists what there is beside the Maildir and the state.
func surroundings(t testing.TB, w *world) string {
	t.Helper()
	var all []string
	up := filepath.Dir(w.home)
	must(t, filepath.WalkDir(up, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == w.mail || path == filepath.Join(w.home, "state", "mailtwin") {
			return filepath.SkipDir
		}
		all = append(all, path)
		return nil
	}))
	return strings.Join(all, "\n")
}

// fitForTerminal checks that nothing that was printed can do more than be read, and that it is not too much.
func fitForTerminal(t testing.TB, r result) {
	t.Helper()
	for _, c := range r.out + r.err {
		if c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == unicode.ReplacementChar) {
			t.Errorf("%q is printed", c)
			break
		}
	}
	for line := range strings.Lines(r.err) {
		if len(line) > 2000 {
			t.Errorf("a line of %d bytes is printed: %.100q", len(line), line)
		}
	}
}

// good is a server's turn for the better.
var good = on("STARTTLS", func(v *visit, tag string) bool {
	v.say("%s OK go on", tag)
	v.startTLS()
	return true
})

// recovers checks that the next sync with the good server finds everything as it was.
func recovers(t *testing.T, w *world, v *villain) {
	t.Helper()
	v.takeTurn(good)
	r := w.run("sync", "a")
	if n := len(w.local()); n != 24 {
		t.Errorf("%d messages after all: %v", n, r)
	}
}

// TestHostileServers: whatever a server does, the program ends soon, says one clear error, keeps its memory bounded, writes
// nowhere else and removes no message.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	needProgram(t)
	names := make([]string, 0, len(misdeeds))
	for name := range misdeeds {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, v, _ := suffer(t, misdeeds[name])
			recovers(t, w, v)
		})
	}
}
