package mbsync

import (
	"errors"
	"fmt"
	"io/fs"
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

// fill makes messages on the server and the same in the Maildir, without mbsync.
func (w *world) fill(k *kept, n int, flags ...imap.Flag) uint32 {
	w.t.Helper()
	name := strings.Join(k.box.Components(), "/")
	w.upload(name, 1, n, flags...)
	data, err := w.c.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	must(w.t, err)
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(w.t, os.MkdirAll(filepath.Join(k.dir, sub), 0o700))
	}
	for i := range n {
		file := fmt.Sprintf("17000%05d.M%dP1.host", i, i)
		switch i % 5 {
		case 3:
			file += ",U=" + strconv.Itoa(i+100) // OfflineIMAP's, or of an earlier mbsync
		case 4:
			file += ",U=3,FMD5=900150983cd24fb0d6963f7d28e17f72" // copied from elsewhere
		}
		text := fmt.Sprintf("From: a@example.org\nMessage-ID: <%s%d@example.org>\nSubject: %d\n\nText %d.\n", strings.ReplaceAll(name, " ", ""), i+1, i+1, i+1)
		info := ":2,"
		for bit, f := range flagNames {
			if k.flags.And(f).Equal(f) {
				info += string(flagLetters[bit])
			}
		}
		info += "a" // a letter of a keyword
		sub := "cur"
		if i == 0 {
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
func (w *world) export(layout, inbox string, dirs map[mail.Box]string) *Export {
	w.t.Helper()
	port, err := strconv.Atoi(w.port)
	must(w.t, err)
	root := filepath.Join(w.home, "Mail")
	must(w.t, os.MkdirAll(filepath.Join(root, ".mailtwin/attic/2026-01-01/Work%2FSub/1"), 0o700)) // our own folder is not in the way
	x := &Export{Name: "my account", Host: w.host, Port: port, TLS: "none", User: w.user, PasswordCommand: "echo pass", Root: root, Layout: layout, Inbox: inbox, Before15: true, Validity: 1700000000}
	flags := []mail.Flags{{}, {System: mail.Seen}, {System: mail.Flagged | mail.Answered}, {System: mail.Draft, Keywords: "$Forwarded"}}
	names := [][]imap.Flag{nil, {`\Seen`}, {`\Flagged`, `\Answered`}, {`\Draft`, "$Forwarded"}}
	for i, box := range slices.Sorted(maps.Keys(dirs)) {
		k := &kept{box: box, dir: filepath.Join(root, dirs[box]), flags: flags[i%4]}
		validity := w.fill(k, 10, names[i%4]...)
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

// TestExportReal hands mailboxes to the real mbsync, which must leave everything as it is, and then carry changes.
func TestExportReal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		layout, inbox, state string
		dirs                 map[mail.Box]string
	}{
		"nested":       {"nested", "", "", map[mail.Box]string{"INBOX": "INBOX", "Work/Invoices 2024": "Work/Invoices 2024", "Entwürfe": "Entwürfe", "a.b": "a.b", "INBOX/Sub": "INBOX/Sub", "!x \"y\" \\": "!x \"y\" \\"}},
		"own state":    {"nested", "", "state", map[mail.Box]string{"INBOX": "INBOX", "Work/Invoices 2024": "Work/Invoices 2024", "Entwürfe": "Entw&APw-rfe", "100%25": "100%25"}},
		"root is it":   {"nested", ".", "", map[mail.Box]string{"INBOX": ".", "Work/Invoices": "Work/Invoices"}},
		"maildir++":    {"maildir++", ".", "", map[mail.Box]string{"INBOX": ".", "Work/Invoices": ".Work.Invoices", "Entwürfe": ".Entwürfe"}},
		"flat":         {"flat", "", "state", map[mail.Box]string{"INBOX": "INBOX", "Work/Invoices": "Work.Invoices", "a.b/c": "a%2Eb.c"}},
		"flat, sub of": {"flat", "", "", map[mail.Box]string{"INBOX": "INBOX", "INBOX/Sub": "INBOX.Sub"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			x := w.export(c.layout, c.inbox, c.dirs)
			if c.state != "" {
				x.State = filepath.Join(w.home, c.state)
			}
			remote, local := w.remote(), withoutNames(w.local())
			written, err := x.Write()
			must(t, err)
			for _, f := range written {
				if f.Pairs != 10 || f.Missing != 0 || f.Skipped != "" || f.Renamed != 7 {
					t.Errorf("%+v", f)
				}
			}
			if now := withoutNames(w.local()); now != local {
				t.Fatalf("files before\n%s\nafter\n%s", local, now)
			}
			must(t, os.WriteFile(w.rc, []byte(x.Isyncrc()), 0o600))
			exported := w.local()
			out := w.run("-a", "-V")
			if w.remote() != remote || w.local() != exported {
				t.Fatalf("mbsync changed something:\n%s\nremote before\n%s\nafter\n%s\nlocal before\n%s\nafter\n%s\n%s", out, remote, w.remote(), exported, w.local(), x.Isyncrc())
			}
			w.changes(x)
		})
	}
}

// changes makes changes on both sides and lets mbsync carry them.
func (w *world) changes(x *Export) {
	w.t.Helper()
	box := strings.Join(x.Folders[len(x.Folders)-1].Box.Components(), "/")
	dir := x.Folders[len(x.Folders)-1].Dir
	w.upload(box, 50, 1)
	must(w.t, os.WriteFile(filepath.Join(dir, "new", "1800000000.M1P1.host"), []byte("Subject: local\n\nText.\n"), 0o600))
	_, err := w.c.Select(box, nil).Wait()
	must(w.t, err)
	_, err = w.c.Store(imap.UIDSetNum(2), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Collect()
	must(w.t, err)
	_ = w.c.Unselect().Wait()
	before := len(strings.Split(w.local(), "\n"))
	out := w.run("-a", "-V")
	if n := len(strings.Split(w.local(), "\n")); n != before+1 {
		w.t.Fatalf("%d files, had %d\n%s", n, before, out)
	}
	data, err := w.c.Status(box, &imap.StatusOptions{NumMessages: true}).Wait()
	must(w.t, err)
	if *data.NumMessages != 12 {
		w.t.Fatalf("%d messages on the server\n%s", *data.NumMessages, out)
	}
	deleted, err := filepath.Glob(strings.NewReplacer(`\`, `\\`).Replace(dir) + "/cur/*:2,*T*")
	if err != nil || len(deleted) != 1 || !strings.Contains(deleted[0], "1700000001.") {
		w.t.Fatalf("deleted files %q", deleted)
	}
}

// TestExportStopped stops an export at every rename. mbsync must refuse what is not done and change nothing, and a second
// export must complete the first one.
func TestExportStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.export("nested", "", map[mail.Box]string{"INBOX": "INBOX", "Work": "Work"})
	w.c.Unselect()
	must(t, os.WriteFile(w.rc, []byte(x.Isyncrc()), 0o600))
	remote, local := w.remote(), withoutNames(w.local())
	stop := errors.New("stop")
	for n := 0; ; n++ {
		left := n % 3
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
		if out, err := w.try("-a"); err == nil || !strings.Contains(out, "malformed sync state header") {
			t.Fatalf("mbsync takes an export that was stopped: %v\n%s", err, out)
		}
		if w.remote() != remote || withoutNames(w.local()) != local {
			t.Fatal("mbsync changed something after an export that was stopped")
		}
	}
	exported := w.local()
	out := w.run("-a", "-V")
	if w.remote() != remote || w.local() != exported {
		t.Fatalf("mbsync changed something:\n%s", out)
	}
}

// TestExportBack hands back what was read of mbsync, to the place where it was.
func TestExportBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.upload("INBOX", 1, 5, imap.FlagSeen)
	w.upload("Entwürfe/Älter", 1, 5, imap.FlagDraft)
	must(t, os.Mkdir(filepath.Join(w.home, "Mail"), 0o700))
	w.configure(nested + "Channel c\nFar :remote:\nNear :local:\nPatterns *\nCreate Both\nSyncState *\n")
	w.run("-a")
	remote, local := w.remote(), w.local()
	port, err := strconv.Atoi(w.port)
	must(t, err)
	x := &Export{Name: "a", Host: w.host, Port: port, TLS: "none", User: w.user, PasswordCommand: "echo pass", Root: filepath.Join(w.home, "Mail"), Before15: true, Validity: 1700000000, Folders: w.read()[0].Folders}
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
	written, err := x.Write()
	must(t, err)
	n := 0
	for _, f := range written {
		n += f.Pairs
		if f.Renamed+f.Missing > 0 {
			t.Errorf("%+v", f)
		}
	}
	for _, rc := range []string{"", x.Isyncrc()} { // the old configuration, and ours
		if rc != "" {
			must(t, os.WriteFile(w.rc, []byte(rc), 0o600))
		}
		if out := w.run("-a", "-V"); n != 10 || w.remote() != remote || w.local() != local {
			t.Fatalf("%d pairs; mbsync changed something:\n%s", n, out)
		}
	}
}

// TestExportLink leaves what a rename leaves that is stopped between link and unlink.
func TestExportLink(t *testing.T) {
	t.Parallel()
	k := &kept{box: "INBOX", dir: filepath.Join(t.TempDir(), "INBOX"), files: []string{"a", "b", "c", "d"}}
	must(t, os.MkdirAll(filepath.Join(k.dir, "cur"), 0o700))
	for _, name := range k.files[:3] {
		must(t, os.WriteFile(filepath.Join(k.dir, "cur", name+":2,S"), []byte(name), 0o600))
	}
	must(t, os.Link(filepath.Join(k.dir, "cur", "b:2,S"), filepath.Join(k.dir, "cur", "b,U=2:2,S")))
	// Two files that are not paired would get one name.
	must(t, os.WriteFile(filepath.Join(k.dir, "cur", "x,U=1:2,S"), []byte("x1"), 0o600))
	must(t, os.WriteFile(filepath.Join(k.dir, "cur", "x,U=9:2,S"), []byte("x9"), 0o600))
	x := &Export{Name: "a", Root: filepath.Dir(k.dir), Validity: 7, Folders: []migrate.Folder{k.folder(8)}}
	written, err := x.Write()
	must(t, err)
	if w := written[0]; w.Pairs != 3 || w.Missing != 1 {
		t.Errorf("%+v", w)
	}
	list, err := os.ReadDir(filepath.Join(k.dir, "cur"))
	must(t, err)
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	if want := []string{"a,U=3:2,S", "b,U=2:2,S", "c,U=4:2,S", "x:2,S", "x_1:2,S"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
	state, err := os.ReadFile(filepath.Join(k.dir, stateFile))
	must(t, err)
	if want := "FarUidValidity 8\nNearUidValidity 7\nMaxPulledUid 4\nMaxPushedUid 4\n\n1 3 \n2 2 \n3 4 \n"; string(state) != want {
		t.Errorf("state\n%s", state)
	}
	validity, err := os.ReadFile(filepath.Join(k.dir, validityFile))
	must(t, err)
	if string(validity) != "7\n4\n" {
		t.Errorf(".uidvalidity %q", validity)
	}
	if _, err := os.Stat(filepath.Join(k.dir, stateFile+".mailtwin")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestExportRefused are folders that cannot be handed over; nothing is changed before all have been looked at.
func TestExportRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(h *home, x *Export)
		err  string
		skip string
	}{
		"AltMap":              {func(h *home, _ *Export) { h.file("Mail/Work/.isyncuidmap.db", "") }, "Berkeley database", ""},
		"damaged uidvalidity": {func(h *home, _ *Export) { h.file("Mail/Work/.uidvalidity", "x") }, ".uidvalidity is damaged", ""},
		"long name":           {func(h *home, _ *Export) { h.file("Mail/Work/cur/"+strings.Repeat("x", 250), "") }, "no path of more than 255 bytes", ""},
		"no validity":         {func(_ *home, x *Export) { x.Validity = 0 }, "no UIDVALIDITY is given", ""},
		"error in entries": {func(_ *home, x *Export) {
			x.Folders[1].Entries = func(yield func(migrate.Entry, error) bool) { yield(migrate.Entry{}, errors.New("no more")) }
		}, "no more", ""},
		"never synced":  {func(_ *home, x *Export) { x.Folders[1].Validity = 0 }, "", "it was never synced"},
		"distrusted":    {func(_ *home, x *Export) { x.Folders[1].Distrust = "why not" }, "", "why not"},
		"slash":         {func(_ *home, x *Export) { x.Folders[1].Box = "Wo%2Frk" }, "", "\"/\" in its name"},
		"elsewhere":     {func(h *home, x *Export) { x.Folders[1].Dir = h.dir + "/Other" }, "", "no name for the folder"},
		"line end":      {func(_ *home, x *Export) { x.Folders[1].Box = "Wo\nrk" }, "", "control character"},
		"one state":     {func(_ *home, x *Export) { x.Folders[1].Dir = x.Folders[0].Dir }, "", "the same state file"},
		"INBOX in root": {func(h *home, x *Export) { x.Inbox = "."; x.Folders[1].Dir = h.dir + "/Mail/INBOX" }, "", "no name for the folder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.maildir("Mail/First", "", "a:2,S", "b:2,")
			h.maildir("Mail/Work", "", "a:2,S", "b:2,")
			x := &Export{Name: "a", Root: h.dir + "/Mail", Validity: 7}
			for _, box := range []mail.Box{"First", "Work"} {
				k := &kept{box: box, dir: filepath.Join(x.Root, string(box)), files: []string{"a", "b"}}
				x.Folders = append(x.Folders, k.folder(8))
			}
			c.make(h, x)
			written, err := x.Write()
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatal(err)
				}
				if state, err := os.ReadFile(h.dir + "/Mail/Work/.mbsyncstate"); name == "error in entries" != (err == nil) || err == nil && string(state) != unfinished {
					t.Errorf("state %q %v", state, err)
				}
				return
			}
			must(t, err)
			if written[0].Skipped != "" || written[0].Pairs != 2 || !strings.Contains(written[1].Skipped, c.skip) || written[1].Pairs != 0 {
				t.Errorf("%+v", written)
			}
			if rc := x.Isyncrc(); !strings.Contains(rc, `"First"`) || strings.Contains(rc, "Work") {
				t.Errorf("%s", rc)
			}
		})
	}
}

// TestExportBusy renames files as a mail reader does while they get their UIDs.
func TestExportBusy(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	k := &kept{box: "Work", dir: h.dir + "/Mail/Work"}
	h.maildir("Mail/Work", "")
	for i := range 50 {
		k.files = append(k.files, fmt.Sprintf("m%02d", i))
		h.file(fmt.Sprintf("Mail/Work/cur/m%02d:2,", i), strconv.Itoa(i))
	}
	n := 0
	x := &Export{Name: "a", Root: h.dir + "/Mail", Validity: 7, Folders: []migrate.Folder{k.folder(8)}, Renamed: func(_ migrate.Folder, from, to string) error {
		if n++; n == 10 { // some are before, some behind
			for i := 5; i < 45; i += 5 {
				list, err := filepath.Glob(fmt.Sprintf("%s/cur/m%02d*", k.dir, i))
				if err != nil || len(list) != 1 {
					return fmt.Errorf("%q %w", list, err)
				}
				must(t, os.Rename(list[0], list[0]+"F"))
			}
			must(t, os.Remove(k.dir+"/cur/m49:2,"))
		}
		if !strings.HasPrefix(to, from+",U=") {
			t.Errorf("%q is now %q", from, to)
		}
		return nil
	}}
	written, err := x.Write()
	must(t, err)
	if written[0].Pairs != 49 || written[0].Missing != 1 || written[0].Renamed != 49 || n != 49 {
		t.Errorf("%+v, told of %d", written, n)
	}
	flagged, err := filepath.Glob(k.dir + "/cur/*,U=*:2,F")
	all, errAll := filepath.Glob(k.dir + "/cur/*,U=*:2,*")
	if err != nil || errAll != nil || len(flagged) != 8 || len(all) != 49 {
		t.Errorf("%q of %q", flagged, all)
	}
}
