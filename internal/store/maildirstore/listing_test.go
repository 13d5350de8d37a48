package maildirstore

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

// TestListing: whatever files are added, found and renamed, a listing says what a plain map of them says, and a reader of it sees
// nothing of what is changed later.
func TestListing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		uniques := rapid.SampledFrom([]string{"1.a.h", "1.b.h", "2.a", "2.a.x", "10.c", strings.Repeat("k", 300), "z"})
		infos := rapid.SampledFrom([]string{"", ":2,", ":2,S", ":2,FS", ":2,Z", ":1,x"})
		l, want := &listing{}, map[mail.Key]file{}
		inodes := map[string]uint64{}
		for i := range rapid.IntRange(0, 12).Draw(rt, "files") {
			name, cur := uniques.Draw(rt, "unique")+infos.Draw(rt, "info"), rapid.Bool().Draw(rt, "cur")
			place := (&file{cur: cur}).sub() + "/" + name
			if inodes[place] == 0 {
				inodes[place] = uint64(i + 1)
				l.add(name, cur, ':')
			}
		}
		l.assignKeys(func(f *file) (uint64, bool) { return inodes[f.sub()+"/"+f.name], true })
		if l.len() != len(inodes) {
			rt.Fatalf("%d of %d files", l.len(), len(inodes))
		}
		for i := range l.len() {
			f := l.file(i)
			if f.name+l.infoOf(i) == "" || inodes[f.sub()+"/"+f.name] == 0 || i > 0 && l.key(i) <= l.key(i-1) {
				rt.Fatalf("%d: %+v", i, f)
			}
			if unique, _ := split(f.name, ':'); !l.hasUnique(unique) || l.hasUnique(unique+"?") {
				rt.Fatalf("%q is not known by its unique name", f.name)
			}
			want[f.key] = f
		}
		l.shared = true
		seen := filesOf(l)
		now := l
		for range rapid.IntRange(0, 8).Draw(rt, "renames") {
			if len(want) == 0 {
				break
			}
			key := rapid.SampledFrom(slices.Sorted(maps.Keys(want))).Draw(rt, "key")
			f := want[key]
			unique, _ := split(string(key), ':')
			unique, _, _ = strings.Cut(unique, "/")
			f.name = rapid.SampledFrom([]string{"", unique + ":2,T", unique, "other:2,S"}).Draw(rt, "name")
			f.cur = rapid.Bool().Draw(rt, "now cur")
			i, ok := now.find(key)
			if !ok {
				rt.Fatalf("%q is not found", key)
			}
			now = now.writable()
			now.rename(i, f.name, f.cur)
			want[key] = f
		}
		for i := range now.len() {
			if f := now.file(i); f != want[f.key] {
				rt.Fatalf("%+v, want %+v", f, want[f.key])
			}
		}
		if again := filesOf(l); !slices.Equal(again, seen) {
			rt.Fatalf("a reader saw %v, then %v", seen, again)
		}
	})
}

func filesOf(l *listing) (list []string) {
	for i := range l.len() {
		list = append(list, fmt.Sprintf("%+v", l.file(i)))
	}
	return list
}

// TestListingOdd: more kinds of info than there are numbers for.
func TestListingOdd(t *testing.T) {
	t.Parallel()
	l := &listing{}
	const n = maxInfos + 50
	for i := range n {
		l.add(fmt.Sprintf("u%06d:2,%d", (i*7919)%n, i), true, ':')
	}
	l.assignKeys(func(*file) (uint64, bool) { t.Error("nobody has the same name"); return 0, false })
	for i := range l.len() {
		f := l.file(i)
		var u, info int
		if _, err := fmt.Sscanf(f.name, "u%d:2,%d", &u, &info); err != nil || (info*7919)%n != u || string(f.key) != fmt.Sprintf("u%06d", u) || u != i {
			t.Fatalf("%d: %+v", i, f)
		}
	}
}
