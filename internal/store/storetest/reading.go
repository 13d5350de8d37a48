package storetest

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// testFetch: entries and bodies; reading leaves no trace; a body need not be read.
func testFetch(f *fixture) {
	box := f.box("Fetch")
	msgs := f.messages(10)
	for i := range msgs {
		msgs[i].Flags.System = mail.System(i*3) & mail.AllSystem
	}
	msgs = f.deliver(box, msgs...)
	stamps := map[mail.Key]uint64{}
	for _, e := range f.whole(box).entries {
		stamps[e.Key] = e.Stamp
	}
	want := map[mail.Key]Message{}
	for _, m := range msgs[2:] {
		want[m.Key] = m
	}
	var part [5]byte
	err := f.s.Fetch(f.ctx, box, keysOf(msgs[2:]), func(e mail.Entry, b mail.Body) error {
		m, ok := want[e.Key]
		if !ok {
			f.Errorf("fetched %q, which was not asked for or came before", e.Key)
		}
		delete(want, e.Key)
		if !e.Flags.Equal(m.Flags) || e.Ident.Date != m.Date {
			f.Errorf("fetched flags %v, date %d; want %v, %d", e.Flags, e.Ident.Date, m.Flags, m.Date)
		}
		if s := stamps[e.Key]; e.Stamp != 0 && s != 0 && s != e.Stamp {
			f.Errorf("fetched with stamp %d, shown with %d: it looks edited", e.Stamp, s)
		}
		if len(want)%3 == 1 { // a body need not be read to its end
			_, err := io.ReadFull(b.Reader, part[:])
			return err
		}
		data, err := io.ReadAll(b.Reader)
		if !bytes.Equal(data, m.Data) || b.Size != int64(len(m.Data)) {
			f.Errorf("fetched %s, size %d; want %s", short(data), b.Size, short(m.Data))
		}
		return err
	})
	f.must(err, "fetch")
	if len(want) > 0 {
		f.Errorf("%d messages were not fetched", len(want))
	}
	f.holds(box, msgs...)
	f.must(f.s.Fetch(f.ctx, box, nil, nil), "fetch nothing")
}

// testReadVanished: what is not there is passed over, by Fetch and by Identify.
func testReadVanished(f *fixture) {
	box := f.box("Vanished")
	msgs := f.deliver(box, f.messages(6)...)
	f.whole(box)
	keys := append(keysOf(msgs), f.unknown(msgs[0].Key))
	f.must(f.u.Delete(box, msgs[0].Key), "delete as user")
	f.must(f.u.Delete(box, msgs[3].Key), "delete as user")
	want := f.keys(keysOf(f.list(box)))
	var got []mail.Key
	err := f.s.Fetch(f.ctx, box, keys, func(e mail.Entry, b mail.Body) error {
		got = append(got, e.Key)
		return second(io.Copy(io.Discard, b.Reader))
	})
	f.must(err, "fetch")
	f.same("fetched", f.keys(got), want)
	for _, full := range []bool{false, true} {
		got = nil
		err = f.s.Identify(f.ctx, box, keys, full, func(k mail.Key, _ mail.Ident) error {
			got = append(got, k)
			return nil
		})
		f.must(err, "identify")
		f.same("identified", f.keys(got), want)
	}
}

func (f *fixture) keys(keys []mail.Key) []string {
	return texts(keys, func(k mail.Key) string { return string(k) })
}

// testReadStop: an error of the caller comes back, and ends the call.
func testReadStop(f *fixture) {
	box := f.box("Stop")
	msgs := f.deliver(box, f.messages(5)...)
	stop := errors.New("enough")
	calls := 0
	err := f.s.Fetch(f.ctx, box, keysOf(msgs), func(mail.Entry, mail.Body) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		f.Errorf("fetch: %v after %d calls, want the error after one", err, calls)
	}
	for _, full := range []bool{false, true} {
		calls = 0
		err = f.s.Identify(f.ctx, box, keysOf(msgs), full, func(mail.Key, mail.Ident) error {
			calls++
			return stop
		})
		if !errors.Is(err, stop) || calls != 1 {
			f.Errorf("identify: %v after %d calls, want the error after one", err, calls)
		}
	}
	f.whole(box)
}

// testIdentify: what the user delivered is identified, and reading leaves no trace.
func testIdentify(f *fixture) {
	box := f.box("Identify")
	msgs := f.messages(7)
	msgs[2].Data = []byte("Subject: no id\r\n\r\nbody\r\n")
	msgs[3].Data = []byte("Message-ID: <two@storetest>\r\nMessage-ID: <other@storetest>\r\n\r\nbody\r\n")
	msgs = f.deliver(box, msgs...)
	done := make([]mail.Done, len(msgs))
	names := make([]string, len(msgs))
	for i, m := range msgs {
		done[i].Key, names[i] = m.Key, short(m.Data)
	}
	f.identities(box, done, names, msgs)
	f.holds(box, msgs...)
}

// testTraces: headers are told as mail.TraceDigest tells them, with the identity, and what is not there is passed over.
func testTraces(f *fixture) {
	s, ok := f.s.(store.Tracer)
	if !ok {
		f.Skip("not a store.Tracer")
	}
	box := f.box("Traces")
	msgs := f.messages(5)
	msgs[1].Data = []byte("Received: from a by b with ESMTP id 17;\r\n\tMon, 02 Mar 2026 10:00:00 +0000\r\nSubject: no id\r\n\r\nbody\r\n\r\nmore\r\n")
	msgs[2].Data = []byte("X-TUID: 123456\r\nReceived: from a by b id 17\r\nSubject: as large\r\nX-OfflineIMAP: 1-2\r\n\tx\r\n\r\nbody\r\n")
	msgs[3].Data = []byte("Received: from a by b id 17\r\nSubject: " + strings.Repeat("long ", mail.MaxHeader/5) + "\r\n\r\nbody\r\n")
	msgs = f.deliver(box, msgs...)
	f.whole(box)
	f.must(f.u.Delete(box, msgs[4].Key), "delete as user")
	got := map[mail.Key]mail.Hash{}
	err := s.Traces(f.ctx, box, keysOf(msgs), func(k mail.Key, id mail.Ident, trace mail.Hash) error {
		d := mail.NewDigester()
		for _, m := range msgs {
			if m.Key == k {
				_, _ = d.Write(m.Data)
			}
		}
		want := d.Ident()
		if _, twice := got[k]; twice || id.Size != want.Size || id.MessageID != want.MessageID || id.Date == 0 {
			f.Errorf("%q: %+v, twice: %v; want %+v", k, id, twice, want)
		}
		got[k] = trace
		return nil
	})
	f.must(err, "read headers")
	for i, m := range msgs {
		trace, told := got[m.Key]
		if want := mail.TraceDigest(m.Data); trace != want || want.IsZero() == (i == 1 || i == 2) || !told && i < 3 || told && i == 4 {
			f.Errorf("%d: told %v, trace %x, want %x", i, told, trace, want)
		}
	}
	f.must(s.Traces(f.ctx, box, nil, nil), "read no headers")
}

// identities compares what Identify tells, light and full, with what mail.Digester says. Where line ends are not those
// of the wire, a store cannot know the canonical size without reading.
func (f *fixture) identities(box mail.Box, done []mail.Done, names []string, msgs []Message) {
	f.Helper()
	byKey := map[mail.Key]int{}
	var keys []mail.Key
	for i, d := range done {
		byKey[d.Key] = i
		keys = append(keys, d.Key)
	}
	for _, full := range []bool{false, true} {
		got := map[mail.Key]mail.Ident{}
		err := f.s.Identify(f.ctx, box, keys, full, func(k mail.Key, id mail.Ident) error {
			if _, twice := got[k]; twice {
				f.Errorf("%s: identified twice", names[byKey[k]])
			}
			got[k] = id
			return nil
		})
		f.must(err, "identify")
		for k, i := range byKey {
			id, ok := got[k]
			want := msgs[i].ident()
			want.Stable = id.Stable
			if !full {
				want.Digest = mail.Hash{}
				id.Digest = mail.Hash{}
				if !clean(msgs[i].Data) {
					id.Size = want.Size
				}
			}
			if !ok || id != want {
				f.Errorf("%s: full %v: identified %v as %+v, want %+v", names[i], full, ok, id, want)
			}
		}
	}
}
