package state

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// oldDatabase makes a database of version 2 with some pairs, of all kinds, as they were stored then.
func oldDatabase(t *testing.T, path string, rows []oldPairRow) {
	t.Helper()
	conn, err := sqlite.Open(uri(path, "mode=rwc"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Script(migrations[0] + ";" + migrations[1] + "; PRAGMA application_id=1835824247; PRAGMA user_version=2"); err != nil {
		t.Fatal(err)
	}
	b := Box{Name: "INBOX", Known: [2]bool{true, true}}
	exec("INSERT INTO mailbox VALUES (1, 'INBOX', '', '', x'', x'', 1, 1, 0, 0, 0, 0, '', ?)", int64(b.sum()))
	null := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	for _, r := range rows {
		exec("INSERT INTO pair VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", r.id, r.mailbox, r.local, r.remote, r.flags, null(r.keywords), r.digest, r.messageID,
			r.size, r.date, null(r.stable), r.stamp, r.remains, r.sum())
	}
}

func oldRows() []oldPairRow {
	var rows []oldPairRow
	for i := range int64(2500) {
		rows = append(rows, oldPairRow{id: i + 1, mailbox: 1, local: []byte(pairOf(int(i)).Keys[0]), remote: []byte(mail.UIDKey(uint32(i + 1))), flags: i%32 | 1<<5, size: i, date: 1_700_000_000 + i, stamp: i * 1000})
	}
	rows[3].keywords, rows[3].flags = "a B\nB\n", rows[3].flags|1<<6|4<<16
	rows[4].digest, rows[4].messageID, rows[4].stable = []byte("0123456789"), []byte("01234567"), "emailid:x"
	rows[5].remote, rows[5].remains = nil, int64(mail.LeftRefused)
	return rows
}

// TestOldPairsArePacked: the base of an older version is there afterwards, pair by pair.
func TestOldPairsArePacked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	rows := oldRows()
	oldDatabase(t, path, rows)
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for p, err := range db.Pairs(t.Context(), "INBOX", mail.Local) {
		if err != nil {
			t.Fatal(err)
		}
		want, err := rows[p.ID-1].pair("INBOX")
		if err != nil || p != want {
			t.Fatalf("got  %+v\nwant %+v, %v", p, want, err)
		}
		n++
	}
	counts, err := db.Counts(context.Background())
	if n != len(rows) || err != nil || counts["INBOX"] != n {
		t.Fatal(n, counts, err)
	}
}

// TestOldDamageIsFound: a damaged pair is not taken over, and nothing is changed.
func TestOldDamageIsFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	oldDatabase(t, path, oldRows())
	conn, err := sqlite.Open(uri(path, "mode=rw"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec("UPDATE pair SET flags = flags + 1 WHERE id = 77"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if db, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrDamaged) || mail.HintOf(err) == "" {
			t.Fatal(db, err)
		}
	}
}
