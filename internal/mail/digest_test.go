package mail

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func identOf(parts ...string) Ident {
	d := NewDigester()
	for _, p := range parts {
		_, _ = d.Write([]byte(p))
	}
	return d.Ident()
}

func TestDigestCanonical(t *testing.T) {
	t.Parallel()
	same := []string{
		"Message-ID: <a@b>\nSubject: x\n\nbody\nend",
		"Message-ID: <a@b>\r\nSubject: x\r\n\r\nbody\r\nend",
		"Message-ID: <a@b>\r\r\nSubject: x\r\n\nbody\r\r\r\nend",
		"X-TUID: abc\r\nMessage-ID: <a@b>\r\nX-OfflineIMAP: 1-2\r\n\tfolded\r\nSubject: x\r\n\r\nbody\r\nend",
		"x-tuid : abc\nMessage-ID: <a@b>\nSubject: x\n\nbody\nend",
	}
	want := identOf(same[0])
	if want.Size != int64(len(same[1])) {
		t.Errorf("size %d, want the wire length %d", want.Size, len(same[1]))
	}
	if want.MessageID != HashMessageID("<a@b>") || want.MessageID.IsZero() {
		t.Error("message-id not found")
	}
	for _, s := range same[1:] {
		if got := identOf(s); got != want {
			t.Errorf("%q differs: %+v, want %+v", s, got, want)
		}
	}
	for _, s := range []string{
		"Message-ID: <a@b>\nSubject: x\n\nbody\nend\n",
		"Message-ID: <a@b>\nSubject: x\n\nbo\rdy\nend",
		"Message-ID: <a@b>\nSubject: x\n\nbody\nend\r",
		"Message-ID: <a@b>\nSubject: x\n\nX-TUID: abc\nbody\nend",
	} {
		if identOf(s).Digest == want.Digest {
			t.Errorf("%q has the digest of another message", s)
		}
	}
}

func TestDigestMessageID(t *testing.T) {
	t.Parallel()
	for text, id := range map[string]string{
		"Message-Id:\r\n <x@y>\r\n\r\n":             "<x@y>",
		"MESSAGE-ID:   <x@y>  \n":                   "<x@y>",
		"Subject: a\nMessage-ID: <1@y>":             "<1@y>",
		"Message-ID: <1@y>\nMessage-ID: <2@y>\n\nb": "<1@y>",
		"Subject: a\n\nMessage-ID: <1@y>\n":         "",
		"":                                          "",
		"\n\nhi":                                    "",
	} {
		if got := identOf(text).MessageID; got != HashMessageID(id) {
			t.Errorf("%q: not the Message-ID %q", text, id)
		}
	}
}

func TestDigestDoesNotDependOnWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		words := []string{"\r", "\n", "\r\n", "a", "X-TUID: q", "Message-ID: <z@z>", ":", " ", strings.Repeat("long", 1500)}
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom(words)).Draw(t, "text"), "")
		whole, d := identOf(text), NewDigester()
		for rest := []byte(text); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			_, _ = d.Write(rest[:n])
			rest = rest[n:]
		}
		if got := d.Ident(); got != whole {
			t.Fatalf("in pieces %+v, at once %+v", got, whole)
		}
		d.Reset()
		_, _ = d.Write([]byte(text))
		if got := d.Ident(); got != whole {
			t.Fatalf("after reset %+v, want %+v", got, whole)
		}
	})
}

func BenchmarkDigester(b *testing.B) {
	msg := append([]byte("Message-ID: <a@b>\r\nX-TUID: 1\r\n\r\n"), bytes.Repeat([]byte("0123456789 0123456789 0123456789\r\n"), 300)...)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	d := NewDigester()
	for b.Loop() {
		d.Reset()
		_, _ = d.Write(msg)
		d.Ident()
	}
}
