package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"hash/crc32"
	"time"

	"mailtwin/internal/mail"
)

// Tx is a write transaction, see DB.Update.
type Tx struct {
	w     *writer
	boxes map[mail.Box]int64
	sums  map[int64]*[2]mail.Sum // to be added, by mailbox
	buf   []byte
}

func (tx *Tx) exec(query string, args ...any) error {
	_, err := tx.run(query, args...)
	return err
}

func (tx *Tx) run(query string, args ...any) (sql.Result, error) {
	s, err := tx.w.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), args...)
}

// boxID returns the row of a mailbox, which it creates if it is not there.
func (tx *Tx) boxID(name mail.Box) (int64, error) {
	if id, ok := tx.boxes[name]; ok {
		return id, nil
	}
	s, err := tx.w.stmt("SELECT id FROM mailbox WHERE name = ?")
	if err != nil {
		return 0, err
	}
	var id int64
	err = s.QueryRowContext(context.Background(), string(name)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = tx.PutBox(Box{Name: name})
		if err == nil {
			err = s.QueryRowContext(context.Background(), string(name)).Scan(&id)
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

// PutPair inserts a pair without ID, and sets its ID, or replaces the one that has it. A key that another pair of the mailbox
// has is an error.
func (tx *Tx) PutPair(p *mail.Pair) error {
	id, err := tx.boxID(p.Box)
	if err != nil {
		return err
	}
	if p.ID == 0 { // the checksum covers the ID, so it is chosen here
		s, err := tx.w.stmt("SELECT coalesce(max(id), 0) + 1 FROM pair")
		if err != nil {
			return explain("write pair", err)
		}
		if err := s.QueryRowContext(context.Background()).Scan(&p.ID); err != nil {
			return explain("write pair", err)
		}
		if err := tx.writePair("INSERT INTO pair (id, mailbox, local, remote, flags, keywords, digest, message_id, size, date, stable, stamp, remains, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)", p, id); err != nil {
			p.ID = 0
			return err
		}
		tx.account(p, id)
		return nil
	}
	old, err := tx.discount(p.ID)
	if err != nil {
		return explain("write pair", err)
	}
	if old != nil {
		tx.account(p, id)
	}
	if old != nil && old.mailbox == id && string(old.local) == string(p.Keys[mail.Local]) && string(old.remote) == string(p.Keys[mail.Remote]) && old.remains == int64(p.Left) {
		// No index needs to change: naming their columns would rewrite their entries.
		return tx.writeContent(p, id)
	}
	return tx.writePair("UPDATE pair SET mailbox = ?2, local = ?3, remote = ?4, flags = ?5, keywords = ?6, digest = ?7, message_id = ?8, size = ?9, date = ?10, stable = ?11, stamp = ?12, remains = ?13, crc = ?14 WHERE id = ?1", p, id)
}

func (tx *Tx) writePair(query string, p *mail.Pair, box int64) error {
	r := rowOf(p, box)
	var sum int64
	sum, tx.buf = r.sum(tx.buf)
	return explain("write pair", tx.exec(query, r.id, r.mailbox, r.local, r.remote, r.flags, text(r.keywords), r.digest, r.messageID, r.size, r.date, text(r.stable), r.stamp, r.remains, sum))
}

// writeContent writes all columns but those of indexes.
func (tx *Tx) writeContent(p *mail.Pair, box int64) error {
	r := rowOf(p, box)
	var sum int64
	sum, tx.buf = r.sum(tx.buf)
	return explain("write pair", tx.exec("UPDATE pair SET flags = ?2, keywords = ?3, digest = ?4, message_id = ?5, size = ?6, date = ?7, stable = ?8, stamp = ?9, crc = ?10 WHERE id = ?1",
		r.id, r.flags, text(r.keywords), r.digest, r.messageID, r.size, r.date, text(r.stable), r.stamp, sum))
}

// DropPair forgets a pair.
func (tx *Tx) DropPair(id int64) error {
	if _, err := tx.discount(id); err != nil {
		return explain("forget pair", err)
	}
	return explain("forget pair", tx.exec("DELETE FROM pair WHERE id = ?", id))
}

// VoidKeys takes the keys of one side of a mailbox away, because its epoch changed: pairs become half pairs that are
// searched for by content; those that had no other key are forgotten.
func (tx *Tx) VoidKeys(box mail.Box, side mail.Side) error {
	const portion = 1000
	last := int64(0)
	for {
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

// AddIntent writes an intent and sets its ID.
func (tx *Tx) AddIntent(in *mail.Intent) error {
	stored := storedIntent(*in)
	stored.ID = 0
	value, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	res, err := tx.run("INSERT INTO intent (value, crc) VALUES (?, ?)", string(value), int64(crc32.Checksum(value, crcTable)))
	if err == nil {
		in.ID, err = res.LastInsertId()
	}
	return explain("write intent", err)
}

// DropIntent forgets a settled intent.
func (tx *Tx) DropIntent(id int64) error {
	return explain("forget intent", tx.exec("DELETE FROM intent WHERE id = ?", id))
}

// SetIntentLate notes when an effect was given up, seconds since 1970.
func (tx *Tx) SetIntentLate(id, at int64) error {
	intents, err := readIntents(context.Background(), tx.w.conn, "WHERE id = ?", id)
	if err != nil || len(intents) == 0 {
		return err
	}
	intents[0].Late = at
	return tx.setIntent(intents[0])
}

func (tx *Tx) setIntent(in mail.Intent) error {
	stored := storedIntent(in)
	stored.ID = 0
	value, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	return explain("write intent", tx.exec("UPDATE intent SET value = ?, crc = ? WHERE id = ?", string(value), int64(crc32.Checksum(value, crcTable)), in.ID))
}
