package wire

import "bytes"

// SkipValue takes one value of any kind: a list with all that is in it, a string, a literal of any size (it is not kept), an
// atom with a section.
func (d *Decoder) SkipValue() error {
	b, err := d.Peek()
	if err != nil {
		return err
	}
	switch b {
	case '(':
		return d.List(d.SkipValue)
	case '"':
		_, err := d.Quoted()
		return err
	case '{':
		return d.skipLiteral()
	case '~': // a literal8, or an atom that starts so
		d.r++
		if b, err = d.Peek(); err != nil {
			return err
		}
		if b == '{' {
			return d.skipLiteral()
		}
		_, err := d.token(endValue)
		return err
	case '[':
		_, _, err := d.Section()
		return err
	}
	if _, err := d.nonEmpty(endValue, "value"); err != nil {
		return err
	}
	return nil
}

func (d *Decoder) skipLiteral() error {
	lit, err := d.OpenLiteral(d.limits.Body)
	if err != nil {
		return err
	}
	return lit.Close()
}

// SkipLine takes everything up to and with the end of the response, which an announced literal does not end.
func (d *Decoder) SkipLine() error {
	if err := d.lit.Close(); err != nil {
		return err
	}
	var tail [24]byte // the last octets of the line: enough for ~{18446744073709551615+}
	n := 0
	for {
		if d.r == d.w {
			if err := d.fill(); err != nil {
				return err
			}
		}
		part := d.buf[d.r:d.w]
		i := bytes.IndexByte(part, '\n')
		if i >= 0 {
			part = part[:i]
		}
		n = keepTail(tail[:], n, part)
		d.r += len(part)
		if i < 0 {
			continue
		}
		size, ok := announced(tail[:n])
		if !ok {
			return d.EndLine()
		}
		d.r++
		n = 0
		if size > uint64(d.limits.Body) {
			return d.fatal("literal", d.limits.Body)
		}
		d.flushTap()
		d.lit.size, d.lit.left = int64(size), int64(size)
		if err := d.lit.Close(); err != nil {
			return err
		}
	}
}

// keepTail adds part to the n octets in tail and keeps the last of them.
func keepTail(tail []byte, n int, part []byte) int {
	if len(part) >= len(tail) {
		return copy(tail, part[len(part)-len(tail):])
	}
	if over := n + len(part) - len(tail); over > 0 {
		n = copy(tail, tail[over:n])
	}
	return n + copy(tail[n:], part)
}

// announced returns the size when a line ends in {n} or {n+}.
func announced(line []byte) (uint64, bool) {
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if len(line) < 3 || line[len(line)-1] != '}' {
		return 0, false
	}
	line = bytes.TrimRight(line[:len(line)-1], "+-")
	i := bytes.LastIndexByte(line, '{')
	if i < 0 || i == len(line)-1 || len(line)-i > 20 {
		return 0, false
	}
	var n uint64
	for _, b := range line[i+1:] {
		if b < '0' || b > '9' || n > 1<<60 {
			return 0, false
		}
		n = n*10 + uint64(b-'0')
	}
	return n, true
}
