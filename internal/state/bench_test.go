package state

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"mailtwin/internal/mail"
)

func BenchmarkInsert(b *testing.B) {
	for b.Loop() {
		db := open(b)
		fill(b, db, 10_000)
		_ = db.Close()
	}
}

func BenchmarkScan(b *testing.B) {
	db := open(b)
	fill(b, db, 100_000)
	if st, err := os.Stat(db.path); err == nil {
		b.ReportMetric(float64(st.Size())/100_000, "bytes/message")
	}
	for b.Loop() {
		n := 0
		for range db.Pairs(context.Background(), "INBOX", mail.Local) {
			n++
		}
		if n != 100_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "state.db")
	for b.Loop() {
		db, err := Open(context.Background(), path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		_, _ = db.Account(context.Background())
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
