package state

import (
	"context"
	"errors"
	"hash/crc32"
	"iter"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// Digests calls fn with the parts that SaveDigests wrote for a mailbox, in their order. A part must not be kept. Damaged ones end
// it with ErrDamaged; they can be saved anew.
func (db *DB) Digests(ctx context.Context, box mail.Box, kind string, fn func(part []byte) error) error {
	return explain("read digests", db.readers.Query(ctx, "SELECT value, crc FROM digest WHERE mailbox = ? AND kind = ? ORDER BY part", []any{string(box), kind}, func(rows *sqlite.Row) error {
		var part sqlite.Raw
		var crc int64
		if err := scan(rows, &part, &crc); err != nil {
			return err
		}
		if crc != int64(crc32.Checksum(part, crcTable)) {
			return damaged("digests of %q", box)
		}
		return fn(part)
	}))
}

// SaveDigests replaces what is remembered of a mailbox. The parts may share their memory.
func (db *DB) SaveDigests(ctx context.Context, box mail.Box, kind string, parts iter.Seq[[]byte]) error {
	return db.Update(ctx, false, func(tx *Tx) error {
		if err := tx.exec("DELETE FROM digest WHERE mailbox = ? AND kind = ?", string(box), kind); err != nil {
			return explain("write digests", err)
		}
		n := 0
		for part := range parts {
			n++
			if err := tx.exec("INSERT INTO digest (mailbox, kind, part, value, crc) VALUES (?, ?, ?, ?, ?)", string(box), kind, n, part, int64(crc32.Checksum(part, crcTable))); err != nil {
				return explain("write digests", err)
			}
		}
		return nil
	})
}

// AllowDeletions notes, durably, that the user wants the messages of these pairs deleted, so that the guard does not count them when
// a sync carries that to the other side. Keys without a pair are passed over.
func (db *DB) AllowDeletions(ctx context.Context, box mail.Box, side mail.Side, keys []mail.Key, allowed bool) error {
	pairs, err := db.PairsByKey(ctx, box, side, keys)
	if err != nil || len(pairs) == 0 {
		return err
	}
	return db.Update(ctx, true, func(tx *Tx) error {
		for i := range pairs {
			if pairs[i].Allowed == allowed {
				continue
			}
			pairs[i].Allowed = allowed
			if err := tx.PutPair(&pairs[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Synced reports whether there was ever a sync that knows this account.
func (db *DB) Synced(ctx context.Context) (bool, error) {
	a, err := db.Account(ctx)
	if err != nil {
		return false, err
	}
	if a.Roots == ([2]string{}) {
		return false, errors.Join(ctx.Err())
	}
	return true, nil
}
