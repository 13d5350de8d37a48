package offlineimap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// TestExportBack hands back what was read of OfflineIMAP, to the place where it was, and to another one after mailtwin has
// changed the Maildir.
func TestExportBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.upload("INBOX", 1, 5, imap.FlagSeen)
	w.upload("Entwürfe/Älter", 1, 5, imap.FlagDraft)
	w.configure("", "sep = /\n", "")
	w.run()
	remote, local := w.remote(), w.local()
	port, err := strconv.Atoi(w.port)
	must(t, err)
	x := &Export{Name: "a", Host: w.host, Port: port, TLS: "none", User: w.user, PasswordCommand: "echo pass", Root: filepath.Join(w.home, "Mail"), Metadata: filepath.Join(w.home, "meta"), Folders: w.read()[0].Folders}
	for i, f := range x.Folders { // they are read of the files that an export replaces
		list := entries(t, f)
		x.Folders[i].Entries = func(yield func(migrate.Entry, error) bool) {
			for _, e := range list {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
	for _, metadata := range []string{"meta", "other"} { // the old configuration, and ours
		if x.Metadata = filepath.Join(w.home, metadata); metadata == "other" {
			must(t, os.WriteFile(w.rc, []byte(x.Offlineimaprc()), 0o600))
		}
		written, err := x.Write()
		must(t, err)
		n := 0
		for _, f := range written {
			n += f.Pairs
			if f.Renamed+f.Missing > 0 || f.Skipped != "" {
				t.Errorf("%+v", f)
			}
		}
		if out := w.run(); n != 10 || w.remote() != remote || w.local() != local {
			t.Fatalf("%d pairs; OfflineIMAP changed something:\n%s", n, out)
		}
	}
}

// TestReadStopped reads what the real OfflineIMAP leaves when it is killed at many moments of its first run. All that is believed must
// be true: each entry's file is the message with its UID.
func TestReadStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.upload("INBOX", 1, 150, imap.FlagSeen)
	w.configure("", "", "")
	believed := 0
	for try := range 6 {
		w.killed(250 + 60*try)
		w.unstick("INBOX")
		for _, f := range w.read()[0].Folders {
			if f.Distrust != "" {
				continue
			}
			for _, e := range entries(t, f) {
				files, err := filepath.Glob(f.Dir + "/*/" + e.File + "*")
				if err != nil || len(files) != 1 {
					t.Fatalf("%+v: %q", e, files)
				}
				data, err := os.ReadFile(files[0])
				if want := fmt.Sprintf("Message-ID: <INBOX%d@example.org>", e.UID); err != nil || !strings.Contains(string(data), want) {
					t.Fatalf("%+v: %v %s", e, err, data)
				}
				believed++
			}
		}
	}
	w.run()
	list := entries(t, w.read()[0].Folders[slices.IndexFunc(w.read()[0].Folders, func(f migrate.Folder) bool { return f.Box == "INBOX" })])
	if len(list) != 150 {
		t.Errorf("%d messages at the end", len(list))
	}
	t.Logf("%d entries of killed runs", believed)
}

// unstick removes a status database without a table, as a user must: OfflineIMAP that is killed before it made the tables never
// makes them again.
func (w *world) unstick(name string) {
	w.t.Helper()
	path := filepath.Join(w.home, "meta/Account-a/LocalStatus-sqlite", name)
	if st, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0 {
		return
	}
	db, done, err := openStatus(path)
	must(w.t, err)
	defer done()
	var tables int
	must(w.t, db.QueryRow("SELECT count(*) FROM sqlite_master WHERE name = 'status'").Scan(&tables))
	if tables == 0 {
		must(w.t, os.Remove(path))
	}
}

// TestPrefix reads and writes the state for a server with a prefix before all names, and dots in them.
func TestPrefix(t *testing.T) {
	t.Parallel()
	need(t)
	d, err := imaptest.Start("namespace inbox {\n  inbox = yes\n  separator = .\n  prefix = INBOX.\n}\n")
	must(t, err)
	t.Cleanup(d.Stop)
	for name, layout := range map[string]string{"flat": "flat", "nested": "nested", "maildir": "maildir++"} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOn(t, d, "user-"+name)
			sub := map[string]string{"flat": "Work.Ünder", "nested": "Work/Ünder", "maildir++": ".Work.Ünder"}[layout]
			inbox := map[bool]string{true: ".", false: "INBOX"}[layout == "maildir++"]
			x := w.export(layout, inbox, map[mail.Box]string{"INBOX": inbox, "Work/Ünder": strings.ReplaceAll(sub, "Ü", "&ANw-"), "x": map[bool]string{true: ".x", false: "x"}[layout == "maildir++"]}, func(x *Export) {
				x.Delim, x.Prefix = ".", "INBOX."
			})
			remote := w.remote()
			_, err := x.Write()
			must(t, err)
			must(t, os.WriteFile(w.rc, []byte(x.Offlineimaprc()), 0o600))
			local := w.local()
			if out := w.run(); w.remote() != remote || w.local() != local {
				t.Fatalf("OfflineIMAP changed something:\n%s\nremote before\n%s\nafter\n%s\n%s", out, remote, w.remote(), x.Offlineimaprc())
			}
			w.back(x)
			w.changes(x)
		})
	}
}
