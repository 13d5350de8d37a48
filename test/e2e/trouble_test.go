package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTroubleIsTold: one clear error with a hint, the right exit code, nothing changed, other accounts still synced.
func TestTroubleIsTold(t *testing.T) {
	t.Parallel()
	needServer(t)
	type keys = map[string]string
	foreign, _ := impostor(t, "localhost", time.Now().Add(time.Hour))
	expired, expiredCA := impostor(t, "localhost", time.Now().Add(-time.Hour))
	other, otherCA := impostor(t, "other.example.org", time.Now().Add(time.Hour))
	imaps := func(port int) string { return fmt.Sprintf("imaps://me@localhost:%d", port) }
	for name, c := range map[string]struct {
		bad  keys // of the account
		code int
		says []string
	}{
		"no network":               {bad: keys{"remote": fmt.Sprintf("imap://me@127.0.0.1:%d", freePort())}, code: 10, says: []string{"refused"}},
		"no such host":             {bad: keys{"remote": "imap://me@no-such-host.invalid"}, code: 10, says: []string{"no-such-host.invalid"}},
		"wrong password":           {bad: keys{"password_command": "echo wrong-secret"}, code: 12, says: []string{"login"}},
		"no password":              {bad: keys{"password_command": "exit 3"}, code: 1, says: []string{"password_command"}},
		"foreign certificate":      {bad: keys{"remote": imaps(foreign), "tls": "", "tls_ca": dovecot.ca}, code: 10, says: []string{"certificate"}},
		"expired certificate":      {bad: keys{"remote": imaps(expired), "tls": "", "tls_ca": expiredCA}, code: 10, says: []string{"expired"}},
		"other host's certificate": {bad: keys{"remote": imaps(other), "tls": "", "tls_ca": otherCA}, code: 10, says: []string{"other.example.org"}},
		"TLS to a plain port":      {bad: keys{"remote": fmt.Sprintf("imaps://me@127.0.0.1:%d", dovecot.plain), "tls": ""}, code: 10, says: []string{"TLS"}},
		"a file as Maildir":        {bad: keys{"local": "maildir:" + filepath.Join(t.TempDir(), "file")}, code: 2, says: []string{"file"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			upload(t, w.dial(), "INBOX", text(1), day)
			all := keys{
				"remote": fmt.Sprintf("imap://%s@127.0.0.1:%d", w.user, dovecot.plain), "tls": "none", "password_command": "echo pass",
				"local": "maildir:" + filepath.Join(w.home, "Bad"),
			}
			good := ""
			for k, v := range all {
				good += fmt.Sprintf("%s = %q\n", k, strings.ReplaceAll(v, "Bad", "Mail"))
			}
			for k, v := range c.bad {
				all[k] = v
			}
			if path, ok := strings.CutPrefix(all["local"], "maildir:"); ok && filepath.Base(path) == "file" {
				must(t, os.WriteFile(path, []byte("x"), 0o600))
			}
			bad := ""
			for k, v := range all {
				if v != "" {
					bad += fmt.Sprintf("%s = %q\n", k, v)
				}
			}
			w.configure("[account.bad]\n" + bad + "[account.good]\n" + good)
			r := w.try("sync")
			if r.code != c.code {
				t.Errorf("exit code %d, want %d", r.code, c.code)
			}
			if strings.Count(r.err, "mailtwin: ") != 1 || !strings.Contains(r.err, "\nhint: ") {
				t.Errorf("not one error with a hint")
			}
			for _, s := range c.says {
				if !strings.Contains(r.err, s) {
					t.Errorf("it does not say %q", s)
				}
			}
			if strings.Contains(r.out+r.err, "wrong-secret") {
				t.Error("it tells the password")
			}
			if _, err := os.Stat(filepath.Join(w.home, "Bad")); err == nil {
				t.Error("something was written")
			}
			if len(w.local()) != 1 {
				t.Error("the other account was not synced")
			}
			if t.Failed() {
				t.Log(r)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	needServer(t)
	for name, url := range map[string]string{
		"on connect": fmt.Sprintf("imaps://USER@localhost:%d", dovecot.tls),
		"STARTTLS":   fmt.Sprintf("imap://USER@localhost:%d", dovecot.plain),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			upload(t, w.dial(), "INBOX", text(1), day)
			w.configure(fmt.Sprintf("[account.a]\nremote = %q\ntls_ca = %q\npassword_command = \"echo pass\"\nlocal = \"maildir:%s\"\n", strings.Replace(url, "USER", w.user, 1), dovecot.ca, w.mail))
			w.run("sync", "a")
			w.equal(1)
			w.still()
		})
	}
}

func TestUnreadableMaildir(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	upload(t, w.dial(), "INBOX", text(1), day)
	w.run("sync", "a")
	must(t, os.RemoveAll(w.mail)) // as if the disk were not mounted
	r := w.try("sync", "a")
	if r.code != 2 || !strings.Contains(r.err, "hint: ") {
		t.Fatal(r)
	}
	must(t, os.MkdirAll(w.mail, 0o700))
	if r = w.try("sync", "a"); r.code != 2 || !strings.Contains(r.err, "hint: ") {
		t.Fatal(r)
	}
	if len(w.remote()) != 1 {
		t.Fatal("the message is gone")
	}
}

func TestFullDisk(t *testing.T) {
	needServer(t)
	w := newWorld(t)
	must(t, os.MkdirAll(w.mail, 0o700))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", w.mail).CombinedOutput(); err != nil {
		t.Skipf("mount a small file system: %v %s", err, out)
	}
	mounted := true
	defer func() {
		if mounted {
			_ = syscall.Unmount(w.mail, 0)
		}
	}()
	c := w.dial()
	for i := range 20 {
		upload(t, c, "INBOX", text(i)+strings.Repeat("a line of some length\r\n", 3000), day)
	}
	r := w.try("sync", "a")
	if r.code != 1 || !strings.Contains(r.err, "no space left") || !strings.Contains(r.err, "hint: ") {
		t.Fatal(r)
	}
	if len(w.remote()) != 20 {
		t.Fatal("messages are gone")
	}
	if out, err := exec.Command("mount", "-o", "remount,size=20m", w.mail).CombinedOutput(); err != nil {
		t.Fatalf("make room: %v %s", err, out)
	}
	w.run("sync", "a")
	w.equal(20)
	w.still()
	must(t, syscall.Unmount(w.mail, 0))
	mounted = false
}

// TestInterrupt: Ctrl-C stops within a second, says what was done, and the next sync finishes.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	const n = 400
	for i := range n {
		upload(t, c, "INBOX", text(i)+strings.Repeat("a line of some length\r\n", 2000), day)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stopped := false
	for try := 0; try < 20 && !stopped; try++ {
		cmd := w.command(ctx, "sync", "a")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		must(t, cmd.Start())
		time.Sleep(time.Duration(60+20*try) * time.Millisecond)
		begun := time.Now()
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
		if took := time.Since(begun); took > time.Second {
			t.Fatalf("it took %v to stop", took)
		}
		switch code := cmd.ProcessState.ExitCode(); code {
		case 130:
			stopped = true
			if !strings.Contains(out.String(), "interrupted") {
				t.Fatalf("it does not say so: %s", out.String())
			}
		case 0, -1: // it had ended, or had not begun to listen
		default:
			t.Fatalf("exit code %d: %s", code, out.String())
		}
	}
	if !stopped {
		t.Fatal("no run was interrupted")
	}
	w.run("sync", "a")
	w.equal(n)
	w.still()
}

func TestLocked(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	upload(t, w.dial(), "INBOX", text(1), day)
	w.configure(fmt.Sprintf("[account.a]\nremote = \"imap://%s@127.0.0.1:%d\"\ntls = \"none\"\npassword_command = \"sleep 3; echo pass\"\nlocal = \"maildir:%s\"\n", w.user, dovecot.plain, w.mail))
	first := w.command(context.Background(), "sync", "a")
	must(t, first.Start())
	time.Sleep(700 * time.Millisecond)
	r := w.try("sync", "a")
	if r.code != 11 || !strings.Contains(r.err, fmt.Sprint(first.Process.Pid)) {
		t.Error(r)
	}
	must(t, first.Wait())
	w.equal(1)
}

// TestKill kills the program at many moments; in the end there is each message once.
func TestKill(t *testing.T) {
	t.Parallel()
	needServer(t)
	rounds := 12
	if os.Getenv("MAILTWIN_CRASH") == "long" {
		rounds = 200
	}
	for _, direction := range []string{"down", "up"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.dial()
			const n = 300
			for i := range n {
				if direction == "down" {
					upload(t, c, "INBOX", text(i), day)
				} else {
					w.deliver("INBOX", fmt.Sprintf("1700000%03d.M1P1.host:2,S", i), lf(text(i)), day)
				}
			}
			killed := 0
			for i := range rounds {
				cmd := w.command(context.Background(), "sync", "--quiet", "a")
				must(t, cmd.Start())
				time.Sleep(time.Duration(5+13*i%150) * time.Millisecond)
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				if !cmd.ProcessState.Exited() {
					killed++
				}
			}
			t.Logf("%d of %d runs were killed", killed, rounds)
			w.run("sync", "a")
			w.run("sync", "a")
			w.equal(n)
			w.still()
		})
	}
}

// TestVerifyFinds each kind of difference, by name.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	needServer(t)
	for name, c := range map[string]struct {
		spoil func(w *world, path string)
		says  string
	}{
		"a flipped byte": {func(w *world, path string) {
			b, err := os.ReadFile(path)
			must(w.t, err)
			b[len(b)-3] ^= 1
			st, err := os.Stat(path)
			must(w.t, err)
			must(w.t, os.WriteFile(path, b, 0o600))
			must(w.t, os.Chtimes(path, st.ModTime(), st.ModTime()))
		}, "content differs"},
		"a missing file": {func(w *world, path string) { must(w.t, os.Remove(path)) }, "missing"},
		"an extra copy": {func(w *world, path string) {
			b, err := os.ReadFile(path)
			must(w.t, err)
			must(w.t, os.WriteFile(filepath.Join(w.mail, "INBOX", "cur", "1799999999.X.host:2,S"), b, 0o600))
		}, "extra"},
		"a differing flag": {func(w *world, path string) { must(w.t, os.Rename(path, strings.TrimSuffix(path, "S")+"FS")) }, "flags differ"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			cl := w.dial()
			for i := range 5 {
				upload(t, cl, "INBOX", text(i), day, `\Seen`)
			}
			w.run("sync", "a")
			if r := w.run("verify", "a"); !strings.Contains(r.out, "equal") {
				t.Fatal(r)
			}
			names, err := filepath.Glob(filepath.Join(w.mail, "INBOX", "cur", "*"))
			must(t, err)
			c.spoil(w, names[2])
			unique, _, _ := strings.Cut(filepath.Base(names[2]), ":2,")
			if name == "an extra copy" {
				unique = "1799999999.X.host"
			}
			r := w.try("verify", "a")
			if r.code != 3 || !strings.Contains(r.out, c.says) || !strings.Contains(r.out, unique) {
				t.Fatal(r)
			}
		})
	}
}
