package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"mailtwin/internal/imap/wire"
)

// oldTool is a synchroniser that is taken over from.
type oldTool struct {
	name, program, config, sep string
	args                       []string
	imported                   []string // the command line of the import
	state                      string   // pattern of its state files, below home
	keywords                   []imap.Flag
}

var oldTools = []oldTool{
	{
		name: "mbsync", program: "mbsync", config: mbsyncConf, args: []string{"-q", "-a"},
		imported: []string{"import", "mbsync", "--config", "mbsync.rc"}, state: "other/*",
		keywords: []imap.Flag{"$Forwarded"},
	},
	{
		name: "offlineimap", program: "offlineimap", config: strings.Replace(offlineimapConf, "sep = ", "customflag_a = work\nsep = ", 1), sep: "/", args: []string{"-o"},
		imported: []string{"import", "offlineimap", "--config", "offlineimap.rc"}, state: "other/meta/Account-a/LocalStatus*/*",
		keywords: []imap.Flag{"work"},
	},
}

// migrant is a user with 20 folders that another tool keeps in sync, through a relay.
type migrant struct {
	*world
	relay *relay
	tool  oldTool
	n     int
	fresh int // messages that the other tool has not copied yet
}

var migrantBoxes = []string{
	"INBOX", "Work", "Work/Invoices", "Work/Invoices/2024", "Entwürfe", "a b", "a.b", "Lists/golang nuts", "Lists/ümläut & co", "Sent", "Trash", "x-y_z",
	"日本語", "Deep/er/and/deeper", "Umzug 2019", "Семья", "q+a", "100%", "brackets [1]", "Archive",
}

// migrantMessages is how many messages there are in all; MAILTWIN_IMPORT=2000 for as many as a real account has.
func migrantMessages() int {
	if n, err := strconv.Atoi(os.Getenv("MAILTWIN_IMPORT")); err == nil {
		return n
	}
	return 200
}

// grouped writes a number as the program does for people.
func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

func newMigrant(t *testing.T, tool oldTool) *migrant {
	t.Helper()
	m := &migrant{world: newWorld(t), relay: startRelay(t), tool: tool, n: migrantMessages()}
	m.configure("") // the import writes the account
	c := m.dial()
	flags := append([]imap.Flag{`\Seen`, `\Flagged`, `\Answered`, `\Draft`}, tool.keywords...)
	for i := range m.n {
		upload(t, c, migrantBoxes[i%len(migrantBoxes)], text(i), day, flags[i%len(flags)])
	}
	must(t, os.MkdirAll(m.mail, 0o700))
	must(t, os.MkdirAll(filepath.Join(m.home, "other"), 0o700))
	m.old()
	if n := len(m.local()); n != m.n {
		t.Fatalf("%s brought %d messages of %d", tool.name, n, m.n)
	}
	return m
}

// old runs the other tool.
func (m *migrant) old() {
	m.t.Helper()
	m.world.tool(m.tool.program, fmt.Sprintf(m.tool.config, m.relay.port(), m.user, m.mail, filepath.Join(m.home, "other"), m.tool.sep), m.tool.args...)
}

// take imports, and gives the account what no configuration tells: the password.
func (m *migrant) take(args ...string) result {
	m.t.Helper()
	m.allow()
	return m.run(append(slices.Clone(m.tool.imported), args...)...)
}

// allow answers the questions that the translation leaves open.
func (m *migrant) allow() {
	path := filepath.Join(m.home, "config", "mailtwin", "config.toml")
	if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
		return
	}
	r := m.try(append(slices.Clone(m.tool.imported), "--dry-run")...)
	_, section, ok := strings.Cut(r.out, "config.toml:\n")
	if !ok {
		m.t.Fatalf("no section: %v", r)
	}
	var lines []string
	for l := range strings.Lines(section) {
		if !strings.HasPrefix(l, "  ") {
			break
		}
		if !strings.Contains(l, "password_command") {
			lines = append(lines, strings.TrimPrefix(l, "  "))
		}
	}
	m.configure(strings.Join(lines, "") + "password_command = \"echo pass\"\n")
}

// account is the name that the import gave.
func (m *migrant) account() string {
	b, err := os.ReadFile(filepath.Join(m.home, "config", "mailtwin", "config.toml"))
	must(m.t, err)
	_, rest, _ := strings.Cut(string(b), "[account.")
	name, _, _ := strings.Cut(rest, "]")
	return name
}

// idle syncs and checks that nothing is transferred, doubled or deleted; paired is how many messages the import may leave to be paired.
func (m *migrant) idle(adopted int) {
	m.t.Helper()
	m.relay.arm(fault{}, 0)
	s := m.summary(m.account())
	commands, _ := m.relay.heal()
	if s.Copied_to_local+s.Copied_to_remote+s.Deleted_local+s.Deleted_remote+s.Moved_local+s.Moved_remote+s.Errors != 0 || s.Adopted != adopted {
		m.t.Fatalf("the first sync: %+v", s)
	}
	if adopted == 0 {
		for _, c := range commands {
			if strings.Contains(c, "FETCH") && strings.Contains(c, "BODY") {
				m.t.Errorf("a body or header was fetched: %s", c)
			}
		}
	}
	m.same()
}

// same checks that both sides hold the same messages and flags. Not every tool keeps dates, and mbsync adds a header field, so content is
// for verify to compare.
func (m *migrant) same() {
	m.t.Helper()
	local, remote := m.local(), m.remote()
	for _, list := range [][]message{local, remote} {
		for i := range list {
			list[i].date, list[i].size, list[i].sum = 0, 0, [8]byte{}
			if name, err := wire.DecodeUTF7(list[i].box); err == nil { // as both tools name folders
				list[i].box = name
			}
			list[i].box = strings.ReplaceAll(list[i].box, "%25", "%") // as mailtwin names them
		}
		slices.SortFunc(list, compareMessages)
	}
	sameMessages(m.t, local, remote, m.n)
	m.run("verify", "--full", m.account())
}

// TestImport: a sync after an import does nothing, and fetches nothing; then both sides change.
func TestImport(t *testing.T) {
	t.Parallel()
	needServer(t)
	for _, tool := range oldTools {
		t.Run(tool.name, func(t *testing.T) {
			t.Parallel()
			m := newMigrant(t, tool)
			if r := m.take("--dry-run"); !strings.Contains(r.out, fmt.Sprintf("%s of %[1]s messages", grouped(m.n))) {
				t.Errorf("dry run: %v", r)
			}
			if _, err := os.Stat(filepath.Join(m.home, "state")); err == nil {
				t.Error("a dry run wrote a state")
			}
			r := m.take()
			t.Log(r)
			if !strings.Contains(r.out, fmt.Sprintf("%s of %[1]s messages in %[2]d mailboxes taken over", grouped(m.n), len(migrantBoxes))) {
				t.Fatalf("%v", r)
			}
			if list, _ := filepath.Glob(filepath.Join(m.home, "state", "mailtwin", "*", "*.tar.gz")); len(list) != 1 {
				t.Errorf("backups: %q", list)
			}
			if r := m.take(); !strings.Contains(r.out, "nothing to do") {
				t.Errorf("second import: %v", r)
			}
			if r := m.run("sync", "--dry-run", "-v", m.account()); !strings.Contains(r.out, "nothing to do") {
				t.Errorf("dry run of a sync: %v", r)
			}
			m.idle(0)
			m.change()
			m.run("sync", m.account())
			m.same()
		})
	}
}

// change does some of everything on both sides.
func (m *migrant) change() {
	c := m.dial()
	upload(m.t, c, "Work", text(m.n+1), day)
	m.deliver("a b", "1800000000.M1P1.host:2,S", lf(text(m.n+2)), day)
	paths := m.paths("INBOX")
	for i, path := range paths {
		if i%40 == 0 {
			must(m.t, os.Remove(path))
			m.n--
		}
	}
	m.n += 2
	_, err := c.Select("Archive", nil).Wait()
	must(m.t, err)
	must(m.t, c.Store(imap.SeqSet{{Start: 1, Stop: 2}}, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{`\Flagged`}}, nil).Close())
	_, err = c.Move(imap.SeqSet{{Start: 1, Stop: 1}}, "Work").Wait()
	must(m.t, err)
}

// TestImportDamaged: whatever became of the old state, nothing is doubled and nothing deleted.
func TestImportDamaged(t *testing.T) {
	t.Parallel()
	needServer(t)
	for _, tool := range oldTools {
		for name, damage := range map[string]func(*migrant){
			"truncated": func(m *migrant) { m.damageState(func(b []byte) []byte { return b[:len(b)*2/3] }) },
			"empty":     func(m *migrant) { m.damageState(func([]byte) []byte { return nil }) },
			"garbage": func(m *migrant) {
				m.damageState(func(b []byte) []byte { return []byte(strings.Repeat("\x00\xff?\n", len(b)/4)) })
			},
			"old state":       (*migrant).oldState,
			"new UIDVALIDITY": (*migrant).renumber,
			"moved":           (*migrant).moveMaildir,
			"journal cut":     (*migrant).cutJournal,
			"shared file":     (*migrant).shareFile,
		} {
			if name == "journal cut" && tool.name != "mbsync" || name == "shared file" && tool.name == "mbsync" {
				continue // the other tool has no such thing
			}
			t.Run(tool.name+", "+name, func(t *testing.T) {
				t.Parallel()
				m := newMigrant(t, tool)
				damage(m)
				r := m.take()
				t.Log(r)
				var s summary
				for range 2 {
					r := m.try("sync", "--json", m.account())
					if r.code != 0 && r.code != 3 {
						t.Fatalf("sync: %v", r)
					}
					s = parseSummary(t, r)
					if s.Copied_to_local > m.fresh || s.Copied_to_remote+s.Deleted_local+s.Deleted_remote+s.Errors != 0 {
						t.Fatalf("%+v", s)
					}
				}
				m.same()
			})
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
	for i := range 20 {
		upload(m.t, c, migrantBoxes[i%5], text(10_000+i), day)
	}
	m.old()
	m.n += 20
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

// TestImportPlain: the status of OfflineIMAP 6 and 7.0, which is text, in both of its formats.
func TestImportPlain(t *testing.T) {
	t.Parallel()
	needServer(t)
	for name, head := range map[string]string{
		"1": "OFFLINEIMAP LocalStatus CACHE DATA - DO NOT MODIFY - FORMAT 1", "2": "OFFLINEIMAP LocalStatus CACHE DATA - DO NOT MODIFY - FORMAT 2",
	} {
		t.Run("format "+name, func(t *testing.T) {
			t.Parallel()
			m := newMigrant(t, oldTools[1])
			account := filepath.Join(m.home, "other", "meta", "Account-a")
			must(t, os.Mkdir(filepath.Join(account, "LocalStatus"), 0o700))
			files, err := filepath.Glob(filepath.Join(account, "LocalStatus-sqlite", "*"))
			must(t, err)
			for _, f := range files {
				lines := []string{head}
				box := filepath.Base(f)
				for _, dir := range migrantBoxes {
					if strings.ReplaceAll(wire.EncodeUTF7(dir), "/", ".") != box && strings.ReplaceAll(dir, "/", ".") != box {
						continue
					}
					for _, path := range m.paths(wire.EncodeUTF7(dir)) {
						unique, letters, _ := strings.Cut(filepath.Base(path), ":2,")
						_, uid, _ := strings.Cut(unique, ",U=")
						uid, _, _ = strings.Cut(uid, ",")
						line := uid + "|" + letters + "|0|"
						if name == "1" {
							line = uid + ":" + letters
						}
						lines = append(lines, line)
					}
				}
				if len(lines) == 1 {
					t.Fatalf("no messages of %s", box)
				}
				must(t, os.WriteFile(filepath.Join(account, "LocalStatus", box), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
			}
			must(t, os.RemoveAll(filepath.Join(account, "LocalStatus-sqlite")))
			if r := m.take(); !strings.Contains(r.out, fmt.Sprintf("%s of %[1]s messages in %[2]d mailboxes taken over", grouped(m.n), len(migrantBoxes))) {
				t.Fatalf("%v", r)
			}
			m.idle(0)
		})
	}
}
