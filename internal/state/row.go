package state

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"

	"mailtwin/internal/mail"
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// pairRow is a row of table pair in Go's types. What no index needs is packed in data: a row of few columns is read and written
// several times as fast as one with a column for each field.
type pairRow struct {
	id, mailbox   int64
	local, remote []byte
	remains       int64
	data          []byte
}

// Bits at the beginning of data, after the five of the agreed system flags. What is rare has the high ones.
const (
	verifiedBit = 1 << (5 + iota)
	digestBit   // 16 bytes
	messageBit  // 8 bytes
	stableBit
	keywordsBit // agreed, local lacks, remote lacks, separated by line feeds
	lacksBit    // system flags that the sides lack, a byte for each
	oddDateBit  // a varint instead of 4 bytes
	oddStampBit // likewise
	oddIDBit    // 16 bytes
	allowedBit
	leftBit // mail.Left, a byte; the column remains is for the index alone
)

const crcSize = 4

// sumSpace is what sum needs of space.
const sumSpace = 4 * binary.MaxVarintLen64

// rowOf turns a pair into a row. Its data is appended to buf, which is returned.
func rowOf(p *mail.Pair, mailbox int64, buf []byte) (pairRow, []byte) {
	r := pairRow{
		id: p.ID, mailbox: mailbox, remains: int64(p.Left),
		local: blob(string(p.Keys[mail.Local])), remote: blob(string(p.Keys[mail.Remote])),
	}
	at := len(buf)
	buf = appendContent(buf, p)
	buf = binary.LittleEndian.AppendUint32(buf, r.sum(buf[at:], buf[len(buf):]))
	r.data = buf[at:len(buf):len(buf)]
	return r, buf
}

// appendContent packs all of a pair that has no column of its own.
func appendContent(b []byte, p *mail.Pair) []byte {
	id := &p.Ident
	words := ""
	if p.Flags.Keywords != "" || p.Lacks[0].Keywords != "" || p.Lacks[1].Keywords != "" {
		words = p.Flags.Keywords + "\n" + p.Lacks[0].Keywords + "\n" + p.Lacks[1].Keywords
	}
	short := [8]byte(id.MessageID[8:]) == [8]byte{}
	bits := uint64(p.Flags.System)
	for _, b := range [...]struct {
		bit uint64
		set bool
	}{
		{verifiedBit, p.Verified},
		{digestBit, !id.Digest.IsZero()},
		{messageBit, short && !id.MessageID.IsZero()},
		{stableBit, id.Stable != ""},
		{keywordsBit, words != ""},
		{lacksBit, p.Lacks[0].System|p.Lacks[1].System != 0},
		{oddDateBit, id.Date < 0 || id.Date > math.MaxUint32},
		{oddStampBit, p.Stamp > math.MaxUint32},
		{oddIDBit, !short},
		{allowedBit, p.Allowed},
		{leftBit, p.Left != mail.LeftNone},
	} {
		if b.set {
			bits |= b.bit
		}
	}
	b = binary.AppendUvarint(b, bits)
	if bits&lacksBit != 0 {
		b = append(b, byte(p.Lacks[0].System), byte(p.Lacks[1].System))
	}
	if bits&leftBit != 0 {
		b = append(b, byte(p.Left))
	}
	b = binary.AppendVarint(b, id.Size)
	b = appendNumber(b, uint64(id.Date), bits&oddDateBit != 0) //nolint:gosec // all 64 bits come back
	b = appendNumber(b, p.Stamp, bits&oddStampBit != 0)
	if bits&digestBit != 0 {
		b = append(b, id.Digest[:]...)
	}
	switch {
	case bits&messageBit != 0:
		b = append(b, id.MessageID[:8]...)
	case bits&oddIDBit != 0:
		b = append(b, id.MessageID[:]...)
	}
	if bits&stableBit != 0 {
		b = append(binary.AppendUvarint(b, uint64(len(id.Stable))), id.Stable...)
	}
	if bits&keywordsBit != 0 {
		b = append(binary.AppendUvarint(b, uint64(len(words))), words...)
	}
	return b
}

func appendNumber(b []byte, n uint64, odd bool) []byte {
	if odd {
		return binary.AppendUvarint(b, n)
	}
	return binary.LittleEndian.AppendUint32(b, uint32(n)) //nolint:gosec // it fits, or is odd
}

// sum is the checksum over the row, but itself. It uses the capacity of space.
func (r *pairRow) sum(content, space []byte) uint32 {
	b := binary.AppendVarint(binary.AppendVarint(space[:0], r.id), r.mailbox)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(len(r.local))), uint64(len(r.remote)))
	c := crc32.Update(0, crcTable, b)
	for _, part := range [...][]byte{r.local, r.remote, content} {
		c = crc32.Update(c, crcTable, part)
	}
	return c
}

// content is what a pair has no columns for; an error if the checksum does not agree. It uses the capacity of space.
func (r *pairRow) content(space []byte) ([]byte, error) {
	content := r.data[:max(0, len(r.data)-crcSize)]
	if len(r.data) < crcSize || binary.LittleEndian.Uint32(r.data[len(content):]) != r.sum(content, space) {
		return nil, damaged("pair %d", r.id)
	}
	return content, nil
}

// pair turns a row into a pair; an error if the checksum does not agree, or it cannot be one. It uses the capacity of space.
func (r *pairRow) pair(box mail.Box, space []byte) (p mail.Pair, err error) {
	content, err := r.content(space)
	if err != nil {
		return p, err
	}
	p = mail.Pair{ID: r.id, Box: box, Keys: [2]mail.Key{mail.Key(r.local), mail.Key(r.remote)}}
	if !unpack(content, &p) {
		return p, damaged("pair %d", r.id)
	}
	return p, nil
}

// unpack reads what appendContent wrote; false if that cannot be.
func unpack(content []byte, p *mail.Pair) bool {
	in := reader{rest: content}
	bits := in.uvarint()
	p.Flags.System = mail.System(bits & uint64(mail.AllSystem))
	p.Verified, p.Allowed = bits&verifiedBit != 0, bits&allowedBit != 0
	if bits&lacksBit != 0 {
		lacks := in.bytes(2)
		if in.bad {
			return false
		}
		p.Lacks[0].System, p.Lacks[1].System = mail.System(lacks[0])&mail.AllSystem, mail.System(lacks[1])&mail.AllSystem
	}
	if bits&leftBit != 0 {
		left := in.bytes(1)
		if in.bad {
			return false
		}
		p.Left = mail.Left(left[0])
	}
	id := &p.Ident
	id.Size = in.varint()
	id.Date = int64(in.number(bits&oddDateBit != 0)) //nolint:gosec // all 64 bits come back
	p.Stamp = in.number(bits&oddStampBit != 0)
	if bits&digestBit != 0 {
		copy(id.Digest[:], in.bytes(len(id.Digest)))
	}
	switch {
	case bits&messageBit != 0:
		copy(id.MessageID[:], in.bytes(8))
	case bits&oddIDBit != 0:
		copy(id.MessageID[:], in.bytes(len(id.MessageID)))
	}
	if bits&stableBit != 0 {
		id.Stable = in.text()
	}
	if bits&keywordsBit != 0 {
		words := strings.Split(in.text(), "\n")
		if len(words) != 3 {
			return false
		}
		p.Flags.Keywords, p.Lacks[0].Keywords, p.Lacks[1].Keywords = words[0], words[1], words[2]
	}
	return !in.bad && len(in.rest) == 0
}

// reader takes values off the front of packed bytes. After the first that is not there, bad is set and all are zero.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.bad = true
	}
	if r.bad {
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) skip(n int) {
	r.bad = r.bad || n <= 0
	r.bytes(n)
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if r.skip(n); r.bad {
		return 0
	}
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if r.skip(n); r.bad {
		return 0
	}
	return v
}

func (r *reader) number(odd bool) uint64 {
	if odd {
		return r.uvarint()
	}
	if b := r.bytes(4); b != nil {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return 0
}

func (r *reader) text() string {
	n := r.uvarint()
	return string(r.bytes(int(min(n, math.MaxInt32)))) //nolint:gosec // it fits
}

func blob(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func damaged(format string, args ...any) error {
	return mail.WithHint(fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...)), damagedHint)
}
