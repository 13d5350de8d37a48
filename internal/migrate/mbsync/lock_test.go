//go:build unix

package mbsync

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// The test starts itself as the process that has the lock.
func init() {
	if path := os.Getenv("MBSYNC_TEST_LOCK"); path != "" {
		os.Exit(lockAndWait(path))
	}
}

// lockAndWait takes a lock as mbsync does, and keeps it until its input ends.
func lockAndWait(path string) int {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err == nil {
		err = syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// TestLocked reads and writes nothing while mbsync is at work.
func TestLocked(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.file(".mbsyncrc", simple)
	h.maildir("Mail/Work", "8\n9\n", "a,U=1:2,S")
	h.file("Mail/Work/.mbsyncstate", header+"1 1 S\n")
	h.file("Mail/Work/.mbsyncstate.lock", "") // left by a run that was killed
	h.read()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "MBSYNC_TEST_LOCK="+h.dir+"/Mail/Work/.mbsyncstate.lock")
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatal(line, err)
	}
	if _, err := h.try(); err == nil || !strings.Contains(err.Error(), "mbsync is at work") || mail.HintOf(err) == "" {
		t.Errorf("read: %v", err)
	}
	k := &kept{box: "Work", dir: h.dir + "/Mail/Work", files: []string{"a,U=1"}}
	x := &Export{Name: "a", Root: h.dir + "/Mail", Validity: 7, Folders: []migrate.Folder{k.folder(8)}}
	if _, err := x.Write(); err == nil || !strings.Contains(err.Error(), "mbsync is at work") {
		t.Errorf("write: %v", err)
	}
	must(t, in.Close())
	must(t, c.Wait())
	h.read()
	if state, err := os.ReadFile(h.dir + "/Mail/Work/.mbsyncstate"); err != nil || string(state) != header+"1 1 S\n" {
		t.Errorf("%v\n%s", err, state)
	}
}
