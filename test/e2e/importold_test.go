package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailtwin/internal/imap/wire"
)

// TestImportAltered: OfflineIMAP's mail library changes messages that are not quite as they should be. They are not copied again, whether they have
// a Message-ID or not.
func TestImportAltered(t *testing.T) {
	t.Parallel()
	needServer(t)
	tool := oldTools[1]
	m := &migrant{world: newWorld(t), relay: startRelay(t), tool: tool}
	m.configure("")
	c := m.dial()
	for _, id := range []string{"", "Message-ID: <ID@example.org>\r\n"} {
		for i, text := range []string{
			"Subject:no space\r\nID\r\nbody\r\n", "From me@x Mon Jan  1 10:00:00 2024\r\nSubject: mbox\r\nID\r\nbody\r\n", "Subject: CR\r\nID\r\nwith a\rbare one\r\n",
			"Subject: no end\r\nIDContent-Type: multipart/mixed; boundary=\"XX\"\r\n\r\n--XX\r\n\r\nhi\r\n", "Subject: empty\r\nX-Empty:\r\nID\r\nbody\r\n",
			"Subject: no header\r\nIDthis is none\r\nX-More: y\r\n\r\nbody\r\n", "Subject: torn\x0cup\r\nID\r\nbody\r\n", "Subject: as it should be\r\nID\r\nbody\r\n",
		} {
			upload(t, c, "INBOX", strings.Replace(text, "ID", strings.Replace(id, "ID", fmt.Sprint(i), 1), 1), day)
			m.n++
		}
	}
	must(t, os.MkdirAll(m.mail, 0o700))
	must(t, os.MkdirAll(filepath.Join(m.home, "other"), 0o700))
	m.old()
	if r := m.take(); !strings.Contains(r.out, fmt.Sprintf("%d of %[1]d messages in 1 mailbox taken over", m.n)) || !strings.Contains(r.out, "differ between both sides in spaces or line ends") {
		t.Fatalf("%v", r)
	}
	for range 2 {
		r := m.try("sync", "--json", m.account())
		if s := parseSummary(t, r); s.Copied_to_local+s.Copied_to_remote+s.Adopted+s.Deleted_local+s.Deleted_remote+s.Held_back > 0 {
			t.Fatalf("%v", r)
		}
	}
	if local, remote := len(m.local()), len(m.remote()); local != m.n || remote != m.n {
		t.Fatalf("%d messages locally, %d remotely, want %d", local, remote, m.n)
	}
}

// TestImportPlaceholders: what mbsync leaves for messages over its MaxSize is not uploaded as a message.
func TestImportPlaceholders(t *testing.T) {
	t.Parallel()
	needServer(t)
	tool := oldTools[0]
	tool.config = strings.Replace(tool.config, "SubFolders Verbatim\n", "SubFolders Verbatim\nMaxSize 1k\n", 1)
	m := &migrant{world: newWorld(t), relay: startRelay(t), tool: tool, n: 3}
	m.configure("")
	c := m.dial()
	upload(t, c, "INBOX", text(1), day, `\Seen`)
	for _, id := range []string{"", "Message-ID: <large@example.org>\r\n"} {
		upload(t, c, "INBOX", id+"Subject: large\r\n\r\n"+strings.Repeat("large\r\n", 1000), day, `\Seen`)
	}
	must(t, os.MkdirAll(m.mail, 0o700))
	must(t, os.MkdirAll(filepath.Join(m.home, "other"), 0o700))
	m.old()
	if r := m.take(); !strings.Contains(r.out, "3 of 3 messages in 1 mailbox taken over") || !strings.Contains(r.out, "2 messages are placeholders of mbsync on one side") {
		t.Fatalf("%v", r)
	}
	r := m.try("sync", "--json", m.account())
	if s := parseSummary(t, r); s.Copied_to_local+s.Copied_to_remote+s.Adopted+s.Held_back > 0 || r.code != 3 {
		t.Fatalf("%v", r)
	}
	// Whoever removes a placeholder and begins again gets the message.
	paths, err := filepath.Glob(filepath.Join(m.mail, "INBOX", "cur", "*"))
	must(t, err)
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), "[placeholder]") {
			must(t, os.Remove(path))
		}
	}
	m.run("state", "rebuild", "--yes", m.account())
	if s := m.summary(m.account()); s.Copied_to_local != 2 || s.Copied_to_remote != 0 {
		t.Fatalf("%+v", s)
	}
	m.same()
}

// TestImportRenamed: folders that have another name than on the server, as is usual with Gmail, are told with the commands that rename
// them. After that all is taken over.
func TestImportRenamed(t *testing.T) {
	t.Parallel()
	needServer(t)
	for _, tool := range oldTools {
		t.Run(tool.name, func(t *testing.T) {
			t.Parallel()
			if tool.name == "mbsync" {
				tool.config = strings.Replace(tool.config, "Patterns *\n", "\nChannel sent\nFar \":far:[Gmail]/Sent Mail\"\nNear :near:sent\n", 1)
				tool.config = "Create Both\nCopyArrivalDate yes\nSyncState %[4]s/\n\n" + tool.config
			} else {
				tool.config += "nametrans = lambda f: re.sub(r'^\\[Gmail\\]/Sent Mail', 'sent', f)\n"
			}
			m := &migrant{world: newWorld(t), relay: startRelay(t), tool: tool, n: 20}
			m.configure("")
			c := m.dial()
			for i := range m.n {
				upload(t, c, []string{"INBOX", "[Gmail]/Sent Mail"}[i%2], text(i), day, mixedFlags(i, nil)...)
			}
			must(t, os.MkdirAll(m.mail, 0o700))
			must(t, os.MkdirAll(filepath.Join(m.home, "other"), 0o700))
			m.old()
			m.allow()
			r := m.try(tool.imported...)
			_, move, ok := strings.Cut(r.err, "mailboxes = [...]: ")
			if move, _, _ = strings.Cut(move, "\n"); r.code != 2 || !ok || !strings.HasPrefix(move, "mkdir -p ") {
				t.Fatalf("%v", r)
			}
			if out, err := exec.Command("sh", "-c", move).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", move, err, out)
			}
			if r := m.take(); !strings.Contains(r.out, "20 of 20 messages in 2 mailboxes taken over") {
				t.Fatalf("%v", r)
			}
			m.idle(0)
		})
	}
}

// TestImportSQLite: the status of OfflineIMAP 6.3 to 6.5 in SQLite, which has two columns.
func TestImportSQLite(t *testing.T) {
	t.Parallel()
	needServer(t)
	m := newMigrant(t, oldTools[1])
	files, err := filepath.Glob(filepath.Join(m.home, m.tool.state))
	must(t, err)
	for _, f := range files {
		m.python(`import os, sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute("SELECT id, flags FROM status").fetchall()
os.remove(sys.argv[1])
c = sqlite3.connect(sys.argv[1])
c.execute("CREATE TABLE metadata (key VARCHAR(50) PRIMARY KEY, value VARCHAR(128))")
c.execute("INSERT INTO metadata VALUES('db_version', '1')")
c.execute("CREATE TABLE status (id INTEGER PRIMARY KEY, flags VARCHAR(50))")
c.executemany("INSERT INTO status VALUES (?, ?)", rows)
c.commit()`, f)
	}
	if r := m.take(); !strings.Contains(r.out, fmt.Sprintf("%s of %[1]s messages in %[2]d mailboxes taken over", grouped(m.n), len(migrantBoxes))) || strings.Contains(r.err, "damaged") {
		t.Fatalf("%v", r)
	}
	m.idle(0)
}

// TestImportPlain: the status of OfflineIMAP 6 and 7.0, which is text, in both of its formats.
func TestImportPlain(t *testing.T) {
	t.Parallel()
	needServer(t)
	for format, head := range map[string]string{
		"1": "OFFLINEIMAP LocalStatus CACHE DATA - DO NOT MODIFY - FORMAT 1", "2": "OFFLINEIMAP LocalStatus CACHE DATA - DO NOT MODIFY - FORMAT 2",
	} {
		t.Run("format "+format, func(t *testing.T) {
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
						if format == "1" {
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
