package plan

import (
	"fmt"
	"iter"
	"testing"

	"mailtwin/internal/mail"
)

const many = 100_000

func basePairs() []mail.Pair {
	pairs := make([]mail.Pair, many)
	for i := range pairs {
		pairs[i] = mail.Pair{ID: int64(i + 1), Box: "INBOX", Keys: [2]mail.Key{mail.Key(fmt.Sprintf("17000%06d.ABCDEFGHIJ.mt", i)), mail.UIDKey(uint32(i + 1))}}
		pairs[i].Ident = mail.Ident{Size: int64(1000 + i), Date: 1_700_000_000, MessageID: mail.HashMessageID(fmt.Sprintf("<%d@x>", i))}
	}
	return pairs
}

func seqOf(pairs []mail.Pair) iter.Seq2[mail.Pair, error] {
	return func(yield func(mail.Pair, error) bool) {
		for i := range pairs {
			if !yield(pairs[i], nil) {
				return
			}
		}
	}
}

// entries shows every pair; flags says with which.
func entries(pairs []mail.Pair, flags func(int) mail.Flags) iter.Seq2[mail.Entry, error] {
	return func(yield func(mail.Entry, error) bool) {
		for i := range pairs {
			if !yield(mail.Entry{Key: pairs[i].Keys[mail.Local], Flags: flags(i)}, nil) {
				return
			}
		}
	}
}

func perMessage(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/message")
}

// BenchmarkDiff: a mailbox in which nothing changed is compared with its base.
func BenchmarkDiff(b *testing.B) {
	pairs := basePairs()
	b.ReportAllocs()
	for b.Loop() {
		for range Diff(mail.Local, seqOf(pairs), entries(pairs, func(int) mail.Flags { return mail.Flags{} }), false) {
			b.Fatal("news")
		}
	}
	perMessage(b)
}

// BenchmarkMerge: half of the messages are flagged on one side, the other half is gone.
func BenchmarkMerge(b *testing.B) {
	for _, packs := range []bool{true, false} {
		b.Run(fmt.Sprintf("packed=%v", packs), func(b *testing.B) {
			pairs := basePairs()
			b.ReportAllocs()
			for b.Loop() {
				box := NewBox("INBOX")
				box.Packs = packs
				for i := range pairs {
					c := Change{Pair: &pairs[i], Gone: i%2 == 0}
					if !c.Gone {
						c.Now.Flags.System = mail.Flagged
					}
					box.Add(mail.Remote, c)
				}
				box.Merge(Policy{})
				if box.Ops.Deletes() != many/2 {
					b.Fatal(box.Ops.Deletes())
				}
			}
			perMessage(b)
		})
	}
}

// BenchmarkMoves: all messages of a mailbox are in another one.
func BenchmarkMoves(b *testing.B) {
	pairs := basePairs()
	b.ReportAllocs()
	for b.Loop() {
		from, to := NewBox("INBOX"), NewBox("Archive")
		for i := range pairs {
			from.Add(mail.Remote, Change{Pair: &pairs[i], Gone: true})
			to.Add(mail.Remote, Change{Now: mail.Entry{Key: mail.UIDKey(uint32(i + 1)), Ident: pairs[i].Ident}})
		}
		if moves, doubt := MatchMoves(mail.Remote, []*Box{from, to}); len(moves) != many || len(doubt) > 0 {
			b.Fatal(len(moves), len(doubt))
		}
	}
	perMessage(b)
}
