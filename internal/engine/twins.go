package engine

import (
	"context"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
)

// findTwins recognises, among what arrived, the second copy of an upload that a server finished after it was given up and
// repeated (rule 6): same digest, and the message that was uploaded has its pair. It is removed again, never copied.
func (r *run) findTwins(ctx context.Context, b *boxRun, side mail.Side) error {
	var late []mail.Intent
	for _, in := range r.late {
		if in.Side == side && in.Box == b.name {
			late = append(late, in)
		}
	}
	if len(late) == 0 {
		return nil
	}
	b.plan.UnpackArrivals(side)
	free := b.plan.Candidates(side)
	if len(free) == 0 {
		return nil
	}
	if err := r.identify(ctx, b.name, side, unidentified(free, true), false); err != nil {
		return err
	}
	var close []*plan.Arrival
	for _, a := range free {
		if a.Free() && a.Half == nil && slices.ContainsFunc(late, func(in mail.Intent) bool { return couldBe(in.Entry.Ident, a.Entry.Ident) }) {
			close = append(close, a)
		}
	}
	undigested := slices.DeleteFunc(slices.Clone(close), func(a *plan.Arrival) bool { return !a.Entry.Ident.Digest.IsZero() })
	if err := r.identify(ctx, b.name, side, undigested, true); err != nil {
		return err
	}
	for _, in := range late {
		if err := r.matchTwin(ctx, b, in, close); err != nil {
			return err
		}
	}
	return nil
}

func couldBe(want, is mail.Ident) bool {
	return want.MessageID == is.MessageID && (want.Size == is.Size || want.Size == 0)
}

// matchTwin takes at most one arrival as the twin of an intent.
func (r *run) matchTwin(ctx context.Context, b *boxRun, in mail.Intent, close []*plan.Arrival) error {
	other := in.Side.Other()
	pairs, err := r.db.PairsByKey(ctx, b.name, other, []mail.Key{in.From.Key})
	if err != nil {
		return stateError(err)
	}
	if len(pairs) == 0 || pairs[0].Keys[in.Side] == "" {
		return nil // it was not repeated yet, or is gone again: an arrival like others
	}
	if b.plan.IsGone(pairs[0].ID, in.Side) {
		return nil // the message itself, that a user took away and back
	}
	for _, a := range close {
		if a.Free() && !a.Entry.Ident.Digest.IsZero() && a.Entry.Ident.Digest == pairs[0].Ident.Digest {
			a.Vanished()
			if r.dropped { // the message itself, perhaps, that a user took away and back
				b.open = true
				return nil
			}
			b.twins = append(b.twins, twin{in, a.Entry})
			return nil
		}
	}
	return nil
}

// twin is an arrival that is to be removed, and the intent that explains it.
type twin struct {
	intent mail.Intent
	entry  mail.Entry
}

// removeTwins removes twins, to trash where the store has one.
func (r *run) removeTwins(ctx context.Context, b *boxRun) error {
	for _, t := range b.twins {
		left, err := r.stores[t.intent.Side].Delete(ctx, b.name, []mail.Entry{t.entry})
		if err != nil {
			return fmt.Errorf("remove the second copy of an upload on the %s side: %w", t.intent.Side, err)
		}
		r.note(b.name, "removed the second copy of an upload that an interrupted sync had left under way")
		if err := r.update(ctx, false, func(tx *state.Tx) error {
			if len(left) > 0 {
				p := mail.Pair{Box: b.name, Flags: t.entry.Flags, Ident: t.entry.Ident, Left: mail.LeftDeleting}
				p.Keys[t.intent.Side] = t.entry.Key
				p.Flags.System |= mail.Deleted
				if err := tx.PutPair(&p); err != nil {
					return err
				}
			}
			return tx.DropIntent(t.intent.ID)
		}); err != nil {
			return err
		}
	}
	return nil
}
