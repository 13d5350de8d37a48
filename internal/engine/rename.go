package engine

import (
	"context"
	"errors"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// renaming is a mailbox that a user gave another name. It comes before the views, so that they see one mailbox under one name. Stopped
// before the effect, the next run finds the same; stopped between effect and commit, both sides have the new name, and only the
// state is left to follow.
type renaming struct {
	base     mail.Box  // its name in the state
	from, to mail.Box  // on the side that follows; equal: there is nothing to be done
	on       mail.Side // the side that follows
	both     bool      // both sides have the new name
	intent   int64
	done     bool
	refused  bool // the side that was to follow did not
}

// within reports whether a mailbox is below another one.
func within(box, top mail.Box) bool { return strings.HasPrefix(string(box), string(top)+"/") }

func depth(box mail.Box) int { return strings.Count(string(box), "/") }

// renames recognises renamed mailboxes and has the other side follow. It reports whether the lists are to be asked for again.
func (r *run) renames(ctx context.Context) (changed bool, err error) {
	list, err := r.findRenames(ctx)
	if err != nil {
		return false, err
	}
	for _, op := range list {
		if slices.Contains(r.o.Only, op.base) { // whichever of its names was given
			r.o.Only = append(slices.Clone(r.o.Only), op.to)
		}
	}
	switch {
	case r.o.DryRun:
		r.pretend(list)
	case len(list) > 0:
		if err := r.carryRenames(ctx, list); err != nil {
			return false, err
		}
	}
	return len(list) > 0, r.closeRenames(ctx, list)
}

// carryRenames has sides and state follow, parents first: those below them come along.
func (r *run) carryRenames(ctx context.Context, list []renaming) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	if err := r.renameIntents(ctx, list); err != nil {
		return err
	}
	for i := range list {
		op := &list[i]
		if op.done {
			continue
		}
		rows := []*renaming{op}
		if op.both {
			rows = allBoth(list)
		} else if op.from != op.to {
			if err := r.renameOn(ctx, op); err != nil {
				if err := r.passOver(op, err); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, follow(list[i+1:], op)...)
		}
		if err := r.commitRenames(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

func allBoth(list []renaming) (rows []*renaming) {
	for i := range list {
		if list[i].both {
			rows = append(rows, &list[i])
		}
	}
	return rows
}

// follow gives those that were below a renamed mailbox the names that they have there now; it returns those that are done with that.
func follow(rest []renaming, op *renaming) (done []*renaming) {
	for i := range rest {
		below := &rest[i]
		if below.both || below.on != op.on || !within(below.from, op.from) {
			continue
		}
		if below.from = op.to + below.from[len(op.from):]; below.from == below.to {
			done = append(done, below)
		}
	}
	return done
}

// renameIntents makes durable what is about to be done (rule 2): if a user renames a mailbox once more before the next run, that
// tells which of two new names is the user's.
func (r *run) renameIntents(ctx context.Context, list []renaming) error {
	effects := slices.ContainsFunc(list, func(op renaming) bool { return !op.both })
	if !effects {
		return nil
	}
	return r.update(ctx, true, func(tx *state.Tx) error {
		for i := range list {
			op := &list[i]
			if op.both {
				continue
			}
			in := mail.Intent{Side: op.on, Kind: mail.IntentRename, From: mail.Ref{Box: op.base}, Box: op.to}
			if err := tx.AddIntent(&in); err != nil {
				return err
			}
			op.intent = in.ID
		}
		return nil
	})
}

// renameOn renames a mailbox on the side that follows, once the user's own rename is durable (rule 1).
func (r *run) renameOn(ctx context.Context, op *renaming) error {
	if s, ok := r.stores[op.on.Other()].(store.Securer); ok {
		if err := s.Secure(ctx, op.to, nil); err != nil {
			return err
		}
	}
	return r.stores[op.on].RenameBox(ctx, op.from, op.to)
}

// passOver leaves a mailbox that cannot be renamed to what else is there for it: its messages are moved, one by one.
func (r *run) passOver(op *renaming, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnreachable) || errors.Is(err, store.ErrLogin) || errors.Is(err, errState) {
		return err
	}
	op.done, op.refused = true, true
	r.note(op.base, "it was renamed to %q on the %s side, which the %s side does not follow: %v; its messages are moved", op.to, op.on.Other(), op.on, err)
	return nil
}

func (r *run) commitRenames(ctx context.Context, rows []*renaming) error {
	err := r.update(ctx, true, func(tx *state.Tx) error {
		for _, op := range rows {
			if err := tx.RenameBox(op.base, op.to); err != nil {
				return err
			}
			if op.intent == 0 {
				continue
			}
			if err := tx.DropIntent(op.intent); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, op := range rows {
		op.done = true
		r.tellRename(op)
	}
	return nil
}

func (r *run) tellRename(op *renaming) {
	if op.both {
		r.note(op.to, "it was %q before, on both sides", op.base)
		return
	}
	r.countRename(op.on)
	r.o.Events(Event{Kind: EventOp, Account: r.o.Account, Phase: PhaseView, Box: op.base, To: op.to, Side: op.on, Verb: "rename mailbox", Count: 1})
}

func (r *run) countRename(side mail.Side) {
	r.count(func(s *Summary) {
		if side == mail.Local {
			s.RenamedLocal++
		} else {
			s.RenamedRemote++
		}
	})
}

// closeRenames forgets the intents of renames that an interrupted run left, and of those that a side refused: what became of them is
// known by now.
func (r *run) closeRenames(ctx context.Context, list []renaming) error {
	var ids []int64
	for _, in := range r.renaming {
		if len(r.o.Only) == 0 || slices.Contains(r.o.Only, in.From.Box) {
			ids = append(ids, in.ID)
		}
	}
	for _, op := range list {
		if op.refused {
			ids = append(ids, op.intent)
		}
	}
	if r.o.DryRun || len(ids) == 0 {
		return nil
	}
	return r.update(ctx, false, func(tx *state.Tx) error {
		for _, id := range ids {
			if err := tx.DropIntent(id); err != nil {
				return err
			}
		}
		return nil
	})
}

// pretend has the views of a dry run see the names that a sync would give.
func (r *run) pretend(list []renaming) {
	if len(list) == 0 {
		return
	}
	rows, names := map[mail.Box]mail.Box{}, [2][]renaming{}
	for _, op := range list {
		rows[op.to] = op.base
		if op.both {
			r.note(op.to, "it was %q before, on both sides", op.base)
			continue
		}
		names[op.on] = append(names[op.on], op)
		r.planned(Planned{Side: op.on, Verb: "rename mailbox", Box: op.base, To: op.to})
		r.countRename(op.on)
	}
	r.db = r.db.As(rows)
	for _, side := range mail.Sides {
		if len(names[side]) > 0 {
			r.stores[side] = pretended(r.stores[side], names[side])
		}
	}
}
