package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// world is the home of one user of mailtwin.
type world struct {
	t    *testing.T
	home string
	user string // on the server
	mail string // the Maildir
	env  []string
}

// newWorld makes a home with the usual configuration: plain text to the private server, account "a".
func newWorld(t *testing.T, more ...string) *world {
	t.Helper()
	home := t.TempDir()
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(t.Name()))
	w := &world{t: t, home: home, user: name, mail: filepath.Join(home, "Mail")}
	if dovecot != nil {
		w.configure(fmt.Sprintf("[account.a]\nremote = \"imap://%s@127.0.0.1:%d\"\ntls = \"none\"\npassword_command = \"echo pass\"\nlocal = \"maildir:%s\"\n%s\n",
			w.user, dovecot.plain, w.mail, strings.Join(more, "\n")))
	}
	return w
}

func (w *world) configure(text string) {
	w.t.Helper()
	path := filepath.Join(w.home, "config", "mailtwin", "config.toml")
	must(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(w.t, os.WriteFile(path, []byte(text), 0o600))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// result of one run of the program.
type result struct {
	code     int
	out, err string
	peak     int64 // resident memory, bytes
	took     time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("exit code %d\n%s%s", r.code, r.out, r.err)
}

func (w *world) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...)
	c.Env = append(os.Environ(), "HOME="+w.home, "XDG_CONFIG_HOME="+filepath.Join(w.home, "config"), "XDG_STATE_HOME="+filepath.Join(w.home, "state"), "XDG_CACHE_HOME="+filepath.Join(w.home, "cache"))
	c.Env = append(c.Env, w.env...)
	c.Dir = w.home
	return c
}

// try runs the program to its end.
func (w *world) try(args ...string) result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := w.command(ctx, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	begun := time.Now()
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	r := result{code: c.ProcessState.ExitCode(), out: out.String(), err: errs.String(), took: time.Since(begun)}
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.peak = u.Maxrss * 1024
	}
	return r
}

// run runs the program and expects success.
func (w *world) run(args ...string) result {
	w.t.Helper()
	r := w.try(args...)
	if r.code != 0 {
		w.t.Fatalf("mailtwin %s: %v", strings.Join(args, " "), r)
	}
	return r
}

// dial logs in to the server as the user of this home.
func (w *world) dial() *imapclient.Client { return w.dialAs(w.user) }

func (w *world) dialAs(user string) *imapclient.Client {
	w.t.Helper()
	c, err := imapclient.DialInsecure(fmt.Sprintf("127.0.0.1:%d", dovecot.plain), nil)
	must(w.t, err)
	must(w.t, c.Login(user, "pass").Wait())
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// upload puts a message on the server.
func upload(t testing.TB, c *imapclient.Client, box, body string, date time.Time, flags ...imap.Flag) imap.UID {
	t.Helper()
	if box != "INBOX" {
		_ = c.Create(box, nil).Wait() // it may be there
	}
	cmd := c.Append(box, int64(len(body)), &imap.AppendOptions{Flags: flags, Time: date})
	_, err := cmd.Write([]byte(body))
	must(t, err)
	must(t, cmd.Close())
	data, err := cmd.Wait()
	must(t, err)
	return data.UID
}

// deliver puts a message into a local mailbox.
func (w *world) deliver(box, name, body string, date time.Time) string {
	w.t.Helper()
	sub := "cur"
	if !strings.Contains(name, ":2,") {
		sub = "new"
	}
	for _, d := range []string{"cur", "new", "tmp"} {
		must(w.t, os.MkdirAll(filepath.Join(w.mail, box, d), 0o700))
	}
	path := filepath.Join(w.mail, box, sub, name)
	must(w.t, os.WriteFile(path, []byte(body), 0o600))
	must(w.t, os.Chtimes(path, date, date))
	return path
}

// message is what must be equal on both sides.
type message struct {
	box, flags string
	sum        [8]byte
	size       int
	date       int64
}

func (m message) String() string {
	return fmt.Sprintf("%s %x %d bytes %s [%s]", m.box, m.sum, m.size, time.Unix(m.date, 0).UTC().Format(time.RFC3339), m.flags)
}

func compareMessages(a, b message) int { return strings.Compare(a.String(), b.String()) }

func sum(body []byte) (s [8]byte) {
	h := sha256.Sum256(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))
	copy(s[:], h[:])
	return s
}

// remote lists the server's messages.
func (w *world) remote() []message { return w.remoteOf(w.user) }

func (w *world) remoteOf(user string) (all []message) {
	w.t.Helper()
	c := w.dialAs(user)
	defer func() { _ = c.Logout().Wait() }() // it is asked often, and connections are limited
	boxes, err := c.List("", "*", nil).Collect()
	must(w.t, err)
	for _, b := range boxes {
		if slices.Contains(b.Attrs, imap.MailboxAttrNoSelect) || slices.Contains(b.Attrs, imap.MailboxAttrNonExistent) {
			continue
		}
		_, err := c.Select(b.Mailbox, &imap.SelectOptions{ReadOnly: true}).Wait()
		must(w.t, err)
		section := &imap.FetchItemBodySection{Peek: true}
		list, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
		if err != nil && !strings.Contains(err.Error(), "Invalid messageset") { // an empty mailbox
			w.t.Fatal(err)
		}
		for _, m := range list {
			body := m.FindBodySection(section)
			lf := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
			var flags []string
			for _, f := range m.Flags {
				if f != `\Recent` {
					flags = append(flags, string(f))
				}
			}
			slices.Sort(flags)
			all = append(all, message{box: b.Mailbox, flags: strings.Join(flags, " "), sum: sum(body), size: len(lf), date: m.InternalDate.Unix()})
		}
	}
	slices.SortFunc(all, compareMessages)
	return all
}

var maildirFlags = map[byte]string{'D': `\Draft`, 'F': `\Flagged`, 'R': `\Answered`, 'S': `\Seen`, 'T': `\Deleted`, 'P': "$Forwarded"}

// local lists the Maildir's messages.
func (w *world) local() []message { return localOf(w.t, w.mail) }

func localOf(t testing.TB, root string) (all []message) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() || d.Name() != "cur" && d.Name() != "new" {
			return err
		}
		box, err := filepath.Rel(root, filepath.Dir(path))
		must(t, err)
		keywords := map[byte]string{}
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(path), "dovecot-keywords")); err == nil {
			for line := range strings.Lines(string(b)) {
				var n int
				var word string
				if _, err := fmt.Sscan(line, &n, &word); err == nil {
					keywords[byte('a'+n)] = word
				}
			}
		}
		files, err := os.ReadDir(path)
		must(t, err)
		for _, f := range files {
			body, err := os.ReadFile(filepath.Join(path, f.Name()))
			must(t, err)
			st, err := f.Info()
			must(t, err)
			var flags []string
			if _, info, ok := strings.Cut(f.Name(), ":2,"); ok {
				for i := range len(info) {
					if w := maildirFlags[info[i]]; w != "" {
						flags = append(flags, w)
					} else if w := keywords[info[i]]; w != "" {
						flags = append(flags, w)
					}
				}
			}
			slices.Sort(flags)
			all = append(all, message{box: box, flags: strings.Join(flags, " "), sum: sum(body), size: len(bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))), date: st.ModTime().Unix()})
		}
		return nil
	}))
	slices.SortFunc(all, compareMessages)
	return all
}

// equal checks that both sides hold the same messages, flags and dates, and how many.
func (w *world) equal(want int) {
	w.t.Helper()
	sameMessages(w.t, w.local(), w.remote(), want)
}

func sameMessages(t testing.TB, local, remote []message, want int) {
	t.Helper()
	if slices.Equal(local, remote) && (want < 0 || len(local) == want) {
		return
	}
	var text strings.Builder
	for _, m := range local {
		if !slices.Contains(remote, m) {
			fmt.Fprintf(&text, "only local:  %v\n", m)
		}
	}
	for _, m := range remote {
		if !slices.Contains(local, m) {
			fmt.Fprintf(&text, "only remote: %v\n", m)
		}
	}
	t.Fatalf("%d messages locally, %d remotely, want %d\n%.4000s", len(local), len(remote), want, text.String())
}

// files lists a tree with what would show a change: names, sizes, times.
func files(t testing.TB, root string) string {
	t.Helper()
	var text strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err == nil {
			fmt.Fprintf(&text, "%s %d %v %v\n", path, st.Size(), st.ModTime().UnixNano(), st.Mode())
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return text.String()
}

func text(n int) string {
	return fmt.Sprintf("From: someone@example.org\r\nMessage-ID: <%d@example.org>\r\nSubject: message %d\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nThis is message %d.\r\n", n, n, n)
}

func lf(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

var day = time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
