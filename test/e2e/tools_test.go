package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool runs another synchroniser, which must be installed, in the home of a world.
func (w *world) tool(name, config string, args ...string) {
	w.t.Helper()
	file := filepath.Join(w.home, name+".rc")
	must(w.t, os.WriteFile(file, []byte(config), 0o600))
	w.start(name, append(args, "-c", file)...)
}

// start runs another synchroniser.
func (w *world) start(name string, args ...string) {
	w.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		w.t.Skipf("%s is not installed", name)
	}
	c := exec.Command(path, args...)
	c.Env = append(os.Environ(), "HOME="+w.home, "XDG_STATE_HOME="+filepath.Join(w.home, "other"))
	if out, err := c.CombinedOutput(); err != nil {
		w.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

const mbsyncConf = `IMAPAccount far
Host 127.0.0.1
Port %[1]d
User %[2]s
Pass pass
SSLType None
AuthMechs LOGIN
DisableExtension COMPRESS=DEFLATE

IMAPStore far
Account far

MaildirStore near
Path %[3]s/
Inbox %[3]s/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
SyncState %[4]s/
CopyArrivalDate yes
`

const offlineimapConf = `[general]
accounts = a
metadata = %[4]s/meta
ui = quiet
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = %[3]s
sep = %[5]s
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = %[1]d
remoteuser = %[2]s
remotepass = pass
ssl = no
starttls = no
sslcacertfile = /etc/ssl/certs/ca-certificates.crt
`

// TestOtherToolsMaildirs: a Maildir that another tool filled is taken over. Nothing is copied, nothing is doubled: the added
// header of mbsync, names with U= and FMD5=, other layouts and encodings of names.
func TestOtherToolsMaildirs(t *testing.T) {
	t.Parallel()
	needServer(t)
	for name, c := range map[string]struct {
		tool, config, sep, keys string
		args                    []string
	}{
		"mbsync":             {"mbsync", mbsyncConf, "", "names = \"mutf7\"", []string{"-q", "-a"}},
		"OfflineIMAP":        {"offlineimap", offlineimapConf, "/", "names = \"mutf7\"", []string{"-o"}},
		"OfflineIMAP, a.b.c": {"offlineimap", offlineimapConf, ".", "layout = \"flat\"\nnames = \"mutf7\"", []string{"-o"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.keys)
			cl := w.dial()
			n := 0
			for _, box := range []string{"INBOX", "Work/Invoices", "Entwürfe", "a b"} {
				for range 12 {
					n++
					upload(t, cl, box, text(n), day, `\Seen`)
				}
			}
			upload(t, cl, "INBOX", "Subject: no id\r\n\r\nbody\r\n", day, `\Flagged`)
			upload(t, cl, "INBOX", "Subject: no id\r\n\r\nbody\r\n", day, `\Flagged`) // a real identical copy
			n += 2
			must(t, os.MkdirAll(w.mail, 0o700))
			must(t, os.MkdirAll(filepath.Join(w.home, "other"), 0o700))
			w.tool(c.tool, fmt.Sprintf(c.config, dovecot.plain, w.user, w.mail, filepath.Join(w.home, "other"), c.sep), c.args...)
			before := len(w.local())
			if before != n {
				t.Fatalf("%s brought %d messages of %d", c.tool, before, n)
			}
			if s := w.summary("a"); s.Copied_to_local+s.Copied_to_remote != 0 || s.Adopted != n || s.Errors != 0 {
				t.Fatalf("%+v", s)
			}
			if after := len(w.local()); after != n || len(w.remote()) != n {
				t.Fatalf("%d messages locally, %d remotely, want %d", after, len(w.remote()), n)
			}
			w.still()
			w.run("verify", "--full", "a")
		})
	}
}

// TestWrongLayout: the first sync with a tree of another layout stops with the line to write.
func TestWrongLayout(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	w.deliver(".Work.Invoices", "1700000000.M1P1.host:2,S", lf(text(1)), day)
	w.deliver(".", "1700000001.M1P1.host:2,S", lf(text(2)), day)
	r := w.try("sync", "a")
	if r.code != 2 || !strings.Contains(r.err, `layout = "maildir++"`) {
		t.Fatal(r)
	}
}
