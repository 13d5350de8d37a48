package state

import (
	"context"
	"testing"

	"mailtwin/internal/mail"
)

// BenchmarkPairsByKey reads every second pair of 10,000, in the portions in which a server tells of them.
func BenchmarkPairsByKey(b *testing.B) {
	db := open(b)
	fill(b, db, 10000)
	var keys []mail.Key
	for p, err := range db.Pairs(context.Background(), "INBOX", mail.Remote) {
		if err != nil {
			b.Fatal(err)
		}
		if p.ID%2 == 0 {
			keys = append(keys, p.Keys[mail.Remote])
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for first := 0; first < len(keys); first += 250 {
			pairs, err := db.PairsByKey(context.Background(), "INBOX", mail.Remote, keys[first:min(first+250, len(keys))])
			if err != nil || len(pairs) == 0 {
				b.Fatal(len(pairs), err)
			}
		}
	}
}
