package maildirstore

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

// pieces hands out a text in pieces of the sizes that were drawn.
type pieces struct {
	rest  []byte
	sizes []int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := 1
	if len(p.sizes) > 0 {
		n, p.sizes = p.sizes[0], p.sizes[1:]
	}
	n = copy(b[:min(n, len(b))], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// TestWireRoundTrip: a body with proper line ends comes back byte for byte; of every other the digest stays, and the size told is
// that of what is read, however the bytes are cut.
func TestWireRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		words := []string{"\r", "\n", "\r\n", "a", "bc", "", strings.Repeat("x", 40)}
		text := []byte(strings.Join(rapid.SliceOf(rapid.SampledFrom(words)).Draw(rt, "text"), ""))
		sizes := rapid.SliceOf(rapid.IntRange(1, 9))
		var file bytes.Buffer
		err := copyLocal(&file, &pieces{text, sizes.Draw(rt, "written")}, int64(len(text)))
		if err != nil || !bytes.Equal(file.Bytes(), bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))) {
			rt.Fatalf("%q is stored as %q: %v", text, file.Bytes(), err)
		}
		size, err := wireSize(&pieces{file.Bytes(), sizes.Draw(rt, "counted")})
		if err != nil {
			rt.Fatal(err)
		}
		r := &toWire{from: &pieces{file.Bytes(), sizes.Draw(rt, "read")}, buf: make([]byte, rapid.IntRange(1, 20).Draw(rt, "buffer"))}
		var back bytes.Buffer
		small := make([]byte, rapid.IntRange(1, 7).Draw(rt, "asked for"))
		if _, err := io.CopyBuffer(struct{ io.Writer }{&back}, struct{ io.Reader }{r}, small); err != nil {
			rt.Fatal(err)
		}
		if int64(back.Len()) != size {
			rt.Fatalf("%q is read with %d bytes, told were %d", file.Bytes(), back.Len(), size)
		}
		if rest := bytes.ReplaceAll(text, []byte("\r\n"), nil); !bytes.ContainsAny(rest, "\r\n") && !bytes.Equal(back.Bytes(), text) {
			rt.Fatalf("%q comes back as %q", text, back.Bytes())
		}
		if digest(back.Bytes()) != digest(text) || digest(file.Bytes()) != digest(text) {
			rt.Fatalf("%q comes back as %q", text, back.Bytes())
		}
	})
}

// TestStoredInChunks: line ends are found where two chunks meet.
func TestStoredInChunks(t *testing.T) {
	t.Parallel()
	for _, n := range []int{chunk - 2, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk} {
		for _, end := range []string{"\r", "\n", "\r\n", "\r\r\n", "\rx", "x"} {
			text := bytes.Repeat([]byte("x"), n)
			text = append(text, end...)
			var file bytes.Buffer
			if err := copyLocal(&file, bytes.NewReader(text), int64(len(text))); err != nil {
				t.Fatal(err)
			}
			if want := bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")); !bytes.Equal(file.Bytes(), want) {
				t.Errorf("%d bytes and %q: %d bytes are stored, want %d", n, end, file.Len(), len(want))
			}
		}
		if err := copyLocal(io.Discard, bytes.NewReader(make([]byte, n)), int64(n)+1); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("a body that ends early: %v", err)
		}
	}
}

func digest(text []byte) mail.Hash {
	d := mail.NewDigester()
	_, _ = d.Write(text)
	return d.Ident().Digest
}

func fixedNow(i int) func() time.Time {
	return func() time.Time { return time.Unix(1_700_000_000+int64(i)*1000, 0) }
}

// BenchmarkScan views a mailbox of 20,000 messages.
func BenchmarkScan(b *testing.B) {
	root := b.TempDir()
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, "INBOX", sub), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	const count = 20_000
	for i := range count {
		name := filepath.Join(root, "INBOX/cur", (&Store{c: Config{Now: fixedNow(i)}}).token()+":2,S")
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	s, err := New(Config{Path: root})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v, err := s.View(b.Context(), "INBOX", "")
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for range v.(mail.Whole).All {
			n++
		}
		if n != count {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/message")
}
