package imap

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

// partial is what zlib 1.2.13 makes with Z_PARTIAL_FLUSH after each text, and once with Z_SYNC_FLUSH.
var partial = []struct{ octets, text string }{
	{"d252f0f756284a4d4ca9e4e50208", "* OK ready\r\n"},
	{"a0122310c7cfdf3f4021393fb72027b5243585970b20", "t2 OK NOOP completed\r\n"},
	{"80b4140c155c233c834382416c23381b20", "* 1 EXISTS\r\n* 2 EXISTS\r\n"},
	{"804a8c81aa79b900000000ffff", "t3 OK\r\n"},
	{"2a3101530001", "t4 OK\r\n"},
}

// awaited is a connection on which nothing comes any more: who reads it would wait for ever.
type awaited struct {
	io.Reader
	t *testing.T
}

func (a *awaited) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n == 0 && err != nil {
		a.t.Error("it waits for more than it needs")
		return 0, err
	}
	return n, nil
}

// TestInflatePartialFlush: what came is handed out at once, however the server flushes and however it is delivered. (compress/flate
// waits for ever at the first text.)
func TestInflatePartialFlush(t *testing.T) {
	t.Parallel()
	for name, deliver := range map[string]func(io.Reader) io.Reader{
		"whole":  func(r io.Reader) io.Reader { return r },
		"halves": iotest.HalfReader, "octets": iotest.OneByteReader,
	} {
		var in bytes.Buffer
		z := newInflater(deliver(&awaited{&in, t}))
		for _, p := range partial {
			octets, err := hex.DecodeString(p.octets)
			if err != nil {
				t.Fatal(err)
			}
			in.Write(octets)
			got := make([]byte, len(p.text))
			if _, err := io.ReadFull(z, got); err != nil || string(got) != p.text {
				t.Fatalf("%s: %q, %v", name, got, err)
			}
		}
	}
}

// samples are texts of several kinds.
func samples() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	all := map[string][]byte{"nothing": nil, "one": []byte("x"), "zeros": make([]byte, 300_000)}
	noise := make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	all["noise"] = noise
	var text bytes.Buffer
	for i := range 20_000 {
		_, _ = fmt.Fprintf(&text, "* %d FETCH (UID %d FLAGS (\\Seen) X %x)\r\n", i, 2*i, r.Uint64()>>r.IntN(64))
	}
	all["text"] = text.Bytes()
	all["mixed"] = bytes.Join([][]byte{noise[:5000], text.Bytes()[:100_000], noise[:70_000], make([]byte, 40_000), text.Bytes()[50_000:90_000]}, nil)
	few := make([]byte, 100_000)
	for i := range few {
		few[i] = "abcd"[min(3, r.IntN(8))]
	}
	all["few"] = few
	return all
}

// TestInflate: what compress/flate writes, at each level and flushed at any place, comes out the same.
func TestInflate(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // no secret
	for name, data := range samples() {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.DefaultCompression} {
			var packed bytes.Buffer
			w, err := flate.NewWriter(&packed, level)
			if err != nil {
				t.Fatal(err)
			}
			for rest := data; len(rest) > 0; {
				n := min(len(rest), 1+r.IntN(60_000))
				_, _ = w.Write(rest[:n])
				_ = w.Flush()
				rest = rest[n:]
			}
			_ = w.Close()
			for how, from := range map[string]io.Reader{
				"whole": bytes.NewReader(packed.Bytes()), "octets": iotest.OneByteReader(bytes.NewReader(packed.Bytes())),
				"with its end": iotest.DataErrReader(bytes.NewReader(packed.Bytes())),
			} {
				if how == "octets" && level != flate.DefaultCompression {
					continue
				}
				got, err := io.ReadAll(newInflater(from))
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s, level %d, %s: %d octets of %d, %v", name, level, how, len(got), len(data), err)
				}
			}
		}
	}
}

// TestInflateCorrupt: what is no stream is an error, not something else.
func TestInflateCorrupt(t *testing.T) {
	t.Parallel()
	for name, octets := range map[string]string{
		"a block of type 3":       "07",
		"a length that is none":   "0001000000",
		"too many codes":          "fdff",
		"codes without an end":    "0504c100000000000000",
		"a distance before begin": "0302",
		"symbol 286":              "1b0300",
	} {
		in, err := hex.DecodeString(octets)
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, make([]byte, 64)...)
		if _, err := io.ReadAll(newInflater(bytes.NewReader(in))); !errors.Is(err, errDeflate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzInflate compares with compress/flate: the same text comes out of the same octets, or neither takes them.
func FuzzInflate(f *testing.F) {
	for _, p := range partial {
		b, _ := hex.DecodeString(p.octets)
		f.Add(b)
	}
	for _, data := range samples() {
		var packed bytes.Buffer
		w, _ := flate.NewWriter(&packed, 6)
		_, _ = w.Write(data[:min(len(data), 2000)])
		_ = w.Close()
		f.Add(packed.Bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const most = 1 << 20
		got, err := io.ReadAll(io.LimitReader(newInflater(bytes.NewReader(in)), most))
		want, werr := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(in)), most))
		n := min(len(got), len(want))
		if !bytes.Equal(got[:n], want[:n]) {
			t.Fatalf("%q, not %q", got, want)
		}
		if (err == nil) && (werr == nil) && len(got) != len(want) {
			t.Fatalf("%d octets, %v; %d octets, %v", len(got), err, len(want), werr)
		}
		slow, serr := io.ReadAll(io.LimitReader(newInflater(iotest.OneByteReader(bytes.NewReader(in))), most))
		if !bytes.Equal(slow, got) || !errors.Is(serr, err) {
			t.Fatalf("octet by octet: %d octets, %v; %d octets, %v", len(slow), serr, len(got), err)
		}
	})
}

func BenchmarkInflate(b *testing.B) {
	data := samples()["text"]
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, 6)
	_, _ = w.Write(data)
	_ = w.Close()
	for name, open := range map[string]func(io.Reader) io.Reader{
		"ours": func(r io.Reader) io.Reader { return newInflater(r) }, "compress-flate": func(r io.Reader) io.Reader { return flate.NewReader(r) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			buf := make([]byte, 128<<10)
			for b.Loop() {
				_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{open(bytes.NewReader(packed.Bytes()))}, buf)
			}
		})
	}
}
