package wire

import (
	"bytes"
	"errors"
	"io"
)

// bufferSize is what one read takes at most. Flag lines are some 50 octets, so one read brings thousands.
const bufferSize = 128 << 10

// Decoder reads tokens of IMAP responses. Slices that it returns are valid until the next call. No token ever takes the end
// of a line with it, so after a [SyntaxError] the caller can SkipLine. Not safe for concurrent use.
type Decoder struct {
	src     io.Reader
	limits  Limits
	buf     []byte
	r, w    int   // the unread part of buf
	base    int64 // stream offset of buf[0]
	err     error // sticky, of src
	scratch []byte
	lit     Literal

	lineStart int64 // stream offset that the length of the line is counted from
	kept      int   // octets of strings kept from this line's literals
	depth     int

	words map[string]string   // interned flags and names
	lists map[string][]string // interned flag lists, by their octets

	trace    func([]byte)
	tap      []byte
	tapStart int
}

// NewDecoder returns a decoder over r. It reads ahead.
func NewDecoder(r io.Reader, l Limits) *Decoder {
	d := &Decoder{
		src: r, limits: l.WithDefaults(), buf: make([]byte, bufferSize),
		words: make(map[string]string), lists: make(map[string][]string),
	}
	d.lit.d = d
	return d
}

// Trace makes the decoder give each whole line to fn, without its end and without the octets of literals.
func (d *Decoder) Trace(fn func(line []byte)) {
	d.trace = fn
	d.tapStart = d.r
}

// Reset makes the decoder read from r and forgets everything that was read ahead.
func (d *Decoder) Reset(r io.Reader) {
	d.src, d.err = r, nil
	d.r, d.w, d.tapStart, d.tap = 0, 0, 0, d.tap[:0]
	d.lit.left = 0
	d.startLine()
}

// Buffered returns how many octets were read ahead.
func (d *Decoder) Buffered() int { return d.w - d.r }

// TakeBuffered returns a copy of what was read ahead, and forgets it: it is not for this decoder, but for what stands between it and
// its source from now on.
func (d *Decoder) TakeBuffered() []byte {
	ahead := bytes.Clone(d.buf[d.r:d.w])
	d.flushTap()
	d.r = d.w
	d.tapStart = d.r
	return ahead
}

// Limits returns the limits in force.
func (d *Decoder) Limits() Limits { return d.limits }

func (d *Decoder) offset() int64 { return d.base + int64(d.r) }

// startLine begins the count of a response.
func (d *Decoder) startLine() {
	d.lineStart = d.offset()
	d.kept, d.depth = 0, 0
}

// fill reads more. All of buf must have been used: tokens that span two reads are gathered in scratch.
func (d *Decoder) fill() error {
	if d.err != nil {
		return d.err
	}
	d.flushTap()
	d.base += int64(d.w)
	d.r, d.w, d.tapStart = 0, 0, 0
	if d.lit.left == 0 {
		if err := d.checkLine(); err != nil {
			return err
		}
	}
	for range 100 {
		n, err := d.src.Read(d.buf)
		if n > 0 {
			d.w = n
			d.err = readError(err)
			return nil
		}
		if err != nil {
			d.err = readError(err)
			return d.err
		}
	}
	d.err = io.ErrNoProgress
	return d.err
}

// readError makes an end of input an unexpected one: a client never expects it inside a response.
func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (d *Decoder) checkLine() error {
	if d.offset()-d.lineStart > int64(d.limits.Line) {
		d.err = &LimitError{What: "line", Limit: int64(d.limits.Line)}
		return d.err
	}
	return nil
}

// fatal makes a limit that was passed final.
func (d *Decoder) fatal(what string, limit int64) error {
	d.err = &LimitError{What: what, Limit: limit}
	d.r = d.w
	d.tapStart = d.r
	return d.err
}

func (d *Decoder) flushTap() {
	const most = 64 << 10
	if d.trace == nil {
		return
	}
	if n := most - len(d.tap); n > 0 {
		d.tap = append(d.tap, d.buf[d.tapStart:min(d.r, d.tapStart+n)]...)
	}
	d.tapStart = d.r
}

// Peek returns the next octet without taking it.
func (d *Decoder) Peek() (byte, error) {
	if d.r == d.w {
		if err := d.fill(); err != nil {
			return 0, err
		}
	}
	return d.buf[d.r], nil
}

// syntax returns a SyntaxError that quotes what comes next on the line, as far as it has been read.
func (d *Decoder) syntax(want string) error {
	got := d.buf[d.r:min(d.w, d.r+40)]
	if i := bytes.IndexByte(got, '\n'); i >= 0 {
		got = bytes.TrimSuffix(got[:i], []byte{'\r'})
	}
	return &SyntaxError{Want: want, Got: string(got)}
}

// Expect takes the octet c.
func (d *Decoder) Expect(c byte) error {
	b, err := d.Peek()
	if err != nil {
		return err
	}
	if b != c {
		return d.syntax(string(c))
	}
	d.r++
	return nil
}

// Accept takes the octet c if it is next. An error of the source shows at the next call that returns one.
func (d *Decoder) Accept(c byte) bool {
	if b, err := d.Peek(); err != nil || b != c {
		return false
	}
	d.r++
	return true
}

// Space takes one space or more.
func (d *Decoder) Space() error {
	if err := d.Expect(' '); err != nil {
		return err
	}
	return d.Spaces()
}

// Spaces takes any number of spaces.
func (d *Decoder) Spaces() error {
	for {
		b, err := d.Peek()
		if err != nil {
			return err
		}
		if b != ' ' {
			return nil
		}
		d.r++
	}
}

// AtEnd says whether the next octet ends the line.
func (d *Decoder) AtEnd() (bool, error) {
	b, err := d.Peek()
	return b == '\r' || b == '\n', err
}

// EndLine takes spaces and the end of the line, CRLF or LF alone, and begins the next.
func (d *Decoder) EndLine() error {
	if err := d.Spaces(); err != nil {
		return err
	}
	if d.Accept('\r') {
		if b, err := d.Peek(); err != nil {
			return err
		} else if b != '\n' {
			return d.syntax("end of line")
		}
	}
	if err := d.Expect('\n'); err != nil {
		return err
	}
	if err := d.checkLine(); err != nil {
		return err
	}
	if d.trace != nil {
		d.flushTap()
		d.trace(bytes.TrimRight(d.tap, "\r\n"))
		d.tap = d.tap[:0]
	}
	d.startLine()
	return nil
}
