package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"

	"mailtwin/internal/mail"
)

// Bits of pair.flags. Small numbers take little room in SQLite, so what is rare has the high bits.
const (
	verifiedBit = 1 << 5
	allowedBit  = 1 << 6
	localLacks  = 8
	remoteLacks = 16
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// pairRow is a row of table pair in Go's types.
type pairRow struct {
	id, mailbox       int64
	local, remote     []byte
	flags             int64
	keywords          string
	digest, messageID []byte
	size, date        int64
	stable            string
	stamp             int64
	remains           int64
}

// sum is the checksum over all columns, as a signed number, which SQLite keeps in four bytes.
func (r *pairRow) sum(buf []byte) (int64, []byte) {
	b := buf[:0]
	for _, n := range [...]int64{r.id, r.mailbox, r.flags, r.size, r.date, r.stamp, r.remains} {
		b = binary.AppendVarint(b, n)
	}
	for _, s := range [...][]byte{r.local, r.remote, r.digest, r.messageID} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, s := range [...]string{r.keywords, r.stable} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return int64(int32(crc32.Checksum(b, crcTable))), b //nolint:gosec // all bits stay
}

// rowOf turns a pair into a row.
func rowOf(p *mail.Pair, mailbox int64) pairRow {
	r := pairRow{
		id: p.ID, mailbox: mailbox,
		local: blob(string(p.Keys[mail.Local])), remote: blob(string(p.Keys[mail.Remote])),
		flags: int64(p.Flags.System) | int64(p.Lacks[mail.Local].System)<<localLacks | int64(p.Lacks[mail.Remote].System)<<remoteLacks,
		size:  p.Ident.Size, date: p.Ident.Date, stable: p.Ident.Stable,
		stamp:   int64(p.Stamp), //nolint:gosec // all 64 bits come back
		remains: int64(p.Left),
	}
	if p.Verified {
		r.flags |= verifiedBit
	}
	if p.Allowed {
		r.flags |= allowedBit
	}
	if p.Flags.Keywords != "" || p.Lacks[0].Keywords != "" || p.Lacks[1].Keywords != "" {
		r.keywords = p.Flags.Keywords + "\n" + p.Lacks[0].Keywords + "\n" + p.Lacks[1].Keywords
	}
	if !p.Ident.Digest.IsZero() {
		r.digest = trim(p.Ident.Digest[:])
	}
	if !p.Ident.MessageID.IsZero() {
		r.messageID = trim(p.Ident.MessageID[:])
	}
	return r
}

// pair turns a row into a pair; an error if it cannot be one.
func (r *pairRow) pair(box mail.Box) (mail.Pair, error) {
	p := mail.Pair{
		ID: r.id, Box: box,
		Keys:     [2]mail.Key{mail.Key(r.local), mail.Key(r.remote)},
		Flags:    mail.Flags{System: system(r.flags)},
		Lacks:    [2]mail.Flags{{System: system(r.flags >> localLacks)}, {System: system(r.flags >> remoteLacks)}},
		Ident:    mail.Ident{Size: r.size, Date: r.date, Stable: r.stable},
		Stamp:    uint64(r.stamp), //nolint:gosec // all 64 bits come back
		Verified: r.flags&verifiedBit != 0,
		Allowed:  r.flags&allowedBit != 0,
	}
	if r.keywords != "" {
		words := strings.Split(r.keywords, "\n")
		if len(words) != 3 {
			return p, damaged("keywords of pair %d", r.id)
		}
		p.Flags.Keywords, p.Lacks[0].Keywords, p.Lacks[1].Keywords = words[0], words[1], words[2]
	}
	for _, h := range []struct {
		to   *mail.Hash
		from []byte
	}{{&p.Ident.Digest, r.digest}, {&p.Ident.MessageID, r.messageID}} {
		if copy(h.to[:], h.from) != len(h.from) {
			return p, damaged("hash of pair %d", r.id)
		}
	}
	if r.remains < 0 || r.remains > math.MaxUint8 {
		return p, damaged("pair %d", r.id)
	}
	p.Left = mail.Left(r.remains)
	return p, nil
}

func system(bits int64) mail.System { return mail.System(bits & int64(mail.AllSystem)) }

// trim leaves out zeros at the end, which the reader adds again.
func trim(b []byte) []byte { return bytes.TrimRight(b, "\x00") }

func blob(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// text stores "" as NULL.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func damaged(format string, args ...any) error {
	return mail.WithHint(fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...)), damagedHint)
}
