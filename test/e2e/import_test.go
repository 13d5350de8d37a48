package e2e

import (
	"fmt"
	"os"
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
	for i := range m.n {
		upload(t, c, migrantBoxes[i%len(migrantBoxes)], text(i), day, mixedFlags(i/len(migrantBoxes), tool.keywords)...)
	}
	must(t, os.MkdirAll(m.mail, 0o700))
	must(t, os.MkdirAll(filepath.Join(m.home, "other"), 0o700))
	m.old()
	if n := len(m.local()); n != m.n {
		t.Fatalf("%s brought %d messages of %d", tool.name, n, m.n)
	}
	return m
}

// mixedFlags are the flags of one of a mailbox's messages: all combinations come up.
func mixedFlags(i int, keywords []imap.Flag) (some []imap.Flag) {
	for bit, f := range append([]imap.Flag{`\Seen`, `\Flagged`, `\Answered`, `\Draft`}, keywords...) {
		if (i*11+1)&(1<<bit) != 0 {
			some = append(some, f)
		}
	}
	return some
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
	bodies := m.relay.sent()
	commands, _ := m.relay.heal()
	m.t.Logf("the first sync: %d commands, %d bodies, %+v", len(commands), bodies, s)
	if s.Copied_to_local+s.Copied_to_remote+s.Deleted_local+s.Deleted_remote+s.Moved_local+s.Moved_remote+s.Errors != 0 || s.Adopted != adopted {
		m.t.Fatalf("the first sync: %+v", s)
	}
	if adopted == 0 {
		if bodies > 0 || s.Flagged_local+s.Flagged_remote > 0 {
			m.t.Errorf("%d bodies crossed the wire: %+v", bodies, s)
		}
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
			m.relay.arm(fault{}, 0)
			r := m.take()
			t.Logf("%v%d bodies crossed the wire", r, m.relay.sent())
			m.relay.heal()
			if !strings.Contains(r.out, fmt.Sprintf("%s of %[1]s messages in %[2]d mailboxes taken over", grouped(m.n), len(migrantBoxes))) {
				t.Fatalf("%v", r)
			}
			if list, _ := filepath.Glob(filepath.Join(m.home, "state", "mailtwin", "*", "*.tar.gz")); len(list) != 1 {
				t.Errorf("backups: %q", list)
			}
			if r := m.take(); !strings.Contains(r.out, "nothing to do") {
				t.Errorf("second import: %v", r)
			}
			m.relay.arm(fault{}, 0)
			if r := m.run("sync", "--dry-run", "-v", m.account()); !strings.Contains(r.out, "nothing to do") || m.relay.sent() > 0 {
				t.Errorf("dry run of a sync: %v%d bodies crossed the wire", r, m.relay.sent())
			}
			m.relay.heal()
			m.idle(0)
			m.change()
			m.run("sync", m.account())
			m.same()
			m.handBack()
		})
	}
}

// handBack exports, and lets the other tool go on.
func (m *migrant) handBack() {
	m.t.Helper()
	dir, before := filepath.Join(m.home, "handed over"), m.contents()
	r := m.run("export", m.tool.name, dir, m.account())
	if want := fmt.Sprintf("%s messages in %d mailboxes handed over", grouped(m.n), len(migrantBoxes)); !strings.Contains(r.out, want) {
		m.t.Fatalf("%v", r)
	}
	m.quiet(dir, before)
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
