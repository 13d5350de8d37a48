package wire

import (
	"bytes"
	"math"
	"strconv"
)

// class of octets that end a token.
type class [256]bool

func classOf(controls bool, chars string) *class {
	var c class
	for i := range 0x20 {
		c[i] = controls
	}
	c[0x7f] = controls
	c['\r'], c['\n'] = true, true
	for i := range len(chars) {
		c[chars[i]] = true
	}
	return &c
}

var (
	endAtom    = classOf(true, ` (){"`)  // an atom or a tag; ] % * \ are let through: servers use them
	endFlag    = classOf(true, ` ()"`)   // a flag
	endName    = classOf(true, ` ()[]"`) // the name of a FETCH item
	endValue   = classOf(true, " ()")    // an unknown value
	endQuoted  = classOf(false, `"\`)
	endSection = classOf(true, `]"`)
)

// token takes octets up to one of the class. It may be empty.
func (d *Decoder) token(end *class) ([]byte, error) {
	if d.r == d.w {
		if err := d.fill(); err != nil {
			return nil, err
		}
	}
	i := d.r
	for i < d.w && !end[d.buf[i]] {
		i++
	}
	tok := d.buf[d.r:i]
	d.r = i
	if i < d.w {
		return tok, nil
	}
	d.scratch = append(d.scratch[:0], tok...)
	return d.longToken(end)
}

// longToken goes on with a token whose first part is in scratch and whose end was not read yet.
func (d *Decoder) longToken(end *class) ([]byte, error) {
	for {
		if d.r == d.w {
			if err := d.fill(); err != nil {
				return nil, err
			}
		}
		i := d.r
		for i < d.w && !end[d.buf[i]] {
			i++
		}
		d.scratch = append(d.scratch, d.buf[d.r:i]...)
		d.r = i
		if len(d.scratch) > d.limits.String {
			return nil, d.fatal("string", int64(d.limits.String))
		}
		if i < d.w {
			return d.scratch, nil
		}
	}
}

func (d *Decoder) nonEmpty(end *class, want string) ([]byte, error) {
	tok, err := d.token(end)
	if err == nil && len(tok) == 0 {
		return nil, d.syntax(want)
	}
	return tok, err
}

// Atom takes an atom, a tag or a keyword.
func (d *Decoder) Atom() ([]byte, error) { return d.nonEmpty(endAtom, "atom") }

// ItemName takes the name of a FETCH item up to its section.
func (d *Decoder) ItemName() ([]byte, error) { return d.nonEmpty(endName, "name of an item") }

// Number64 takes a number of up to 64 bits.
func (d *Decoder) Number64() (uint64, error) {
	b, err := d.Peek()
	if err != nil {
		return 0, err
	}
	if b < '0' || b > '9' {
		return 0, d.syntax("number")
	}
	var n uint64
	for b >= '0' && b <= '9' {
		digit := uint64(b - '0')
		if n > (math.MaxUint64-digit)/10 {
			return 0, d.syntax("number below 2^64")
		}
		n = n*10 + digit
		d.r++
		if b, err = d.Peek(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Number32 takes a number of up to 32 bits.
func (d *Decoder) Number32() (uint32, error) {
	n, err := d.Number64()
	if err != nil {
		return 0, err
	}
	if n > math.MaxUint32 {
		return 0, d.syntax("number below 2^32")
	}
	return uint32(n), nil
}

// Quoted takes a quoted string. A backslash quotes any octet, and octets above 127 are let through.
func (d *Decoder) Quoted() ([]byte, error) {
	if err := d.Expect('"'); err != nil {
		return nil, err
	}
	tok, err := d.token(endQuoted)
	if err != nil {
		return nil, err
	}
	if b, err := d.Peek(); err != nil {
		return nil, err
	} else if b == '"' {
		d.r++
		return tok, nil
	}
	d.scratch = append(d.scratch[:0], tok...)
	return d.quotedRest()
}

// quotedRest goes on at a backslash or an illegal octet, with what came before in scratch.
func (d *Decoder) quotedRest() ([]byte, error) {
	for {
		b, err := d.Peek()
		if err != nil {
			return nil, err
		}
		switch b {
		case '"':
			d.r++
			return d.scratch, nil
		case '\\':
			d.r++
			if b, err = d.Peek(); err != nil {
				return nil, err
			}
			if b == '\r' || b == '\n' {
				return nil, d.syntax("quoted character")
			}
			d.scratch = append(d.scratch, b)
			d.r++
			if _, err := d.longToken(endQuoted); err != nil {
				return nil, err
			}
		default:
			return nil, d.syntax(`closing "`)
		}
	}
}

// String takes a quoted string or a literal of at most Limits.String octets.
func (d *Decoder) String() ([]byte, error) {
	b, err := d.Peek()
	if err != nil {
		return nil, err
	}
	switch b {
	case '"':
		return d.Quoted()
	case '{', '~':
		return d.literalString()
	}
	return nil, d.syntax("string")
}

// AString takes an atom or a string.
func (d *Decoder) AString() ([]byte, error) {
	b, err := d.Peek()
	if err != nil {
		return nil, err
	}
	if b == '"' || b == '{' {
		return d.String()
	}
	return d.Atom()
}

// NString takes a string or NIL; ok is false for NIL. An atom is let through as a string.
func (d *Decoder) NString() (s []byte, ok bool, err error) {
	b, err := d.Peek()
	if err != nil {
		return nil, false, err
	}
	if b == '"' || b == '{' || b == '~' {
		s, err = d.String()
		return s, err == nil, err
	}
	s, err = d.Atom()
	if err != nil || isNil(s) {
		return nil, false, err
	}
	return s, true, nil
}

func isNil(s []byte) bool { return len(s) == 3 && bytes.EqualFold(s, []byte("NIL")) }

// Nil takes NIL if it is next, which is told by its first letter: use it where a list or a string is the alternative.
func (d *Decoder) Nil() (bool, error) {
	b, err := d.Peek()
	if err != nil || (b != 'N' && b != 'n') {
		return false, err
	}
	tok, err := d.Atom()
	if err == nil && !isNil(tok) {
		return false, &SyntaxError{Want: "NIL", Got: string(tok)}
	}
	return err == nil, err
}

// List takes a parenthesised list and calls fn at the start of each member.
func (d *Decoder) List(fn func() error) error {
	if err := d.open(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if err := d.Spaces(); err != nil {
			return err
		}
		if d.Accept(')') {
			d.depth--
			return nil
		}
		if n >= d.limits.List {
			return d.fatal("list", int64(d.limits.List))
		}
		before := d.offset()
		if err := fn(); err != nil {
			return err
		}
		if d.offset() == before {
			return d.syntax("member of a list")
		}
	}
}

func (d *Decoder) open() error {
	if err := d.Expect('('); err != nil {
		return err
	}
	if d.depth++; d.depth > d.limits.Depth {
		return d.fatal("nesting", int64(d.limits.Depth))
	}
	return nil
}

// Text takes the rest of the line, which its end does not belong to. It counts as a kept string.
func (d *Decoder) Text() ([]byte, error) {
	d.scratch = d.scratch[:0]
	for {
		if d.r == d.w {
			if err := d.fill(); err != nil {
				return nil, err
			}
		}
		i := bytes.IndexByte(d.buf[d.r:d.w], '\n')
		if i >= 0 {
			part := d.buf[d.r : d.r+i]
			d.r += i
			if len(d.scratch) > 0 {
				part = append(d.scratch, part...)
				d.scratch = part
			}
			return bytes.TrimSuffix(part, []byte{'\r'}), nil
		}
		d.scratch = append(d.scratch, d.buf[d.r:d.w]...)
		d.r = d.w
		if len(d.scratch) > d.limits.Line {
			return nil, d.fatal("line", int64(d.limits.Line))
		}
	}
}

// Section takes the section of a FETCH item, [..], and a partial origin, <n>, after it; it returns what the brackets hold.
// partial is set when there was an origin.
func (d *Decoder) Section() (section []byte, partial bool, err error) {
	if err = d.Expect('['); err != nil {
		return nil, false, err
	}
	d.scratch = d.scratch[:0]
	quoted := false
	for {
		end := endSection
		if quoted {
			end = endQuoted
		}
		if _, err = d.longToken(end); err != nil {
			return nil, false, err
		}
		b, err := d.Peek()
		if err != nil {
			return nil, false, err
		}
		switch {
		case b == '"':
			quoted = !quoted
		case b == ']' && !quoted:
			d.r++
			section = d.scratch
			partial, err = d.origin()
			return section, partial, err
		case b != '\\':
			return nil, false, d.syntax("]")
		}
		d.scratch = append(d.scratch, b)
		d.r++
	}
}

func (d *Decoder) origin() (bool, error) {
	if !d.Accept('<') {
		return false, nil
	}
	if _, err := d.Number64(); err != nil {
		return true, err
	}
	return true, d.Expect('>')
}

// ParseNumber32 returns the number in s, which must consist of digits.
func ParseNumber32(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}
