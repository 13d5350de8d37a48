package state

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"math"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// Intents are written and forgotten hundreds at a time, so a row has as many as were added in one transaction, up to perRow. The ID of
// an intent is the row's and its place in it.
const (
	perRow    = 1 << 10
	placeBits = 10
)

// intentRow is a row of table intent: intents by place.
type intentRow map[int64]*mail.Intent

func appendIntent(b []byte, place int64, in *mail.Intent) []byte {
	e := &in.Entry
	b = binary.AppendUvarint(b, uint64(place)) //nolint:gosec // not negative
	b = append(b, byte(in.Side), byte(in.Kind), byte(e.Flags.System))
	for _, s := range [...]string{string(in.From.Box), string(in.From.Key), string(in.Box), string(in.Token), e.Flags.Keywords, e.Ident.Stable} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = append(append(b, e.Ident.MessageID[:]...), e.Ident.Digest[:]...)
	for _, n := range [...]int64{e.Ident.Size, e.Ident.Date, in.Pair, in.Late, int64(e.Stamp)} { //nolint:gosec // all bits come back
		b = binary.AppendVarint(b, n)
	}
	return b
}

func readIntent(r *reader, row int64) (place int64, in *mail.Intent) {
	place = int64(r.uvarint() & (perRow - 1)) //nolint:gosec // small
	in = &mail.Intent{ID: row<<placeBits | place}
	if b := r.bytes(3); b != nil {
		in.Side, in.Kind, in.Entry.Flags.System = mail.Side(b[0]&1), mail.IntentKind(b[1]), mail.System(b[2])
	}
	in.From = mail.Ref{Box: mail.Box(r.text()), Key: mail.Key(r.text())}
	in.Box, in.Token = mail.Box(r.text()), mail.Token(r.text())
	id := &in.Entry.Ident
	in.Entry.Flags.Keywords, id.Stable = r.text(), r.text()
	copy(id.MessageID[:], r.bytes(len(id.MessageID)))
	copy(id.Digest[:], r.bytes(len(id.Digest)))
	id.Size, id.Date, in.Pair, in.Late = r.varint(), r.varint(), r.varint(), r.varint()
	in.Entry.Stamp = uint64(r.varint()) //nolint:gosec // all bits come back
	return place, in
}

func unpackIntents(row int64, value []byte, crc int64) ([]*mail.Intent, error) {
	if crc != int64(crc32.Checksum(value, crcTable)) {
		return nil, damaged("intents %d", row)
	}
	var list []*mail.Intent
	for r := (&reader{rest: value}); len(r.rest) > 0; {
		_, in := readIntent(r, row)
		if r.bad {
			return nil, damaged("intents %d", row)
		}
		list = append(list, in)
	}
	return list, nil
}

// Intents returns all open intents, oldest first.
func (db *DB) Intents(ctx context.Context) ([]mail.Intent, error) {
	var all []mail.Intent
	err := db.readers.Query(ctx, "SELECT id, value, crc FROM intent ORDER BY id", nil, func(rows *sqlite.Row) error {
		var id, crc int64
		var value []byte
		if err := scan(rows, &id, &value, &crc); err != nil {
			return err
		}
		list, err := unpackIntents(id, value, crc)
		for _, in := range list {
			in.Box, in.From.Box = db.shown(in.Box), db.shown(in.From.Box)
			all = append(all, *in)
		}
		return err
	})
	return all, explain("read intents", err)
}

// intents are the rows that a transaction has to do with; they are written at its end.
type intents struct {
	rows    map[int64]intentRow
	changed map[int64]bool
	next    int64 // row and place of the next one; 0: not known yet
}

// AddIntent adds an intent and sets its ID.
func (tx *Tx) AddIntent(in *mail.Intent) error {
	t := &tx.intents
	if t.next == 0 {
		var last int64
		if _, err := tx.row("SELECT coalesce(max(id), 0) FROM intent", nil, &last); err != nil {
			return explain("write intent", err)
		}
		for row := range t.rows { // those of this transaction that are gone again do not give their numbers to others
			last = max(last, row)
		}
		if last < 0 || last >= math.MaxInt64>>placeBits {
			return explain("write intent", damaged("intents %d", last))
		}
		t.next = (last + 1) << placeBits
	}
	in.ID = t.next
	row, place := in.ID>>placeBits, in.ID&(perRow-1)
	if t.rows == nil {
		t.rows, t.changed = map[int64]intentRow{}, map[int64]bool{}
	}
	if t.rows[row] == nil {
		t.rows[row] = intentRow{}
	}
	kept := *in
	t.rows[row][place] = &kept
	t.changed[row] = true
	t.next++
	return nil
}

// intentRow reads the row of an intent, once.
func (tx *Tx) intentRow(id int64) (intentRow, error) {
	t := &tx.intents
	row := id >> placeBits
	if r, ok := t.rows[row]; ok {
		return r, nil
	}
	if t.rows == nil {
		t.rows, t.changed = map[int64]intentRow{}, map[int64]bool{}
	}
	if r := tx.w.intents[row]; r != nil {
		t.rows[row] = r
		return r, nil
	}
	var value []byte
	var crc int64
	found, err := tx.row("SELECT value, crc FROM intent WHERE id = ?", []any{row}, &value, &crc)
	if err != nil {
		return nil, err
	}
	var list []*mail.Intent
	if found {
		if list, err = unpackIntents(row, value, crc); err != nil {
			return nil, err
		}
	}
	r := intentRow{}
	for _, in := range list {
		r[in.ID&(perRow-1)] = in
	}
	t.rows[row] = r
	return r, nil
}

// DropIntent forgets a settled intent.
func (tx *Tx) DropIntent(id int64) error {
	r, err := tx.intentRow(id)
	if err != nil {
		return explain("forget intent", err)
	}
	if place := id & (perRow - 1); r[place] != nil {
		delete(r, place)
		tx.intents.changed[id>>placeBits] = true
	}
	return nil
}

// SetIntentLate notes when an effect was given up, seconds since 1970.
func (tx *Tx) SetIntentLate(id, at int64) error {
	r, err := tx.intentRow(id)
	if err != nil {
		return explain("write intent", err)
	}
	if in := r[id&(perRow-1)]; in != nil {
		in.Late = at
		tx.intents.changed[id>>placeBits] = true
	}
	return nil
}

// changeIntents calls fn for each open intent; it says whether it changed it.
func (tx *Tx) changeIntents(fn func(*mail.Intent) bool) error {
	rows := map[int64]bool{}
	err := tx.w.conn.Query(context.Background(), "SELECT id FROM intent", nil, func(found *sqlite.Row) error {
		var row int64
		err := scan(found, &row)
		rows[row] = true
		return err
	})
	if err != nil {
		return err
	}
	for row := range tx.intents.rows {
		rows[row] = true
	}
	for row := range rows {
		r, err := tx.intentRow(row << placeBits)
		if err != nil {
			return err
		}
		for _, in := range r {
			if fn(in) {
				tx.intents.changed[row] = true
			}
		}
	}
	return nil
}

// flushIntents writes the rows that changed.
func (tx *Tx) flushIntents() error {
	for row := range tx.intents.changed {
		list := tx.intents.rows[row]
		if len(list) == 0 {
			if err := tx.exec("DELETE FROM intent WHERE id = ?", row); err != nil {
				return err
			}
			continue
		}
		var value []byte
		for place := range int64(perRow) {
			if in := list[place]; in != nil {
				value = appendIntent(value, place, in)
			}
		}
		err := tx.exec("INSERT INTO intent (id, value, crc) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET value = ?2, crc = ?3",
			row, value, int64(crc32.Checksum(value, crcTable)))
		if err != nil {
			return err
		}
	}
	return nil
}

// remember keeps the rows of a transaction that was completed, so that they need not be read to be forgotten; of one that was not,
// nothing is known.
func (w *writer) remember(t *intents, done bool) {
	for row := range t.changed {
		if delete(w.intents, row); done && len(t.rows[row]) > 0 {
			w.intents[row] = t.rows[row]
		}
	}
}
