package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
)

// inOldBox is how many messages "Old box" has, with bodies large enough to be told from a list.
const inOldBox = 200

// renameWorld has "Old box" with many messages and two mailboxes below it, synced, in a layout.
func renameWorld(t *testing.T, layout string) (*world, *imapclient.Client) {
	t.Helper()
	needServer(t)
	w := newWorld(t, "layout = \""+layout+"\"")
	c := w.dial()
	upload(t, c, "INBOX", text(1), day)
	for i := range inOldBox {
		upload(t, c, "Old box", text(100+i)+strings.Repeat("some text\r\n", 100), day)
	}
	for i := range 3 {
		upload(t, c, "Old box/Entwürfe", text(1000+i), day)
	}
	must(t, c.Create("Old box/Empty", nil).Wait())
	w.run("sync", "--quiet", "a")
	w.still()
	return w, c
}

// localNames lists the Maildir's mailboxes as the server names them.
func (w *world) localNames(layout string) (names []string) {
	w.t.Helper()
	for _, box := range localBoxes(w.t, w.mail) {
		switch {
		case box == ".":
			box = "INBOX"
		case layout != "nested":
			box = strings.ReplaceAll(strings.TrimPrefix(box, "."), ".", "/")
		}
		names = append(names, box)
	}
	slices.Sort(names)
	return names
}

// renamed checks a sync after a rename of those three mailboxes: no body crosses the wire, in either direction, and the next sync
// fetches nothing.
func (w *world) renamed(layout string, s summary, names ...string) {
	w.t.Helper()
	w.t.Logf("%d bytes down, %d up, %d round trips", s.Bytes_down, s.Bytes_up, s.Round_trips)
	if s.Copied_to_local+s.Copied_to_remote+s.Moved_local+s.Moved_remote+s.Deleted_local+s.Deleted_remote+s.Adopted > 0 {
		w.t.Errorf("more than renames: %+v", s)
	}
	if s.Bytes_down+s.Bytes_up > 30_000 { // all bodies are over 200 kB
		w.t.Errorf("%d bytes crossed the wire", s.Bytes_down+s.Bytes_up)
	}
	names = append([]string{"INBOX"}, names...)
	slices.Sort(names)
	if local, remote := w.localNames(layout), w.boxes(); !slices.Equal(local, names) || !slices.Equal(remote, names) {
		w.t.Errorf("mailboxes %q and %q, want %q", local, remote, names)
	}
	if next := w.summary("a"); next.Bytes_down+next.Bytes_up > 3000 {
		w.t.Errorf("the sync after it: %d bytes crossed the wire", next.Bytes_down+next.Bytes_up)
	}
	w.still()
	if r := w.run("verify", "a"); !strings.Contains(r.out, "equal") {
		w.t.Errorf("verify: %v", r)
	}
}

// TestRenameRemotely: a mailbox of the server gets another name, and those below it with it.
func TestRenameRemotely(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"nested", "maildir++", "flat"} {
		t.Run(strings.Trim(layout, "+"), func(t *testing.T) {
			t.Parallel()
			w, c := renameWorld(t, layout)
			must(t, c.Rename("Old box", "Neu/Ordner", nil).Wait())
			if r := w.run("sync", "--dry-run", "a"); !strings.Contains(r.out, "rename mailbox on local to Neu/Ordner") || !strings.Contains(r.out, "3 mailboxes renamed") {
				t.Errorf("dry run: %v", r)
			}
			r := w.run("sync", "--json", "a")
			s := parseSummary(t, r)
			if s.Renamed_local != 3 || s.Renamed_remote != 0 || !strings.Contains(r.out, `"mailbox":"Old box","to":"Neu/Ordner","side":"local","verb":"rename mailbox"`) {
				t.Errorf("%v", r)
			}
			w.renamed(layout, s, "Neu/Ordner", "Neu/Ordner/Entwürfe", "Neu/Ordner/Empty")
		})
	}
}

// TestRenameLocally: a user renames folders of the Maildir.
func TestRenameLocally(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"nested", "maildir++", "flat"} {
		t.Run(strings.Trim(layout, "+"), func(t *testing.T) {
			t.Parallel()
			w, c := renameWorld(t, layout)
			must(t, c.Subscribe("Old box").Wait())
			w.renameFolders(layout, "Old box", "New box")
			if r := w.run("sync", "--dry-run", "a"); !strings.Contains(r.out, "rename mailbox on remote to New box") {
				t.Errorf("dry run: %v", r)
			}
			s := w.summary("a")
			if s.Renamed_remote != 3 || s.Renamed_local != 0 {
				t.Errorf("%+v", s)
			}
			w.renamed(layout, s, "New box", "New box/Entwürfe", "New box/Empty")
			list, err := c.List("", "*", nil).Collect()
			must(t, err)
			for _, b := range list {
				if strings.HasPrefix(b.Mailbox, "Old") {
					t.Errorf("%s is still listed", b.Mailbox)
				}
			}
		})
	}
}

// renameFolders is what mv does.
func (w *world) renameFolders(layout, from, to string) {
	w.t.Helper()
	if layout == "nested" {
		must(w.t, os.Rename(filepath.Join(w.mail, from), filepath.Join(w.mail, to)))
		return
	}
	dot := ""
	if layout == "maildir++" {
		dot = "."
	}
	list, err := os.ReadDir(w.mail)
	must(w.t, err)
	for _, d := range list {
		if rest, ok := strings.CutPrefix(d.Name(), dot+from); ok {
			must(w.t, os.Rename(filepath.Join(w.mail, d.Name()), filepath.Join(w.mail, dot+to+rest)))
		}
	}
}

// TestRenameOnBothSides: one name here and another there are both kept, with all messages; the same name needs nothing.
func TestRenameOnBothSides(t *testing.T) {
	t.Parallel()
	for name, remote := range map[string]string{"same": "New box", "different": "Other box"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, c := renameWorld(t, "nested")
			w.renameFolders("nested", "Old box", "New box")
			must(t, c.Rename("Old box", remote, nil).Wait())
			s := w.summary("a")
			if name == "same" {
				if s.Renamed_local+s.Renamed_remote > 0 {
					t.Errorf("%+v", s)
				}
				w.renamed("nested", s, "New box", "New box/Entwürfe", "New box/Empty")
				return
			}
			w.summary("a")
			w.equal(1 + 2*(inOldBox+3))
			w.still()
		})
	}
}

// TestRenameWithoutState: after the state was lost nobody knows what was renamed. Both names are there then, and nothing is lost.
func TestRenameWithoutState(t *testing.T) {
	t.Parallel()
	w, c := renameWorld(t, "nested")
	must(t, c.Rename("Old box", "New box", nil).Wait())
	must(t, os.RemoveAll(filepath.Join(w.home, "state")))
	w.run("sync", "--quiet", "a")
	w.equal(1 + 2*(inOldBox+3))
	w.still()
}

// TestRenameInUse: a mailbox is renamed, and a new one gets its old name, as when last year's mail is put away.
func TestRenameInUse(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"remote", "local"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			w, c := renameWorld(t, "nested")
			if side == "remote" {
				must(t, c.Rename("Old box", "2025", nil).Wait())
				upload(t, c, "Old box", text(2000), day)
				renumber(t, c, "Old box") // not in the same second
				upload(t, c, "Old box", text(2000), day)
			} else {
				w.renameFolders("nested", "Old box", "2025")
				w.deliver("Old box", "1710000000.M1.host:2,S", lf(text(2000)), day)
			}
			s := w.summary("a")
			if s.Copied_to_local+s.Copied_to_remote != 1 || s.Deleted_local+s.Deleted_remote > 0 {
				t.Errorf("%+v", s)
			}
			if s.Bytes_down+s.Bytes_up > 100_000 {
				t.Errorf("%d bytes crossed the wire", s.Bytes_down+s.Bytes_up)
			}
			t.Logf("%+v", s)
			w.summary("a")
			w.equal(1 + inOldBox + 3 + 1)
			w.still()
		})
	}
}
