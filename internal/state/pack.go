package state

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// oldPairRow is a row of table pair as it was before version 3, with a column for each field.
type oldPairRow struct {
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

// packPairs writes the pairs of version 2 in the form of version 3.
func packPairs(w *writer) error {
	tx := w.tx()
	const portion = 1000
	for last := int64(0); ; {
		var list []change
		err := w.conn.Query(context.Background(), `SELECT old_pair.id, mailbox, local, remote, flags, coalesce(keywords, ''), digest, message_id, size, date, coalesce(stable, ''), stamp, remains, old_pair.crc, mailbox.name
			FROM old_pair JOIN mailbox ON mailbox.id = mailbox WHERE old_pair.id > ? ORDER BY old_pair.id LIMIT ?`, []any{last, portion}, func(rows *sqlite.Row) error {
			var r oldPairRow
			var crc int64
			var name string
			if err := scan(rows, &r.id, &r.mailbox, &r.local, &r.remote, &r.flags, &r.keywords, &r.digest, &r.messageID, &r.size, &r.date, &r.stable, &r.stamp, &r.remains, &crc, &name); err != nil {
				return err
			}
			if crc != r.sum() {
				return damaged("pair %d", r.id)
			}
			p, err := r.pair(mail.Box(name))
			list = append(list, change{pair: p, kind: insertPair})
			last = r.id
			return err
		})
		if err == nil {
			err = tx.insertPairs(list)
		}
		if err != nil {
			return err
		}
		if len(list) < portion {
			break
		}
	}
	if err := tx.flush(); err != nil {
		return err
	}
	return tx.exec("DROP TABLE old_pair")
}

func (r *oldPairRow) sum() int64 {
	var b []byte
	for _, n := range [...]int64{r.id, r.mailbox, r.flags, r.size, r.date, r.stamp, r.remains} {
		b = binary.AppendVarint(b, n)
	}
	for _, s := range [...][]byte{r.local, r.remote, r.digest, r.messageID, []byte(r.keywords), []byte(r.stable)} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return int64(int32(crc32.Checksum(b, crcTable))) //nolint:gosec // all bits stay
}

func (r *oldPairRow) pair(box mail.Box) (mail.Pair, error) {
	system := func(bits int64) mail.System { return mail.System(bits & int64(mail.AllSystem)) }
	p := mail.Pair{
		ID: r.id, Box: box,
		Keys:     [2]mail.Key{mail.Key(r.local), mail.Key(r.remote)},
		Flags:    mail.Flags{System: system(r.flags)},
		Lacks:    [2]mail.Flags{{System: system(r.flags >> 8)}, {System: system(r.flags >> 16)}},
		Ident:    mail.Ident{Size: r.size, Date: r.date, Stable: r.stable},
		Stamp:    uint64(r.stamp), //nolint:gosec // all 64 bits come back
		Verified: r.flags&(1<<5) != 0,
		Allowed:  r.flags&(1<<6) != 0,
		Left:     mail.Left(r.remains), //nolint:gosec // see below
	}
	if r.keywords != "" {
		words := strings.Split(r.keywords, "\n")
		if len(words) != 3 {
			return p, damaged("keywords of pair %d", r.id)
		}
		p.Flags.Keywords, p.Lacks[0].Keywords, p.Lacks[1].Keywords = words[0], words[1], words[2]
	}
	if r.remains < 0 || r.remains > math.MaxUint8 || len(r.digest) > len(p.Ident.Digest) || len(r.messageID) > len(p.Ident.MessageID) {
		return p, damaged("pair %d", r.id)
	}
	copy(p.Ident.Digest[:], r.digest)
	copy(p.Ident.MessageID[:], r.messageID)
	return p, nil
}
