package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"hash/crc32"

	"mailtwin/internal/mail"
)

// intentJSON is how an intent is stored: keys and tokens are bytes, not text.
type intentJSON struct {
	Side                           uint8
	Kind                           uint8
	FromBox, Box                   []byte
	FromKey, Token                 []byte
	System                         uint8
	Keywords                       string
	MessageID, Digest              []byte
	Size, Date, Pair, Late, Number int64
	Stable                         string
}

type storedIntent mail.Intent

// MarshalJSON implements json.Marshaler.
func (s storedIntent) MarshalJSON() ([]byte, error) {
	e := s.Entry
	return json.Marshal(intentJSON{
		Side: uint8(s.Side), Kind: uint8(s.Kind), FromBox: []byte(s.From.Box), FromKey: []byte(s.From.Key), Box: []byte(s.Box), Token: []byte(s.Token),
		System: uint8(e.Flags.System), Keywords: e.Flags.Keywords, MessageID: e.Ident.MessageID[:], Digest: e.Ident.Digest[:],
		Size: e.Ident.Size, Date: e.Ident.Date, Stable: e.Ident.Stable, Pair: s.Pair, Late: s.Late, Number: int64(e.Stamp), //nolint:gosec // all bits come back
	})
}

func intentOf(id int64, value string) (mail.Intent, error) {
	var j intentJSON
	if err := json.Unmarshal([]byte(value), &j); err != nil {
		return mail.Intent{}, damaged("intent %d: %v", id, err)
	}
	in := mail.Intent{
		ID: id, Side: mail.Side(j.Side & 1), Kind: mail.IntentKind(j.Kind), From: mail.Ref{Box: mail.Box(j.FromBox), Key: mail.Key(j.FromKey)},
		Box: mail.Box(j.Box), Token: mail.Token(j.Token), Pair: j.Pair, Late: j.Late,
	}
	in.Entry.Flags = mail.Flags{System: mail.System(j.System), Keywords: j.Keywords}
	in.Entry.Ident = mail.Ident{Size: j.Size, Date: j.Date, Stable: j.Stable}
	in.Entry.Stamp = uint64(j.Number) //nolint:gosec // all bits come back
	copy(in.Entry.Ident.MessageID[:], j.MessageID)
	copy(in.Entry.Ident.Digest[:], j.Digest)
	return in, nil
}

func readIntents(ctx context.Context, q querier, where string, args ...any) ([]mail.Intent, error) {
	var all []mail.Intent
	err := each(ctx, q, "SELECT id, value, crc FROM intent "+where, args, func(rows *sql.Rows) error {
		var id, crc int64
		var value string
		if err := scan(rows, &id, &value, &crc); err != nil {
			return err
		}
		if crc != int64(crc32.Checksum([]byte(value), crcTable)) {
			return damaged("intent %d", id)
		}
		in, err := intentOf(id, value)
		all = append(all, in)
		return err
	})
	return all, explain("read intents", err)
}

// Intents returns all open intents, oldest first.
func (db *DB) Intents(ctx context.Context) ([]mail.Intent, error) {
	all, err := readIntents(ctx, db.readers, "ORDER BY id")
	for i := range all {
		all[i].Box, all[i].From.Box = db.shown(all[i].Box), db.shown(all[i].From.Box)
	}
	return all, err
}
