package state

import (
	"context"
	"encoding/json"
	"fmt"

	"mailtwin/internal/mail"
)

// As returns the database as it would be with other names of mailboxes, from new to old, for reading. It ends with db.
func (db *DB) As(names map[mail.Box]mail.Box) *DB {
	view := *db
	view.writer, view.renamed = nil, names
	return &view
}

// stored returns the name under which a mailbox has its row; "", which none has, for one that would have another name.
func (db *DB) stored(box mail.Box) mail.Box {
	if old, ok := db.renamed[box]; ok {
		return old
	}
	if db.shown(box) != box {
		return ""
	}
	return box
}

// shown is the inverse of stored.
func (db *DB) shown(box mail.Box) mail.Box {
	for to, from := range db.renamed {
		if from == box {
			return to
		}
	}
	return box
}

// RenameBox gives a mailbox another name, with all that is known of it: its pairs stay with it, intents, reports and what dedupe
// read follow. A row that has the new name and no pairs is forgotten; one with pairs is an error.
func (tx *Tx) RenameBox(from, to mail.Box) error {
	if err := tx.flushPairs(); err != nil {
		return explain("write pairs", err)
	}
	boxes, err := readBoxes(context.Background(), tx.w.conn, "WHERE name = ?", string(from))
	if err != nil || len(boxes) == 0 {
		return err
	}
	if err := tx.makeRoom(to); err != nil {
		return explain("rename mailbox", err)
	}
	delete(tx.boxes, from)
	boxes[0].Name, boxes[0].EmptyRuns = to, 0
	err = tx.exec("UPDATE mailbox SET name = ?, empty_runs = 0, crc = ? WHERE name = ?", string(to), int64(boxes[0].sum()), string(from))
	if err == nil {
		err = tx.exec("DELETE FROM digest WHERE mailbox = ?", string(to))
	}
	if err == nil {
		err = tx.exec("UPDATE digest SET mailbox = ? WHERE mailbox = ?", string(to), string(from))
	}
	if err == nil {
		err = tx.renameIntents(from, to)
	}
	if err == nil {
		err = tx.renameReports(from, to)
	}
	return explain("rename mailbox", err)
}

// makeRoom forgets an empty mailbox.
func (tx *Tx) makeRoom(name mail.Box) error {
	var id, n int64
	_, err := tx.row("SELECT coalesce(max(mailbox.id), 0), count(pair.id) FROM mailbox LEFT JOIN pair ON pair.mailbox = mailbox.id WHERE name = ?", // not from sums, of which some may wait
		[]any{string(name)}, &id, &n)
	if err != nil {
		return err
	}
	if n > 0 {
		return fmt.Errorf("%q has %d pairs", name, n)
	}
	delete(tx.boxes, name)
	delete(tx.sums, id) // what waits would count for the next mailbox that gets the number
	err = tx.exec("DELETE FROM sums WHERE mailbox = (SELECT id FROM mailbox WHERE name = ?)", string(name))
	if err == nil {
		err = tx.exec("DELETE FROM mailbox WHERE name = ?", string(name))
	}
	return err
}

func (tx *Tx) renameIntents(from, to mail.Box) error {
	return tx.changeIntents(func(in *mail.Intent) bool {
		if in.Kind == mail.IntentRename || in.Box != from && in.From.Box != from {
			return false
		}
		if in.Box == from {
			in.Box = to
		}
		if in.From.Box == from {
			in.From.Box = to
		}
		return true
	})
}

func (tx *Tx) renameReports(from, to mail.Box) error {
	var text string
	found, err := tx.row("SELECT value FROM meta WHERE name = 'reports'", nil, &text)
	if err != nil || !found {
		return err
	}
	var reports []Report
	if err := json.Unmarshal([]byte(text), &reports); err != nil {
		return damaged("row reports: %v", err)
	}
	changed := false
	for i := range reports {
		if reports[i].Box == from {
			reports[i].Box, changed = to, true
		}
	}
	if !changed {
		return nil
	}
	return tx.SetReports(reports)
}
