package storetest

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"strings"

	"mailtwin/internal/mail"
)

const (
	largeSize  = int64(len(largeHead)) + 308_000*68 // whole lines: some servers drop a CR at the end
	largeHead  = "Message-ID: <large@storetest>\r\nSubject: large\r\n\r\n"
	largeAlloc = 6 << 20 // what a store may allocate for a message that it does not hold
)

// large is a message of largeSize bytes that is nowhere in memory.
func large() io.Reader {
	block := strings.Repeat("A line of a large message, which is sixty-eight bytes long. 012345\r\n", 1024)
	return io.LimitReader(io.MultiReader(strings.NewReader(largeHead), &repeated{block: block}), largeSize)
}

type repeated struct {
	block string
	at    int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.block[r.at:])
	r.at = (r.at + n) % len(r.block)
	return n, nil
}

// testLarge: a message of 20 MB goes in and out; if the store says so, without being held in memory.
func testLarge(f *fixture) {
	box := f.box("Large")
	d := mail.NewDigester()
	_, _ = io.Copy(d, large())
	want := d.Ident()
	want.Date = 1_200_000_000
	e := mail.Entry{Flags: mail.Flags{System: mail.Seen}, Ident: want}
	tokens, err := f.s.Prepare(f.ctx, box, []mail.Entry{e})
	f.must(err, "prepare")
	intents := []mail.Intent{{ID: 1, Box: box, Entry: e, Token: tokens[0]}}
	var done []mail.Done
	f.allocates("put", func() {
		done, err = f.s.Put(f.ctx, box, intents, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
			return each(0, e, mail.Body{Size: largeSize, Reader: large()})
		})
		f.must(err, "put message")
	})
	key := f.resolve(intents, done)[0].Key
	d.Reset()
	f.allocates("fetch", func() {
		err = f.s.Fetch(f.ctx, box, []mail.Key{key}, func(_ mail.Entry, b mail.Body) error {
			if b.Size != largeSize {
				f.Errorf("size %d, want %d", b.Size, largeSize)
			}
			_, err := io.CopyBuffer(struct{ io.Writer }{d}, struct{ io.Reader }{b.Reader}, make([]byte, 32<<10))
			return err
		})
		f.must(err, "fetch message")
	})
	got := d.Ident()
	got.Date = want.Date
	if got != want {
		f.Errorf("fetched %+v, want %+v", got, want)
	}
	err = f.s.Fetch(f.ctx, box, []mail.Key{key}, func(_ mail.Entry, b mail.Body) error { // and leave it half-way
		var head [len(largeHead)]byte
		_, err := io.ReadFull(b.Reader, head[:])
		if !bytes.Equal(head[:], []byte(largeHead)) {
			f.Errorf("it begins with %q", head)
		}
		return err
	})
	f.must(err, "fetch message and read its beginning")
	f.whole(box)
}

// allocates checks how much memory fn takes in all, freed or not.
func (f *fixture) allocates(what string, fn func()) {
	f.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; f.Streams && n > largeAlloc {
		f.Errorf("%s of a message of %d bytes allocates %d", what, largeSize, n)
	}
}
