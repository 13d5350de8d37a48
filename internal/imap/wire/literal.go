package wire

import "io"

// Literal streams the octets of a literal. It ends with io.EOF after the announced number of octets; when the connection
// ends first, with io.ErrUnexpectedEOF. It is valid until Close, which every user of OpenLiteral must call.
type Literal struct {
	d    *Decoder
	size int64
	left int64
}

// OpenLiteral takes the start of a literal or literal8 ({n}, {n+}, ~{n}) of at most limit octets.
func (d *Decoder) OpenLiteral(limit int64) (*Literal, error) {
	d.Accept('~')
	if err := d.Expect('{'); err != nil {
		return nil, err
	}
	n, err := d.Number64()
	if err != nil {
		return nil, err
	}
	if !d.Accept('+') {
		d.Accept('-')
	}
	if err := d.Expect('}'); err != nil {
		return nil, err
	}
	d.Accept('\r')
	if err := d.Expect('\n'); err != nil {
		// Nothing was announced after all. A carriage return alone may have been taken; SkipLine does not mind.
		return nil, err
	}
	if n > uint64(limit) {
		return nil, d.fatal("literal", limit)
	}
	d.flushTap()
	d.lit.size, d.lit.left = int64(n), int64(n)
	return &d.lit, nil
}

// Size returns the announced number of octets.
func (l *Literal) Size() int64 { return l.size }

// Left returns how many octets have not been read.
func (l *Literal) Left() int64 { return l.left }

// took notes that n octets were used. They count neither for the line nor for the trace.
func (l *Literal) took(n int) {
	l.left -= int64(n)
	l.d.lineStart += int64(n)
	l.d.tapStart = l.d.r
}

// Read implements io.Reader.
func (l *Literal) Read(p []byte) (int, error) {
	d := l.d
	if l.left == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if d.r == d.w {
		if int64(len(p)) > l.left {
			p = p[:l.left]
		}
		if len(p) >= len(d.buf)/2 {
			return l.readDirect(p)
		}
		if err := d.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.buf[d.r:min(int64(d.w), int64(d.r)+l.left)])
	d.r += n
	l.took(n)
	return n, nil
}

// readDirect reads into the caller's large buffer without a copy.
func (l *Literal) readDirect(p []byte) (int, error) {
	d := l.d
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.src.Read(p)
	d.base += int64(n)
	l.took(n)
	if err != nil {
		d.err = readError(err)
		if n == 0 {
			return 0, d.err
		}
	}
	return n, nil
}

// WriteTo implements io.WriterTo: it hands the read buffer to w, so that no octet is copied in between.
func (l *Literal) WriteTo(w io.Writer) (int64, error) {
	d, total := l.d, int64(0)
	for l.left > 0 {
		if d.r == d.w {
			if err := d.fill(); err != nil {
				return total, err
			}
		}
		part := d.buf[d.r:min(int64(d.w), int64(d.r)+l.left)]
		n, err := w.Write(part)
		n = max(0, min(n, len(part)))
		d.r += n
		l.took(n)
		total += int64(n)
		if err == nil && n < len(part) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Close skips the octets that were not read.
func (l *Literal) Close() error {
	d := l.d
	for l.left > 0 {
		if d.r == d.w {
			if err := d.fill(); err != nil {
				return err
			}
		}
		n := int(min(int64(d.w-d.r), l.left))
		d.r += n
		l.took(n)
	}
	return nil
}

// literalString takes a literal that is kept.
func (d *Decoder) literalString() ([]byte, error) {
	lit, err := d.OpenLiteral(int64(d.limits.String))
	if err != nil {
		return nil, err
	}
	// The strings of one response together may take four times as much as one: a list of many must not add up.
	if d.kept += int(lit.size); d.kept > 4*d.limits.String {
		return nil, d.fatal("strings of a response", int64(4*d.limits.String))
	}
	d.scratch = d.scratch[:0]
	for lit.left > 0 { // grows as octets come: an announcement alone must not take memory
		if d.r == d.w {
			if err := d.fill(); err != nil {
				return nil, err
			}
		}
		n := int(min(int64(d.w-d.r), lit.left))
		d.scratch = append(d.scratch, d.buf[d.r:d.r+n]...)
		d.r += n
		lit.took(n)
	}
	return d.scratch, nil
}
