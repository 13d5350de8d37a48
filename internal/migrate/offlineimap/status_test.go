package offlineimap

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/mail"
)

func rowsOf(read func(func(row) bool) error) (list []row, err error) {
	err = read(func(r row) bool { list = append(list, r); return true })
	return list, err
}

// TestPlain reads status files of both formats, whole and damaged.
func TestPlain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		rows []row
		err  string
	}{
		"empty":        {"", nil, ""},
		"format 1":     {plainHead1 + "\n3:DR\n1:FS\n2:\n", []row{{3, mail.Draft | mail.Answered}, {1, mail.Flagged | mail.Seen}, {2, 0}}, ""},
		"format 2":     {plainHead2 + "\n3|DR|0|\n4|FS|1700000000|Work stuff, \\Inbox, a\n2||0|\n", []row{{3, mail.Draft | mail.Answered}, {4, mail.Flagged | mail.Seen}, {2, 0}}, ""},
		"keywords":     {plainHead2 + "\n3|PSTab|0|\n", []row{{3, mail.Seen | mail.Deleted}}, ""},
		"line ends":    {plainHead1 + "\r\n3:S \r\n", []row{{3, mail.Seen}}, ""},
		"no entries":   {plainHead1 + "\n", nil, ""},
		"cut off":      {plainHead1 + "\n3:DR\n1:F", []row{{3, mail.Draft | mail.Answered}}, "line 3 is cut off"},
		"cut in head":  {plainHead1[:20], nil, "line 1 is cut off"},
		"other file":   {"[general]\n", nil, "line 1 is not"},
		"format 3":     {strings.Replace(plainHead2, "T 2", "T 3", 1) + "\n", nil, "line 1 is not"},
		"empty line":   {plainHead1 + "\n\n3:S\n", nil, "line 2 is no entry"},
		"two formats":  {plainHead1 + "\n3|S|0|\n", nil, "line 2 is no entry"},
		"bar in label": {plainHead2 + "\n3|S|0|a|b\n", nil, "line 2 is no entry"},
		"no mtime":     {plainHead2 + "\n3|S|x|\n", nil, "line 2 is no entry"},
		"UID 0":        {plainHead1 + "\n0:S\n", nil, "line 2 is no entry"},
		"negative UID": {plainHead1 + "\n-3:S\n", nil, "line 2 is no entry"},
		"large UID":    {plainHead1 + "\n4294967296:S\n", nil, "line 2 is no entry"},
		"no flags":     {plainHead1 + "\n3:S4\n", nil, "line 2 is no entry"},
		"NUL":          {plainHead1 + "\n3:S\x00\n", nil, "line 2 is no entry"},
		"long line":    {plainHead2 + "\n3|S|0|" + strings.Repeat("x", maxLine) + "\n", nil, "line 2 is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, err := rowsOf(func(yield func(row) bool) error { return readPlain(strings.NewReader(c.text), yield) })
			if !slices.Equal(rows, c.rows) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v %v", rows, err)
			}
		})
	}
}

const (
	sqlite1 = "CREATE TABLE metadata (key VARCHAR(50) PRIMARY KEY, value VARCHAR(128)); INSERT INTO metadata VALUES('db_version', '1'); CREATE TABLE status (id INTEGER PRIMARY KEY, flags VARCHAR(50));"
	sqlite2 = "CREATE TABLE metadata (key VARCHAR(50) PRIMARY KEY, value VARCHAR(128)); INSERT INTO metadata VALUES('db_version', '2'); CREATE TABLE status (id INTEGER PRIMARY KEY, flags VARCHAR(50), mtime INTEGER, labels VARCHAR(256));"
)

// database makes a database of statements.
func database(t testing.TB, path, statements string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	_, err = db.Exec(statements)
	must(t, err)
	must(t, db.Close())
}

// TestSQLite reads databases of both versions, upgraded ones, and those that are something else.
func TestSQLite(t *testing.T) {
	t.Parallel()
	upgrade := "ALTER TABLE status ADD mtime INTEGER DEFAULT 0; ALTER TABLE status ADD labels VARCHAR(256) DEFAULT '';"
	for name, c := range map[string]struct {
		text string
		rows []row
		err  string
	}{
		"version 1":      {sqlite1 + "INSERT INTO status VALUES (1, 'FS'), (2, ''), (4294967295, 'DR');", []row{{1, mail.Flagged | mail.Seen}, {2, 0}, {4294967295, mail.Draft | mail.Answered}}, ""},
		"version 2":      {sqlite2 + "INSERT INTO status VALUES (1, 'FSa', 0, ''), (2, '', 1700000000, NULL), (3, NULL, NULL, NULL);", []row{{1, mail.Flagged | mail.Seen}, {2, 0}, {3, 0}}, ""},
		"upgraded":       {sqlite1 + "INSERT INTO status VALUES (1, 'FS');" + upgrade + "UPDATE metadata SET value='2'; INSERT INTO status VALUES (2, 'S', 0, '');", []row{{1, mail.Flagged | mail.Seen}, {2, mail.Seen}}, ""},
		"cut upgrade":    {sqlite1 + upgrade + "INSERT INTO status VALUES (2, 'S', 0, '');", []row{{2, mail.Seen}}, ""},
		"version 3":      {sqlite2 + "UPDATE metadata SET value = '3'", nil, `version is "3"`},
		"no version":     {sqlite2 + "DELETE FROM metadata", nil, `version is ""`},
		"another":        {"CREATE TABLE t (a);", nil, "not a status"},
		"view":           {sqlite2 + "DROP TABLE status; CREATE VIEW status AS SELECT 1 AS id, 'S' AS flags", nil, "not a status"},
		"no rowid":       {sqlite2 + "DROP TABLE status; CREATE TABLE status (id TEXT, flags TEXT)", nil, "not a status"},
		"UID 0":          {sqlite2 + "INSERT INTO status VALUES (0, 'S', 0, '')", nil, "row 0 is no entry"},
		"UID too large":  {sqlite2 + "INSERT INTO status VALUES (4294967296, 'S', 0, '')", nil, "row 4294967296 is no entry"},
		"flags are none": {sqlite2 + "INSERT INTO status VALUES (1, x'00', 0, '')", nil, "row 1 is no entry"},
		"flags too long": {sqlite2 + "INSERT INTO status VALUES (1, replace(hex(zeroblob(100)), '0', 'a'), 0, '')", nil, "row 1 is no entry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a #?%41 ü")
			database(t, strings.NewReplacer("%", "%25", "#", "%23", "?", "%3f").Replace(path), c.text)
			before, err := os.ReadFile(path)
			must(t, err)
			rows, err := rowsOf(func(yield func(row) bool) error { return readSQLite(path, yield) })
			if !slices.Equal(rows, c.rows) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v %v", rows, err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Error("the file is changed")
			}
		})
	}
}

// TestSQLiteJournal reads databases as a kill in the middle of a transaction leaves them, and changes none of their files.
func TestSQLiteJournal(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]int{"DELETE": 100, "WAL": 101} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, snapshot := filepath.Join(dir, "live"), filepath.Join(dir, "killed")
			db, err := sql.Open("sqlite", "file:"+path)
			must(t, err)
			defer func() { _ = db.Close() }()
			db.SetMaxOpenConns(1)
			for _, s := range []string{"PRAGMA journal_mode=" + mode, sqlite2} {
				_, err = db.Exec(s)
				must(t, err)
			}
			for i := range 100 {
				_, err = db.Exec("INSERT INTO status VALUES (?, 'S', 0, '')", i+1)
				must(t, err)
			}
			_, err = db.Exec("PRAGMA synchronous=OFF") // so that the journal counts before it is synced
			must(t, err)
			if mode == "WAL" {
				_, err = db.Exec("INSERT INTO status VALUES (101, 'S', 0, '')")
				must(t, err)
			}
			tx, err := db.Begin()
			must(t, err)
			_, err = tx.Exec("UPDATE status SET flags = 'FR', labels = hex(zeroblob(2000))")
			must(t, err)
			suffixes := []string{map[string]string{"DELETE": "-journal", "WAL": "-wal"}[mode], ""}
			before := map[string]string{}
			for _, suffix := range suffixes {
				if suffix == "" && mode == "DELETE" { // killed when all pages were written, and before the journal was removed
					must(t, tx.Commit())
				}
				data, err := os.ReadFile(path + suffix)
				must(t, err)
				must(t, os.WriteFile(snapshot+suffix, data, 0o600))
				before[suffix] = string(data)
			}
			_ = tx.Rollback()
			alone := filepath.Join(dir, "alone")
			must(t, os.WriteFile(alone, []byte(before[""]), 0o600))
			if rows, err := rowsOf(func(yield func(row) bool) error { return readSQLite(alone, yield) }); err == nil && len(rows) == want && rows[0].flags == mail.Seen {
				t.Error("the test is void: the journal is not needed")
			}
			rows, err := rowsOf(func(yield func(row) bool) error { return readSQLite(snapshot, yield) })
			must(t, err)
			if len(rows) != want || slices.ContainsFunc(rows, func(r row) bool { return r.flags != mail.Seen }) {
				t.Errorf("%d rows, %v...", len(rows), rows[:min(3, len(rows))])
			}
			for _, suffix := range suffixes {
				if data, err := os.ReadFile(snapshot + suffix); err != nil || string(data) != before[suffix] {
					t.Errorf("the file %q is changed: %v", suffix, err)
				}
			}
		})
	}
}

// TestSQLiteDamaged reads a database with every page damaged in turn, and cut at many lengths: an error or all rows.
func TestSQLiteDamaged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "status")
	database(t, path, sqlite2+"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 3000) INSERT INTO status SELECT i, 'FS', 0, '' FROM n")
	whole, err := os.ReadFile(path)
	must(t, err)
	check := func(what string, data []byte, ok func(n int, err error) bool) {
		must(t, os.WriteFile(path, data, 0o600))
		rows, err := rowsOf(func(yield func(row) bool) error { return readSQLite(path, yield) })
		if !ok(len(rows), err) {
			t.Errorf("%s: %d rows, %v", what, len(rows), err)
		}
	}
	check("whole", whole, func(n int, err error) bool { return n == 3000 && err == nil })
	check("garbage", []byte(strings.Repeat("garbage ", 1000)), func(n int, err error) bool { return n == 0 && err != nil })
	check("zero length", nil, func(n int, err error) bool { return n == 0 && err == nil })
	for cut := 1; cut < len(whole); cut += 1711 {
		check(fmt.Sprintf("cut at %d", cut), whole[:cut], func(_ int, err error) bool { return err != nil })
	}
	for at := 0; at < len(whole); at += 4096 {
		damaged := slices.Clone(whole)
		for i := at; i < at+2048; i++ {
			damaged[i] ^= 0x5a
		}
		check(fmt.Sprintf("page at %d", at), damaged, func(_ int, err error) bool { return err != nil })
	}
}

// TestWriteSQLite writes what is read again, with OfflineIMAP's schema to the letter.
func TestWriteSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "status")
	must(t, writeSQLite(path, func(add func(uint32, string) error) error {
		for uid := uint32(1); uid <= 3; uid++ {
			if err := add(uid, lettersOf(mail.System(uid))); err != nil {
				return err
			}
		}
		return add(4294967295, "DFRST")
	}))
	rows, err := rowsOf(func(yield func(row) bool) error { return readSQLite(path, yield) })
	if want := []row{{1, 1}, {2, 2}, {3, 3}, {4294967295, mail.AllSystem}}; err != nil || !slices.Equal(rows, want) {
		t.Errorf("%v %v", rows, err)
	}
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	defer func() { _ = db.Close() }()
	var schema string
	must(t, db.QueryRow("SELECT group_concat(sql, '; ') FROM sqlite_master WHERE sql <> ''").Scan(&schema))
	if !strings.Contains(sqlite2, strings.Split(schema, "; ")[0]+";") || !strings.Contains(sqlite2, strings.Split(schema, "; ")[1]+";") {
		t.Errorf("%s", schema)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
}

// FuzzSQLite changes bytes of a status database; reading it ends in rows or in an error.
func FuzzSQLite(f *testing.F) {
	path := filepath.Join(f.TempDir(), "status")
	database(f, path, sqlite2+"INSERT INTO status VALUES (1, 'FS', 0, ''), (2, '', 0, NULL)")
	whole, err := os.ReadFile(path)
	must(f, err)
	f.Add(uint16(0), []byte{})
	f.Add(uint16(100), []byte{0x0d, 0xff, 0xff, 0xff, 0xff})
	f.Add(uint16(8192), []byte{0x05})
	f.Fuzz(func(t *testing.T, at uint16, change []byte) {
		data := slices.Clone(whole)
		copy(data[int(at)%len(data):], change)
		path := filepath.Join(t.TempDir(), "status")
		must(t, os.WriteFile(path, data, 0o600))
		rows, _ := rowsOf(func(yield func(row) bool) error { return readSQLite(path, yield) })
		for _, r := range rows {
			if r.uid == 0 {
				t.Error("UID 0")
			}
		}
	})
}
