package dedupe

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func factsOf(parts ...string) Facts {
	h := NewHasher(true)
	for _, p := range parts {
		_, _ = h.Write([]byte(p))
	}
	return h.Facts(true)
}

const plain = "Message-ID: <a@b>\nSubject: x\n\nbody\nend\n"

func TestSameContent(t *testing.T) {
	t.Parallel()
	want := factsOf(plain)
	for _, s := range []string{
		strings.ReplaceAll(plain, "\n", "\r\n"),
		strings.ReplaceAll(plain, "\n", "\r\r\n"),
		"Received: from a\n\tby b;\n with c\n" + plain,
		"X-TUID: 1\nX-OfflineIMAP: 2\nStatus: RO\nX-Status: A\nLines: 2\ncontent-length : 7\nDELIVERED-TO: me\n" + plain,
		"Message-ID: <a@b>\nX-Spam-Status: No,\n tests\nSubject: x\nLines: 1\n\nbody\nend\n",
		"Received: " + strings.Repeat("long ", 5000) + "\n" + plain,
		"From a@b Mon Mar  2 10:00:00 2026\n" + plain,
		"From " + strings.Repeat("long ", 5000) + "\r\n" + plain,
	} {
		if got := factsOf(s); got.Sum != want.Sum || got.Head != want.Head || got.ID != want.ID {
			t.Errorf("%.60q is not %q", s, plain)
		}
	}
	if got := factsOf("\n" + plain); got.Sum == want.Sum {
		t.Error("an empty header is no header")
	}
}

func TestOtherContent(t *testing.T) {
	t.Parallel()
	want := factsOf(plain)
	for _, s := range []string{
		plain + "--\na footer\n",
		strings.Replace(plain, "a@b", "a@c", 1),
		strings.Replace(plain, "Subject: x", "Subject: [list] x", 1),
		strings.Replace(plain, "body", "bod\ry", 1),
		strings.Replace(plain, "body", "\nbody", 1),
		strings.Replace(plain, "\n\nbody", "\nReceived-Not: 1\n\nbody", 1),
		"Message-ID: <a@b>\nSubject: x\n\nReceived: from a\nbody\nend\n",
		"Message-ID: <a@b>\nSubject: x\n Received: from a\n\nbody\nend\n",
		strings.TrimSuffix(plain, "\n"),
		strings.Replace(plain, "Subject", "From a@b Mon Mar  2 10:00:00 2026\nSubject", 1), // not the first line
		"From: a@b\n" + plain,
		" \nFrom a@b Mon Mar  2 10:00:00 2026\n" + plain,
	} {
		if got := factsOf(s); got.Sum == want.Sum {
			t.Errorf("%q counts as %q", s, plain)
		}
	}
	if a, b := factsOf("Subject: "+strings.Repeat("x", 9000)+"1\n\nb"), factsOf("Subject: "+strings.Repeat("x", 9000)+"2\n\nb"); a.Sum == b.Sum || a.Head == b.Head {
		t.Error("the end of a long line does not count")
	}
}

func TestBare(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"": true, "\n": true, "\r\n\r\n": true, "Subject: x\n\n": true, "Subject: x\n": true, "Status: RO\n\n \t\n": true,
		"Message-ID: <a@b>\n\n": false, "Subject: x\n\nb": false, "\nb": false, "Message-ID: <a@b>": false,
		"Message-ID:\n\n": true,
	} {
		if got := factsOf(s).Bare; got != want {
			t.Errorf("%q: bare is %v", s, got)
		}
	}
}

// TestIgnoredListed: what the help lists is what is left out.
func TestIgnoredListed(t *testing.T) {
	t.Parallel()
	for _, name := range Ignored() {
		if factsOf(name+": whatever\n"+plain).Sum != factsOf(plain).Sum {
			t.Errorf("%s counts", name)
		}
	}
}

// TestParts: facts do not depend on how the bytes come.
func TestParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"Received: a", "Subject: s", " folded", "Message-ID: <1@x>", "", "\r", "text\r\rmore", "no colon", strings.Repeat("y", 5000)}), 0, 12).Draw(t, "lines")
		s := strings.Join(lines, rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "ends"))
		var parts []string
		for rest := s; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "part")
			parts = append(parts, rest[:n])
			rest = rest[n:]
		}
		a, b := factsOf(s), factsOf(parts...)
		if a != b {
			t.Fatalf("%q in %q: %v, %v", s, parts, a, b)
		}
		if whole := factsOf(strings.ReplaceAll(s, "\r\n", "\n")); whole.Sum != factsOf(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")).Sum {
			t.Fatalf("line ends count in %q", s)
		}
	})
}

func FuzzHasher(f *testing.F) {
	f.Add([]byte(plain), 3)
	f.Add([]byte("Received: x\r\n y\r\n\r\nb\r"), 1)
	f.Add(bytes.Repeat([]byte("a"), 5000), 4096)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		at = min(max(at, 0), len(b))
		if factsOf(string(b)) != factsOf(string(b[:at]), string(b[at:])) {
			t.Fatalf("%q cut at %d", b, at)
		}
	})
}
