package state

import (
	"context"
	"errors"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// Pairs are written many at a time, because one may take the key that another gives away. A transaction keeps what it is told until there
// are perWrite of a kind, or it is about to read or to end.
const perWrite = 256

// change is a pair to be written, or to be forgotten.
type change struct {
	pair, was mail.Pair // was is for alterPair and shiftPair
	kind      changeKind
}

type changeKind uint8

const (
	insertPair changeKind = iota
	replacePair
	alterPair
	shiftPair
	dropPair
)

// PutPair inserts a pair without ID, and sets its ID, or replaces the one that has it. A key that another pair of the mailbox
// has is an error, of this call or a later one: nothing of the transaction stays then.
func (tx *Tx) PutPair(p *mail.Pair) (err error) {
	kind := replacePair
	if p.ID == 0 { // the checksum covers the ID, so it is chosen here
		kind = insertPair
		if p.ID, err = tx.newID(); err != nil {
			return explain("write pair", err)
		}
	}
	return explain("write pair", tx.buffer(change{pair: *p, kind: kind}))
}

// AlterPair is PutPair for a pair of which was is what was read of it: as long as it is still stored so, it need not be read again. Pairs
// that exchange keys must not have others between them whose place and keys stay.
func (tx *Tx) AlterPair(was, p *mail.Pair) error {
	kind := alterPair
	switch {
	case p.ID == 0 || p.ID != was.ID:
		return tx.PutPair(p)
	case !sameRow(was, p):
		kind = shiftPair
	}
	return explain("write pair", tx.buffer(change{pair: *p, was: *was, kind: kind}))
}

// sameRow reports whether pairs differ in data at most.
func sameRow(a, b *mail.Pair) bool {
	return a.Box == b.Box && a.Keys == b.Keys && a.Left == b.Left
}

// DropPair forgets a pair.
func (tx *Tx) DropPair(id int64) error {
	return explain("forget pair", tx.buffer(change{pair: mail.Pair{ID: id}, kind: dropPair}))
}

// newID returns an id above those of all pairs.
func (tx *Tx) newID() (int64, error) {
	if tx.nextID == 0 {
		if _, err := tx.row("SELECT coalesce(max(id), 0) + 1 FROM pair", nil, &tx.nextID); err != nil {
			return 0, err
		}
	}
	tx.nextID++
	return tx.nextID - 1, nil
}

// buffer keeps a change. Those that are kept are of one kind and of different pairs.
func (tx *Tx) buffer(c change) error {
	if n := len(tx.pending); n > 0 && (tx.pending[0].kind != c.kind || tx.waiting[c.pair.ID] || n == perWrite) {
		if err := tx.flushPairs(); err != nil {
			return err
		}
	}
	tx.pending = append(tx.pending, c)
	tx.waiting[c.pair.ID] = true
	return nil
}

// flushPairs writes what was kept. After an error the transaction cannot be completed.
func (tx *Tx) flushPairs() error {
	list := tx.pending
	if len(list) == 0 || tx.failed != nil {
		return tx.failed
	}
	tx.pending = tx.pending[:0]
	clear(tx.waiting)
	switch list[0].kind {
	case insertPair:
		tx.failed = tx.insertPairs(list)
	case replacePair:
		tx.failed = tx.replacePairs(list)
	case alterPair:
		tx.failed = tx.alterPairs(list, alterRow)
	case shiftPair:
		tx.failed = tx.alterPairs(list, shiftRow)
	case dropPair:
		tx.failed = tx.dropPairs(list)
	}
	return tx.failed
}

func (tx *Tx) insertPairs(list []change) error {
	for i := range list {
		p := &list[i].pair
		box, err := tx.boxID(p.Box)
		if err != nil {
			return err
		}
		if err := tx.insertRow(tx.rowOf(p, box)); err != nil {
			return err
		}
		tx.sumsOf(box).add(p)
	}
	return nil
}

// rowOf turns a pair into a row, which is good until the next one.
func (tx *Tx) rowOf(p *mail.Pair, mailbox int64) (r pairRow) {
	r, tx.buf = rowOf(p, mailbox, tx.buf[:0])
	return r
}

// replacePairs writes of pairs whose place, keys and reason stay only the rest: naming columns of indexes would rewrite their entries.
// The others are taken out, all of them, and put in again: one may take the key that another gives away.
func (tx *Tx) replacePairs(list []change) error {
	var in []*mail.Pair
	for i := range list {
		p := &list[i].pair
		was, err := tx.stored(p.ID)
		if err != nil {
			return err
		}
		if was == nil {
			continue // it is gone
		}
		box, err := tx.boxID(p.Box)
		if err != nil {
			return err
		}
		tx.sumsOf(was.mailbox).remove(&was.pair)
		tx.sumsOf(box).add(p)
		if was.mailbox == box && was.pair.Keys == p.Keys && was.pair.Left == p.Left {
			err = tx.exec("UPDATE pair SET data = ?2 WHERE id = ?1", p.ID, tx.rowOf(p, box).data)
		} else {
			in = append(in, p)
			err = tx.exec("DELETE FROM pair WHERE id = ?", p.ID)
		}
		if err != nil {
			return err
		}
	}
	for _, p := range in {
		box, err := tx.boxID(p.Box)
		if err != nil {
			return err
		}
		if err := tx.insertRow(tx.rowOf(p, box)); err != nil {
			return err
		}
	}
	return nil
}

// What alterPairs carries out: without and with a change of place, keys or reason. Naming columns of indexes rewrites their entries.
const (
	alterRow = "UPDATE pair SET data = ?3 WHERE id = ?1 AND data = ?2"
	shiftRow = "UPDATE pair SET data = ?3, mailbox = ?4, local = ?5, remote = ?6, remains = ?7 WHERE id = ?1 AND data = ?2"
)

// alterPairs writes pairs where they are stored as their changes say, and replaces the others.
func (tx *Tx) alterPairs(list []change, query string) error {
	s, err := tx.w.conn.Prepare(query)
	if err != nil {
		return err
	}
	rest := list[:0]
	for i := range list {
		c := list[i]
		was, err := tx.boxID(c.was.Box)
		if err != nil {
			return err
		}
		is, err := tx.boxID(c.pair.Box)
		if err != nil {
			return err
		}
		n, err := tx.alterPair(s, &c, was, is, query == shiftRow)
		switch {
		case err == nil && n == 1:
			tx.sumsOf(was).remove(&c.was)
			tx.sumsOf(is).add(&c.pair)
		case err == nil, isConstraint(err): // it takes the key that another has yet
			rest = append(rest, c)
		default:
			return err
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return tx.replacePairs(rest)
}

// alterPair alters a row; it returns how many rows were as the change says, 1 or 0.
func (tx *Tx) alterPair(s *sqlite.Stmt, c *change, was, is int64, shift bool) (n int, err error) {
	s.Int(1, c.pair.ID)
	s.Blob(2, tx.rowOf(&c.was, was).data)
	r := tx.rowOf(&c.pair, is)
	s.Blob(3, r.data)
	if shift {
		s.Int(4, r.mailbox)
		s.Blob(5, r.local)
		s.Blob(6, r.remote)
		s.Int(7, r.remains)
	}
	return s.Exec()
}

// isConstraint reports whether a statement was undone because a row would break a constraint.
func isConstraint(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Primary() == sqlite.ErrConstraint
}

func (tx *Tx) insertRow(r pairRow) error {
	s, err := tx.w.conn.Prepare("INSERT INTO pair (id, mailbox, local, remote, remains, data) VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	s.Int(1, r.id)
	s.Int(2, r.mailbox)
	s.Blob(3, r.local)
	s.Blob(4, r.remote)
	s.Int(5, r.remains)
	s.Blob(6, r.data)
	_, err = s.Exec()
	return err
}

func (tx *Tx) dropPairs(list []change) error {
	for i := range list {
		was, err := tx.pairRow("DELETE FROM pair WHERE id = ? RETURNING id, local, remote, data, mailbox", list[i].pair.ID)
		if err != nil {
			return err
		}
		if was != nil {
			tx.sumsOf(was.mailbox).remove(&was.pair)
		}
	}
	return nil
}

// storedPair is a pair as it is in the database.
type storedPair struct {
	mailbox int64
	pair    mail.Pair
}

// stored reads a pair; nil if there is none with this id.
func (tx *Tx) stored(id int64) (*storedPair, error) {
	return tx.pairRow("SELECT id, local, remote, data, mailbox FROM pair WHERE id = ?", id)
}

// pairRow carries out a query for an id that answers with a pair.
func (tx *Tx) pairRow(query string, id int64) (got *storedPair, err error) {
	err = tx.w.conn.Query(context.Background(), query, []any{id}, func(row *sqlite.Row) error {
		r := pairRowOf(row, row.Int(4))
		p, err := r.pair("", nil)
		got = &storedPair{r.mailbox, p}
		return err
	})
	return got, err
}
