package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailtwin/internal/engine"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
	"mailtwin/internal/store/maildirstore"
)

const messages = 20_000

func fill(b *testing.B, root string) {
	b.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, "INBOX", sub), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	for i := range messages {
		text := fmt.Sprintf("Message-ID: <%d@example.org>\nSubject: number %d\n\nhello %d\n", i, i, i)
		if err := os.WriteFile(filepath.Join(root, "INBOX", "cur", fmt.Sprintf("17000%05d.M%d.host:2,S", i, i)), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

func folder(b *testing.B) string {
	b.Helper()
	parent := ""
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		parent = "/dev/shm"
	}
	dir, err := os.MkdirTemp(parent, "mailtwin-bench-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func syncOnce(b *testing.B, dir string, db *state.DB) engine.Summary {
	b.Helper()
	var stores [2]store.Store
	for i, name := range []string{"local", "remote"} {
		s, err := maildirstore.New(maildirstore.Config{Path: filepath.Join(dir, name)})
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		stores[i] = s
	}
	res, err := engine.Sync(context.Background(), engine.Options{Account: "bench", Stores: stores, State: db})
	if err != nil || len(res.Errors) > 0 {
		b.Fatal(err, res.Errors)
	}
	return res.Summary
}

// BenchmarkFirstSync copies a Maildir of 20,000 messages to an empty one.
func BenchmarkFirstSync(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir := folder(b)
		fill(b, filepath.Join(dir, "local"))
		db, err := state.Open(context.Background(), filepath.Join(dir, "state.db"), state.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if s := syncOnce(b, dir, db); s.CopiedToRemote != messages {
			b.Fatalf("%+v", s)
		}
		b.StopTimer()
		_ = db.Close()
		_ = os.RemoveAll(dir)
		b.StartTimer()
	}
}

// BenchmarkAdopt pairs two equal Maildirs of 20,000 messages by content.
func BenchmarkAdopt(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir := folder(b)
		fill(b, filepath.Join(dir, "local"))
		fill(b, filepath.Join(dir, "remote"))
		db, err := state.Open(context.Background(), filepath.Join(dir, "state.db"), state.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if s := syncOnce(b, dir, db); s.Adopted != messages {
			b.Fatalf("%+v", s)
		}
		b.StopTimer()
		_ = db.Close()
		_ = os.RemoveAll(dir)
		b.StartTimer()
	}
}

// BenchmarkOneChange syncs one new message into an account of 20,000.
func BenchmarkOneChange(b *testing.B) {
	dir := folder(b)
	fill(b, filepath.Join(dir, "local"))
	db, err := state.Open(context.Background(), filepath.Join(dir, "state.db"), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	syncOnce(b, dir, db)
	n := 0
	for b.Loop() {
		n++
		if err := os.WriteFile(filepath.Join(dir, "local", "INBOX", "new", fmt.Sprintf("18000%05d.M.host", n)), fmt.Appendf(nil, "Message-ID: <n%d@x>\n\nnew\n", n), 0o600); err != nil {
			b.Fatal(err)
		}
		if s := syncOnce(b, dir, db); s.CopiedToRemote != 1 {
			b.Fatalf("%+v", s)
		}
	}
}

// BenchmarkFlags syncs flags of 5,000 among 20,000 messages.
func BenchmarkFlags(b *testing.B) {
	dir := folder(b)
	fill(b, filepath.Join(dir, "local"))
	db, err := state.Open(context.Background(), filepath.Join(dir, "state.db"), state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	syncOnce(b, dir, db)
	cur := filepath.Join(dir, "local", "INBOX", "cur")
	n := 0
	for b.Loop() {
		b.StopTimer()
		names, err := os.ReadDir(cur)
		if err != nil {
			b.Fatal(err)
		}
		n++
		for i, e := range names {
			if i%4 != n%4 {
				continue
			}
			unique, _, _ := strings.Cut(e.Name(), ":2,")
			info := ":2,S"
			if strings.HasSuffix(e.Name(), ":2,S") {
				info = ":2,FS"
			}
			if err := os.Rename(filepath.Join(cur, e.Name()), filepath.Join(cur, unique+info)); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if s := syncOnce(b, dir, db); s.FlaggedRemote != messages/4 {
			b.Fatalf("%+v", s)
		}
	}
}
