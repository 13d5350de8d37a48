package offlineimap

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// kept is a mailbox as mailtwin keeps it: its folder and the files of its messages, by UID.
type kept struct {
	box   mail.Box
	dir   string
	flags mail.Flags
	files []string // unique names; the UID is the index plus one
}

func (k *kept) folder(validity uint32) migrate.Folder {
	return migrate.Folder{Box: k.box, Dir: k.dir, Validity: validity, Entries: func(yield func(migrate.Entry, error) bool) {
		for i, f := range k.files {
			if !yield(migrate.Entry{UID: uint32(i + 1), File: f, Flags: k.flags}, nil) {
				return
			}
		}
	}}
}

var _ iter.Seq2[migrate.Entry, error] = migrate.Folder{}.Entries

// fill makes messages on the server and the same in the Maildir, without OfflineIMAP.
func (w *world) fill(x *Export, k *kept, n int, flags ...imap.Flag) uint32 {
	w.t.Helper()
	raw := *x
	raw.UTF8 = true // the client encodes
	name := raw.remoteName(k.box)
	w.upload(name, 1, n, flags...)
	data, err := w.c.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	must(w.t, err)
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(w.t, os.MkdirAll(filepath.Join(k.dir, sub), 0o700))
	}
	if k.flags.Keywords != "" {
		must(w.t, os.WriteFile(filepath.Join(k.dir, "dovecot-keywords"), []byte("0 "+k.flags.Keywords+"\n"), 0o600))
	}
	for i := range n {
		file := fmt.Sprintf("17000%05d.M%dP1.host", i, i)
		switch i % 5 {
		case 3:
			file += ",U=" + strconv.Itoa(i+100) // mbsync's
		case 4:
			file += ",U=3,FMD5=900150983cd24fb0d6963f7d28e17f72" // copied from elsewhere
		}
		text := fmt.Sprintf("From: a@example.org\nMessage-ID: <%s%d@example.org>\nSubject: %d\n\nText %d.\n", strings.ReplaceAll(name, " ", ""), i+1, i+1, i+1)
		info := string([]byte{x.infoSep()}) + "2," + lettersOf(k.flags.System)
		if k.flags.Keywords != "" {
			info += "a"
		}
		sub := "cur"
		if i == 0 && k.flags.System&mail.Seen == 0 {
			sub = "new"
			if k.flags.Empty() {
				info = ""
			}
		}
		must(w.t, os.WriteFile(filepath.Join(k.dir, sub, file+info), []byte(text), 0o600))
		k.files = append(k.files, file)
	}
	return data.UIDValidity
}

// export makes an Export of some mailboxes.
func (w *world) export(layout, inbox string, dirs map[mail.Box]string, change func(*Export)) *Export {
	w.t.Helper()
	port, err := strconv.Atoi(w.port)
	must(w.t, err)
	root := filepath.Join(w.home, "Mail")
	for _, sub := range []string{"cur", "new", "tmp"} { // our own folder is not in the way
		must(w.t, os.MkdirAll(filepath.Join(root, ".mailtwin/attic/2026-01-01/Work%2FSub/1", sub), 0o700))
	}
	x := &Export{Name: "my account", Host: w.host, Port: port, TLS: "none", User: w.user, PasswordCommand: "echo 'pass' # 100%", Root: root, Layout: layout, Inbox: inbox, Metadata: filepath.Join(w.home, "meta")}
	if change != nil {
		change(x)
	}
	flags := []mail.Flags{{}, {System: mail.Seen}, {System: mail.Flagged | mail.Answered}, {System: mail.Draft, Keywords: "Later+1"}}
	names := [][]imap.Flag{nil, {`\Seen`}, {`\Flagged`, `\Answered`}, {`\Draft`, "Later+1"}}
	for i, box := range slices.Sorted(maps.Keys(dirs)) {
		k := &kept{box: box, dir: filepath.Join(root, dirs[box]), flags: flags[i%4]}
		validity := w.fill(x, k, 10, names[i%4]...)
		x.Folders = append(x.Folders, k.folder(validity))
	}
	return x
}

// withoutNames is a list of files without the names: sizes and flags by folder.
func withoutNames(local string) string {
	var lines []string
	for line := range strings.Lines(local) {
		dir, name := filepath.Split(line)
		_, info, _ := strings.Cut(name, ":2,")
		if info == "" {
			_, info, _ = strings.Cut(name, " ")
		}
		lines = append(lines, dir+info)
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// TestExportReal hands mailboxes to the real OfflineIMAP, which must leave everything as it is, and then carry changes.
func TestExportReal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		layout, inbox string
		dirs          map[mail.Box]string
		change        func(*Export)
	}{
		"nested":     {"nested", "", map[mail.Box]string{"INBOX": "INBOX", "Work/Invoices 2024": "Work/Invoices 2024", "Entwürfe": "Entw&APw-rfe", "INBOX/Sub": "INBOX/Sub", "!x (y) '{*}": "!x (y) '{*}", `b\c`: `b\c`, "Work": "Work"}, nil},
		"dots":       {"nested", "", map[mail.Box]string{"INBOX": "INBOX", "a.b/c.d": "a.b/c.d", "v1.2": "v1.2"}, nil},
		"utf8":       {"nested", "", map[mail.Box]string{"INBOX": "INBOX", "Entwürfe/Ä & Ö": "Entwürfe/Ä & Ö", "日本": "日本"}, func(x *Export) { x.UTF8 = true }},
		"escaped":    {"nested", "Eingang", map[mail.Box]string{"INBOX": "Eingang", "100%25": "100%25", "new": "%6Eew"}, nil},
		"root is it": {"nested", ".", map[mail.Box]string{"INBOX": ".", "Work/Invoices": "Work/Invoices"}, nil},
		"maildir++":  {"maildir++", ".", map[mail.Box]string{"INBOX": ".", "Work/Invoices": ".Work.Invoices", "Entwürfe": ".Entw&APw-rfe"}, nil},
		"flat":       {"flat", "", map[mail.Box]string{"INBOX": "INBOX", "Work/Invoices": "Work.Invoices", "Tom & Jerry": "Tom &- Jerry"}, nil},
		"plain":      {"nested", "", map[mail.Box]string{"INBOX": "INBOX", "Work/Invoices": "Work/Invoices", "x": "x"}, func(x *Export) { x.Plain = true }},
		"windows":    {"flat", "", map[mail.Box]string{"INBOX": "INBOX", "Work": "Work"}, func(x *Export) { x.InfoSep = '!' }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			x := w.export(c.layout, c.inbox, c.dirs, c.change)
			remote, local := w.remote(), withoutNames(w.local())
			written, err := x.Write()
			must(t, err)
			for _, f := range written {
				if f.Pairs != 10 || f.Missing != 0 || f.Skipped != "" || f.Renamed != 10 {
					t.Errorf("%+v", f)
				}
			}
			if now := withoutNames(w.local()); now != local {
				t.Fatalf("files before\n%s\nafter\n%s", local, now)
			}
			must(t, os.WriteFile(w.rc, []byte(x.Offlineimaprc()), 0o600))
			exported := w.local()
			for range 2 {
				if out := w.run(); w.remote() != remote || w.local() != exported {
					t.Fatalf("OfflineIMAP changed something:\n%s\nremote before\n%s\nafter\n%s\nlocal before\n%s\nafter\n%s\n%s", out, remote, w.remote(), exported, w.local(), x.Offlineimaprc())
				}
			}
			w.back(x)
			w.changes(x)
		})
	}
}

// back reads the export again.
func (w *world) back(x *Export) {
	w.t.Helper()
	old := w.read()[0]
	h := &home{w.t, w.home}
	h.account(old)
	for _, f := range x.Folders {
		i := slices.IndexFunc(old.Folders, func(g migrate.Folder) bool { return g.Box == f.Box })
		if i < 0 || old.Folders[i].Dir != f.Dir || old.Folders[i].Distrust != "" || old.Folders[i].Validity != f.Validity || len(entries(w.t, old.Folders[i])) != 10 {
			w.t.Errorf("%q: read as %+v of %d\n%s", f.Box, old.Folders[max(i, 0)], len(old.Folders), h.text(old))
		}
	}
}

// changes makes changes on both sides and lets OfflineIMAP carry them.
func (w *world) changes(x *Export) {
	w.t.Helper()
	raw := *x
	raw.UTF8 = true
	box := raw.remoteName(x.Folders[len(x.Folders)-1].Box)
	dir := x.Folders[len(x.Folders)-1].Dir
	w.upload(box, 50, 1)
	must(w.t, os.WriteFile(filepath.Join(dir, "new", "1800000000.M1P1.host"), []byte("Subject: local\n\nText.\n"), 0o600))
	_, err := w.c.Select(box, nil).Wait()
	must(w.t, err)
	_, err = w.c.Store(imap.UIDSetNum(2), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Collect()
	must(w.t, err)
	_ = w.c.Unselect().Wait()
	before := len(strings.Split(w.local(), "\n"))
	out := w.run()
	if n := len(strings.Split(w.local(), "\n")); n != before+1 {
		w.t.Fatalf("%d files, had %d\n%s", n, before, out)
	}
	data, err := w.c.Status(box, &imap.StatusOptions{NumMessages: true}).Wait()
	must(w.t, err)
	if *data.NumMessages != 12 {
		w.t.Fatalf("%d messages on the server\n%s", *data.NumMessages, out)
	}
	deleted, err := filepath.Glob(strings.NewReplacer(`\`, `\\`).Replace(dir) + "/*/*" + string([]byte{x.infoSep()}) + "2,*T*")
	if err != nil || len(deleted) != 1 || !strings.Contains(deleted[0], "1700000001.") {
		w.t.Fatalf("deleted files %q", deleted)
	}
}

// TestExportStopped stops an export at many renames. OfflineIMAP must fail at what is not done and change nothing, and a second
// export must complete the first one.
func TestExportStopped(t *testing.T) {
	t.Parallel()
	for name, plain := range map[string]bool{"sqlite": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			x := w.export("nested", "", map[mail.Box]string{"INBOX": "INBOX", "Work": "Work"}, func(x *Export) { x.Plain = plain })
			must(t, os.WriteFile(w.rc, []byte(x.Offlineimaprc()), 0o600))
			remote, local := w.remote(), withoutNames(w.local())
			stop := errors.New("stop")
			for n := 0; ; n++ {
				left := 3 + n
				x.Renamed = func(migrate.Folder, string, string) error {
					if left--; left < 0 {
						return stop
					}
					return nil
				}
				_, err := x.Write()
				if err == nil {
					break
				}
				if !errors.Is(err, stop) || n > 100 {
					t.Fatal(err)
				}
				if out, err := w.try(); err == nil {
					t.Fatalf("OfflineIMAP takes an export that was stopped:\n%s", out)
				}
				if w.remote() != remote || withoutNames(w.local()) != local {
					t.Fatal("OfflineIMAP changed something after an export that was stopped")
				}
			}
			exported := w.local()
			out := w.run()
			if w.remote() != remote || w.local() != exported {
				t.Fatalf("OfflineIMAP changed something:\n%s", out)
			}
		})
	}
}
