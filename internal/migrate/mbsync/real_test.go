package mbsync

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

func TestMain(m *testing.M) { os.Exit(imaptest.Main(m)) }

// world is a user of the real mbsync with a real server.
type world struct {
	t              *testing.T
	home, rc, user string
	host, port     string
	c              *imapclient.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv("MAILTWIN_E2E") == "" {
		t.Skip("set MAILTWIN_E2E=1 to test with the real mbsync")
	}
	if _, err := exec.LookPath("mbsync"); err != nil {
		t.Skip("mbsync is not installed: apt-get install isync")
	}
	d, user := imaptest.Shared(t)
	// mbsync takes no path of more than 255 bytes.
	home, err := os.MkdirTemp("", "mbsync-")
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

// configure writes the configuration; what is given follows the account and its IMAPStore "remote".
func (w *world) configure(text string) {
	w.t.Helper()
	must(w.t, os.WriteFile(w.rc, []byte(fmt.Sprintf("IMAPAccount a\nHost %s\nPort %s\nUser %s\nPassCmd \"echo %s\"\nSSLType None\n\nIMAPStore remote\nAccount a\n\n",
		w.host, w.port, w.user, imaptest.Password)+strings.ReplaceAll(text, "$HOME", w.home)), 0o600))
}

// try runs mbsync.
func (w *world) try(args ...string) (string, error) {
	c := exec.Command("mbsync", append([]string{"-c", w.rc}, args...)...)
	c.Env = append(os.Environ(), "HOME="+w.home)
	c.Dir = w.home
	out, err := c.CombinedOutput()
	return string(out), err
}

func (w *world) run(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatalf("mbsync %v: %v\n%s", args, err, out)
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

// read reads what mbsync left.
func (w *world) read(channels ...string) []migrate.Old {
	w.t.Helper()
	old, err := Read(Options{Config: w.rc, Channels: channels, Getenv: w.getenv})
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

const nested = "MaildirStore local\nPath $HOME/Mail/\nInbox $HOME/Mail/INBOX\nSubFolders Verbatim\n\n"

// TestReadReal syncs mailboxes with all kinds of names and flags, and reads what mbsync knows of them.
func TestReadReal(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]string{
		"nested in the folder": nested + "Channel c\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
		"own directory":        nested + "Channel c\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\nSyncState $HOME/state/\n",
		"usual directory":      nested + "Channel c\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\n",
		"ends swapped":         nested + "Channel c\nFar :local:\nNear :remote:\nPatterns *\nCreate Both\n",
		"maildir++":            "MaildirStore local\nInbox $HOME/Mail\nSubFolders Maildir++\n\nChannel c\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\n",
		"flat":                 "MaildirStore local\nPath $HOME/Mail/\nInbox $HOME/Mail/INBOX\nFlatten .\n\nChannel c\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.upload("INBOX", 1, 5, imap.FlagSeen)
			w.upload("Work/Invoices 2024", 1, 3, imap.FlagFlagged, imap.FlagAnswered)
			w.upload("Entwürfe", 1, 4, imap.FlagDraft, "$Forwarded")
			must(t, os.Mkdir(filepath.Join(w.home, "Mail"), 0o700))
			w.configure(store)
			w.run("-a")
			old := w.read()
			if len(old) != 1 {
				t.Fatalf("%d accounts", len(old))
			}
			h := &home{t, w.home}
			seen := h.boxes(old[0])
			want := map[mail.Box]struct {
				n     int
				flags string
			}{"INBOX": {5, `(\Seen)`}, "Work/Invoices 2024": {3, `(\Answered \Flagged)`}, "Entwürfe": {4, `(\Draft $Forwarded)`}, "Work": {}}
			for _, f := range old[0].Folders {
				list := entries(t, f)
				if x, ok := want[f.Box]; !ok || f.Distrust != "" && x.n > 0 || len(list) != x.n {
					t.Fatalf("folder %q %s: %d entries, distrust %q", f.Box, f.Dir, len(list), f.Distrust)
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
			delete(want, "Work")
			if len(want) > 0 {
				t.Errorf("not read: %v", want)
			}
			t.Logf("%+v %+v", old[0].Settings, old[0].Notes)
		})
	}
}

// TestReadAltMap reads nothing of Berkeley databases, and everything when the advice is followed.
func TestReadAltMap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.upload("INBOX", 1, 5)
	must(t, os.Mkdir(filepath.Join(w.home, "Mail"), 0o700))
	w.configure(strings.Replace(nested, "SubFolders", "AltMap yes\nSubFolders", 1) + "Channel c\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\nSyncState *\n")
	w.run("-a")
	f := w.read()[0].Folders[0]
	advice := "mdconvert -n \"" + f.Dir + "\""
	if len(entries(t, f)) != 0 || !strings.Contains(f.Distrust, advice) {
		t.Fatalf("%+v", f)
	}
	out, err := exec.Command("sh", "-c", advice).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if f = w.read()[0].Folders[0]; len(entries(t, f)) != 5 || f.Distrust != "" {
		t.Fatalf("%+v", f)
	}
}
