package state

import (
	"context"

	"mailtwin/internal/mail"
	"mailtwin/internal/state/sqlite"
)

// Check looks at every page, every checksum, and that no key has two pairs; ErrDamaged says what is wrong.
func (db *DB) Check(ctx context.Context) error {
	err := db.readers.Query(ctx, "PRAGMA integrity_check(5)", nil, func(rows *sqlite.Row) error {
		var text string
		if err := scan(rows, &text); err != nil {
			return err
		}
		if text != "ok" {
			return damaged("%s", text)
		}
		return nil
	})
	if err == nil {
		_, err = db.Boxes(ctx)
	}
	if err == nil {
		_, err = db.Intents(ctx)
	}
	for _, read := range []func(context.Context) error{
		func(ctx context.Context) error { _, err := db.Account(ctx); return err },
		func(ctx context.Context) error { _, err := db.Reports(ctx); return err },
		db.checkPairs,
	} {
		if err == nil {
			err = read(ctx)
		}
	}
	return explain("check state database", err)
}

func (db *DB) checkPairs(ctx context.Context) error {
	n, all, left, indexed := 0, 0, 0, 0
	for p, err := range readPairs(ctx, db.readers, "true") {
		if err != nil {
			return err
		}
		if p.Keys == [2]mail.Key{} {
			return damaged("pair %d has no key", p.ID)
		}
		if p.Left != mail.LeftNone {
			left++
		}
		n++
	}
	err := db.readers.Query(ctx, "SELECT count(*) FROM pair", nil, func(rows *sqlite.Row) error { return scan(rows, &all) })
	if err == nil && n != all {
		err = damaged("%d pairs are of no mailbox", all-n)
	}
	if err == nil {
		err = db.readers.Query(ctx, "SELECT count(*) FROM pair WHERE remains != 0", nil, func(rows *sqlite.Row) error { return scan(rows, &indexed) })
	}
	if err == nil && left != indexed {
		err = damaged("%d pairs are not as they should be, and %d are said to be so", left, indexed)
	}
	return err
}

// checkIfDue checks after an unclean end, and weekly (rule 3).
func (db *DB) checkIfDue(ctx context.Context) error {
	var at int64
	if err := db.meta(ctx, "checked", &at); err != nil {
		return err
	}
	now := db.now()
	if !db.unclean && at != 0 && now.Unix()-at < int64(checkEvery.Seconds()) && now.Unix() >= at {
		return nil
	}
	if err := db.Check(ctx); err != nil {
		return err
	}
	return db.Update(ctx, false, func(tx *Tx) error { return tx.setMeta("checked", now.Unix()) })
}
