package imap

import (
	"encoding/binary"
	"errors"
	"io"
)

// errDeflate says that what came is not a deflate stream.
var errDeflate = errors.New("the compressed data is corrupt")

// inflater decodes a deflate stream (RFC 1951). It asks its source for more only when nothing that came so far can be decoded any
// further and all of it was handed out. That is why it exists: compress/flate hands out only at an empty stored block, which a sync
// flush makes, or when its window is full, and so waits for ever for a server that uses zlib's partial flush or none of them.
// It keeps 90 KiB, whatever comes.
type inflater struct {
	src  io.Reader
	in   []byte // what was read of src and not used yet
	buf  [8 << 10]byte
	bits uint64 // the next octets of in, the first bit lowest
	n    uint   // how many of them

	win  [winSize]byte // the last 32 KiB and what was not handed out, a ring
	put  uint          // octets decoded so far
	got  uint          // octets handed out so far
	err  error
	step func(*inflater) bool // one step of decoding; false: it needs more input, and took nothing of what there is
	last bool                 // this is the last block

	left             int // octets of a stored block
	nlit, ndist, nhc int // of a block with codes of its own
	have             int // lengths of codes read
	lens             [maxLit + maxDist]uint8
	codes, lit, dist huffman
}

const (
	winSize  = 64 << 10
	history  = 32 << 10
	maxMatch = 258
	maxLit   = 286
	maxDist  = 30
)

func newInflater(src io.Reader) *inflater { return &inflater{src: src, step: (*inflater).head} }

// Read implements io.Reader.
func (z *inflater) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for z.got == z.put {
		if z.err != nil {
			return 0, z.err
		}
		z.decode()
	}
	total := 0
	for total < len(p) && z.got != z.put {
		at := z.got % winSize
		n := copy(p[total:], z.win[at:min(winSize, at+z.put-z.got)])
		z.got += uint(n) //nolint:gosec // not negative
		total += n
	}
	return total, nil
}

// decode decodes all that there is, or reads more.
func (z *inflater) decode() {
	for z.err == nil && z.put-z.got < winSize-history-maxMatch {
		z.refill()
		if z.step(z) {
			continue
		}
		if z.err != nil || z.put != z.got {
			return
		}
		n, err := z.src.Read(z.buf[:])
		z.in = z.buf[:n]
		if n == 0 && err != nil {
			z.err = err
		}
	}
}

// refill takes octets into bits, as many as fit. When it leaves less than 56 bits, the input is used up.
func (z *inflater) refill() {
	if len(z.in) >= 8 {
		more := (63 - min(z.n, 63)) / 8
		z.bits |= binary.LittleEndian.Uint64(z.in) << z.n
		z.n += 8 * more
		z.bits &= 1<<z.n - 1
		z.in = z.in[more:]
		return
	}
	for z.n <= 56 && len(z.in) > 0 {
		z.bits |= uint64(z.in[0]) << z.n
		z.in = z.in[1:]
		z.n += 8
	}
}

func (z *inflater) take(n uint) uint {
	v := uint(z.bits) & (1<<n - 1)
	z.bits >>= n
	z.n -= n
	return v
}

func (z *inflater) fail() bool {
	z.err = errDeflate
	return false
}

// head reads the head of a block.
func (z *inflater) head() bool {
	if z.last {
		z.err = io.EOF
		return false
	}
	if z.n < 3 {
		return false
	}
	z.last = z.take(1) == 1
	switch z.take(2) {
	case 0:
		z.step = (*inflater).stored
	case 1:
		z.fixed()
		z.step = (*inflater).symbols
	case 2:
		z.step = (*inflater).sizes
	default:
		return z.fail()
	}
	return true
}

// stored reads the head of a stored block, which begins with the next whole octet.
func (z *inflater) stored() bool {
	if z.n < z.n%8+32 {
		return false
	}
	z.take(z.n % 8)
	size, check := z.take(16), z.take(16)
	if size != check^0xffff {
		return z.fail()
	}
	z.left, z.step = int(size), (*inflater).raw //nolint:gosec // 16 bits
	return true
}

// raw copies a stored block. First comes what is in bits, whole octets.
func (z *inflater) raw() bool {
	for z.left > 0 && z.n > 0 {
		z.literal(byte(z.take(8)))
		z.left--
	}
	room := winSize - history - int(z.put-z.got) //nolint:gosec // below winSize
	part := z.in[:min(z.left, len(z.in), room)]
	for _, b := range part {
		z.literal(b)
	}
	z.in = z.in[len(part):]
	if z.left -= len(part); z.left == 0 {
		z.step = (*inflater).head
	}
	return z.left == 0 || len(z.in) > 0
}

// codeOrder is the order in which the lengths of the codes of lengths come (RFC 1951 section 3.2.7).
var codeOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// sizes reads how many codes a block has.
func (z *inflater) sizes() bool {
	if z.n < 14 {
		return false
	}
	z.nlit, z.ndist, z.nhc = int(z.take(5))+257, int(z.take(5))+1, int(z.take(4))+4 //nolint:gosec // 5 bits
	if z.nlit > maxLit || z.ndist > maxDist {
		return z.fail()
	}
	z.have, z.lens = 0, [maxLit + maxDist]uint8{}
	z.step = (*inflater).codeLengths
	return true
}

// codeLengths reads the lengths of the codes that the lengths of the other codes are written in.
func (z *inflater) codeLengths() bool {
	for z.have < z.nhc {
		if z.n < 3 {
			return false
		}
		z.lens[codeOrder[z.have]] = uint8(z.take(3)) //nolint:gosec // 3 bits
		if z.have++; z.n < 3 {
			return true
		}
	}
	if !z.codes.init(z.lens[:len(codeOrder)]) {
		return z.fail()
	}
	z.have, z.lens = 0, [maxLit + maxDist]uint8{}
	z.step = (*inflater).lengths
	return true
}

// lengths reads the length of one code, or of several that are equal.
func (z *inflater) lengths() bool {
	if z.have == z.nlit+z.ndist {
		if z.lens[256] == 0 || !z.lit.init(z.lens[:z.nlit]) || !z.dist.init(z.lens[z.nlit:z.have]) {
			return z.fail()
		}
		z.step = (*inflater).symbols
		return true
	}
	sym, used := z.codes.find(z.bits, z.n)
	if used == 0 {
		return z.unknown(&z.codes)
	}
	extra := [3]uint{2, 3, 7}
	least := [3]int{3, 3, 11}
	if sym < 16 {
		z.take(used)
		z.lens[z.have] = uint8(sym) //nolint:gosec // below 16
		z.have++
		return true
	}
	k := sym - 16
	if z.n < used+extra[k] {
		return false
	}
	z.take(used)
	n, value := least[k]+int(z.take(extra[k])), uint8(0) //nolint:gosec // 7 bits
	if z.have+n > z.nlit+z.ndist || sym == 16 && z.have == 0 {
		return z.fail()
	}
	if sym == 16 {
		value = z.lens[z.have-1]
	}
	for range n {
		z.lens[z.have] = value
		z.have++
	}
	return true
}

// unknown is for bits that are no code: there are too few of them, or they never will be one.
func (z *inflater) unknown(h *huffman) bool {
	if z.n >= h.longest {
		return z.fail()
	}
	return false
}

// The lengths and distances that symbols stand for (RFC 1951 section 3.2.5).
var (
	lenBase   = [...]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lenExtra  = [...]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase  = [...]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra = [...]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// symbols decodes what a block holds, as much as there is and fits. It takes a match whole, which is 48 bits at most, or not at all.
func (z *inflater) symbols() bool {
	for z.put-z.got < winSize-history-maxMatch {
		z.refill()
		sym, used := z.lit.find(z.bits, z.n)
		switch {
		case used == 0:
			return z.unknown(&z.lit)
		case sym < 256:
			z.take(used)
			z.literal(byte(sym))
		case sym == 256:
			z.take(used)
			z.step = (*inflater).head
			return true
		default:
			if !z.match(sym-257, used) {
				return false
			}
		}
	}
	return true
}

// match decodes the rest of a match, whose first code has been looked at.
func (z *inflater) match(sym, used uint) bool {
	if sym >= uint(len(lenBase)) {
		return z.fail()
	}
	bits, n := z.bits>>used, z.n-used
	extra := uint(lenExtra[sym])
	if n < extra {
		return false
	}
	length := uint(lenBase[sym]) + uint(bits)&(1<<extra-1)
	bits, n, used = bits>>extra, n-extra, used+extra
	d, k := z.dist.find(bits, n)
	if k == 0 {
		if n >= z.dist.longest {
			return z.fail()
		}
		return false
	}
	if d >= uint(len(distBase)) {
		return z.fail()
	}
	bits, n, used = bits>>k, n-k, used+k
	extra = uint(distExtra[d])
	if n < extra {
		return false
	}
	distance := uint(distBase[d]) + uint(bits)&(1<<extra-1)
	if distance > z.put {
		return z.fail()
	}
	z.take(used + extra)
	z.copy(distance, length)
	return true
}

func (z *inflater) literal(b byte) {
	z.win[z.put%winSize] = b
	z.put++
}

// copy repeats what was decoded a distance ago.
func (z *inflater) copy(distance, length uint) {
	from, to := (z.put-distance)%winSize, z.put%winSize
	if distance >= length && from+length <= winSize && to+length <= winSize {
		copy(z.win[to:to+length], z.win[from:from+length])
		z.put += length
		return
	}
	for range length {
		z.win[z.put%winSize] = z.win[(z.put-distance)%winSize]
		z.put++
	}
}

// fixed sets the codes of blocks without codes of their own (RFC 1951 section 3.2.6).
func (z *inflater) fixed() {
	var lens [288]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	z.lit.init(lens[:])
	var dist [32]uint8
	for i := range dist {
		dist[i] = 5
	}
	z.dist.init(dist[:])
}
