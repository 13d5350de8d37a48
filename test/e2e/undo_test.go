package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// TestUndo: what was deleted on the server comes back from the attic, and the server gets it as one new message.
func TestUndo(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	for i := range 6 {
		upload(t, c, "INBOX", text(i), day, `\Seen`, "todo")
	}
	w.run("sync", "a")
	before := fmt.Sprint(w.remote())
	_, err := c.Select("INBOX", nil).Wait()
	must(t, err)
	must(t, c.Store(imap.UIDSetNum(2, 3), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{`\Deleted`}}, nil).Close())
	must(t, c.UIDExpunge(imap.UIDSetNum(2, 3)).Close())
	w.run("sync", "a")
	w.equal(4)
	list := w.run("undo", "a").out
	ids := regexp.MustCompile(`(?m)^  ([a-z2-7]{8})  `).FindAllStringSubmatch(list, -1)
	if len(ids) != 2 {
		t.Fatal(list)
	}
	for i, id := range ids {
		w.run("undo", "a", id[1])
		if s := w.summary("a"); s.Copied_to_remote != 1 || s.Copied_to_local != 0 {
			t.Fatalf("%+v", s)
		}
		w.equal(5 + i)
		w.still()
	}
	if after := fmt.Sprint(w.remote()); after != before {
		t.Errorf("not as it was:\n%s\n%s", before, after)
	}
}

// TestDeleteToTrash: what was deleted locally goes to the server's trash, from there to the local one, and is gone for good when
// it is deleted there.
func TestDeleteToTrash(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t, `delete_to = "trash"`)
	c := w.dial()
	for i := range 3 {
		upload(t, c, "INBOX", text(i), day)
	}
	w.run("sync", "a")
	for _, box := range []string{"INBOX", "Trash"} {
		files, err := filepath.Glob(filepath.Join(w.mail, box, "*", "1*"))
		must(t, err)
		if len(files) == 0 {
			t.Fatalf("nothing is in %s", box)
		}
		must(t, os.Remove(files[0]))
		w.run("sync", "a")
		w.run("sync", "a") // sees what went to the trash
		left := 3
		if box == "Trash" {
			left = 2
		}
		w.equal(left)
	}
	w.still()
}
