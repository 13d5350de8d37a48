package state

import (
	"context"
	"encoding/json"
	"hash/crc32"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// Tx is a write transaction, see DB.Update.
type Tx struct {
	w       *writer
	boxes   map[mail.Box]int64
	sums    map[int64]*boxSums // to be added, by mailbox
	nextID  int64              // of a new pair; 0: not asked for yet
	failed  error              // of writing what was kept; nothing of the transaction stays
	intents intents
	*scratch
}

// scratch is memory that one transaction after the other uses.
type scratch struct {
	pending []change       // see flushPairs
	waiting map[int64]bool // ids in pending
	buf     []byte
}

// flush writes what was kept until the end.
func (tx *Tx) flush() error {
	if err := tx.flushPairs(); err != nil {
		return explain("write pairs", err)
	}
	if err := tx.flushIntents(); err != nil {
		return explain("write intents", err)
	}
	return explain("write sums", tx.flushSums())
}

func (tx *Tx) exec(query string, args ...any) error {
	_, err := tx.w.conn.Exec(query, args...)
	return err
}

// row reads the one row that a query has; false if it has none.
func (tx *Tx) row(query string, args []any, into ...any) (found bool, err error) {
	err = tx.w.conn.Query(context.Background(), query, args, func(row *sqlite.Row) error {
		found = true
		return scan(row, into...)
	})
	return found, err
}

// boxID returns the row of a mailbox, which it creates if it is not there.
func (tx *Tx) boxID(name mail.Box) (int64, error) {
	if id, ok := tx.boxes[name]; ok {
		return id, nil
	}
	const query = "SELECT id FROM mailbox WHERE name = ?"
	var id int64
	found, err := tx.row(query, []any{string(name)}, &id)
	if err == nil && !found {
		if err = tx.PutBox(Box{Name: name}); err == nil {
			_, err = tx.row(query, []any{string(name)}, &id)
		}
	}
	if err != nil {
		return 0, explain("find mailbox", err)
	}
	tx.boxes[name] = id
	return id, nil
}

func (tx *Tx) setMeta(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return explain("write "+name, tx.exec("INSERT INTO meta (name, value, crc) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET value = ?2, crc = ?3",
		name, string(text), int64(crc32.Checksum(text, crcTable))))
}

// SetAccount replaces what is known of the account.
func (tx *Tx) SetAccount(a Account) error { return tx.setMeta("account", a) }

// SetReports replaces all reports.
func (tx *Tx) SetReports(r []Report) error { return tx.setMeta("reports", r) }

// PutBox inserts or replaces what is known of a mailbox, by name.
func (tx *Tx) PutBox(b Box) error {
	return explain("write mailbox", tx.exec(`INSERT INTO mailbox (name, local_epoch, remote_epoch, local_mark, remote_mark, local_known, remote_known, local_whole, remote_whole, empty_runs, role, crc, stamps_at, local_id, remote_id)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT (name) DO UPDATE SET
		local_epoch = ?2, remote_epoch = ?3, local_mark = ?4, remote_mark = ?5, local_known = ?6, remote_known = ?7, local_whole = ?8, remote_whole = ?9, empty_runs = ?10, role = ?11, crc = ?12, stamps_at = ?13, local_id = ?14, remote_id = ?15`,
		string(b.Name), b.Epoch[0], b.Epoch[1], []byte(b.Mark[0]), []byte(b.Mark[1]), b.Known[0], b.Known[1],
		nanoseconds(b.WholeAt[0]), nanoseconds(b.WholeAt[1]), b.EmptyRuns, b.Role, int64(b.sum()), nanoseconds(b.StampsAt), b.ID[0], b.ID[1]))
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// DropBox forgets a mailbox and its pairs.
func (tx *Tx) DropBox(name mail.Box) error {
	if err := tx.flushPairs(); err != nil {
		return explain("write pairs", err)
	}
	id, err := tx.boxID(name)
	if err != nil {
		return err
	}
	delete(tx.sums, id)
	delete(tx.boxes, name)
	err = tx.exec("DELETE FROM sums WHERE mailbox = (SELECT id FROM mailbox WHERE name = ?)", string(name))
	if err == nil {
		err = tx.exec("DELETE FROM pair WHERE mailbox = (SELECT id FROM mailbox WHERE name = ?)", string(name))
	}
	if err == nil {
		err = tx.exec("DELETE FROM mailbox WHERE name = ?", string(name))
	}
	return explain("forget mailbox", err)
}

// VoidKeys takes the keys of one side of a mailbox away, because its epoch changed: pairs become half pairs that are
// searched for by content; those that had no other key are forgotten.
func (tx *Tx) VoidKeys(box mail.Box, side mail.Side) error {
	last := int64(0)
	for {
		if err := tx.flushPairs(); err != nil {
			return explain("write pairs", err)
		}
		var pairs []mail.Pair
		for p, err := range readPairs(context.Background(), tx.w.conn, "pair.mailbox = (SELECT id FROM mailbox WHERE name = ?1) AND pair.id > ?2 ORDER BY pair.id LIMIT ?3", string(box), last, portion) {
			if err != nil {
				return err
			}
			pairs = append(pairs, p)
		}
		for i := range pairs {
			p := &pairs[i]
			last = p.ID
			if p.Keys[side] == "" {
				continue // a half pair keeps its reason
			}
			p.Keys[side], p.Lacks[side], p.Left = "", mail.Flags{}, mail.LeftRenumbered
			var err error
			if p.Keys[side.Other()] == "" {
				err = tx.DropPair(p.ID)
			} else {
				err = tx.PutPair(p)
			}
			if err != nil {
				return err
			}
		}
		if len(pairs) < portion {
			return nil
		}
	}
}
