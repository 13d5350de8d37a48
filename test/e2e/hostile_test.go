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
	"syscall"
	"testing"
	"time"
	"unicode"

	"mailtwin/internal/imap/imaptest"
)

// What the program may use of time and memory, whatever a server does. The time is that of a machine that has much else to do.
const (
	hostileTime   = 2 * time.Minute
	hostileMemory = 96 << 20
)

// misdeed is one way of a server to be malicious.
type misdeed struct {
	turn
	code   int    // exit code
	says   string // in the error; words that do as well are behind a |
	hint   string // in the hint; "": a hint of any kind; "-": none, since the server's own words are the reason
	errors int    // how many errors; 0: one
	config string // more lines of configuration
	args   []string
	before turn   // what is special about the good server
	local  string // a message that is to be uploaded to Box
	lost   bool   // the server says that it has the message to be uploaded, and has not: no different from a deletion
	left   bool   // the message to be uploaded stays where it is, for good
	more   bool   // messages may arrive
	brief  bool   // the server has a second to answer, in place of a minute
	memory int64  // in place of hostileMemory
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
	w, v := newVictim(t, m)
	before := contents(t, w.mail)
	around := surroundings(t, w)
	if m.local != "" {
		w.deliver("Box", "1.local.x:2,S", lf(m.local), day)
		before = contents(t, w.mail)
	}
	if m.brief {
		settings(t, w, v, m, "1s")
	}
	v.takeTurn(m.turn)
	args := m.args
	if args == nil {
		args = []string{"sync", "a"}
	}
	r := w.tryBounded(args...)
	if m.brief {
		settings(t, w, v, m, "1m")
	}
	t.Logf("%v, %.1f MB resident at most, %.200q", r.took.Round(time.Millisecond), float64(r.peak)/(1<<20), r.err)
	judge(t, m, r)
	harmless(t, v.commands())
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

// judge checks the exit code, what is said, the time and the memory.
func judge(t *testing.T, m misdeed, r result) {
	t.Helper()
	if r.code != m.code {
		t.Errorf("exit code %d, want %d", r.code, m.code)
	}
	fits := func(says string) bool { return strings.Contains(r.err, says) }
	if errors, want := strings.Count(r.err, "mailtwin: "), max(m.errors, 1); m.code != 0 && errors != want {
		t.Errorf("%d errors, want %d", errors, want)
	}
	if !slices.ContainsFunc(strings.Split(m.says, "|"), fits) {
		t.Errorf("%q is not said", m.says)
	}
	_, hint, given := strings.Cut(r.err, "\nhint: ")
	if m.code != 0 && given == (m.hint == "-") || m.hint != "-" && !strings.Contains(hint, m.hint) {
		t.Errorf("the hint is %q, want %q", hint, m.hint)
	}
	if r.took > hostileTime || r.peak > cmp.Or(m.memory, hostileMemory) {
		t.Errorf("it took %v and %d MB", r.took, r.peak>>20)
	}
	fitForTerminal(t, r)
}

// harmless checks that the program sent nothing that removes or changes mail.
func harmless(t *testing.T, commands []string) {
	t.Helper()
	for _, line := range commands {
		_, command, _ := strings.Cut(line, " ")
		switch word, _, _ := strings.Cut(strings.TrimPrefix(command, "UID "), " "); word {
		case "STORE", "EXPUNGE", "CLOSE", "MOVE", "COPY", "DELETE", "RENAME":
			t.Errorf("it sent %q", line)
		}
	}
}

// tryBounded runs the program to its end, and no longer than it may take. What the system counts for a child at its end includes
// the test's own memory before it became the program: where that is the larger, what was seen while it ran must do.
func (w *world) tryBounded(args ...string) (r result) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hostileTime+5*time.Second)
	defer cancel()
	c := w.command(ctx, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	begun := time.Now()
	must(w.t, c.Start())
	own, _ := residentPeak("self")
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			peak, ok := residentPeak(strconv.Itoa(c.Process.Pid))
			if !ok {
				return
			}
			if r.peak = max(r.peak, peak); r.peak > 4*hostileMemory {
				_ = c.Process.Kill() // before it takes the machine down
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	_ = c.Wait() // its exit code tells
	<-over
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok && u.Maxrss*1024 > own {
		r.peak = u.Maxrss * 1024
	}
	r.code, r.out, r.err, r.took = c.ProcessState.ExitCode(), out.String(), errs.String(), time.Since(begun)
	return r
}

// residentPeak reads a process's peak of resident memory, in bytes; false when it has gone.
func residentPeak(pid string) (int64, bool) {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	_, line, found := strings.Cut(string(text), "VmHWM:")
	if err != nil || !found {
		return 0, false
	}
	kb, _ := strconv.ParseInt(strings.Fields(line + " 0")[0], 10, 64)
	return kb << 10, true
}

// correct is the password that works.
const correct = "correct-horse"

// newVictim is a world that was synced with a good server.
func newVictim(t *testing.T, m misdeed) (*world, *villain) {
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
	must(t, os.WriteFile(filepath.Join(w.home, "ca.pem"), imaptest.Certificate().PEM, 0o600))
	must(t, os.WriteFile(filepath.Join(w.home, "password"), []byte(correct+"\n"), 0o600))
	settings(t, w, v, m, "1m")
	v.takeTurn(m.goodTurn())
	w.run("sync", "a")
	for try := 0; strings.Contains(m.before.caps, "QRESYNC") && strings.Count(strings.Join(v.commands(), "\n"), " (QRESYNC") < 2; try++ {
		if try == 10 { // until both mailboxes have a mark from which to go on
			t.Fatalf("the mailboxes are never asked for changes: %s", strings.Join(v.commands(), "\n"))
		}
		v.takeTurn(m.goodTurn())
		w.run("sync", "a")
	}
	if n := len(w.local()); n != 24 {
		t.Fatalf("%d messages came from the good server", n)
	}
	return w, v
}

// settings writes the configuration.
func settings(t *testing.T, w *world, v *villain, m misdeed, timeout string) {
	t.Helper()
	config := strings.ReplaceAll(m.config, "CA", filepath.Join(w.home, "ca.pem"))
	if !strings.Contains(config, "tls") {
		config += "\ntls = \"none\""
	}
	command := "password_command"
	if strings.HasPrefix(config, "token_command\n") {
		command, config, _ = strings.Cut(config, "\n")
	}
	w.configure(fmt.Sprintf("[account.a]\nretries = 0\nremote = \"imap://me@127.0.0.1:%d\"\n%s = \"cat %s\"\nlocal = \"maildir:%s\"\ntimeout = %q\n%s\n",
		v.port(), command, filepath.Join(w.home, "password"), w.mail, timeout, config))
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

// goodTurn is a server's turn for the better.
func (m misdeed) goodTurn() turn {
	return turn{caps: m.before.caps, on: func(v *visit, tag, command string) bool {
		if !strings.HasPrefix(command, "STARTTLS") {
			return false
		}
		v.say("%s OK go on", tag)
		v.startTLS()
		return true
	}}
}

// recovers checks that the next sync with the good server finds everything as it was.
func recovers(t *testing.T, w *world, v *villain, m misdeed) {
	t.Helper()
	v.takeTurn(m.goodTurn())
	if m.left {
		r := w.try("sync", "a")
		if r.code != 3 || len(w.local()) != 25 {
			t.Errorf("%d messages after all: %v", len(w.local()), r)
		}
		return
	}
	r := w.run("sync", "a")
	harmless(t, v.commands())
	if m.lost {
		w.run("undo", "a", "--restore")
		w.run("sync", "a")
	}
	want := 24
	if m.local != "" {
		want++
		if box, _ := v.messages("Box"); len(box) != 13 || lf(box[12]) != lf(m.local) {
			t.Errorf("%d messages are in the server's mailbox", len(box))
		}
	}
	if n := len(w.local()); n != want {
		t.Errorf("%d messages after all: %v", n, r)
	}
}

// TestHostileServers: whatever a server does, the program ends soon, says one clear error, keeps its memory bounded, writes
// nowhere else and removes no message.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	needProgram(t)
	for name, m := range misdeeds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, v, _ := suffer(t, m)
			recovers(t, w, v, m)
		})
	}
}
