// Package cli tests the command line as a user sees it: what is printed, where, and how the program ends. Each file in
// testdata is one behaviour; two Maildirs are the sides, so that no server is needed.
package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var programs string // folder of the built program

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "mailtwin-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs = dir
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "mailtwin"), "mailtwin/cmd/mailtwin")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build mailtwin: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			e.Setenv("HOME", home)
			e.Setenv("PATH", programs+string(os.PathListSeparator)+os.Getenv("PATH"))
			for _, name := range []string{"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "NO_COLOR"} {
				e.Setenv(name, "")
			}
			e.Cd = home
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "maildir": maildir, "files": files, "tree": tree, "flip": flip, "poke": poke},
		Condition: func(cond string) (bool, error) {
			if cond != "readonly" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Geteuid() != 0 || exec.Command("unshare", "-m", "true").Run() == nil, nil
		},
	})
}

// exits runs a program and checks its exit code: exits 3 mailtwin sync a.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// maildir makes a mailbox with messages first to last: maildir Mail/INBOX 1 12. All are marked as read.
func maildir(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: maildir FOLDER FIRST LAST")
	}
	first, err := strconv.Atoi(args[1])
	ts.Check(err)
	last, err := strconv.Atoi(args[2])
	ts.Check(err)
	root := ts.MkAbs(args[0])
	for _, sub := range []string{"cur", "new", "tmp"} {
		ts.Check(os.MkdirAll(filepath.Join(root, sub), 0o700))
	}
	for n := first; n <= last; n++ {
		text := fmt.Sprintf("From: Sender %d <%d@example.org>\nSubject: message %d\nMessage-ID: <%d@example.org>\nDate: Mon, 2 Mar 2026 10:00:00 +0000\n\nThis is message %d.\n", n, n, n, n, n)
		ts.Check(os.WriteFile(filepath.Join(root, "cur", fmt.Sprintf("%d.M1P1.host:2,S", 1700000000+n)), []byte(text), 0o600))
	}
}

// files checks how many messages are in a mailbox: files Mail/INBOX 12.
func files(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: files FOLDER COUNT")
	}
	n := 0
	for _, sub := range []string{"cur", "new"} {
		list, err := os.ReadDir(filepath.Join(ts.MkAbs(args[0]), sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			ts.Fatalf("%v", err)
		}
		n += len(list)
	}
	if strconv.Itoa(n) != args[1] {
		ts.Fatalf("%d messages in %s, want %s", n, args[0], args[1])
	}
}

// tree writes down all that would show a change below the home directory: tree FILE.
func tree(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: tree FILE")
	}
	var b strings.Builder
	ts.Check(filepath.WalkDir(ts.Getenv("HOME"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err == nil {
			fmt.Fprintf(&b, "%s %d %v %v\n", path, st.Size(), st.ModTime().UnixNano(), st.Mode())
		}
		return err
	}))
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), args[0]), []byte(b.String()), 0o600))
}

// flip changes a byte of the files that match, and keeps their size and time: flip 'Mail/INBOX/cur/*5.M*'.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: flip PATTERN")
	}
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) == 0 {
		ts.Fatalf("nothing matches %s", args[0])
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		ts.Check(err)
		st, err := os.Stat(name)
		ts.Check(err)
		b[len(b)-3] ^= 1
		ts.Check(os.WriteFile(name, b, 0o600))
		ts.Check(os.Chtimes(name, st.ModTime(), st.ModTime()))
	}
}

// poke overwrites a byte of a file: poke FILE OFFSET VALUE.
func poke(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: poke FILE OFFSET VALUE")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	value, err := strconv.ParseUint(args[2], 10, 8)
	ts.Check(err)
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	b[at] = byte(value)
	ts.Check(os.WriteFile(name, b, 0o600))
}
