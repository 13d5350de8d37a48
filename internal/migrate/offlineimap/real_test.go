package offlineimap

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

func TestMain(m *testing.M) { os.Exit(imaptest.Main(m)) }

// world is a user of the real OfflineIMAP with a real server.
type world struct {
	t              *testing.T
	home, rc, user string
	host, port     string
	c              *imapclient.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	need(t)
	d, user := imaptest.Shared(t)
	return newWorldOn(t, d, user)
}

// need skips a test where the real OfflineIMAP cannot be used.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("MAILTWIN_E2E") == "" {
		t.Skip("set MAILTWIN_E2E=1 to test with the real OfflineIMAP")
	}
	if _, err := exec.LookPath("offlineimap"); err != nil {
		t.Skip("offlineimap is not installed: apt-get install offlineimap3")
	}
}

func newWorldOn(t *testing.T, d *imaptest.Dovecot, user string) *world {
	t.Helper()
	home, err := os.MkdirTemp("", "oimap-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	w := &world{t: t, home: home, rc: filepath.Join(home, "rc"), user: user}
	w.host, w.port, err = net.SplitHostPort(d.Addr)
	must(t, err)
	w.c, err = imapclient.DialInsecure(d.Addr, nil)
	must(t, err)
	must(t, w.c.Login(user, imaptest.Password).Wait())
	t.Cleanup(func() { _ = w.c.Close() })
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// configure writes the configuration; what is given stands at the end of the account and of the repositories.
func (w *world) configure(account, local, remote string) {
	w.t.Helper()
	must(w.t, os.WriteFile(w.rc, []byte(strings.ReplaceAll(fmt.Sprintf("[general]\naccounts = a\nmetadata = $HOME/meta\n\n[Account a]\nlocalrepository = l\nremoterepository = r\n%s\n[Repository l]\ntype = Maildir\nlocalfolders = $HOME/Mail\n%s\n[Repository r]\ntype = IMAP\nremotehost = %s\nremoteport = %s\nremoteuser = %s\nremotepass = %s\nssl = no\nstarttls = no\n%s\n",
		account, local, w.host, w.port, w.user, imaptest.Password, remote), "$HOME", w.home)), 0o600))
}

// try runs OfflineIMAP.
func (w *world) try(args ...string) (string, error) {
	c := exec.Command("offlineimap", append([]string{"-c", w.rc, "-o", "-u", "basic"}, args...)...)
	c.Env = append(os.Environ(), "HOME="+w.home)
	c.Dir = w.home
	out, err := c.CombinedOutput()
	return string(out), err
}

// killed runs OfflineIMAP and kills it after some milliseconds.
func (w *world) killed(after int) {
	w.t.Helper()
	c := exec.Command("offlineimap", "-c", w.rc, "-o", "-u", "quiet")
	c.Env = append(os.Environ(), "HOME="+w.home)
	c.Dir = w.home
	must(w.t, c.Start())
	timer := time.AfterFunc(time.Duration(after)*time.Millisecond, func() { _ = c.Process.Kill() })
	_ = c.Wait()
	timer.Stop()
}

func (w *world) run(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatalf("offlineimap %v: %v\n%s", args, err, out)
	}
	return out
}

// upload puts messages with flags into a mailbox of the server.
func (w *world) upload(box string, first, n int, flags ...imap.Flag) {
	w.t.Helper()
	_ = w.c.Create(box, nil).Wait() // it may be there
	for i := range n {
		text := fmt.Sprintf("From: a@example.org\r\nMessage-ID: <%s%d@example.org>\r\nSubject: %d\r\n\r\nText %d.\r\n", strings.ReplaceAll(box, " ", ""), first+i, first+i, first+i)
		cmd := w.c.Append(box, int64(len(text)), &imap.AppendOptions{Flags: flags})
		_, err := cmd.Write([]byte(text))
		must(w.t, err)
		must(w.t, cmd.Close())
		_, err = cmd.Wait()
		must(w.t, err)
	}
}

// remote lists UIDs and flags of all mailboxes of the server.
func (w *world) remote() string {
	w.t.Helper()
	var text strings.Builder
	boxes, err := w.c.List("", "*", nil).Collect()
	must(w.t, err)
	for _, b := range boxes {
		if slices.Contains(b.Attrs, imap.MailboxAttrNoSelect) || slices.Contains(b.Attrs, imap.MailboxAttrNonExistent) {
			continue
		}
		data, err := w.c.Select(b.Mailbox, &imap.SelectOptions{ReadOnly: true}).Wait()
		must(w.t, err)
		fmt.Fprintf(&text, "%s %d\n", b.Mailbox, data.UIDValidity)
		if data.NumMessages == 0 {
			continue
		}
		list, err := w.c.Fetch(imap.SeqSet{{Start: 1}}, &imap.FetchOptions{UID: true, Flags: true}).Collect()
		must(w.t, err)
		for _, m := range list {
			flags := slices.DeleteFunc(m.Flags, func(f imap.Flag) bool { return f == `\Recent` })
			slices.Sort(flags)
			fmt.Fprintf(&text, "  %d %v\n", m.UID, flags)
		}
	}
	_ = w.c.Unselect().Wait()
	return text.String()
}

// local lists the files of the Maildir.
func (w *world) local() string {
	w.t.Helper()
	var text strings.Builder
	must(w.t, filepath.WalkDir(w.home, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && slices.Contains([]string{"cur", "new"}, filepath.Base(filepath.Dir(path))) {
			st, err := d.Info()
			must(w.t, err)
			fmt.Fprintf(&text, "%s %d\n", path, st.Size())
		}
		return err
	}))
	return text.String()
}

// read reads what OfflineIMAP left.
func (w *world) read(accounts ...string) []migrate.Old {
	w.t.Helper()
	old, err := Read(Options{Config: w.rc, Accounts: accounts, Getenv: w.getenv})
	must(w.t, err)
	return old
}

func (w *world) getenv(name string) string {
	if name == "HOME" {
		return w.home
	}
	return ""
}

// entries lists the entries of a folder.
func entries(t *testing.T, f migrate.Folder) (list []migrate.Entry) {
	t.Helper()
	for e, err := range f.Entries {
		must(t, err)
		list = append(list, e)
	}
	return list
}

// TestReadReal syncs mailboxes with all kinds of names and flags, and reads what OfflineIMAP knows of them.
func TestReadReal(t *testing.T) {
	t.Parallel()
	const dots = "nametrans = lambda f: '' if f == 'INBOX' else '.' + f\n"
	const back = "nametrans = lambda f: 'INBOX' if f == '' else f[1:]\n"
	for name, c := range map[string]struct{ account, local, remote, move string }{
		"flat":       {"", "", "", ""},
		"nested":     {"", "sep = /\n", "", ""},
		"utf8":       {"utf8foldernames = yes\n", "sep = /\n", "", ""},
		"windows":    {"maildir-windows-compatible = yes\n", "sep = /\n", "", ""},
		"maildir++":  {"", back, dots, ""},
		"filtered":   {"", "", "folderfilter = lambda f: f not in ['Other', 'More']\n", ""},
		"nametrans":  {"", "nametrans = lambda f: re.sub('^Arbeit', 'Work', f)\n", "nametrans = lambda f: re.sub('^Work', 'Arbeit', f)\n", "Work/Invoices 2024"},
		"not python": {"", "nametrans = lambda f: re.sub('^Arbeit', 'Work', f)\n", "nametrans = lambda f: 'Arbeit'.__add__(f[4:]) if f[:4] == 'Work' else f\n", "Work/Invoices 2024"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.upload("INBOX", 1, 5, imap.FlagSeen)
			w.upload("Work/Invoices 2024", 1, 3, imap.FlagFlagged, imap.FlagAnswered)
			w.upload("Entwürfe", 1, 4, imap.FlagDraft, "$Forwarded")
			w.upload("Tom & Jerry", 1, 1)
			w.configure(c.account, c.local, c.remote)
			w.run()
			old := w.read()
			if len(old) != 1 {
				t.Fatalf("%d accounts", len(old))
			}
			h := &home{t, w.home}
			seen := h.boxes(old[0])
			want := map[mail.Box]struct {
				n     int
				flags string
			}{"INBOX": {5, `(\Seen)`}, "Work/Invoices 2024": {3, `(\Answered \Flagged)`}, "Entwürfe": {4, `(\Draft)`}, "Tom & Jerry": {1, "()"}}
			for _, f := range old[0].Folders {
				list := entries(t, f)
				if string(f.Box) == c.move {
					if !strings.Contains(f.Distrust, "move it to ") {
						t.Errorf("%q: %s", f.Box, f.Distrust)
					}
					delete(want, f.Box)
					continue
				}
				if x, ok := want[f.Box]; !ok || f.Distrust != "" && x.n > 0 || len(list) != x.n || f.Validity == 0 {
					t.Fatalf("folder %q %s: %d entries, validity %d, distrust %q", f.Box, f.Dir, len(list), f.Validity, f.Distrust)
				}
				if f.Distrust == "" && !slices.Contains(seen, f.Box) {
					t.Errorf("mailtwin does not see %q, only %q", f.Box, seen)
				}
				for _, e := range list {
					files, err := filepath.Glob(f.Dir + "/*/" + e.File + "*")
					if err != nil || len(files) != 1 || e.UID == 0 || e.Flags.String() != want[f.Box].flags {
						t.Errorf("folder %q: %+v, files %q", f.Box, e, files)
					}
				}
				delete(want, f.Box)
			}
			if len(want) > 0 {
				t.Errorf("not read: %v", want)
			}
			t.Logf("%+v %+v", old[0].Settings, old[0].Notes)
		})
	}
}
