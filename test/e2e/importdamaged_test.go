package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// TestImportDamaged: whatever became of the old state, nothing is doubled and nothing deleted.
func TestImportDamaged(t *testing.T) {
	t.Parallel()
	needServer(t)
	for _, tool := range oldTools {
		for name, c := range damages {
			if c.only != "" && c.only != tool.name {
				continue // the other tool has no such thing
			}
			t.Run(tool.name+", "+name, func(t *testing.T) {
				t.Parallel()
				m := newMigrant(t, tool)
				c.do(m)
				r := m.take()
				t.Log(r)
				if !strings.Contains(r.out+r.err, c.says) {
					t.Errorf("nothing is said of %q", c.says)
				}
				var s summary
				for range 2 {
					r := m.try("sync", "--json", m.account())
					if r.code != 0 && r.code != 3 {
						t.Fatalf("sync: %v", r)
					}
					s = parseSummary(t, r)
					t.Logf("a sync after it: %+v", s)
					if s.Copied_to_local > m.fresh || s.Copied_to_remote+s.Deleted_local+s.Deleted_remote+s.Errors != 0 {
						t.Fatalf("%+v", s)
					}
				}
				m.same()
			})
		}
	}
}

// damages are what can have become of another tool's state, and what is said then.
var damages = map[string]struct {
	do   func(*migrant)
	only string // the tool that this concerns; "": both
	says string
}{
	"truncated": {func(m *migrant) { m.damageState(func(b []byte) []byte { return b[:len(b)*2/3] }) }, "", "is damaged: "},
	"empty":     {func(m *migrant) { m.damageState(func([]byte) []byte { return nil }) }, "", ""},
	"garbage": {func(m *migrant) {
		m.damageState(func(b []byte) []byte { return []byte(strings.Repeat("\x00\xff?\n", len(b)/4)) })
	}, "", "is damaged: "},
	"old state":       {(*migrant).oldState, "", ""},
	"new UIDVALIDITY": {(*migrant).renumber, "", "the server renumbered it"},
	"moved":           {(*migrant).moveMaildir, "", ""},
	"journal cut":     {(*migrant).cutJournal, "mbsync", ""},
	"hot journal":     {func(m *migrant) { m.stopWriting(false) }, "offlineimap", "OfflineIMAP was stopped while it wrote the status"},
	"hot journal cut": {func(m *migrant) { m.stopWriting(true) }, "offlineimap", ""},
	"shared file":     {(*migrant).shareFile, "offlineimap", "of two folders in one file"},
}

// python runs a script.
func (m *migrant) python(script string, args ...string) {
	m.t.Helper()
	out, err := exec.Command("python3", append([]string{"-c", script}, args...)...).CombinedOutput()
	if err != nil && !strings.Contains(err.Error(), "signal: killed") {
		m.t.Fatalf("python3: %v\n%s", err, out)
	}
}

// stopWriting leaves hot journals beside the databases: a transaction had written to them, and did not come to its end.
func (m *migrant) stopWriting(cut bool) {
	files, err := filepath.Glob(filepath.Join(m.home, m.tool.state))
	must(m.t, err)
	for _, f := range files {
		m.python(`import os, signal, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA cache_size = 1")
c.execute("BEGIN")
c.execute("DELETE FROM status")
for i in range(5000): c.execute("INSERT INTO status VALUES (?, 'S', 0, '')", (100000 + i,))
os.kill(os.getpid(), signal.SIGKILL)`, f)
		st, err := os.Stat(f + "-journal")
		if err != nil || st.Size() == 0 {
			m.t.Fatalf("no journal: %v", err)
		}
		if cut {
			must(m.t, os.Truncate(f+"-journal", st.Size()/2))
		}
	}
}

// damageState changes every state file of the old tool.
func (m *migrant) damageState(change func([]byte) []byte) {
	files, err := filepath.Glob(filepath.Join(m.home, m.tool.state))
	must(m.t, err)
	if len(files) == 0 {
		m.t.Fatal("there is no state")
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		must(m.t, err)
		must(m.t, os.WriteFile(f, change(b), 0o600))
	}
}

// oldState brings back the state of before the last messages.
func (m *migrant) oldState() {
	other, aside := filepath.Join(m.home, "other"), filepath.Join(m.home, "aside")
	must(m.t, os.CopyFS(aside, os.DirFS(other)))
	c := m.dial()
	last := m.n / 4
	for i := range last {
		upload(m.t, c, migrantBoxes[i%5], text(10_000+i), day)
	}
	m.old()
	m.n += last
	must(m.t, os.RemoveAll(other))
	must(m.t, os.Rename(aside, other))
}

// renumber gives a mailbox of the server another UIDVALIDITY.
func (m *migrant) renumber() {
	c := m.dial()
	must(m.t, c.Rename("Work/Invoices/2024", "Work/Invoices/aside", nil).Wait())
	must(m.t, c.Create("Work/Invoices/2024", nil).Wait())
	_, err := c.Select("Work/Invoices/aside", nil).Wait()
	must(m.t, err)
	_, err = c.Move(imap.SeqSet{{Start: 1}}, "Work/Invoices/2024").Wait()
	must(m.t, err)
	must(m.t, c.Unselect().Wait())
	must(m.t, c.Delete("Work/Invoices/aside").Wait())
}

// moveMaildir puts the Maildir elsewhere, and changes the old configuration accordingly.
func (m *migrant) moveMaildir() {
	to := filepath.Join(m.home, "Elsewhere")
	must(m.t, os.Rename(m.mail, to))
	rc := filepath.Join(m.home, m.tool.program+".rc")
	b, err := os.ReadFile(rc)
	must(m.t, err)
	must(m.t, os.WriteFile(rc, []byte(strings.ReplaceAll(string(b), m.mail, to)), 0o600))
	m.mail = to
}

// cutJournal stops mbsync in the middle of a run, and cuts off the end of what it has noted.
func (m *migrant) cutJournal() {
	c := m.dial()
	for i := range 20 {
		upload(m.t, c, migrantBoxes[i%3], text(20_000+i), day)
	}
	m.n, m.fresh = m.n+20, 20
	rc := filepath.Join(m.home, "mbsync.rc")
	if out, err := exec.Command("mbsync", "-c", rc, "-Tj12", "-q", "-a").CombinedOutput(); err == nil {
		m.t.Fatalf("mbsync was not stopped: %s", out)
	}
	journals, err := filepath.Glob(filepath.Join(m.home, "other", "*.journal"))
	must(m.t, err)
	cut := 0
	for _, path := range journals {
		b, err := os.ReadFile(path)
		must(m.t, err)
		if len(b) > 40 {
			must(m.t, os.WriteFile(path, b[:len(b)-len(b)/3], 0o600))
			cut++
		}
	}
	if cut == 0 {
		m.t.Fatalf("no journal: %q", journals)
	}
}

// shareFile adds a mailbox whose status file is that of another one: OfflineIMAP names those of a/b and a.b alike.
func (m *migrant) shareFile() {
	c := m.dial()
	for i := range 10 {
		upload(m.t, c, "a/b", text(30_000+i), day)
		m.deliver("a/b", fmt.Sprintf("1700000000.M%dP1.host,U=%d:2,", i, i+1), lf(text(30_000+i)), day)
	}
	m.n += 10
}
