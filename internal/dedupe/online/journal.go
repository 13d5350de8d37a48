package online

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// Journal remembers which copies are in the trash, and where they were. It is kept in a state database of its own: an intent stands for
// a message that is on its way, a pair for one that is in the trash. The pair's mailbox is the trash and its remote key the UID there; its
// local key has the mailbox where the message was, its UID then and the one in the trash, its stamp when it went.
type Journal struct {
	db    *state.DB
	store store.Store
}

// Moved is a copy in the trash.
type Moved struct {
	ID       string // short, for people; the same as long as it is there
	Box      mail.Box
	Trash    mail.Box
	Key      mail.Key // in the trash
	At, Date time.Time
	Bytes    int64
	pair     mail.Pair
}

// OpenJournal returns the journal that is kept in db of what was moved in a store, and settles what an earlier run left open. A db that
// is read-only is only read.
func OpenJournal(ctx context.Context, db *state.DB, s store.Store, readOnly bool) (*Journal, error) {
	j := &Journal{db: db, store: s}
	if readOnly {
		return j, nil
	}
	return j, j.settle(ctx)
}

// from is the local key of a pair. The UID in the trash makes it unique: a mailbox that is renumbered gives its UIDs once more.
func from(was mail.Ref, now mail.Key) mail.Key {
	return mail.Key(string(was.Box) + "\x00" + string(was.Key) + string(now))
}

// settle finds out what became of moves that a run was stopped in.
func (j *Journal) settle(ctx context.Context) error {
	intents, err := j.db.Intents(ctx)
	if err != nil || len(intents) == 0 {
		return err
	}
	done, err := j.ask(ctx, intents, nil)
	if err != nil {
		return err
	}
	for i := range intents {
		if in := &intents[i]; in.Pair == 0 && done[i].Key != "" {
			still, err := j.has(ctx, in)
			if err != nil {
				return err
			}
			if still { // copied and not removed: it did not go, and what is in the trash is one too many there
				done[i].Key = ""
			}
		}
	}
	return j.note(ctx, intents, done)
}

// ask lets the store settle moves. Messages that the journal knows, or that fresh names, were made by other moves: of equal copies one
// that went must not stand for one that somebody else took away.
func (j *Journal) ask(ctx context.Context, open []mail.Intent, fresh map[mail.Ref]bool) ([]mail.Done, error) {
	var failed error
	done, err := j.store.Settle(ctx, open, func(r mail.Ref) bool {
		known, err := j.db.PairsByKey(ctx, r.Box, mail.Remote, []mail.Key{r.Key})
		failed = cmp.Or(failed, err)
		return len(known) > 0 || fresh[r]
	})
	return done, cmp.Or(err, failed)
}

// has reports whether the source of a move is still where it was.
func (j *Journal) has(ctx context.Context, in *mail.Intent) (is bool, err error) {
	err = j.store.Identify(ctx, in.From.Box, []mail.Key{in.From.Key}, false, func(_ mail.Key, id mail.Ident) error {
		is = id.Size == in.Entry.Ident.Size && id.MessageID == in.Entry.Ident.MessageID
		return nil
	})
	if errors.Is(err, store.ErrGone) {
		err = nil
	}
	return is, err
}

// note writes down the outcome of moves. One without a key did not take place, or its message was not there.
func (j *Journal) note(ctx context.Context, intents []mail.Intent, done []mail.Done) error {
	return j.db.Update(ctx, true, func(tx *state.Tx) error {
		for i := range intents {
			in := &intents[i]
			if err := tx.DropIntent(in.ID); err != nil {
				return err
			}
			switch {
			case done[i].Key == "":
			case in.Pair != 0: // it is back
				if err := tx.DropPair(in.Pair); err != nil {
					return err
				}
			default:
				p := mail.Pair{Box: in.Box, Flags: in.Entry.Flags, Ident: in.Entry.Ident, Stamp: in.Entry.Stamp}
				p.Keys[mail.Local], p.Keys[mail.Remote] = from(in.From, done[i].Key), done[i].Key
				if err := tx.PutPair(&p); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// move moves messages and notes it, before and after. Those without a key in the result stayed where they were.
func (j *Journal) move(ctx context.Context, box mail.Box, intents []mail.Intent) ([]mail.Done, error) {
	entries := make([]mail.Entry, len(intents))
	for i := range intents {
		entries[i] = intents[i].Entry
		intents[i].Side, intents[i].Kind = mail.Remote, mail.IntentMove
	}
	tokens, err := j.store.Prepare(ctx, intents[0].Box, entries)
	if err != nil {
		return nil, err
	}
	err = j.db.Update(ctx, true, func(tx *state.Tx) error {
		for i := range intents {
			intents[i].Token = tokens[i]
			if err := tx.AddIntent(&intents[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	done, err := j.store.Move(ctx, box, intents, false)
	if err != nil {
		return nil, err // the next run settles it
	}
	var open []mail.Intent
	var at []int
	fresh := map[mail.Ref]bool{}
	for i := range done {
		switch {
		case done[i].Key != "":
			fresh[mail.Ref{Box: intents[i].Box, Key: done[i].Key}] = true
		case done[i].Err == nil:
			open, at = append(open, intents[i]), append(at, i)
		}
	}
	if len(open) > 0 {
		settled, err := j.ask(ctx, open, fresh)
		if err != nil {
			return nil, err
		}
		for k, i := range at {
			done[i] = settled[k]
		}
	}
	return done, j.note(ctx, intents, done)
}

// mailbox makes the journal know a mailbox that messages go to, in its present epoch; what it knew of another epoch is void.
func (j *Journal) mailbox(ctx context.Context, box mail.Box, epoch string) error {
	boxes, err := j.db.Boxes(ctx)
	if err != nil {
		return err
	}
	b := state.Box{Name: box}
	if i := slices.IndexFunc(boxes, func(b state.Box) bool { return b.Name == box }); i >= 0 {
		b = boxes[i]
	}
	if b.Epoch[mail.Remote] == epoch && epoch != "" {
		return nil
	}
	var lost []mail.Pair
	for p, err := range j.db.Pairs(ctx, box, mail.Remote) {
		if err != nil {
			return err
		}
		lost = append(lost, p)
	}
	b.Epoch[mail.Remote] = epoch
	return j.db.Update(ctx, true, func(tx *state.Tx) error {
		for _, p := range lost {
			if err := tx.DropPair(p.ID); err != nil {
				return err
			}
		}
		return tx.PutBox(b)
	})
}

// List returns the copies that are in the trash as far as the journal knows, newest first.
func (j *Journal) List(ctx context.Context) (all []Moved, err error) {
	boxes, err := j.db.Boxes(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range boxes {
		for p, err := range j.db.Pairs(ctx, b.Name, mail.Remote) {
			if err != nil {
				return nil, err
			}
			box, _, ok := strings.Cut(string(p.Keys[mail.Local]), "\x00")
			uid, isUID := p.Keys[mail.Remote].UID()
			if !ok || !isUID {
				continue
			}
			all = append(all, Moved{
				ID: fmt.Sprintf("u%d", uid), Box: mail.Box(box), Trash: b.Name, Key: p.Keys[mail.Remote],
				At: time.Unix(int64(p.Stamp), 0), Date: time.Unix(p.Ident.Date, 0), Bytes: p.Ident.Size, pair: p, //nolint:gosec // as it was put
			})
		}
	}
	slices.SortStableFunc(all, func(a, b Moved) int { return b.At.Compare(a.At) })
	return all, nil
}

// Restore moves copies back into the mailboxes where they were; a mailbox that is gone is made again. It returns their keys there,
// "" for those that are not in the trash any more; they are forgotten. Those that the server refuses to move stay there, and the first
// refusal is the error once all others are back.
func (j *Journal) Restore(ctx context.Context, list []Moved) ([]mail.Key, error) {
	var refused error
	keys := make([]mail.Key, len(list))
	groups := map[[2]mail.Box][]int{}
	for i := range list {
		way := [2]mail.Box{list[i].Trash, list[i].Box}
		groups[way] = append(groups[way], i)
	}
	for way, group := range groups {
		epoch, err := epochOf(ctx, j.store, way[0])
		if errors.Is(err, store.ErrGone) {
			err = nil
		}
		if err == nil {
			err = j.mailbox(ctx, way[0], epoch)
		}
		if err == nil {
			err = j.store.CreateBox(ctx, way[1], "")
		}
		if err != nil {
			return keys, err
		}
		for part := range slices.Chunk(group, batch) {
			no, err := j.restore(ctx, list, part, keys)
			if err != nil {
				return keys, err
			}
			refused = cmp.Or(refused, no)
		}
	}
	return keys, refused
}

func (j *Journal) restore(ctx context.Context, list []Moved, part []int, keys []mail.Key) (refused, err error) {
	var intents []mail.Intent
	var at []int
	for _, i := range part {
		m := &list[i]
		known, err := j.db.PairsByKey(ctx, m.Trash, mail.Remote, []mail.Key{m.Key})
		if err != nil {
			return nil, err
		}
		if len(known) == 0 { // the trash was renumbered
			continue
		}
		intents = append(intents, mail.Intent{From: mail.Ref{Box: m.Trash, Key: m.Key}, Box: m.Box, Entry: mail.Entry{Flags: m.pair.Flags, Ident: m.pair.Ident}, Pair: m.pair.ID})
		at = append(at, i)
	}
	if len(intents) == 0 {
		return nil, nil
	}
	done, err := j.move(ctx, list[part[0]].Trash, intents)
	if err != nil {
		return nil, err
	}
	var gone []int64
	for k, i := range at {
		switch keys[i] = done[k].Key; {
		case done[k].Err != nil:
			refused = cmp.Or(refused, fmt.Errorf("move messages back to %q: %w", list[i].Box, done[k].Err))
		case keys[i] == "":
			gone = append(gone, intents[k].Pair)
		}
	}
	return refused, j.db.Update(ctx, true, func(tx *state.Tx) error {
		for _, id := range gone {
			if err := tx.DropPair(id); err != nil {
				return err
			}
		}
		return nil
	})
}

// epochOf returns the present epoch of a mailbox.
func epochOf(ctx context.Context, s store.Store, box mail.Box) (string, error) {
	v, err := s.View(ctx, box, "")
	if err != nil {
		return "", err
	}
	return v.At().Epoch, nil
}
