package dedupe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// table reads messages: "box/name=content@date:size*", where * is for Known, and names end with flags as in a Maildir.
func table(t interface{ Fatal(...any) }, messages ...string) *Table {
	x := &Table{}
	for i, s := range messages {
		var m Message
		place, rest, _ := strings.Cut(s, "=")
		box, name, _ := strings.Cut(place, "/")
		m.Box = uint16(box[0] - 'a')
		if strings.HasSuffix(rest, "*") {
			m.Bits |= Known
			rest = strings.TrimSuffix(rest, "*")
		}
		rest, size, _ := strings.Cut(rest, ":")
		content, date, _ := strings.Cut(rest, "@")
		_, _ = fmt.Sscan(date, &m.Date)
		_, _ = fmt.Sscan(size, &m.Size)
		m.Bits |= HasKey | HasSum | Cur
		m.Key, m.Sum[0], m.Stamp = uint64(content[0]), content[len(content)-1], uint64(i)
		if strings.Contains(name, "T") {
			m.Bits |= Deleted
		}
		if content == "-" {
			m.Bits |= Bare
		}
		if err := x.Add(m, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func groups(x *Table, p Policy) string {
	g := x.Plan(p)
	var out []string
	for i := range g.Len() {
		var names []string
		for _, k := range g.At(i) {
			m := x.At(k)
			names = append(names, string(rune('a'+m.Box))+"/"+string(Unique(x.Name(m))))
		}
		slices.Sort(names[1:])
		out = append(out, strings.Join(names, " "))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestPlan(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		policy   Policy
		messages string
		want     string
	}{
		{"none", Policy{}, "a/1=x a/2=y", ""},
		{"two", Policy{}, "a/1=x@2 a/2=x@1", "a/2 a/1"},
		{"same id, other body", Policy{}, "a/1=ix a/2=iy", ""},
		{"by id alone", Policy{By: MessageID}, "a/1=ix a/2=iy@1", "a/1 a/2"},
		{"empty ones", Policy{}, "a/1=- a/2=-", ""},
		{"mailboxes by themselves", Policy{}, "a/1=x b/1=x", ""},
		{"across", Policy{Across: true}, "a/1=x@5 b/1=x@4 c/1=y", "b/1 a/1"},
		{"across, where it stays", Policy{Across: true, Rank: []int{0, 1}}, "a/1=x@5 b/1=x@4", "a/1 b/1"},
		{"across, trash last", Policy{Across: true, Rank: []int{2, 1}}, "a/1=x@1 b/1=x@4", "b/1 a/1"},
		{"known first", Policy{}, "a/1=x@1 a/2=x@2* a/3=x@3*", "a/2 a/1 a/3"},
		{"asked for the oldest", Policy{Keep: KeepOldest}, "a/1=x@1 a/2=x@2*", "a/1 a/2"},
		{"asked for the newest", Policy{Keep: KeepNewest}, "a/1=x@1* a/2=x@2", "a/2 a/1"},
		{"asked for the largest", Policy{Keep: KeepLargest}, "a/1=x@1:5 a/2=x@2:7", "a/2 a/1"},
		{"not one that is about to be expunged", Policy{}, "a/1:2,T=x@1* a/2=x@2", "a/2 a/1"},
		{"all about to be expunged", Policy{}, "a/1:2,T=x@1 a/2:2,T=x@2", "a/1 a/2"},
		{"by name at last", Policy{}, "a/2:2,S=x@1 a/1:2,F=x@1", "a/1 a/2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			list := strings.Fields(test.messages)
			if got := groups(table(t, list...), test.policy); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			slices.Reverse(list)
			if got := groups(table(t, list...), test.policy); got != test.want {
				t.Errorf("backwards: got %q, want %q", got, test.want)
			}
		})
	}
}

// TestOneFile: two names of one file, as while a mail reader renames it, are no duplicates.
func TestOneFile(t *testing.T) {
	t.Parallel()
	x := table(t, "a/1:2,S=x", "a/1:2,FS=x", "a/2=y", "a/3=y")
	x.At(1).Stamp = x.At(0).Stamp
	if got := groups(x, Policy{}); got != "a/2 a/3" {
		t.Error(got)
	}
	x.At(3).Stamp = x.At(2).Stamp // another unique name: a message of its own
	if got := groups(x, Policy{}); got != "a/2 a/3" {
		t.Error(got)
	}
}

// TestPlanProperties: whatever the order and the flags, each content is left exactly once, and a second plan is empty.
func TestPlanProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{
			By: By(rapid.IntRange(0, 2).Draw(t, "by")), Keep: Keep(rapid.IntRange(0, 3).Draw(t, "keep")), Across: rapid.Bool().Draw(t, "across"),
		}
		var list []string
		for i := range rapid.IntRange(0, 20).Draw(t, "n") {
			list = append(list, fmt.Sprintf("%c/%d=%s@%d:%d%s", 'a'+rapid.IntRange(0, 2).Draw(t, "box"), i, rapid.SampledFrom([]string{"ix", "iy", "jx", "-", "k"}).Draw(t, "content"),
				rapid.IntRange(0, 3).Draw(t, "date"), rapid.IntRange(0, 3).Draw(t, "size"), rapid.SampledFrom([]string{"", "*"}).Draw(t, "known")))
		}
		x := table(t, list...)
		want := groups(x, p)
		if got := groups(table(t, rapid.Permutation(list).Draw(t, "order")...), p); got != want {
			t.Fatalf("order counts: %q, %q", got, want)
		}
		flagged := make([]string, len(list))
		for i, s := range list {
			flagged[i] = strings.Replace(s, "=", ":2,"+rapid.SampledFrom([]string{"", "S", "FRS"}).Draw(t, "flags")+"=", 1)
		}
		if got := groups(table(t, flagged...), p); got != want {
			t.Fatalf("flags count: %q, %q", got, want)
		}
		contents := func() map[string]bool {
			m := map[string]bool{}
			for i := range uint32(x.Len()) {
				if at := x.At(i); at.Bits&Gone == 0 {
					box := at.Box
					if p.Across {
						box = 0
					}
					if p.By == MessageID {
						at.Sum = [16]byte{}
					}
					m[fmt.Sprint(box, at.Key, at.Sum, at.Bits&Bare)] = true
				}
			}
			return m
		}
		before := contents()
		g := x.Plan(p)
		for i := range g.Len() {
			for _, c := range g.At(i)[1:] {
				x.At(c).Bits |= Gone
			}
		}
		if after := contents(); len(after) != len(before) {
			t.Fatalf("contents are lost: %v, %v", before, after)
		}
		if again := groups(x, p); again != "" {
			t.Fatalf("a second plan is not empty: %q", again)
		}
	})
}

func TestMostOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		copies, of int
		want       bool
	}{{5, 10, false}, {6, 10, false}, {10, 20, false}, {10, 19, true}, {20, 30, true}, {100_000, 300_000, false}} {
		if got := MostOf(test.copies, test.of); got != test.want {
			t.Errorf("%d of %d: %v", test.copies, test.of, got)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	x := &Table{}
	for i := range 3 * perChunk {
		if err := x.Add(Message{Size: int64(i)}, fmt.Appendf(nil, "%d.%0200d", i, i)); err != nil {
			t.Fatal(err)
		}
	}
	x.Truncate(perChunk + 7)
	if x.Len() != perChunk+7 {
		t.Fatal(x.Len())
	}
	for i := range 9000 {
		if err := x.Add(Message{Size: int64(perChunk + 7 + i)}, fmt.Appendf(nil, "%d.%0200d", perChunk+7+i, perChunk+7+i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint32(x.Len()) {
		m := x.At(i)
		if m.Size != int64(i) || string(x.Name(m)) != fmt.Sprintf("%d.%0200d", i, i) {
			t.Fatalf("message %d is %d %.10s", i, m.Size, x.Name(m))
		}
	}
	if err := x.Add(Message{}, make([]byte, 256)); err == nil {
		t.Error("a name that is too long is taken")
	}
}
