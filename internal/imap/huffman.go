package imap

// huffman is a set of canonical codes. Short ones are looked up, the others are found by counting (RFC 1951 section 3.2.2).
type huffman struct {
	fast    [1 << fastBits]uint16 // symbol and length, by the next bits; 0: none that short
	count   [16]uint16            // codes of each length
	symbols [288]uint16           // in the order of their codes
	longest uint
}

const fastBits = 10

// init makes the codes of these lengths; false if there cannot be such codes. Codes that leave something unused are taken only when
// there is one code or none, as zlib does.
func (h *huffman) init(lens []uint8) bool {
	h.count, h.longest = [16]uint16{}, 0
	for _, n := range lens {
		h.count[n]++
		h.longest = max(h.longest, uint(n))
	}
	h.count[0] = 0
	left, total := 1, 0
	var next, at [16]uint16
	for n := 1; n < 16; n++ {
		left = left<<1 - int(h.count[n])
		if left < 0 {
			return false
		}
		next[n] = (next[n-1] + h.count[n-1]) << 1
		at[n] = at[n-1] + h.count[n-1]
		total += int(h.count[n])
	}
	if left > 0 && total > 1 || total == 1 && h.longest != 1 {
		return false
	}
	clear(h.fast[:])
	for sym, n := range lens {
		if n == 0 {
			continue
		}
		h.symbols[at[n]] = uint16(sym) //nolint:gosec // below 288
		at[n]++
		code := next[n]
		next[n]++
		if n > fastBits {
			continue
		}
		var turned uint
		for i := range n {
			turned |= uint(code>>i&1) << (n - 1 - i)
		}
		for ; turned < 1<<fastBits; turned += 1 << n {
			h.fast[turned] = uint16(sym)<<4 | uint16(n) //nolint:gosec // below 288
		}
	}
	return true
}

// find looks up the code that the n lowest of bits begin with, and its length; length 0 if they do not hold a whole one.
func (h *huffman) find(bits uint64, n uint) (sym, length uint) {
	if e := h.fast[bits&(1<<fastBits-1)]; e != 0 {
		if length = uint(e & 15); length <= n {
			return uint(e >> 4), length
		}
		return 0, 0
	}
	code, first, index := 0, 0, 0
	for length = 1; length <= min(n, h.longest); length++ {
		code |= int(bits & 1) //nolint:gosec // one bit
		bits >>= 1
		count := int(h.count[length])
		if code-count < first {
			return uint(h.symbols[index+code-first]), length
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, 0
}
