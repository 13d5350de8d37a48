package state

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"iter"
	"slices"
	"strings"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// querier is a pool or a connection.
type querier interface {
	Query(ctx context.Context, query string, args []any, fn func(*sqlite.Row) error) error
}

// scan reads a row. Values that are not of their column's type cannot be ours.
func scan(row *sqlite.Row, into ...any) error {
	if err := row.Scan(into...); err != nil {
		return damaged("a row cannot be read: %v", err)
	}
	return nil
}

func (db *DB) meta(ctx context.Context, name string, value any) error {
	err := db.readers.Query(ctx, "SELECT value, crc FROM meta WHERE name = ?", []any{name}, func(rows *sqlite.Row) error {
		var text string
		var crc int64
		if err := scan(rows, &text, &crc); err != nil {
			return err
		}
		if crc != int64(crc32.Checksum([]byte(text), crcTable)) {
			return damaged("row %s", name)
		}
		return json.Unmarshal([]byte(text), value)
	})
	return explain("read "+name, err)
}

// Account returns what is known of the account; the zero value for an empty database.
func (db *DB) Account(ctx context.Context) (a Account, err error) {
	err = db.meta(ctx, "account", &a)
	return a, err
}

// Reports returns what the last runs left to be said.
func (db *DB) Reports(ctx context.Context) (r []Report, err error) {
	err = db.meta(ctx, "reports", &r)
	for i := range r {
		r[i].Box = db.shown(r[i].Box)
	}
	return r, err
}

// Boxes returns all mailboxes, sorted by name.
func (db *DB) Boxes(ctx context.Context) ([]Box, error) {
	boxes, err := readBoxes(ctx, db.readers, "")
	for i := range boxes {
		boxes[i].Name = db.shown(boxes[i].Name)
	}
	slices.SortFunc(boxes, func(a, b Box) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return boxes, err
}

func readBoxes(ctx context.Context, q querier, where string, args ...any) ([]Box, error) {
	var boxes []Box
	err := q.Query(ctx, `SELECT name, local_epoch, remote_epoch, local_mark, remote_mark, local_known, remote_known, local_whole, remote_whole, empty_runs, role, crc, stamps_at, local_id, remote_id
		FROM mailbox `+where+" ORDER BY name", args, func(rows *sqlite.Row) error {
		var b Box
		var name string
		var marks [2][]byte
		var whole [2]int64
		var crc, stampsAt int64
		if err := scan(rows, &name, &b.Epoch[0], &b.Epoch[1], &marks[0], &marks[1], &b.Known[0], &b.Known[1], &whole[0], &whole[1], &b.EmptyRuns, &b.Role, &crc, &stampsAt, &b.ID[0], &b.ID[1]); err != nil {
			return err
		}
		b.Name = mail.Box(name)
		for side, m := range marks {
			b.Mark[side] = mail.Mark(m)
			if whole[side] != 0 {
				b.WholeAt[side] = time.Unix(0, whole[side])
			}
		}
		if stampsAt != 0 {
			b.StampsAt = time.Unix(0, stampsAt)
		}
		if crc != int64(b.sum()) {
			return damaged("mailbox %q", name)
		}
		boxes = append(boxes, b)
		return nil
	})
	return boxes, explain("read mailboxes", err)
}

// sum is the checksum over all columns.
func (b *Box) sum() uint32 {
	var buf []byte
	for _, s := range [...]string{string(b.Name), b.Epoch[0], b.Epoch[1], string(b.Mark[0]), string(b.Mark[1]), b.Role} {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	known := int64(0)
	for side, k := range b.Known {
		if k {
			known |= 1 << side
		}
	}
	for _, n := range [...]int64{known, int64(b.EmptyRuns), nanoseconds(b.WholeAt[0]), nanoseconds(b.WholeAt[1]), nanoseconds(b.StampsAt)} {
		buf = binary.AppendVarint(buf, n)
	}
	if b.ID != ([2]string{}) { // rows of before have none
		for _, s := range b.ID {
			buf = binary.AppendUvarint(buf, uint64(len(s)))
			buf = append(buf, s...)
		}
	}
	return crc32.Checksum(buf, crcTable)
}

const pairColumns = "SELECT pair.id, local, remote, data, pair.mailbox, mailbox.name FROM pair JOIN mailbox ON mailbox.id = pair.mailbox WHERE "

// pairRowOf takes a row of pairs with the columns id, local, remote, data; its bytes are good until the next one.
func pairRowOf(row *sqlite.Row, mailbox int64) pairRow {
	return pairRow{id: row.Int(0), mailbox: mailbox, local: row.Bytes(1), remote: row.Bytes(2), data: row.Bytes(3)}
}

// errStop ends a query whose rows nobody wants any more.
var errStop = errors.New("stop")

// readPairs yields pairs with their checksums compared; it ends at the first error.
func readPairs(ctx context.Context, q querier, where string, args ...any) iter.Seq2[mail.Pair, error] {
	var last mail.Box
	return yieldPairs(ctx, q, pairColumns+where, args, func(row *sqlite.Row) (mail.Box, int64) {
		if name := row.Bytes(5); string(name) != string(last) {
			last = mail.Box(name)
		}
		return last, row.Int(4)
	})
}

// readBoxPairs is readPairs for one mailbox, of which id is the row: what it reads of others counts as damaged.
func readBoxPairs(ctx context.Context, q querier, box mail.Box, id int64, where string, args ...any) iter.Seq2[mail.Pair, error] {
	return yieldPairs(ctx, q, "SELECT id, local, remote, data FROM pair WHERE "+where, args, func(*sqlite.Row) (mail.Box, int64) { return box, id })
}

func yieldPairs(ctx context.Context, q querier, query string, args []any, of func(*sqlite.Row) (box mail.Box, mailbox int64)) iter.Seq2[mail.Pair, error] {
	return func(yield func(mail.Pair, error) bool) {
		space := make([]byte, 0, sumSpace)
		err := q.Query(ctx, query, args, func(row *sqlite.Row) error {
			box, mailbox := of(row)
			r := pairRowOf(row, mailbox)
			p, err := r.pair(box, space)
			if err == nil && !yield(p, nil) {
				return errStop
			}
			return err
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(mail.Pair{}, explain("read pairs", err))
		}
	}
}

const inBox = "mailbox = (SELECT id FROM mailbox WHERE name = ?1)"

// keyColumn is the column with the keys of a side.
func keyColumn(side mail.Side) string { return [2]string{"local", "remote"}[side] }

// Pairs yields the pairs of a mailbox that have a key on a side, in the order of these keys. It streams; writing meanwhile
// does not disturb it, and is not seen. A damaged index, which leaves pairs out or tells them twice, is found by their sum: then
// ErrDamaged comes last.
func (db *DB) Pairs(ctx context.Context, box mail.Box, side mail.Side) iter.Seq2[mail.Pair, error] {
	return func(yield func(mail.Pair, error) bool) {
		err := db.readers.moment(func(c *sqlite.Conn) error {
			return pairsInOrder(ctx, c, box, db.stored(box), side, func(p mail.Pair) bool { return yield(p, nil) })
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(mail.Pair{}, err)
		}
	}
}

// pairsInOrder calls fn for the pairs of a mailbox, which is stored under another name perhaps, as Pairs does.
func pairsInOrder(ctx context.Context, c *sqlite.Conn, box, stored mail.Box, side mail.Side, fn func(mail.Pair) bool) error {
	id, want, err := readSums(ctx, c, stored)
	if err != nil {
		return explain("read pairs", err)
	}
	column := keyColumn(side)
	var sum mail.Sum
	var last mail.Key
	for p, err := range readBoxPairs(ctx, c, box, id, "mailbox = ?1 AND "+column+" IS NOT NULL ORDER BY "+column, id) {
		if err != nil {
			return err
		}
		if p.Keys[side] <= last {
			return damaged("the keys of mailbox %q are not in order", box)
		}
		if !fn(p) {
			return errStop
		}
		last = p.Keys[side]
		sum.Add(last, p.Shown(side))
	}
	if sum != want.sides[side] {
		return damaged("pairs of mailbox %q are missing", box)
	}
	return nil
}

// PairsByKey returns those of the pairs that have one of these keys, in the order of keys.
func (db *DB) PairsByKey(ctx context.Context, box mail.Box, side mail.Side, keys []mail.Key) ([]mail.Pair, error) {
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	c := keyColumn(side)
	if isDense(keys) {
		return db.between(ctx, box, side, keys)
	}
	return db.named(ctx, box, c, len(keys), func(s *sqlite.Stmt, i int) { s.Blob(2, []byte(keys[i])) })
}

// denseFrom is how many keys are worth a look at what is between them.
const denseFrom = 64

// isDense reports whether keys are UIDs with few others between them, so that to read all pairs from the first to the last takes less
// time than to look for each.
func isDense(keys []mail.Key) bool {
	if len(keys) < denseFrom {
		return false
	}
	first, ok := keys[0].UID()
	last, also := keys[len(keys)-1].UID()
	return ok && also && last > first && int(last-first) < len(keys)*5/2
}

// between is PairsByKey for keys that are dense, in order. Of others only their checksum is compared: a key that an index has wrong, and
// that therefore is none of those, would hide the one that it should be, and all up to itself.
func (db *DB) between(ctx context.Context, box mail.Box, side mail.Side, keys []mail.Key) ([]mail.Pair, error) {
	c := keyColumn(side)
	pairs := make([]mail.Pair, 0, len(keys))
	space := make([]byte, 0, sumSpace)
	err := db.readers.moment(func(conn *sqlite.Conn) error {
		id, _, err := readSums(ctx, conn, db.stored(box))
		if err != nil {
			return err
		}
		args := []any{id, []byte(keys[0]), []byte(keys[len(keys)-1])}
		return conn.Query(ctx, "SELECT id, local, remote, data FROM pair WHERE mailbox = ?1 AND "+c+" BETWEEN ?2 AND ?3 ORDER BY "+c, args, func(row *sqlite.Row) error {
			r := pairRowOf(row, id)
			key := [2][]byte{r.local, r.remote}[side]
			for len(keys) > 0 && string(keys[0]) < string(key) {
				keys = keys[1:]
			}
			if len(keys) == 0 || string(keys[0]) != string(key) {
				_, err := r.content(space)
				return err
			}
			p, err := r.pair(box, space)
			pairs = append(pairs, p)
			return err
		})
	})
	if err != nil {
		return nil, explain("read pairs", err)
	}
	return pairs, nil
}

// PairsByID returns those of the pairs of a mailbox that have these ids, in their order, each once.
func (db *DB) PairsByID(ctx context.Context, box mail.Box, ids []int64) ([]mail.Pair, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	return db.named(ctx, box, "id", len(ids), func(s *sqlite.Stmt, i int) { s.Int(2, ids[i]) })
}

// named returns pairs of a mailbox by the values of a column, which bind sets.
func (db *DB) named(ctx context.Context, box mail.Box, column string, n int, bind func(s *sqlite.Stmt, i int)) ([]mail.Pair, error) {
	if n == 0 {
		return nil, nil
	}
	pairs := make([]mail.Pair, 0, n)
	space := make([]byte, 0, sumSpace)
	err := db.readers.moment(func(conn *sqlite.Conn) error {
		id, _, err := readSums(ctx, conn, db.stored(box))
		if err != nil {
			return err
		}
		s, err := conn.Prepare("SELECT id, local, remote, data FROM pair WHERE mailbox = ?1 AND " + column + " = ?2")
		if err != nil {
			return err
		}
		for i := range n {
			s.Int(1, id)
			bind(s, i)
			err := s.Query(ctx, func(row *sqlite.Row) error {
				r := pairRowOf(row, id)
				p, err := r.pair(box, space)
				pairs = append(pairs, p)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, explain("read pairs", err)
	}
	return pairs, nil
}

// portion is how many pairs are read at a time at most.
const portion = 500

// HalfPairs returns the pairs of a mailbox that lack a key.
func (db *DB) HalfPairs(ctx context.Context, box mail.Box) ([]mail.Pair, error) {
	id, _, err := readSums(ctx, db.readers, db.stored(box))
	if err != nil {
		return nil, explain("read pairs", err)
	}
	return collect(readBoxPairs(ctx, db.readers, box, id, "mailbox = ?1 AND remains != 0 AND (local IS NULL OR remote IS NULL) ORDER BY id", id))
}

// ByMessageID returns the pairs of the whole account that have one of these Message-IDs; it reads all rows.
func (db *DB) ByMessageID(ctx context.Context, ids []mail.Hash) ([]mail.Pair, error) {
	wanted := map[mail.Hash]bool{}
	for _, id := range ids {
		wanted[id] = !id.IsZero()
	}
	var pairs []mail.Pair
	for p, err := range readPairs(ctx, db.readers, "true ORDER BY pair.id") {
		if err != nil {
			return nil, err
		}
		if wanted[p.Ident.MessageID] {
			p.Box = db.shown(p.Box)
			pairs = append(pairs, p)
		}
	}
	return pairs, nil
}

func collect(seq iter.Seq2[mail.Pair, error]) (pairs []mail.Pair, err error) {
	for p, err := range seq {
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// Left counts the pairs that are not as they should be, by mailbox and reason.
func (db *DB) Left(ctx context.Context) (map[mail.Box]map[mail.Left]int, error) {
	left := map[mail.Box]map[mail.Left]int{}
	err := db.readers.Query(ctx, "SELECT mailbox.name, remains, count(*) FROM pair JOIN mailbox ON mailbox.id = pair.mailbox WHERE remains != 0 GROUP BY 1, 2", nil, func(rows *sqlite.Row) error {
		var name string
		var reason uint8
		var n int
		if err := scan(rows, &name, &reason, &n); err != nil {
			return err
		}
		box := db.shown(mail.Box(name))
		if left[box] == nil {
			left[box] = map[mail.Left]int{}
		}
		left[box][mail.Left(reason)] = n
		return nil
	})
	return left, explain("read what is left", err)
}

// Has reports whether a pair has this key.
func (db *DB) Has(ctx context.Context, side mail.Side, ref mail.Ref) (bool, error) {
	found := false
	err := db.readers.Query(ctx, "SELECT 1 FROM pair WHERE "+inBox+" AND "+keyColumn(side)+" = ?2", []any{string(db.stored(ref.Box)), []byte(ref.Key)}, func(*sqlite.Row) error {
		found = true
		return nil
	})
	return found, explain("find pair", err)
}
