package wire

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestNumSetLikeMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var set NumSet
		want := map[uint32]bool{}
		for _, p := range rapid.SliceOf(rapid.SliceOfN(rapid.Uint32Range(0, 60), 2, 2)).Draw(t, "ranges") {
			set.AddRange(p[0], p[1])
			for n := min(p[0], p[1]); n <= max(p[0], p[1]); n++ {
				if n > 0 {
					want[n] = true
				}
			}
		}
		sorted := slices.Sorted(maps.Keys(want))
		if got := slices.Collect(set.All()); !slices.Equal(got, sorted) || set.Len() != len(want) {
			t.Fatalf("%v, want %v", got, sorted)
		}
		for n := range uint32(62) {
			if set.Contains(n) != want[n] {
				t.Fatalf("contains %d", n)
			}
		}
		for i, r := range set.Ranges() {
			if r.Lo > r.Hi || (i > 0 && set.Ranges()[i-1].Hi+1 >= r.Lo) {
				t.Fatalf("ranges %v", set.Ranges())
			}
		}
		if !set.Empty() {
			back, err := ParseNumSet(set.String())
			if err != nil || !back.Equal(set) {
				t.Fatal(back, err)
			}
		}
		out := NumRange(rapid.Uint32Range(1, 60).Draw(t, "from"), rapid.Uint32Range(1, 60).Draw(t, "to"))
		out.Add(rapid.Uint32Range(1, 60).Draw(t, "and"))
		less := set.Clone()
		less.Remove(out)
		if got := slices.Collect(less.All()); !slices.Equal(got, slices.DeleteFunc(sorted, out.Contains)) {
			t.Fatalf("%v without %v is %v", set, out, got)
		}
		most := rapid.IntRange(1, 30).Draw(t, "octets")
		var joined NumSet
		for _, part := range set.Split(most) {
			if len(part.String()) > most && len(part.Ranges()) > 1 {
				t.Fatalf("%q is over %d", part.String(), most)
			}
			joined.AddSet(part)
		}
		if !joined.Equal(set) {
			t.Fatal("split loses numbers")
		}
	})
}

// TestAddLater: what comes in order is taken up to a length, what comes out of order up to a lesser one.
func TestAddLater(t *testing.T) {
	t.Parallel()
	var set NumSet
	for i := range uint32(MaxUnordered + 1) {
		if !set.AddLater(NumSetOf(2*i+100), math.MaxInt) {
			t.Fatal(i)
		}
	}
	before := set.Len()
	if set.AddLater(NumSetOf(5), math.MaxInt) || set.AddLater(NumRange(1, 9), math.MaxInt) || set.AddLater(NumSetOf(1<<30, 1<<31), before+1) || set.Len() != before {
		t.Error("it was taken", set.Len())
	}
	few := NumSetOf(10, 20, 30)
	if !few.AddLater(NumSetOf(5, 25), 5) || few.AddLater(NumSetOf(7), 5) || few.String() != "5,10,20,25,30" {
		t.Error(few)
	}
}

func TestNumSetEdges(t *testing.T) {
	t.Parallel()
	set := NumSetOf(7, 3, 1, 2, 9, 8)
	if set.String() != "1:3,7:9" || set.Min() != 1 || set.Max() != 9 {
		t.Error(set)
	}
	set.AddRange(5, math.MaxUint32)
	set.Add(math.MaxUint32)
	if set.String() != "1:3,5:4294967295" {
		t.Error(set)
	}
	clone := set.Clone()
	clone.Add(4)
	if clone.String() != "1:4294967295" || set.Contains(4) {
		t.Error(clone, set)
	}
	if s, err := ParseNumSet("9:7,*,0:2"); err != nil || s.String() != "1:2,7:9,4294967295" {
		t.Error(s, err) // a server once said VANISHED 0:1
	}
	for _, bad := range []string{"", "a", "1,", "1:", "-1", "+1", "4294967296"} {
		if _, err := ParseNumSet(bad); err == nil {
			t.Error(bad)
		}
	}
}

func TestUTF7(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"A&B": "A&-B", "Entwürfe": "Entw&APw-rfe", "日本語": "&ZeVnLIqe-", "~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
		"😀": "&2D3eAA-", "": "", "tab\t": "tab&AAk-",
	} {
		if got := EncodeUTF7(name); got != raw {
			t.Errorf("%q: %q, want %q", name, got, raw)
		}
		if got, err := DecodeUTF7(raw); err != nil || got != name {
			t.Errorf("%q: %q, %v", raw, got, err)
		}
	}
	for _, bad := range []string{"A&B", "&", "&AGE-", "&ZeVnLIqe", "&2D0-", "Entwürfe", "&Jjo!", "a&AB-", "&U,BTFw-&ZeVnLIqe-", "&AAA="} {
		if got, err := DecodeUTF7(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func FuzzUTF7(f *testing.F) {
	f.Add("Entw&APw-rfe")
	f.Add("A&B")
	f.Add("日本語 & \x00")
	f.Fuzz(func(t *testing.T, s string) {
		if utf8.ValidString(s) {
			raw := EncodeUTF7(s)
			if strings.IndexFunc(raw, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
				t.Fatalf("%q", raw)
			}
			if back, err := DecodeUTF7(raw); err != nil || back != s {
				t.Fatalf("%q -> %q -> %q, %v", s, raw, back, err)
			}
		}
		if name, err := DecodeUTF7(s); err == nil && EncodeUTF7(name) != s {
			t.Fatalf("%q -> %q -> %q", s, name, EncodeUTF7(name))
		}
	})
}
