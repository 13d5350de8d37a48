package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// subjects counts the messages of a mailbox by subject.
func subjects(t *testing.T, box string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, sub := range []string{"cur", "new"} {
		list, err := os.ReadDir(filepath.Join(box, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			text, err := os.ReadFile(filepath.Join(box, sub, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			subject, _, _ := strings.Cut(string(text), "\n")
			found[subject]++
		}
	}
	return found
}

// TestFlippedBytes: whatever byte of the state is damaged, a sync either says so, with the commands that help, or does what it
// would have done without the damage; after a rebuild too, nothing is lost and nothing is there twice.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	const messages, flips = 12, 25
	a, _, _ := testApp(t, "[account.a]\nlocal = \"~/Mail\"\nremote = \"~/Copy\"\n")
	sync := func(args ...string) (code int, errs string) {
		var e bytes.Buffer
		b := a
		b.out, b.err = io.Discard, &e
		code = run(t.Context(), args, b)
		return code, e.String()
	}
	put := func(root string, n int) {
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(a.dir, root, "INBOX", sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		text := fmt.Sprintf("Subject: %d\nMessage-ID: <%d@x>\n\nbody %d\n", n, n, n)
		if err := os.WriteFile(filepath.Join(a.dir, root, "INBOX", "cur", fmt.Sprintf("%d.x:2,S", n)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n := range messages {
		put("Mail", n)
	}
	if code, errs := sync("sync"); code != 0 {
		t.Fatal(errs)
	}
	path := a.statePath("a")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mail := filepath.Join(a.dir, "Mail")
	before := t.TempDir()
	if err := os.CopyFS(before, os.DirFS(a.dir)); err != nil {
		t.Fatal(err)
	}
	r, told := rand.New(rand.NewPCG(1, 2)), 0
	for range flips {
		for _, root := range []string{"Mail", "Copy"} {
			if err := os.RemoveAll(filepath.Join(a.dir, root)); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(a.dir, root), os.DirFS(filepath.Join(before, root))); err != nil {
				t.Fatal(err)
			}
		}
		bad := bytes.Clone(good)
		at := r.IntN(len(bad))
		for bad[at] == 0 { // most of it is empty
			at = r.IntN(len(bad))
		}
		bad[at] ^= 1 << r.IntN(8)
		for _, part := range []string{"-wal", "-shm"} {
			_ = os.Remove(path + part)
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(mail, "INBOX/cur/3.x:2,S")); err != nil {
			t.Fatal(err)
		}
		put("Mail", messages)
		code, errs := sync("sync")
		if code != 0 {
			told++
			if !strings.Contains(errs, "mailtwin state rebuild a ") && !strings.Contains(errs, "mailtwin state check a ") {
				t.Errorf("byte %d: exit code %d, no cure: %s", at, code, errs)
			}
			if code, errs := sync("state", "rebuild", "--yes", "a"); code != 0 {
				t.Fatal(errs)
			}
			if code, errs := sync("sync"); code != 0 {
				t.Errorf("byte %d: after the rebuild: %s", at, errs)
			}
		}
		for _, root := range []string{"Mail", "Copy"} {
			found := subjects(t, filepath.Join(a.dir, root, "INBOX"))
			for n := range messages + 1 {
				if c := found[fmt.Sprintf("Subject: %d", n)]; c > 1 || c == 0 && n != 3 {
					t.Errorf("byte %d: message %d is %d times in %s after %d %s", at, n, c, root, code, errs)
				}
			}
		}
	}
	t.Logf("%d of %d were told", told, flips)
}
