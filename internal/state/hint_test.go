package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtwin/internal/mail"
)

// TestFull: a database that cannot grow says so, with the cure, and is sound afterwards.
func TestFull(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 10)
	if _, err := db.writer.conn.Exec("PRAGMA max_page_count = 1"); err != nil { // that is: as many as there are
		t.Fatal(err)
	}
	var err error
	for n := 11; n < 1000 && err == nil; n++ {
		p := pairOf(n)
		err = db.Update(t.Context(), true, func(tx *Tx) error { return tx.PutPair(&p) })
	}
	if err == nil || !strings.Contains(mail.HintOf(err), "make room") || !strings.Contains(mail.HintOf(err), "mailtwin state check ACCOUNT") || errors.Is(err, ErrDamaged) {
		t.Errorf("%v\nhint: %s", err, mail.HintOf(err))
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestHints: whatever keeps a state from being used, the hint names the commands that look at it or replace it.
func TestHints(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.EPERM} {
		if got := explain("open", fmt.Errorf("x: %w", err)); !errors.Is(got, err) || !strings.Contains(mail.HintOf(got), "mailtwin state check ACCOUNT ") {
			t.Errorf("%v: hint %q", got, mail.HintOf(got))
		}
	}
	for _, hint := range []string{damagedHint, newerHint, rebuildHint} {
		if !strings.Contains(hint, "mailtwin state rebuild "+HintAccount+" ") {
			t.Error(hint)
		}
	}
	if got := explain("open", mail.WithHint(ErrNewer, newerHint)); mail.HintOf(got) != newerHint || !strings.HasPrefix(got.Error(), "open: ") {
		t.Errorf("%v, hint %q", got, mail.HintOf(got))
	}
	if got := explain("open", context.Canceled); !errors.Is(got, context.Canceled) || mail.HintOf(got) != "" {
		t.Error(got)
	}
}

// TestSetAside: what was set aside is a whole database, with what was only in its WAL, and the next one is empty.
func TestSetAside(t *testing.T) {
	t.Parallel()
	path, now := filepath.Join(t.TempDir(), "state.db"), time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	if _, err := SetAside(path, now); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no database: %v", err)
	}
	db, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, db, 7)
	for _, part := range []string{"", "-wal"} { // as a killed process leaves them
		b, err := os.ReadFile(path + part)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".killed"+part, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"", "-wal"} {
		if err := os.Rename(path+".killed"+part, path+part); err != nil {
			t.Fatal(err)
		}
	}
	aside, err := SetAside(path, now)
	if err != nil || filepath.Base(aside) != "state-20260302T100000Z.db" {
		t.Fatal(aside, err)
	}
	for p, want := range map[string]int{path: 0, aside: 7} {
		db, err := Open(t.Context(), p, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := db.Count(t.Context(), "INBOX", mail.Local); err != nil || n != want {
			t.Errorf("%s: %d pairs, want %d, %v", p, n, want, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := SetAside(path, now); err != nil || again == aside {
		t.Errorf("a second one in the same second: %s, %v", again, err)
	}
}
