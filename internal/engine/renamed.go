package engine

import (
	"context"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
)

// tooMany is how many pairs of an old and a new name are compared; beyond that, those that end in the same component.
const tooMany = 400

// findRenames returns the mailboxes that have another name now, parents of new names first. A mailbox that one side lost is
// one that came into being there if that is proven (see proves), and the only one of which it is. Nothing else is a rename; what is
// in it is moved, then, or copied.
func (r *run) findRenames(ctx context.Context) ([]renaming, error) {
	var lost, fresh [2][]*boxRun
	for _, b := range r.inScope() {
		known, err := r.isKnown(ctx, b)
		if err != nil {
			return nil, err
		}
		for _, side := range mail.Sides {
			switch {
			case known && !b.still(side):
				lost[side] = append(lost[side], b)
			case !known && b.exists[side]:
				fresh[side] = append(fresh[side], b)
			}
		}
	}
	var found [2]map[*boxRun]*boxRun
	for _, side := range mail.Sides {
		var err error
		if found[side], err = r.matchBoxes(ctx, side, lost[side], fresh[side]); err != nil {
			return nil, err
		}
	}
	if len(found[0])+len(found[1]) == 0 {
		return nil, nil
	}
	list, err := r.decideRenames(ctx, lost, found)
	if err != nil {
		return nil, err
	}
	list = r.asked(r.onlyWhole(list))
	slices.SortFunc(list, func(a, b renaming) int {
		if d := depth(a.to) - depth(b.to); d != 0 {
			return d
		}
		return strings.Compare(string(a.to), string(b.to))
	})
	return list, nil
}

// inScope lists the mailboxes that can have been renamed, by name.
func (r *run) inScope() (list []*boxRun) {
	for _, b := range r.boxes {
		if b.name != mail.Inbox && r.o.Select(b.name, b.now.Role) && b.status[0].Err == nil && b.status[1].Err == nil {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b *boxRun) int { return strings.Compare(string(a.name), string(b.name)) })
	return list
}

// still reports whether a side shows under the name of a mailbox what the base knows: with another epoch it is a new one, which was
// given the old name perhaps.
func (b *boxRun) still(side mail.Side) bool {
	now, known := b.status[side].Epoch, b.old.Epoch[side]
	return b.exists[side] && (now == "" || known == "" || now == known)
}

// isKnown reports whether the base knows a mailbox: both sides had it, or an interrupted run has filled it.
func (r *run) isKnown(ctx context.Context, b *boxRun) (bool, error) {
	if b.old == (state.Box{Name: b.name}) {
		return false, nil
	}
	if b.old.Known == [2]bool{true, true} {
		return true, nil
	}
	for _, side := range mail.Sides {
		if n, err := r.db.Count(ctx, b.name, side); err != nil || n > 0 {
			return true, stateError(err)
		}
	}
	return false, nil
}

// matchBoxes finds, on one side, what has become of lost mailboxes. Of several that could be the same none is.
func (r *run) matchBoxes(ctx context.Context, side mail.Side, lost, fresh []*boxRun) (map[*boxRun]*boxRun, error) {
	found, claims := map[*boxRun]*boxRun{}, map[*boxRun]int{}
	for _, a := range lost { // parents come first
		list, below := r.candidates(a, side, fresh, found, len(lost)*len(fresh) > tooMany)
		var proven []*boxRun
		for _, b := range list {
			ok, err := r.proves(ctx, a, b, side, below)
			if err != nil {
				return nil, err
			}
			if ok {
				proven = append(proven, b)
			}
		}
		for _, b := range proven {
			claims[b]++
		}
		if len(proven) == 1 {
			found[a] = proven[0]
		}
	}
	for a, b := range found {
		if claims[b] > 1 {
			delete(found, a)
		}
	}
	return found, nil
}

// candidates returns the mailboxes that a lost one may have become. One whose parent was renamed is looked for below that, and
// nowhere else if there is one.
func (r *run) candidates(a *boxRun, side mail.Side, fresh []*boxRun, found map[*boxRun]*boxRun, many bool) (list []*boxRun, below bool) {
	for up := a.name.Parent(); up != ""; up = up.Parent() {
		parent := found[r.boxes[up]]
		if parent == nil {
			continue
		}
		if b := r.boxes[parent.name+a.name[len(up):]]; b != nil && slices.Contains(fresh, b) {
			return []*boxRun{b}, true
		}
		break
	}
	last := func(b mail.Box) mail.Box { return b[strings.LastIndexByte(string(b), '/')+1:] }
	other := side.Other()
	for _, b := range fresh {
		taken := a.still(other) && b.exists[other] // the other side has a mailbox of its own there
		if taken || within(b.name, a.name) || many && last(a.name) != last(b.name) {
			continue
		}
		list = append(list, b)
	}
	return list, false
}

// decideRenames compares what both sides did.
func (r *run) decideRenames(ctx context.Context, lost [2][]*boxRun, found [2]map[*boxRun]*boxRun) (list []renaming, err error) {
	for _, side := range mail.Sides {
		other := side.Other()
		for _, a := range lost[side] {
			here, there := found[side][a], found[other][a]
			switch {
			case here == nil:
			case a.still(other):
				list = append(list, renaming{base: a.name, from: a.name, to: here.name, on: other})
			case here == there:
				if side == mail.Local {
					list = append(list, renaming{base: a.name, to: here.name, both: true})
				}
			case there == nil && here.exists[other]: // what was empty proves nothing there
				n, err := r.db.Count(ctx, a.name, other)
				if err != nil {
					return nil, stateError(err)
				}
				if n == 0 {
					list = append(list, renaming{base: a.name, to: here.name, both: true})
				}
			case there != nil && !here.exists[other] && r.wasRenaming(other, a.name): // the name there is ours
				list = append(list, renaming{base: a.name, from: there.name, to: here.name, on: other})
			case there != nil && side == mail.Local && !r.wasRenaming(side, a.name):
				r.note(a.name, "it was renamed to %q on the %s side and to %q on the %s side; both are kept", here.name, side, there.name, other)
			}
		}
	}
	return list, nil
}

// wasRenaming reports whether an interrupted run was about to rename a mailbox on a side.
func (r *run) wasRenaming(side mail.Side, base mail.Box) bool {
	return slices.ContainsFunc(r.renaming, func(in mail.Intent) bool { return in.Side == side && in.From.Box == base })
}

// asked leaves out what this run was not asked to look at and does not come along.
func (r *run) asked(list []renaming) []renaming {
	if len(r.o.Only) == 0 {
		return list
	}
	asked := func(op renaming) bool { return slices.Contains(r.o.Only, op.base) || slices.Contains(r.o.Only, op.to) }
	return slices.DeleteFunc(slices.Clone(list), func(op renaming) bool {
		return !asked(op) && !slices.ContainsFunc(list, func(up renaming) bool {
			return asked(up) && up.on == op.on && !up.both && !op.both && within(op.from, up.from) && op.to == up.to+op.from[len(up.from):]
		})
	})
}

// onlyWhole leaves out renames that would take something along which did not go along where the user renamed, or is not ours to
// rename; and adds what is to be remembered of the rest that goes along.
func (r *run) onlyWhole(list []renaming) []renaming {
	own := map[mail.Box]bool{}
	for _, op := range list {
		own[op.base] = true
	}
	var kept []renaming
	for _, op := range list {
		more, ok := r.along(op, own)
		if !ok {
			r.note(op.base, "it was renamed to %q on the %s side, but not all that is below it; its messages are moved", op.to, op.on.Other())
			continue
		}
		kept = append(append(kept, op), more...)
		for _, m := range more {
			own[m.base] = true
		}
	}
	return kept
}

// along looks at all that is below a mailbox where it is about to be renamed.
func (r *run) along(op renaming, own map[mail.Box]bool) (more []renaming, ok bool) {
	if op.both || op.from == op.to {
		return nil, true
	}
	user := op.on.Other()
	for _, c := range r.boxes {
		if !within(c.name, op.from) || !c.exists[op.on] {
			continue
		}
		to := op.to + c.name[len(op.from):]
		target := r.boxes[to]
		switch {
		case !r.o.Select(c.name, c.now.Role) || !r.o.Select(to, c.now.Role), c.status[op.on].Err != nil:
			return nil, false // out of scope: not ours to rename
		case target != nil && target.exists[op.on]:
			return nil, false
		case own[c.name]:
		case c.exists[user]:
			return nil, false // it stayed
		case c.old == (state.Box{Name: c.name}): // new here, and nowhere else
		case target != nil && target.exists[user]:
			return nil, false // another one than ours was
		default: // the user removed it, before or after
			more = append(more, renaming{base: c.name, from: c.name, to: to, on: op.on})
		}
	}
	return more, true
}
