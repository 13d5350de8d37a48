package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestExport: the other tool goes on where mailtwin stopped, without copying or deleting a message, and mailtwin after it.
func TestExport(t *testing.T) {
	t.Parallel()
	needServer(t)
	for _, tool := range oldTools {
		for name, settings := range map[string]string{"utf8": "", "mutf7": "names = \"mutf7\"\n"} {
			t.Run(tool.name+", "+name, func(t *testing.T) {
				t.Parallel()
				m := &migrant{world: newWorld(t), relay: startRelay(t), tool: tool, n: migrantMessages()}
				m.configure(fmt.Sprintf("[account.a]\nremote = \"imap://%s@127.0.0.1:%d\"\ntls = \"none\"\npassword_command = \"echo pass\"\ncompress = \"off\"\nlocal = \"maildir:%s\"\n", m.user, m.relay.port(), m.mail) + settings)
				c := m.dial()
				for i := range m.n {
					upload(t, c, migrantBoxes[i%len(migrantBoxes)], text(i), day, mixedFlags(i/len(migrantBoxes), nil)...)
				}
				dir := filepath.Join(m.home, "handed over")
				m.refused(dir, "it has not been synced yet")
				m.run("sync", "a")
				upload(t, c, "Work", text(m.n), day)
				m.n++
				m.refused(dir, "not in sync")
				m.run("sync", "a")
				before := m.contents()
				r := m.run("export", tool.name, "--dry-run", dir, "a")
				if _, err := os.Stat(dir); err == nil || !strings.Contains(r.out, fmt.Sprintf("%s messages in %d mailboxes would be handed over", grouped(m.n), len(migrantBoxes))) {
					t.Errorf("dry run: %v", r)
				}
				r = m.run("export", tool.name, dir, "a")
				t.Log(r)
				if !strings.Contains(r.out, fmt.Sprintf("%s messages in %d mailboxes handed over", grouped(m.n), len(migrantBoxes))) || strings.Contains(r.out+r.err, "note:") {
					t.Fatalf("%v", r)
				}
				m.quiet(dir, before)
				m.run("export", tool.name, dir, "a") // once more: mailtwin knows the new names
				m.quiet(dir, before)
				m.change()
				m.goOn(dir)
				m.run("sync", "a")
				m.same()
			})
		}
	}
}

// refused exports, which has to be refused.
func (m *migrant) refused(dir, why string) {
	m.t.Helper()
	r := m.try("export", m.tool.name, dir, "a")
	if r.code != 1 || !strings.Contains(r.err, why) || !strings.Contains(r.err, "mailtwin sync a") {
		m.t.Fatalf("%v", r)
	}
	if _, err := os.Stat(dir); err == nil {
		m.t.Fatal("a refused export wrote something")
	}
}

// goOn runs the other tool as the export says, and returns the commands that it gave and how many whole messages it got.
func (m *migrant) goOn(dir string) (commands []string, bodies int) {
	m.t.Helper()
	m.relay.arm(fault{}, 0)
	args := []string{"-c", filepath.Join(dir, "isyncrc"), "-a"}
	if m.tool.name == "offlineimap" {
		args = []string{"-c", filepath.Join(dir, "offlineimaprc"), "-o"}
	}
	m.start(m.tool.program, args...)
	bodies = m.relay.sent()
	commands, _ = m.relay.heal()
	return commands, bodies
}

// quiet starts the other tool and makes sure that it finds nothing to do, and mailtwin after it neither.
func (m *migrant) quiet(dir string, before []string) {
	m.t.Helper()
	commands, bodies := m.goOn(dir)
	if len(commands) == 0 || bodies > 0 {
		m.t.Fatalf("the other tool gave %d commands, and got %d messages", len(commands), bodies)
	}
	m.t.Logf("%s: %d commands, %d bodies", m.tool.program, len(commands), bodies)
	for _, c := range commands {
		if strings.Contains(c, "APPEND") || strings.Contains(c, "BODY.PEEK[]") || strings.Contains(c, "EXPUNGE") || strings.Contains(c, "UID STORE") {
			m.t.Errorf("%s: %s", m.tool.name, c)
		}
	}
	after := m.contents()
	if strings.Join(before, "\n") != strings.Join(after, "\n") {
		m.t.Fatalf("%s changed something:\n%s\n\n%s", m.tool.name, strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	m.relay.arm(fault{}, 0)
	s := m.summary(m.account())
	if n := m.relay.sent(); n > 0 {
		m.t.Errorf("mailtwin: %d bodies crossed the wire", n)
	}
	commands, _ = m.relay.heal()
	for _, c := range commands {
		if strings.Contains(c, "FETCH") && strings.Contains(c, "BODY") {
			m.t.Errorf("mailtwin: %s", c)
		}
	}
	if s.Copied_to_local+s.Copied_to_remote+s.Deleted_local+s.Deleted_remote+s.Moved_local+s.Moved_remote+s.Flagged_local+s.Flagged_remote+s.Adopted+s.Errors != 0 {
		m.t.Fatalf("mailtwin after it: %+v", s)
	}
}

// contents are all messages of both sides with their flags, without the names of files.
func (m *migrant) contents() []string {
	var all []string
	for side, list := range map[string][]message{"local": m.local(), "remote": m.remote()} {
		for _, one := range list {
			one.date = 0
			all = append(all, fmt.Sprintf("%s %+v", side, one))
		}
	}
	slices.Sort(all)
	return all
}
