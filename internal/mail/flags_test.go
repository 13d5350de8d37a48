package mail

import (
	"testing"

	"pgregory.net/rapid"
)

func drawFlags(t *rapid.T, label string) Flags {
	words := rapid.SliceOfN(rapid.SampledFrom([]string{"$Forwarded", "$forwarded", "work", "Work", "Zeta", "alpha"}), 0, 4).Draw(t, label)
	return Flags{System(rapid.IntRange(0, int(AllSystem)).Draw(t, label)), Keywords(words...)}
}

func TestFlagsAreASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawFlags(t, "a"), drawFlags(t, "b")
		if !a.Minus(b).Union(a.And(b)).Equal(a) {
			t.Fatalf("%v minus and with %v", a, b)
		}
		if !a.Union(b).Equal(b.Union(a)) {
			t.Fatalf("union of %v and %v depends on the order", a, b)
		}
		if !a.Minus(b).And(b).Empty() {
			t.Fatalf("%v minus %v still meets it", a, b)
		}
		if !ParseFlags(a.Names()).Equal(a) {
			t.Fatalf("%v does not survive its names", a)
		}
	})
}

func TestMergeFlags(t *testing.T) {
	t.Parallel()
	base := ParseFlags([]string{`\Seen`, "work", `\Flagged`})
	local := ParseFlags([]string{`\Seen`, "work", `\Flagged`, `\Answered`})
	remote := ParseFlags([]string{`\Seen`, "$MDNSent"})
	want := ParseFlags([]string{`\Seen`, `\Answered`, "$MDNSent"})
	if got := MergeFlags(base, local, remote); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		base, a, b := drawFlags(t, "base"), drawFlags(t, "a"), drawFlags(t, "b")
		if !MergeFlags(base, a, b).Equal(MergeFlags(base, b, a)) {
			t.Fatal("merging depends on the side")
		}
		if !MergeFlags(base, a, base).Equal(a) {
			t.Fatal("one side's change is not taken over")
		}
	})
}

func TestBoxComponents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`[a/%2F5.]{1,6}`), 1, 4).Draw(t, "parts")
		got := JoinBox(parts).Components()
		if len(got) != len(parts) {
			t.Fatalf("%q became %q", parts, got)
		}
		for i := range got {
			if got[i] != parts[i] {
				t.Fatalf("%q became %q", parts, got)
			}
		}
	})
	if JoinBox([]string{"inbox", "x"}) != "INBOX/x" {
		t.Error("INBOX is case-insensitive")
	}
}
