package state

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"

	"mailtwin/internal/mail"
)

// Sum returns the fingerprint of the pairs of a mailbox that have a key on a side, with the flags that the side shows of
// them. A view with the same sum has no news.
func (db *DB) Sum(ctx context.Context, box mail.Box, side mail.Side) (mail.Sum, error) {
	_, sum, err := readSum(ctx, db.readers, db.stored(box), side)
	return sum, explain("read sum", err)
}

// readSum also returns the row of the mailbox, 0 if there is none. It reads the table, not an index, which may be damaged.
func readSum(ctx context.Context, q querier, box mail.Box, side mail.Side) (id int64, sum mail.Sum, err error) {
	err = each(ctx, q, "SELECT id FROM mailbox WHERE +name = ?", []any{string(box)}, func(rows *sql.Rows) error { return scan(rows, &id) })
	if err != nil {
		return id, sum, err
	}
	err = each(ctx, q, "SELECT local, remote FROM sums WHERE mailbox = ?", []any{id}, func(rows *sql.Rows) error {
		sums, err := scanSums(rows)
		sum = sums[side]
		return err
	})
	return id, sum, err
}

func scanSums(rows interface{ Scan(...any) error }) (sums [2]mail.Sum, err error) {
	var raw [2][]byte
	if err := scan(rows, &raw[0], &raw[1]); err != nil {
		return sums, err
	}
	for side, b := range raw {
		if len(b) != 16 {
			return sums, damaged("a sum of %d bytes", len(b))
		}
		sums[side] = mail.Sum{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
	}
	return sums, nil
}

func sumBytes(s mail.Sum) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, s[0]), s[1])
}

// sums returns what is to be added to the sums of a mailbox at the end of the transaction.
func (tx *Tx) sumsOf(mailbox int64) *[2]mail.Sum {
	s := tx.sums[mailbox]
	if s == nil {
		s = &[2]mail.Sum{}
		tx.sums[mailbox] = s
	}
	return s
}

// account adds a pair to the sums of its mailbox.
func (tx *Tx) account(p *mail.Pair, mailbox int64) {
	s := tx.sumsOf(mailbox)
	for _, side := range mail.Sides {
		if k := p.Keys[side]; k != "" {
			s[side].Add(k, p.Shown(side))
		}
	}
}

// discount takes the stored form of a pair out of the sums of its mailbox, and returns its place and keys; nil if there is
// no such pair.
func (tx *Tx) discount(id int64) (*pairRow, error) {
	stmt, err := tx.w.stmt("SELECT mailbox, local, remote, flags, coalesce(keywords, ''), remains FROM pair WHERE id = ?")
	if err != nil {
		return nil, err
	}
	r := &pairRow{}
	err = stmt.QueryRowContext(context.Background(), id).Scan(&r.mailbox, &r.local, &r.remote, &r.flags, &r.keywords, &r.remains)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := r.pair("")
	if err != nil {
		return nil, err
	}
	s := tx.sumsOf(r.mailbox)
	for _, side := range mail.Sides {
		if k := p.Keys[side]; k != "" {
			s[side].Remove(k, p.Shown(side))
		}
	}
	return r, nil
}

// flushSums writes the sums that changed.
func (tx *Tx) flushSums() error {
	for mailbox, add := range tx.sums {
		if *add == ([2]mail.Sum{}) {
			continue
		}
		stmt, err := tx.w.stmt("SELECT local, remote FROM sums WHERE mailbox = ?")
		if err != nil {
			return err
		}
		old, err := scanSums(stmt.QueryRowContext(context.Background(), mailbox))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		err = tx.exec("INSERT INTO sums (mailbox, local, remote) VALUES (?1, ?2, ?3) ON CONFLICT (mailbox) DO UPDATE SET local = ?2, remote = ?3",
			mailbox, sumBytes(old[0].Plus(add[0])), sumBytes(old[1].Plus(add[1])))
		if err != nil {
			return err
		}
	}
	return nil
}
