package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

// clean reports whether a message is in wire form without doubt: then every byte of it must be kept.
func clean(data []byte) bool {
	rest := bytes.ReplaceAll(data, []byte("\r\n"), nil)
	return !bytes.ContainsAny(rest, "\r\n")
}

// oddities are contents that programs like to damage. None has a NUL, which IMAP cannot carry (RFC 9051 section 4.3).
func oddities() map[string]string {
	var all, text strings.Builder
	for i := range 4096 {
		b := byte(i*7%255 + 1)
		_ = all.WriteByte(b)
		if b != '\r' && b != '\n' {
			_ = text.WriteByte(b)
		}
	}
	const head = "Message-ID: <odd@storetest>\r\nSubject: odd\r\n\r\n"
	return map[string]string{
		"8-bit":             head + text.String() + "\r\n",
		"utf-8 header":      "Subject: Gr\u00fc\u00dfe \U0001f4e7\r\n\r\nx\r\n",
		"long line":         head + strings.Repeat("0123456789", 100_000) + "\r\nend\r\n",
		"long header":       "X-Long: " + strings.Repeat("word ", 4000) + "\r\n" + head + "x\r\n",
		"folded id":         "Message-ID:\r\n <folded@storetest>\r\n\r\nx\r\n",
		"no header":         "\r\nthere is no header\r\n",
		"no colon":          "this is no header\r\n\r\nand a body\r\n",
		"no body":           head,
		"header only":       "Subject: nothing follows\r\n",
		"no final newline":  head + "the end",
		"one byte":          "x",
		"only newlines":     "\r\n\r\n\r\n\r\n",
		"dots":              head + ".\r\n..\r\n.x\r\n",
		"from":              head + "From here\r\n>From there\r\n",
		"protocol":          head + "a1 OK done\r\n* BYE\r\n{10}\r\n{3+}\r\n)\r\n",
		"multipart":         "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
		"older tools":       "X-TUID: abcdefghijkl\r\nX-OfflineIMAP: 123-456\r\n\tfolded\r\nSubject: x\r\n\r\nx\r\n",
		"trailing spaces":   head + "a  \r\n\t\r\n \r\n",
		"bare CR":           head + "a\rb\rc\r\n",
		"bare LF":           head + "a\nb\nc\r\n",
		"only LF":           strings.ReplaceAll(head, "\r\n", "\n") + "a\nb\n",
		"runs of CR":        head + "a\r\r\nb\r\r\r\nc\r\n",
		"final CR":          head + "a\r",
		"CR at a block end": head + strings.Repeat("x", 8191-len(head)) + "\r\n" + strings.Repeat("y", 8190) + "\r\nz",
		"binary":            head + all.String(),
	}
}

// testPutContent: what comes out is what went in.
func testPutContent(f *fixture) {
	box := f.box("Content")
	var names []string
	var msgs []Message
	for name, text := range oddities() {
		if f.DropsFinalCR && strings.HasSuffix(text, "\r") {
			continue
		}
		names = append(names, name)
		m := f.message(mail.Seen)
		m.Data = []byte(text)
		msgs = append(msgs, m)
	}
	done := f.put(box, msgs...)
	f.holds(box, msgs...)
	byKey := map[mail.Key]int{}
	var keys []mail.Key
	for i, d := range done {
		if d.Err != nil || d.Key == "" {
			f.Errorf("%s: key %q, %v", names[i], d.Key, d.Err)
			continue
		}
		byKey[d.Key] = i
		keys = append(keys, d.Key)
	}
	err := f.s.Fetch(f.ctx, box, keys, func(e mail.Entry, b mail.Body) error {
		i := byKey[e.Key]
		data, err := io.ReadAll(b.Reader)
		f.content(names[i], msgs[i].Data, data)
		if int64(len(data)) != b.Size {
			f.Errorf("%s: %d bytes, size %d", names[i], len(data), b.Size)
		}
		delete(byKey, e.Key)
		return err
	})
	f.must(err, "fetch")
	for _, i := range byKey {
		f.Errorf("%s: not fetched", names[i])
	}
	f.identities(box, done, names, msgs)
}

func (f *fixture) content(name string, want, got []byte) {
	f.Helper()
	switch {
	case identOf(got) != identOf(want):
		f.Errorf("%s: %s, want %s", name, short(got), short(want))
	case clean(want) && !bytes.Equal(got, want):
		f.Errorf("%s: not the same bytes: %s, want %s", name, short(got), short(want))
	}
}

// short is what fits into an error.
func short(data []byte) string {
	if len(data) > 200 {
		return fmt.Sprintf("%d bytes %q...%q", len(data), data[:100], data[len(data)-100:])
	}
	return fmt.Sprintf("%q", data)
}

// testPutFlags: flags, keywords and date are those that were handed out, whatever the intent said.
func testPutFlags(f *fixture) {
	box := f.box("Flags")
	var msgs []Message
	for _, words := range []string{"", f.keywords("Work"), f.keywords("$Forwarded", "nonjunk", "Todo", "a.b-c_d")} {
		for _, system := range []mail.System{
			0, mail.Seen, mail.Answered, mail.Flagged, mail.Draft, mail.Deleted, mail.AllSystem,
		} {
			m := f.message(system)
			m.Flags.Keywords = words
			msgs = append(msgs, m)
		}
	}
	msgs[0].Date, msgs[1].Date, msgs[2].Date = 1, 100_000_000, 4_000_000_000
	if f.LastDate != 0 {
		msgs[2].Date = f.LastDate
	}
	intents := f.prepared(box, msgs)
	for i := range intents {
		intents[i].Entry.Flags = mail.Flags{System: mail.Flagged}
		intents[i].Entry.Ident.Date = 1_100_000_000
	}
	done, err := f.s.Put(f.ctx, box, intents, bodies(msgs, upTo(len(msgs))...))
	f.must(err, "put messages")
	done = f.resolve(intents, done)
	f.holds(box, msgs...)
	shown := map[mail.Key]mail.Entry{}
	for _, e := range f.whole(box).entries {
		shown[e.Key] = e
	}
	for i, d := range done {
		e := shown[d.Key]
		if !d.Lacks.Empty() || d.Err != nil || !e.Flags.Equal(msgs[i].Flags) {
			f.Errorf("put with %v: shown with %v, lacks %v, %v", msgs[i].Flags, e.Flags, d.Lacks, d.Err)
		}
		if d.Stamp != 0 && e.Stamp != 0 && d.Stamp != e.Stamp {
			f.Errorf("put with stamp %d, shown with %d: it looks edited", d.Stamp, e.Stamp)
		}
	}
}

// testPutPassedOver: a message that vanished at its source leaves a hole and nothing else; bodies come in any order.
func testPutPassedOver(f *fixture) {
	box := f.box("Passed")
	msgs := f.messages(5)
	intents := f.prepared(box, msgs)
	done, err := f.s.Put(f.ctx, box, intents, bodies(msgs, 4, 0, 2))
	f.must(err, "put messages")
	f.holds(box, msgs[0], msgs[2], msgs[4])
	for i, d := range f.resolve(intents, done) {
		if d.Err != nil || (d.Key == "") != (i%2 == 1) {
			f.Errorf("message %d: key %q, %v", i, d.Key, d.Err)
		}
		if i%2 == 0 && d.Key != "" {
			f.is(box, d.Key, msgs[i])
		}
	}
	intents = f.prepared(box, msgs[:1])
	done, err = f.s.Put(f.ctx, box, intents, bodies(msgs))
	if err != nil || len(done) != 1 || done[0].Key != "" || done[0].Err != nil {
		f.Errorf("put of nothing: %v, %v", done, err)
	}
	if done, err = f.s.Put(f.ctx, box, nil, bodies(nil)); err != nil || len(done) != 0 {
		f.Errorf("put without intents: %v, %v", done, err)
	}
	f.holds(box, msgs[0], msgs[2], msgs[4])
}

// is checks that a key is that of a message.
func (f *fixture) is(box mail.Box, k mail.Key, want Message) {
	f.Helper()
	for _, m := range f.list(box) {
		if m.Key == k {
			f.same(fmt.Sprintf("message %q of %q", k, box), []string{f.describe(m)}, []string{f.describe(want)})
			return
		}
	}
	f.Errorf("there is no message %q in %q", k, box)
}

// testPutBatch: many messages at once, each under its own key.
func testPutBatch(f *fixture) {
	box := f.box("Batch")
	msgs := f.messages(300)
	for i := range msgs {
		msgs[i].Flags.System = mail.System(i) & mail.AllSystem
	}
	done := f.put(box, msgs...)
	f.holds(box, msgs...)
	byKey := map[mail.Key]Message{}
	for _, m := range f.list(box) {
		byKey[m.Key] = m
	}
	for i, d := range done {
		if d.Err != nil || f.describe(byKey[d.Key]) != f.describe(msgs[i]) {
			f.Errorf("message %d: key %q is that of another one; %v", i, d.Key, d.Err)
		}
	}
	f.whole(box)
}

// testPutTwins: two messages with the same content are two.
func testPutTwins(f *fixture) {
	box := f.box("Twins")
	m := f.message(0)
	done := f.put(box, m, m)
	again := f.put(box, m)
	f.holds(box, m, m, m)
	keys := []mail.Key{done[0].Key, done[1].Key, again[0].Key}
	slices.Sort(keys)
	if keys[0] == "" || keys[0] == keys[1] || keys[1] == keys[2] {
		f.Errorf("keys %q of three messages", keys)
	}
}

// testPutBodiesFail: an error of the source ends the batch; what was put before is found by Settle, or is not there.
func testPutBodiesFail(f *fixture) {
	box := f.box("Fail")
	msgs := f.messages(4)
	intents := f.prepared(box, msgs)
	failure := errors.New("the source failed")
	_, err := f.s.Put(f.ctx, box, intents, func(ctx context.Context, each func(int, mail.Entry, mail.Body) error) error {
		return errors.Join(bodies(msgs, 0, 1)(ctx, each), failure)
	})
	if !errors.Is(err, failure) {
		f.Fatalf("put: %v, want the error of the source", err)
	}
	f.settled(box, intents, msgs)
}

// testPutShort: a body that ends early is not stored, not even in part.
func testPutShort(f *fixture) {
	box := f.box("Short")
	msgs := f.messages(3)
	intents := f.prepared(box, msgs)
	_, err := f.s.Put(f.ctx, box, intents, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		for i, m := range msgs {
			b := mail.Body{Size: int64(len(m.Data)), Reader: bytes.NewReader(m.Data)}
			if i == 1 {
				b.Reader = bytes.NewReader(m.Data[:len(m.Data)-3])
			}
			if err := each(i, m.entry(), b); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		f.Error("put of a body that is too short: no error")
	}
	f.settled(box, intents, msgs)
	for _, m := range f.list(box) {
		if identOf(m.Data) != identOf(msgs[0].Data) {
			f.Errorf("stored: %s", short(m.Data))
		}
	}
}

// settled checks after a batch that failed that Settle finds what is there, and that this is whole.
func (f *fixture) settled(box mail.Box, intents []mail.Intent, msgs []Message) {
	f.Helper()
	f.reopen()
	done, err := f.s.Settle(f.ctx, intents, func(mail.Ref) bool { return false })
	f.must(err, "settle")
	var found, there []string
	for i, d := range done {
		if d.Key != "" {
			found = append(found, fmt.Sprintf("%q %s", d.Key, f.describe(msgs[i])))
		}
	}
	for _, m := range f.list(box) {
		there = append(there, fmt.Sprintf("%q %s", m.Key, f.describe(m)))
	}
	slices.Sort(found)
	slices.Sort(there)
	f.same("settled messages", found, there)
}
