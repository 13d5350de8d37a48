package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

func open(t testing.TB) *DB {
	t.Helper()
	db, err := Memory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func write(t testing.TB, db *DB, fn func(*Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), false, fn); err != nil {
		t.Fatal(err)
	}
}

func pairOf(n int) mail.Pair {
	p := mail.Pair{Box: "INBOX", Keys: [2]mail.Key{mail.Key(fmt.Sprintf("17639300%05d.ABCDEFGHIJK.mt,S=%d", n, n)), mail.UIDKey(uint32(n))}}
	p.Ident = mail.Ident{Digest: mail.HashMessageID(fmt.Sprint("d", n)), MessageID: mail.HashMessageID(fmt.Sprint("m", n)), Size: int64(n) + 1000, Date: 1_700_000_000 + int64(n)}
	p.Stamp = uint64(n) * 0x9e3779b97f4a7c15
	return p
}

func fill(t testing.TB, db *DB, n int) {
	t.Helper()
	for at := 1; at <= n; at += 1000 {
		write(t, db, func(tx *Tx) error {
			for i := at; i < at+1000 && i <= n; i++ {
				p := pairOf(i)
				if err := tx.PutPair(&p); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// TestPairsComeBack writes arbitrary pairs and reads them back unchanged, in the order of either side's keys.
func TestPairsComeBack(t *testing.T) {
	t.Parallel()
	flags := rapid.Custom(func(rt *rapid.T) mail.Flags {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-z$][a-z0-9]{0,5}`), 0, 3).Draw(rt, "keywords")
		return mail.Flags{System: mail.System(rapid.IntRange(0, int(mail.AllSystem)).Draw(rt, "system")), Keywords: mail.Keywords(words...)}
	})
	hash := rapid.Custom(func(rt *rapid.T) (h mail.Hash) {
		copy(h[:], rapid.SliceOfN(rapid.Byte(), 0, 16).Draw(rt, "hash"))
		return h
	})
	rapid.Check(t, func(rt *rapid.T) {
		db, err := Memory(context.Background())
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		want := map[int64]mail.Pair{}
		keys := rapid.SliceOfNDistinct(rapid.StringN(1, 9, 20), 0, 12, rapid.ID[string]).Draw(rt, "keys")
		err = db.Update(context.Background(), true, func(tx *Tx) error {
			for i, k := range keys {
				p := mail.Pair{
					Box: mail.Box(rapid.SampledFrom([]string{"INBOX", "Ä/b"}).Draw(rt, "box")), Keys: [2]mail.Key{mail.Key(k), mail.UIDKey(uint32(i * 7919))},
					Flags: flags.Draw(rt, "flags"), Lacks: [2]mail.Flags{flags.Draw(rt, "l"), flags.Draw(rt, "r")},
					Ident: mail.Ident{MessageID: hash.Draw(rt, "id"), Digest: hash.Draw(rt, "digest"), Size: rapid.Int64().Draw(rt, "size"), Date: rapid.Int64().Draw(rt, "date"), Stable: rapid.String().Draw(rt, "stable")},
					Stamp: rapid.Uint64().Draw(rt, "stamp"), Verified: rapid.Bool().Draw(rt, "verified"), Left: mail.Left(rapid.IntRange(0, 5).Draw(rt, "left")),
				}
				if err := tx.PutPair(&p); err != nil {
					return err
				}
				want[p.ID] = p
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		for _, side := range mail.Sides {
			n := 0
			for _, box := range []mail.Box{"INBOX", "Ä/b"} {
				var last mail.Key
				for p, err := range db.Pairs(context.Background(), box, side) {
					if err != nil {
						rt.Fatal(err)
					}
					if p != want[p.ID] || p.Box != box {
						rt.Fatalf("got  %+v\nwant %+v", p, want[p.ID])
					}
					if p.Keys[side] <= last {
						rt.Fatal("not in the order of keys")
					}
					last = p.Keys[side]
					n++
				}
			}
			if n != len(want) {
				rt.Fatalf("%d pairs, want %d", n, len(want))
			}
		}
		if err := db.Check(context.Background()); err != nil {
			rt.Fatal(err)
		}
	})
}

func TestKeysAreUnique(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 2)
	for side := range mail.Sides {
		p := pairOf(3)
		p.Keys[side] = pairOf(1).Keys[side]
		if err := db.Update(context.Background(), false, func(tx *Tx) error { return tx.PutPair(&p) }); err == nil {
			t.Fatalf("a second pair got the key of the %v side", mail.Side(side))
		}
	}
	if n, err := db.Count(context.Background(), "INBOX", mail.Local); n != 2 || err != nil {
		t.Fatal(n, err)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := open(t)
	fill(t, db, 1200)
	var keys []mail.Key
	for i := 1300; i > 0; i-- {
		keys = append(keys, mail.UIDKey(uint32(i)))
	}
	pairs, err := db.PairsByKey(ctx, "INBOX", mail.Remote, keys)
	if err != nil || len(pairs) != 1200 || pairs[0].Keys[1] != mail.UIDKey(1) || pairs[1199].Keys[1] != mail.UIDKey(1200) {
		t.Fatal(len(pairs), err)
	}
	write(t, db, func(tx *Tx) error {
		p := pairs[5]
		p.Keys[0], p.Left = "", mail.LeftRefused
		return tx.PutPair(&p)
	})
	if half, err := db.HalfPairs(ctx, "INBOX"); err != nil || len(half) != 1 || half[0].ID != pairs[5].ID {
		t.Fatal(half, err)
	}
	if left, err := db.Left(ctx); err != nil || left["INBOX"][mail.LeftRefused] != 1 || len(left) != 1 {
		t.Fatal(left, err)
	}
	if has, err := db.Has(ctx, mail.Local, mail.Ref{Box: "INBOX", Key: pairs[5].Keys[0]}); has || err != nil {
		t.Fatal(has, err)
	}
	if has, err := db.Has(ctx, mail.Remote, mail.Ref{Box: "INBOX", Key: pairs[5].Keys[1]}); !has || err != nil {
		t.Fatal(has, err)
	}
	if n, err := db.Counts(ctx); n["INBOX"] != 1200 || err != nil {
		t.Fatal(n, err)
	}
	if found, err := db.ByMessageID(ctx, []mail.Hash{pairs[7].Ident.MessageID, {}}); err != nil || len(found) != 1 || found[0].ID != pairs[7].ID {
		t.Fatal(found, err)
	}
}

// TestVoidKeys: pairs become half pairs, those without another key go.
func TestVoidKeys(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := open(t)
	fill(t, db, 2500)
	write(t, db, func(tx *Tx) error {
		p := pairOf(9999)
		p.Keys[mail.Local] = ""
		p.Left = mail.LeftRefused
		return tx.PutPair(&p)
	})
	write(t, db, func(tx *Tx) error { return tx.VoidKeys("INBOX", mail.Remote) })
	left, err := db.Left(ctx)
	if err != nil || left["INBOX"][mail.LeftRenumbered] != 2500 || len(left["INBOX"]) != 1 {
		t.Fatal(left, err)
	}
	if n, _ := db.Count(ctx, "INBOX", mail.Remote); n != 0 {
		t.Fatalf("%d keys are left", n)
	}
	if err := db.Check(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestBoxesAccountIntents(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "a", "state.db")
	db, err := Open(ctx, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	box := Box{Name: "Ä", Epoch: [2]string{"x", "7"}, ID: [2]string{"", "F1"}, Mark: [2]mail.Mark{"a\x00b", "c"}, Known: [2]bool{true, false}, EmptyRuns: 1, Role: `\Sent`}
	box.WholeAt[1] = time.Unix(0, 1_700_000_000_123)
	account := Account{Roots: [2]string{"r", "s"}, Run: 3, NextRun: 4, HoldDeletes: "old", LastSync: time.Unix(17, 0).UTC(), Summary: "{}"}
	in := mail.Intent{Side: mail.Remote, Kind: mail.IntentMove, From: mail.Ref{Box: "A", Key: "\xff\x00"}, Box: "B", Token: "7:\x01", Pair: 8}
	in.Entry = mail.Entry{Flags: mail.ParseFlags([]string{`\Seen`, "work"}), Stamp: 1 << 63, Ident: pairOf(4).Ident}
	write(t, db, func(tx *Tx) error {
		return errors.Join(tx.PutBox(box), tx.SetAccount(account), tx.AddIntent(&in), tx.SetReports([]Report{{Box: "A", Kind: "held", Count: 2, Text: "t", Hint: "h"}}))
	})
	write(t, db, func(tx *Tx) error {
		in.Late = 99
		return errors.Join(tx.SetIntentLate(in.ID, 99), tx.RenameBox("Ä", "Ö"))
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = Open(ctx, path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	box.Name, box.EmptyRuns = "Ö", 0
	if boxes, err := db.Boxes(ctx); err != nil || len(boxes) != 1 || boxes[0] != box {
		t.Fatalf("%+v %v", boxes, err)
	}
	if a, err := db.Account(ctx); err != nil || a != account {
		t.Fatalf("%+v %v", a, err)
	}
	if all, err := db.Intents(ctx); err != nil || len(all) != 1 || all[0] != in {
		t.Fatalf("%+v %v", all, err)
	}
	if r, err := db.Reports(ctx); err != nil || len(r) != 1 || r[0].Hint != "h" {
		t.Fatalf("%+v %v", r, err)
	}
	if err := db.Update(ctx, true, func(*Tx) error { return nil }); err == nil {
		t.Fatal("a database that was opened for reading was written")
	}
}

// TestReadOnlyWritesNothing: neither the database nor its folder changes.
func TestReadOnlyWritesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	db, err := Open(ctx, path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := db.Account(ctx); err != nil || a != (Account{}) {
		t.Fatal(a, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Fatalf("a missing database was made: %v", names)
	}
	if db, err = Open(ctx, path, Options{}); err != nil {
		t.Fatal(err)
	}
	fill(t, db, 10)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	if db, err = Open(ctx, path, Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	if n, err := db.Count(ctx, "INBOX", mail.Local); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Fatalf("files were made: %v", names)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Fatal("the database was changed")
	}
}

// TestReadWhileWriting: a reader sees one state from begin to end.
func TestReadWhileWriting(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 100)
	n := 0
	for p, err := range db.Pairs(context.Background(), "INBOX", mail.Local) {
		if err != nil {
			t.Fatal(err)
		}
		write(t, db, func(tx *Tx) error { return tx.DropPair(p.ID) })
		n++
	}
	if n != 100 {
		t.Fatalf("%d pairs seen", n)
	}
}

// intact looks whether all 50 pairs are as they were written: the flipped bit was in unused space then.
func intact(db *DB) error {
	for _, side := range mail.Sides {
		n := 0
		for p, err := range db.Pairs(context.Background(), "INBOX", side) {
			if err != nil {
				return err
			}
			n++
			want := pairOf(n)
			want.ID = p.ID
			if p != want {
				return fmt.Errorf("pair %d is %+v", n, p)
			}
		}
		if n != 50 {
			return fmt.Errorf("%d pairs", n)
		}
	}
	return nil
}

// TestDamageIsFound flips bytes of a database: reading says ErrDamaged or gives what was written, and never changes the file.
func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path, good := written(t, 50)
	key := []byte("1763930000025.")
	at := strings.LastIndex(string(good), string(key))
	if at < 0 {
		t.Fatal("the key is not in the file")
	}
	found := 0
	for at := strings.Index(string(good), string(key)); at >= 0; {
		bad := append([]byte(nil), good...)
		bad[at+12] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(ctx, path, Options{ReadOnly: true})
		if err == nil {
			err = errors.Join(db.Check(ctx), intact(db))
			_ = db.Close()
		}
		if err != nil {
			if !errors.Is(err, ErrDamaged) || mail.HintOf(err) == "" {
				t.Fatalf("a flipped bit at %d: %v", at, err)
			}
			found++
		}
		next := strings.Index(string(good[at+1:]), string(key))
		if next < 0 {
			break
		}
		at += 1 + next
	}
	if found < 2 {
		t.Fatalf("%d flipped bits were found", found)
	}
	if err := os.WriteFile(path, good[:len(good)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	half, err := Open(ctx, path, Options{})
	if err == nil {
		err = half.Check(ctx)
		_ = half.Close()
	}
	if !errors.Is(err, ErrDamaged) {
		t.Fatalf("half a file: %v", err)
	}
	if err := os.WriteFile(path, []byte("this is not a database, but something that must stay"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path, Options{}); !errors.Is(err, ErrDamaged) {
		t.Fatalf("another file: %v", err)
	}
	if b, _ := os.ReadFile(path); !strings.HasPrefix(string(b), "this is not") {
		t.Fatal("another file was overwritten")
	}
}

func TestNewerIsLeftAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "state.db")
	db, err := Open(ctx, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, db, func(tx *Tx) error { return tx.exec("PRAGMA user_version = 999") })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, ro := range []bool{false, true} {
		if _, err := Open(ctx, path, Options{ReadOnly: ro}); !errors.Is(err, ErrNewer) || mail.HintOf(err) == "" {
			t.Fatalf("opened for reading %v: %v", ro, err)
		}
	}
}

// TestLock guards rule 4 of DESIGN.md section 4.
func TestLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x", "state.db")
	l, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(path); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if l, err = Acquire(path); err != nil {
		t.Fatal(err)
	}
	_ = l.Release()
}

// TestPassedOver: a key that is taken ends the transaction, also when the caller passes the error over or it comes with a later call.
func TestPassedOver(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 3)
	err := db.Update(context.Background(), true, func(tx *Tx) error {
		p, q := pairOf(1), pairOf(8)
		p.ID = 2
		_ = tx.PutPair(&p) // which pair 1 has
		return tx.PutPair(&q)
	})
	if err == nil {
		t.Fatal("two pairs with one key")
	}
	if n, err := db.Count(context.Background(), "INBOX", mail.Local); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if err := db.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestUndo: an error of fn leaves nothing behind, and the next Update works.
func TestUndo(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, 3)
	boom := errors.New("boom")
	err := db.Update(context.Background(), true, func(tx *Tx) error {
		p := pairOf(7)
		p.Box = "Other"
		return errors.Join(tx.PutPair(&p), tx.DropPair(1), boom)
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if n, _ := db.Count(context.Background(), "INBOX", mail.Local); n != 3 {
		t.Fatalf("%d pairs", n)
	}
	if boxes, _ := db.Boxes(context.Background()); len(boxes) != 1 {
		t.Fatalf("%+v", boxes)
	}
}
