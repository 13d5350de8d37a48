package state

import (
	"context"
	"encoding/binary"
	"hash/crc32"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// boxSums say what the base of a mailbox holds, without looking at it.
type boxSums struct {
	sides [2]mail.Sum // of the pairs that have a key on the side
	pairs int64       // half pairs too
}

func (s *boxSums) add(p *mail.Pair) {
	s.pairs++
	for _, side := range mail.Sides {
		if k := p.Keys[side]; k != "" {
			s.sides[side].Add(k, p.Shown(side))
		}
	}
}

func (s *boxSums) remove(p *mail.Pair) {
	s.pairs--
	for _, side := range mail.Sides {
		if k := p.Keys[side]; k != "" {
			s.sides[side].Remove(k, p.Shown(side))
		}
	}
}

// Sum returns the fingerprint of the pairs of a mailbox that have a key on a side, with the flags that the side shows of
// them. A view with the same sum has no news.
func (db *DB) Sum(ctx context.Context, box mail.Box, side mail.Side) (mail.Sum, error) {
	_, sums, err := readSums(ctx, db.readers, db.stored(box))
	return sums.sides[side], explain("read sum", err)
}

// Count returns how many pairs of a mailbox have a key on a side.
func (db *DB) Count(ctx context.Context, box mail.Box, side mail.Side) (int, error) {
	sum, err := db.Sum(ctx, box, side)
	return sum.Count(), err
}

// Extent returns how many pairs of a mailbox have a key on a side, and the highest of these keys, "" if there is none.
func (db *DB) Extent(ctx context.Context, box mail.Box, side mail.Side) (count int, highest mail.Key, err error) {
	id, sums, err := readSums(ctx, db.readers, db.stored(box))
	if err == nil {
		c := keyColumn(side)
		err = db.readers.Query(ctx, "SELECT max("+c+") FROM pair WHERE mailbox = ? AND "+c+" IS NOT NULL", []any{id}, func(rows *sqlite.Row) error {
			var key []byte
			err := scan(rows, &key)
			highest = mail.Key(key)
			return err
		})
	}
	return sums.sides[side].Count(), highest, explain("read extent", err)
}

// Counts returns how many pairs each mailbox has; mailboxes without any are left out.
func (db *DB) Counts(ctx context.Context) (map[mail.Box]int, error) {
	counts := map[mail.Box]int{}
	err := db.readers.Query(ctx, "SELECT sums.mailbox, sums.pairs, sums.local, sums.remote, sums.crc, mailbox.name FROM sums JOIN mailbox ON mailbox.id = sums.mailbox", nil, func(rows *sqlite.Row) error {
		var name string
		sums, err := scanSums(rows, &name)
		if err == nil && sums.pairs != 0 {
			counts[db.shown(mail.Box(name))] = int(sums.pairs)
		}
		return err
	})
	return counts, explain("count pairs", err)
}

// readSums also returns the row of the mailbox, 0 if there is none. It reads the table, not an index, which may be damaged.
func readSums(ctx context.Context, q querier, box mail.Box) (id int64, sums boxSums, err error) {
	err = q.Query(ctx, "SELECT id FROM mailbox WHERE +name = ?", []any{string(box)}, func(rows *sqlite.Row) error { return scan(rows, &id) })
	if err != nil {
		return id, sums, err
	}
	err = q.Query(ctx, sumColumns, []any{id}, func(rows *sqlite.Row) (err error) {
		sums, err = scanSums(rows)
		return err
	})
	return id, sums, err
}

const sumColumns = "SELECT mailbox, pairs, local, remote, crc FROM sums WHERE mailbox = ?"

func scanSums(row *sqlite.Row, more ...any) (sums boxSums, err error) {
	var raw [2][]byte
	var mailbox, crc int64
	if err := scan(row, append([]any{&mailbox, &sums.pairs, &raw[0], &raw[1], &crc}, more...)...); err != nil {
		return sums, err
	}
	for side, b := range raw {
		if len(b) != 8*len(sums.sides[side]) {
			return sums, damaged("a sum of %d bytes", len(b))
		}
		for i := range sums.sides[side] {
			sums.sides[side][i] = binary.LittleEndian.Uint64(b[8*i:])
		}
	}
	if crc != sums.crc(mailbox) {
		return sums, damaged("sums of mailbox %d", mailbox)
	}
	return sums, nil
}

func (s *boxSums) crc(mailbox int64) int64 {
	b := binary.AppendVarint(binary.AppendVarint(nil, mailbox), s.pairs)
	return int64(crc32.Checksum(append(append(b, sumBytes(s.sides[0])...), sumBytes(s.sides[1])...), crcTable))
}

func sumBytes(s mail.Sum) (b []byte) {
	for _, n := range s {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return b
}

// sumsOf returns what is to be added to the sums of a mailbox at the end of the transaction.
func (tx *Tx) sumsOf(mailbox int64) *boxSums {
	s := tx.sums[mailbox]
	if s == nil {
		s = &boxSums{}
		tx.sums[mailbox] = s
	}
	return s
}

// flushSums writes the sums that changed.
func (tx *Tx) flushSums() error {
	for mailbox, add := range tx.sums {
		if *add == (boxSums{}) {
			continue
		}
		var sums boxSums
		err := tx.w.conn.Query(context.Background(), sumColumns, []any{mailbox}, func(row *sqlite.Row) (err error) {
			sums, err = scanSums(row)
			return err
		})
		if err != nil {
			return err
		}
		sums.pairs += add.pairs
		for side := range sums.sides {
			sums.sides[side] = sums.sides[side].Plus(add.sides[side])
		}
		err = tx.exec("INSERT INTO sums (mailbox, pairs, local, remote, crc) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (mailbox) DO UPDATE SET pairs = ?2, local = ?3, remote = ?4, crc = ?5",
			mailbox, sums.pairs, sumBytes(sums.sides[0]), sumBytes(sums.sides[1]), sums.crc(mailbox))
		if err != nil {
			return err
		}
	}
	return nil
}
