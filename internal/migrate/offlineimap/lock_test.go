//go:build unix

package offlineimap

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
	if path := os.Getenv("OFFLINEIMAP_TEST_LOCK"); path != "" {
		os.Exit(lockAndWait(path))
	}
}

// lockAndWait takes a lock as OfflineIMAP does, and keeps it until its input ends.
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

// TestLocked reads and writes nothing while OfflineIMAP is at work.
func TestLocked(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.file(".offlineimaprc", simple)
	h.maildir("Mail/Work", named("a", 1, "Work", "S"))
	h.status("Work", "1 S")
	h.file(validityDir+"Work", "8\n")
	h.file(".offlineimap/a.lock", "") // left by a run that was killed
	h.read()
	before := h.tree()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "OFFLINEIMAP_TEST_LOCK="+h.dir+"/.offlineimap/a.lock")
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatal(line, err)
	}
	if _, err := h.try(); err == nil || !strings.Contains(err.Error(), "OfflineIMAP is at work") || mail.HintOf(err) == "" {
		t.Errorf("read: %v", err)
	}
	k := &kept{box: "Work", dir: h.dir + "/Mail/Work", files: []string{"a"}}
	x := &Export{Name: "a", Root: h.dir + "/Mail", Metadata: h.dir + "/.offlineimap", Folders: []migrate.Folder{k.folder(8)}}
	if _, err := x.Write(); err == nil || !strings.Contains(err.Error(), "OfflineIMAP is at work") {
		t.Errorf("write: %v", err)
	}
	must(t, in.Close())
	must(t, c.Wait())
	h.read()
	if h.tree() != before {
		t.Error("something is changed")
	}
}
