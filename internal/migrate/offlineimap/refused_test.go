package offlineimap

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// TestExportRefused are folders that cannot be handed over; nothing is changed before all have been looked at.
func TestExportRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(h *home, x *Export)
		err  string
		skip string
	}{
		"long name":      {func(h *home, _ *Export) { h.file("Mail/Work/cur/"+strings.Repeat("x", 220), "") }, "has no room for a UID", ""},
		"semicolon":      {func(_ *home, x *Export) { x.InfoSep = ';' }, "cannot read the flags", ""},
		"account's name": {func(_ *home, x *Export) { x.Name = "a/b" }, "not a name for an account", ""},
		"error in entries": {func(_ *home, x *Export) {
			x.Folders[1].Entries = func(yield func(migrate.Entry, error) bool) { yield(migrate.Entry{}, errors.New("no more")) }
		}, "no more", ""},
		"never synced":  {func(_ *home, x *Export) { x.Folders[1].Validity = 0 }, "", "it was never synced"},
		"distrusted":    {func(_ *home, x *Export) { x.Folders[1].Distrust = "why not" }, "", "why not"},
		"slash":         {func(_ *home, x *Export) { x.Folders[1].Box = "Wo%2Frk" }, "", `the server's separator "/"`},
		"elsewhere":     {func(h *home, x *Export) { x.Folders[1].Dir = h.dir + "/Other" }, "", "no name for the folder"},
		"quote":         {func(_ *home, x *Export) { x.Folders[1].Box = `Wo"rk` }, "", "a quote in its name"},
		"line end":      {func(_ *home, x *Export) { x.UTF8, x.Folders[1].Box = true, "Wo\nrk" }, "", "control character"},
		"outside":       {func(_ *home, x *Export) { x.Folders[1].Box = ".." }, "", "no good name"},
		"journal":       {func(_ *home, x *Export) { x.Folders[1].Box = "First-journal" }, "", "no good name"},
		"long box":      {func(_ *home, x *Export) { x.Folders[1].Box = mail.Box(strings.Repeat("x", 250)) }, "", "no good name"},
		"one state":     {func(_ *home, x *Export) { x.Folders[1].Dir = x.Folders[0].Dir }, "", "in one file"},
		"a.b and a/b":   {func(_ *home, x *Export) { x.Folders[0].Box, x.Folders[1].Box = "Wo.rk", "Wo/rk" }, "", "in one file"},
		"dot in flat":   {func(_ *home, x *Export) { x.Layout, x.Folders[1].Box = "flat", "Wo.rk" }, "", "confuses the separators"},
		"slash and dot": {func(_ *home, x *Export) { x.Delim, x.Folders[1].Box = ".", "Wo%2Frk" }, "", "confuses the separators"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.maildir("Mail/First", "a:2,S", "b:2,")
			h.maildir("Mail/Work", "a:2,S", "b:2,")
			x := &Export{Name: "a", Root: h.dir + "/Mail", Metadata: h.dir + "/.offlineimap"}
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
				status, err := os.ReadFile(h.dir + "/" + sqliteDir + "Work")
				if name == "error in entries" != (err == nil) || err == nil && string(status) != unfinished {
					t.Errorf("status %q %v", status, err)
				}
				return
			}
			must(t, err)
			if written[0].Skipped != "" || written[0].Pairs != 2 || !strings.Contains(written[1].Skipped, c.skip) || written[1].Pairs != 0 {
				t.Errorf("%+v", written)
			}
			if rc := x.Offlineimaprc(); strings.Contains(rc, "'Work'") {
				t.Errorf("%s", rc)
			}
		})
	}
}

// TestExportFiles writes what OfflineIMAP would, to the octet, over what an earlier run left.
func TestExportFiles(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	own := fmd5("Work")
	h.maildir("Mail/Work", "a:2,S", "b,U=9,FMD5="+own+",S=7:2,FSa", "c,U=1,FMD5="+own+":2,", "d,U=1,FMD5="+fmd5("Old")+":2,", "e", "copy,U=3,FMD5="+own+":2,")
	must(t, os.Link(h.dir+"/Mail/Work/cur/a:2,S", h.dir+"/Mail/Work/cur/a,U=1,FMD5="+own+":2,S")) // a rename that was stopped
	h.file("Mail/Work/dovecot-keywords", "0 Later\n1 $Label%\n")
	h.status("Work", "1 S", "77 S")
	h.file(sqliteDir+"Work-journal", "old")
	h.file(plainDir+"Work", plainHead1+"\n1:S\n")
	k := &kept{box: "Work", dir: h.dir + "/Mail/Work", flags: mail.Flags{System: mail.Seen | mail.Flagged, Keywords: "Later"}, files: []string{"a", "b,S=7", "gone", "c,U=1,FMD5=" + own, "e"}}
	x := &Export{Name: "a", Host: "imap.example.com", Port: 993, TLS: "tls", User: "me", Root: h.dir + "/Mail", Metadata: h.dir + "/.offlineimap", Folders: []migrate.Folder{k.folder(1795437543)}}
	for _, plain := range []bool{false, true, false} {
		x.Plain = plain
		written, err := x.Write()
		must(t, err)
		if w := written[0]; w.Pairs != 4 || w.Missing != 1 {
			t.Errorf("%+v", w)
		}
		if !missing(h.dir + "/" + sqliteDir + "Work-journal") {
			t.Error("the journal of the old status is there")
		}
		list, err := os.ReadDir(k.dir + "/cur")
		must(t, err)
		var names []string
		for _, e := range list {
			names = append(names, strings.ReplaceAll(e.Name(), own, "W"))
		}
		if want := []string{"a,U=1,FMD5=W:2,S", "b,S=7,U=2,FMD5=W:2,FSa", "c,U=4,FMD5=W:2,", "copy:2,", "d,U=1,FMD5=" + fmd5("Old") + ":2,", "e,U=5,FMD5=W"}; !slices.Equal(names, want) {
			t.Errorf("files %q, want %q", names, want)
		}
		got, err := os.ReadFile(h.dir + "/" + plainDir + "Work")
		if want := plainHead2 + "\n1|FSa|0|\n2|FSa|0|\n4|FSa|0|\n5|FSa|0|\n"; plain && string(got) != want || !plain && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("plain: %q %v", got, err)
		}
		if plain {
			if !missing(h.dir + "/" + sqliteDir + "Work") {
				t.Error("there is a database beside the plain status")
			}
			continue
		}
		db, err := sql.Open("sqlite", "file:"+h.dir+"/"+sqliteDir+"Work")
		must(t, err)
		var rows string
		must(t, db.QueryRow("SELECT group_concat(id || '|' || flags || '|' || mtime || '|' || quote(labels), ' ') FROM status").Scan(&rows))
		must(t, db.Close())
		if rows != "1|FSa|0|'' 2|FSa|0|'' 4|FSa|0|'' 5|FSa|0|''" {
			t.Errorf("rows %s", rows)
		}
	}
	for path, want := range map[string]string{"Repository-a-remote": "1795437543\n", "Repository-a-local": "42\n"} {
		if got, err := os.ReadFile(h.dir + "/.offlineimap/" + path + "/FolderValidity/Work"); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", path, got, err)
		}
	}
	if list, err := filepath.Glob(h.dir + "/" + sqliteDir + "*"); err != nil || len(list) != 1 {
		t.Errorf("%q", list)
	}
	if rc := x.Offlineimaprc(); !strings.Contains(rc, "customflag_a = Later\ncustomflag_b = $Label%%\n") {
		t.Errorf("%s", rc)
	}
}

// TestLetters leaves out what folders do not agree on.
func TestLetters(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.file("a/dovecot-keywords", "0 one\n1 two\n2 three\n26 x\nbad\n-1 y\n")
	h.file("b/dovecot-keywords", "0 ONE\n1 other\n3 three\n4 four\n")
	x := &Export{Folders: []migrate.Folder{{Dir: h.dir + "/a"}, {Dir: h.dir + "/b"}, {Dir: h.dir + "/c"}}}
	if got := x.letters(); got != [26]string{0: "ONE", 4: "four"} {
		t.Errorf("%q", got)
	}
}

// TestExportBusy renames files as a mail reader does while they get their UIDs.
func TestExportBusy(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	k := &kept{box: "Work", dir: h.dir + "/Mail/Work"}
	h.maildir("Mail/Work")
	for i := range 50 {
		k.files = append(k.files, fmt.Sprintf("m%02d", i))
		h.file(fmt.Sprintf("Mail/Work/cur/m%02d:2,", i), strconv.Itoa(i))
	}
	n := 0
	x := &Export{Name: "a", Root: h.dir + "/Mail", Metadata: h.dir + "/.offlineimap", Folders: []migrate.Folder{k.folder(8)}, Renamed: func(_ migrate.Folder, from, to string) error {
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
