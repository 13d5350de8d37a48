package mbsync

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

var textOf = regexp.MustCompile(`(?m)^Text (\d+)\.`)

// texts says which message has which UID on the server.
func (w *world) texts(box string) map[uint32]string {
	w.t.Helper()
	_, err := w.c.Select(box, &imap.SelectOptions{ReadOnly: true}).Wait()
	must(w.t, err)
	section := &imap.FetchItemBodySection{Peek: true}
	list, err := w.c.Fetch(imap.SeqSet{{Start: 1}}, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	must(w.t, err)
	_ = w.c.Unselect().Wait()
	texts := map[uint32]string{}
	for _, m := range list {
		texts[uint32(m.UID)] = textOf.FindString(string(m.FindBodySection(section)))
	}
	return texts
}

// TestReadStopped stops the real mbsync after some records of its journal, again and again, and reads what it left each time:
// all that it calls a pair must be one message on both sides.
func TestReadStopped(t *testing.T) {
	t.Parallel()
	for _, step := range []int{3, 4, 7, 10} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.upload("INBOX", 1, 10)
			must(t, os.Mkdir(filepath.Join(w.home, "Mail"), 0o700))
			w.configure(nested + "Channel c\nFar :remote:\nNear :local:\nCreate Both\nExpunge Both\nSyncState *\n")
			w.run("-a")
			dir := filepath.Join(w.home, "Mail/INBOX")
			w.upload("INBOX", 11, 5, imap.FlagSeen)
			for i := range 5 {
				must(t, os.WriteFile(fmt.Sprintf("%s/cur/1700000000.M%dP1.host:2,F", dir, i), fmt.Appendf(nil, "Message-ID: <l%d@example.org>\n\nText %d.\n", i, 21+i), 0o600))
			}
			_, err := w.c.Select("INBOX", nil).Wait()
			must(t, err)
			_, err = w.c.Store(imap.UIDSetNum(3, 4, 5), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Collect()
			must(t, err)
			must(t, w.c.UIDExpunge(imap.UIDSetNum(3)).Close())
			_ = w.c.Unselect().Wait()
			journals := 0
			for run := range 100 {
				out, err := w.try(fmt.Sprintf("-Tj%d", step+5*run), "-a") // with one number it comes no further
				var exit *exec.ExitError
				if err != nil && (!errors.As(err, &exit) || exit.ExitCode() < 100) {
					t.Fatalf("run %d: %v\n%s", run, err, out)
				}
				if !missing(filepath.Join(dir, stateFile+".journal")) {
					journals++
				}
				n := w.pairsHold(run)
				if err == nil {
					// On a busy machine there can be more: mbsync sends a message again whose APPEND the server had not done when it asked.
					if n < 17 || n != len(w.texts("INBOX")) || journals < 2 {
						t.Fatalf("%d pairs at the end, %d journals", n, journals)
					}
					return
				}
			}
			t.Fatal("mbsync comes to no end")
		})
	}
}

// pairsHold reads the state and checks that entries are the same message on both sides.
func (w *world) pairsHold(run int) int {
	w.t.Helper()
	texts := w.texts("INBOX")
	n := 0
	for _, f := range w.read()[0].Folders {
		if f.Distrust != "" {
			w.t.Fatalf("run %d: %s", run, f.Distrust)
		}
		for _, e := range entries(w.t, f) {
			files, err := filepath.Glob(f.Dir + "/*/" + e.File + "*")
			if e.File == "" || err != nil || len(files) != 1 {
				if texts[e.UID] != "" && e.File != "" {
					w.t.Fatalf("run %d: %+v: files %q", run, e, files)
				}
				continue
			}
			body, err := os.ReadFile(files[0])
			must(w.t, err)
			if here := textOf.FindString(string(body)); texts[e.UID] != "" && here != texts[e.UID] {
				w.t.Fatalf("run %d: %+v is %q here and %q there", run, e, here, texts[e.UID])
			}
			n++
		}
	}
	return n
}

// TestReadTorn cuts the journal of a run that was stopped. mbsync refuses it for good; we use what stands before the cut.
func TestReadTorn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.upload("INBOX", 1, 10)
	must(t, os.Mkdir(filepath.Join(w.home, "Mail"), 0o700))
	w.configure(nested + "Channel c\nFar :remote:\nNear :local:\nCreate Both\nSyncState *\n")
	out, err := w.try("-Tj60", "-a")
	if err == nil {
		t.Fatal(out)
	}
	journal := filepath.Join(w.home, "Mail/INBOX", stateFile+".journal")
	text, err := os.ReadFile(journal)
	must(t, err)
	must(t, os.WriteFile(journal, text[:len(text)-2], 0o600))
	if out, err := w.try("-a"); err == nil || !strings.Contains(out, "incomplete journal entry") {
		t.Fatalf("mbsync takes a torn journal: %s", out)
	}
	if n := w.pairsHold(0); n < 2 {
		t.Errorf("%d pairs", n)
	}
	old := w.read()[0]
	if !strings.Contains(fmt.Sprint(old.Notes), "is cut off in its last line") {
		t.Errorf("notes %v", old.Notes)
	}
}
