package state

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"mailtwin/internal/mail"
)

// Pairs are written many at a time, because a statement costs several times as much as a row. A transaction keeps what it is told
// until there are perWrite of a kind, or it is about to read or to end.
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
		s, err := tx.w.stmt("SELECT coalesce(max(id), 0) + 1 FROM pair")
		if err != nil {
			return 0, err
		}
		if err := s.QueryRowContext(context.Background()).Scan(&tx.nextID); err != nil {
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
		tx.failed = tx.alterPairs(list, alterRow, 3)
	case shiftPair:
		tx.failed = tx.alterPairs(list, shiftRow, 7)
	case dropPair:
		tx.failed = tx.dropPairs(list)
	}
	return tx.failed
}

func (tx *Tx) insertPairs(list []change) error {
	args := make([]any, 0, 6*len(list))
	tx.buf = tx.buf[:0]
	for i := range list {
		p := &list[i].pair
		box, err := tx.boxID(p.Box)
		if err != nil {
			return err
		}
		var r pairRow
		r, tx.buf = rowOf(p, box, tx.buf)
		args = append(args, r.id, r.mailbox, r.local, r.remote, r.remains, r.data)
		tx.sumsOf(box).add(p)
	}
	return tx.insertRows(args)
}

// replacePairs writes of pairs whose place, keys and reason stay only the rest: naming columns of indexes would rewrite their entries.
// The others are taken out, all of them, and put in again: one may take the key that another gives away.
func (tx *Tx) replacePairs(list []change) error {
	old, err := tx.stored(list)
	if err != nil {
		return err
	}
	tx.buf = tx.buf[:0]
	var stay, out, in []any
	for i := range list {
		p := &list[i].pair
		was := old[p.ID]
		if was == nil {
			continue // it is gone
		}
		box, err := tx.boxID(p.Box)
		if err != nil {
			return err
		}
		tx.sumsOf(was.mailbox).remove(&was.pair)
		tx.sumsOf(box).add(p)
		var r pairRow
		r, tx.buf = rowOf(p, box, tx.buf)
		if was.mailbox == box && was.pair.Keys == p.Keys && was.pair.Left == p.Left {
			stay = append(stay, r.id, r.data)
			continue
		}
		out = append(out, r.id)
		in = append(in, r.id, r.mailbox, r.local, r.remote, r.remains, r.data)
	}
	if err := tx.replaceData(stay); err != nil {
		return err
	}
	if err := tx.deleteRows(out); err != nil {
		return err
	}
	return tx.insertRows(in)
}

// What alterPairs carries out: without and with a change of place, keys or reason. Naming columns of indexes rewrites their entries.
const (
	alterRow = "UPDATE pair SET data = new.column3 FROM (VALUES "
	shiftRow = "UPDATE pair SET data = new.column3, mailbox = new.column4, local = new.column5, remote = new.column6, remains = new.column7 FROM (VALUES "
)

// alterPairs writes pairs that are stored as their changes say; if one of them is not, all are replaced.
func (tx *Tx) alterPairs(list []change, head string, width int) error {
	args := make([]any, 0, width*len(list))
	boxes := make([][2]int64, len(list))
	tx.buf = tx.buf[:0]
	for i := range list {
		c := &list[i]
		for k, p := range [...]*mail.Pair{&c.was, &c.pair} {
			box, err := tx.boxID(p.Box)
			if err != nil {
				return err
			}
			boxes[i][k] = box
		}
		var old, r pairRow
		old, tx.buf = rowOf(&c.was, boxes[i][0], tx.buf)
		r, tx.buf = rowOf(&c.pair, boxes[i][1], tx.buf)
		args = append(args, r.id, old.data, r.data)
		if width > 3 {
			args = append(args, r.mailbox, r.local, r.remote, r.remains)
		}
	}
	all, err := tx.changesAll(len(list), head, width, ") AS new WHERE pair.id = new.column1 AND pair.data = new.column2", args)
	if err != nil {
		return err
	}
	if !all {
		return tx.replacePairs(list)
	}
	for i := range list {
		tx.sumsOf(boxes[i][0]).remove(&list[i].was)
		tx.sumsOf(boxes[i][1]).add(&list[i].pair)
	}
	return nil
}

// changesAll carries out a statement on n rows. If it does not find all of them as they should be, or one of them would take a key that
// another has yet, it changes none. To count rows takes less time than to be told of each.
func (tx *Tx) changesAll(n int, head string, width int, tail string, args []any) (bool, error) {
	if err := tx.exec("SAVEPOINT rows"); err != nil {
		return false, err
	}
	err := portions(head, width, tail, args, func(query string, args []any) error {
		r, err := tx.run(query, args...)
		if err != nil {
			return err
		}
		changed, err := r.RowsAffected()
		n -= int(changed)
		return err
	})
	if err != nil && !isConstraint(err) {
		return false, err
	}
	all := err == nil && n == 0
	if !all {
		if err := tx.exec("ROLLBACK TO rows"); err != nil {
			return false, err
		}
	}
	return all, tx.exec("RELEASE rows")
}

// isConstraint reports whether a statement was undone because a row would break a constraint.
func isConstraint(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}

func (tx *Tx) insertRows(args []any) error {
	return tx.rows("INSERT INTO pair (id, mailbox, local, remote, remains, data) VALUES ", 6, "", args)
}

func (tx *Tx) deleteRows(ids []any) error {
	return tx.rows("DELETE FROM pair WHERE id IN (VALUES ", 1, ")", ids)
}

func (tx *Tx) replaceData(args []any) error {
	return tx.rows("UPDATE pair SET data = new.column2 FROM (VALUES ", 2, ") AS new WHERE pair.id = new.column1", args)
}

func (tx *Tx) dropPairs(list []change) error {
	return tx.rowsOf("DELETE FROM pair WHERE id IN (VALUES ", ") RETURNING id, local, remote, data, mailbox", list, func(was *storedPair) {
		tx.sumsOf(was.mailbox).remove(&was.pair)
	})
}

// storedPair is a pair as it is in the database.
type storedPair struct {
	mailbox int64
	pair    mail.Pair
}

// stored reads the pairs that a list of changes has the ids of.
func (tx *Tx) stored(list []change) (map[int64]*storedPair, error) {
	old := make(map[int64]*storedPair, len(list))
	err := tx.rowsOf("SELECT id, local, remote, data, mailbox FROM pair WHERE id IN (VALUES ", ")", list, func(was *storedPair) {
		copied := *was
		old[was.pair.ID] = &copied
	})
	return old, err
}

// rowsOf carries out a query for the ids of a list of changes that answers with pairs.
func (tx *Tx) rowsOf(head, tail string, list []change, fn func(*storedPair)) error {
	args := make([]any, len(list))
	for i := range list {
		args[i] = list[i].pair.ID
	}
	s := newPairScanner(0)
	s.into = append(s.into, &s.row.mailbox)
	var got storedPair
	return tx.ask(head, 1, tail, args, func(rows *sql.Rows) (err error) {
		if err := s.scan(rows); err != nil {
			return err
		}
		got.mailbox = s.row.mailbox
		if got.pair, err = s.row.pair("", s.space); err == nil {
			fn(&got)
		}
		return err
	})
}

// sizes of statements for many rows. Each is prepared once.
var sizes = [...]int{64, 8, 1}

// portions cuts arguments, width of them for a row, into pieces for which there are statements.
func portions(head string, width int, tail string, args []any, fn func(query string, args []any) error) error {
	row := "(" + strings.Repeat("?,", width)[:2*width-1] + "),"
	for _, n := range sizes {
		for len(args) >= n*width {
			query := head + strings.TrimSuffix(strings.Repeat(row, n), ",") + tail
			if err := fn(query, args[:n*width]); err != nil {
				return err
			}
			args = args[n*width:]
		}
	}
	return nil
}

// rows carries out a statement on many rows.
func (tx *Tx) rows(head string, width int, tail string, args []any) error {
	return portions(head, width, tail, args, func(query string, args []any) error { return tx.exec(query, args...) })
}

// ask carries out a query for many rows.
func (tx *Tx) ask(head string, width int, tail string, args []any, fn func(*sql.Rows) error) error {
	return portions(head, width, tail, args, func(query string, args []any) error {
		s, err := tx.w.stmt(query)
		if err != nil {
			return err
		}
		return each(context.Background(), statement{s}, "", args, fn)
	})
}

// statement is a querier whose query is prepared.
type statement struct{ *sql.Stmt }

func (s statement) QueryContext(ctx context.Context, _ string, args ...any) (*sql.Rows, error) {
	return s.Stmt.QueryContext(ctx, args...)
}
