package engine

import (
	"context"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// lateFor is how long a repeated effect may still turn up a second time, in seconds.
const lateFor = 3600

// recover settles the intents that an interrupted run left (rules 5 and 6): it asks the side concerned what became of them, and
// commits what landed. What did not land is seen as an ordinary difference by the views that follow.
func (r *run) recover(ctx context.Context) error {
	intents, err := r.db.Intents(ctx)
	if err != nil {
		return stateError(err)
	}
	open := r.dueIntents(intents)
	if len(open[0])+len(open[1]) == 0 && len(intents) == 0 {
		return nil
	}
	r.local = nil
	if r.o.DryRun {
		r.note("", "the last sync was interrupted; the next one settles what it left open first")
		return nil
	}
	if len(open[0])+len(open[1]) > 0 {
		r.phase(PhaseRecover)
	}
	for _, side := range mail.Sides {
		if len(open[side]) == 0 {
			continue
		}
		if err := r.settleSide(ctx, side, open[side]); err != nil {
			return err
		}
	}
	return r.dropExpired(ctx, intents)
}

// dueIntents sorts the open intents by side; those given up earlier only serve to recognise late twins.
func (r *run) dueIntents(intents []mail.Intent) (open [2][]mail.Intent) {
	for _, in := range intents {
		if in.Kind == mail.IntentRename {
			r.renaming = append(r.renaming, in)
		} else if in.Late == 0 {
			open[in.Side] = append(open[in.Side], in)
		} else {
			r.late = append(r.late, in)
		}
	}
	return open
}

func (r *run) dropExpired(ctx context.Context, intents []mail.Intent) error {
	var old []int64
	for _, in := range intents {
		if in.Late != 0 && r.o.Now().Unix()-in.Late > lateFor {
			old = append(old, in.ID)
		}
	}
	if len(old) == 0 {
		return nil
	}
	for i := range r.late { // they are still of use in this run, but their numbers may be others' soon
		if slices.Contains(old, r.late[i].ID) {
			r.late[i].ID = 0
		}
	}
	return r.update(ctx, false, func(tx *state.Tx) error {
		for _, id := range old {
			if err := tx.DropIntent(id); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *run) settleSide(ctx context.Context, side mail.Side, intents []mail.Intent) error {
	if !r.greet[side].Caps.Named {
		if err := r.identifySources(ctx, side.Other(), intents); err != nil {
			return err
		}
	}
	found, err := r.stores[side].Settle(ctx, intents, r.taken(ctx, side))
	if err != nil {
		return fmt.Errorf("settle what an interrupted sync left on the %s side: %w", side, err)
	}
	landed := map[mail.Box][]mail.Key{}
	for i, d := range found {
		if d.Box == "" {
			found[i].Box = intents[i].Box
		}
		if d.Key != "" && intents[i].Kind == mail.IntentPut {
			landed[found[i].Box] = append(landed[found[i].Box], d.Key)
		}
	}
	idents := map[mail.Ref]mail.Ident{}
	if side == mail.Local || r.greet[side].Caps.Named {
		if err := r.identifyLanded(ctx, side, landed, idents); err != nil {
			return err
		}
	}
	lost, err := r.lostSources(ctx, side.Other(), intents, found)
	if err != nil {
		return err
	}
	err = r.update(ctx, true, func(tx *state.Tx) error {
		for i, in := range intents {
			if err := r.closeIntent(ctx, tx, in, found[i], idents, lost[in.From]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.countSettled(side, intents, found)
	}
	return err
}

// countSettled counts what landed as what it is: copies that the run before could not count any more.
func (r *run) countSettled(side mail.Side, intents []mail.Intent, found []mail.Done) {
	n := 0
	for i, d := range found {
		if d.Key != "" && intents[i].Kind == mail.IntentPut {
			n++
		}
	}
	r.count(func(s *Summary) {
		if side == mail.Local {
			s.CopiedToLocal += n
		} else {
			s.CopiedToRemote += n
		}
	})
}

// lostSources tells which sources of what landed are not there any more, and makes the others durable (rule 1). No row knew yet
// that both sides had the message, so its absence is not a deletion: the power may have failed before a mail reader's file
// was on disk.
func (r *run) lostSources(ctx context.Context, from mail.Side, intents []mail.Intent, found []mail.Done) (map[mail.Ref]bool, error) {
	s, ok := r.stores[from].(store.Securer)
	if !ok {
		return nil, nil
	}
	lost, keys := map[mail.Ref]bool{}, map[mail.Box][]mail.Key{}
	for i, in := range intents {
		if in.Kind == mail.IntentPut && found[i].Key != "" && !lost[in.From] {
			lost[in.From] = true
			keys[in.From.Box] = append(keys[in.From.Box], in.From.Key)
		}
	}
	for box, list := range keys {
		slices.Sort(list)
		err := r.stores[from].Identify(ctx, box, list, false, func(k mail.Key, _ mail.Ident) error {
			delete(lost, mail.Ref{Box: box, Key: k})
			return nil
		})
		if err == nil {
			list = slices.DeleteFunc(list, func(k mail.Key) bool { return lost[mail.Ref{Box: box, Key: k}] })
			err = s.Secure(ctx, box, list)
		}
		if err != nil && !isGone(err) {
			return nil, fmt.Errorf("look for messages of %q on the %s side: %w", box, from, err)
		}
	}
	return lost, nil
}

// closeIntent commits one settled intent. Moves are not committed here: their outcome is seen by the views on both sides
// and paired by content.
func (r *run) closeIntent(ctx context.Context, tx *state.Tx, in mail.Intent, d mail.Done, idents map[mail.Ref]mail.Ident, lost bool) error {
	if in.Kind != mail.IntentPut {
		return tx.DropIntent(in.ID)
	}
	if d.Key == "" {
		if r.greet[in.Side].Caps.Named {
			return tx.DropIntent(in.ID)
		}
		return tx.SetIntentLate(in.ID, r.o.Now().Unix())
	}
	from := in.Side.Other()
	p := mail.Pair{ID: in.Pair, Box: in.Box, Ident: in.Entry.Ident, Lacks: [2]mail.Flags{}}
	if id, ok := idents[mail.Ref{Box: d.Box, Key: d.Key}]; ok {
		p.Ident, p.Verified = id.Merge(in.Entry.Ident), true
	}
	known, err := r.db.PairsByKey(ctx, in.From.Box, from, []mail.Key{in.From.Key})
	if err != nil {
		return err
	}
	if len(known) == 0 {
		p.ID = 0 // the half pair is gone, and its number may be another pair's by now
	}
	if len(known) > 0 && known[0].ID != in.Pair {
		if was := known[0].Ident.Digest; was.IsZero() || p.Ident.Digest.IsZero() || was == p.Ident.Digest {
			return tx.DropIntent(in.ID) // paired in another way meanwhile
		}
		if err := replace(tx, &known[0], from); err != nil { // it was a new version
			return err
		}
	}
	p.Keys[in.Side], p.Keys[from] = d.Key, in.From.Key
	if lost {
		p.Keys[from], p.Left = "", mail.LeftRenumbered
	}
	// No flags are agreed on: merging keeps all that either side has.
	if err := tx.PutPair(&p); err != nil {
		return err
	}
	return tx.DropIntent(in.ID)
}

// identifySources fills in what the target must know to find the messages again.
func (r *run) identifySources(ctx context.Context, side mail.Side, intents []mail.Intent) error {
	byRef := map[mail.Ref][]int{}
	keys := map[mail.Box][]mail.Key{}
	for i, in := range intents {
		if in.Kind == mail.IntentPut && in.Entry.Ident.Digest.IsZero() {
			if len(byRef[in.From]) == 0 {
				keys[in.From.Box] = append(keys[in.From.Box], in.From.Key)
			}
			byRef[in.From] = append(byRef[in.From], i)
		}
	}
	for box, list := range keys {
		var bare []mail.Key
		err := r.stores[side].Identify(ctx, box, list, false, func(k mail.Key, id mail.Ident) error {
			if id.MessageID.IsZero() && id.Digest.IsZero() {
				bare = append(bare, k)
			}
			return fill(intents, byRef[mail.Ref{Box: box, Key: k}], id)
		})
		if err == nil && len(bare) > 0 {
			err = r.stores[side].Identify(ctx, box, bare, true, func(k mail.Key, id mail.Ident) error {
				return fill(intents, byRef[mail.Ref{Box: box, Key: k}], id)
			})
		}
		if err != nil && !isGone(err) {
			return fmt.Errorf("identify messages in %q on the %s side: %w", box, side, err)
		}
	}
	return nil
}

func fill(intents []mail.Intent, at []int, id mail.Ident) error {
	for _, i := range at {
		intents[i].Entry.Ident = id.Merge(intents[i].Entry.Ident)
	}
	return nil
}

// identifyLanded reads what landed where reading is cheap, so that the pairs have digests.
func (r *run) identifyLanded(ctx context.Context, side mail.Side, landed map[mail.Box][]mail.Key, idents map[mail.Ref]mail.Ident) error {
	for box, keys := range landed {
		err := r.stores[side].Identify(ctx, box, keys, true, func(k mail.Key, id mail.Ident) error {
			idents[mail.Ref{Box: box, Key: k}] = id
			return nil
		})
		if err != nil && !isGone(err) {
			return fmt.Errorf("identify messages in %q on the %s side: %w", box, side, err)
		}
	}
	return nil
}
