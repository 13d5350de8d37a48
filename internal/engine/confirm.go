package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store"
)

// looksAgain is how often changed mailboxes are viewed again before disappearances are left to the next run.
const looksAgain = 3

// confirmGone makes sure that what disappeared did not move on meanwhile (rule 8): it asks both sides for the state of all
// mailboxes again, views what changed since its view once more, and what could not be proven to be unchanged.
func (r *run) confirmGone(ctx context.Context) error {
	if !r.anyGone() {
		return nil
	}
	if r.anyFailed() {
		r.dropGone("a mailbox could not be viewed")
		return nil
	}
	seen := [2]map[mail.Box]mail.Mark{r.marks(mail.Local), r.marks(mail.Remote)}
	for look := range looksAgain {
		lists, err := r.statuses(ctx)
		if err != nil {
			return err
		}
		again := r.toViewAgain(lists, seen, look == 0)
		if r.fresh {
			r.dropGone("a mailbox came into being meanwhile")
			return nil
		}
		if len(again) == 0 {
			return nil
		}
		for _, b := range slices.SortedFunc(maps.Keys(again), func(a, b *boxRun) int { return strings.Compare(string(a.name), string(b.name)) }) {
			r.lookAt(b)
		}
		err = r.each(ctx, func(ctx context.Context, b *boxRun) error {
			for _, side := range again[b] {
				if err := r.viewSide(ctx, b, side, b.now.Mark[side]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if r.anyFailed() {
			break
		}
	}
	lists, err := r.statuses(ctx)
	if err != nil {
		return err
	}
	if r.anyFailed() || len(r.toViewAgain(lists, seen, false)) > 0 {
		r.dropGone("mailboxes keep changing")
	}
	return nil
}

// mayHaveMoved reports whether all that disappeared may have moved: as much arrived on that side, a server. If it did, nothing is going
// to be deleted, and nothing need be asked again; that is known once the moves are. Without marks it takes another view to know whether
// a mailbox changed since, which is best had before.
func (r *run) mayHaveMoved() bool {
	if r.atOnce || !r.anyGone() || r.anyFailed() {
		return false
	}
	for _, side := range mail.Sides {
		gone, arrived := 0, 0
		for _, b := range r.order {
			n := b.plan.Unmoved(side)
			if n > 0 && b.missing[side] || b.viewed[side] && (b.status[side].Mark == "" || b.proven[side] == "") {
				return false
			}
			gone, arrived = gone+n, arrived+b.plan.CountArrived(side)
		}
		if gone > arrived || gone > 0 && r.greet[side].Caps.Named {
			return false
		}
	}
	return true
}

// errMeanwhile ends a run that has done nothing yet, but for flags that were set ahead: what it put off is best looked at from the
// beginning.
var errMeanwhile = errors.New("mailboxes changed while they were looked at")

// confirmUnmoved does what confirmGone does where that was put off, for what did not move. If a mailbox changed since its view, the run
// begins again, and puts nothing off: moves are planned already.
func (r *run) confirmUnmoved(ctx context.Context) error {
	if !r.unconfirmed || !slices.ContainsFunc(r.order, func(b *boxRun) bool { return b.plan.Unmoved(mail.Local)+b.plan.Unmoved(mail.Remote) > 0 }) {
		return nil
	}
	seen := [2]map[mail.Box]mail.Mark{r.marks(mail.Local), r.marks(mail.Remote)}
	lists, err := r.statuses(ctx)
	if err != nil {
		return err
	}
	again := r.toViewAgain(lists, seen, true)
	switch {
	case r.anyFailed():
		r.dropGone("a mailbox could not be viewed")
	case r.fresh, len(again) > 0:
		return errMeanwhile
	}
	return nil
}

// marks returns the marks that the views of this run rest on.
func (r *run) marks(side mail.Side) map[mail.Box]mail.Mark {
	m := make(map[mail.Box]mail.Mark, len(r.boxes))
	for _, b := range r.boxes {
		m[b.name] = b.status[side].Mark
	}
	return m
}

// toViewAgain compares the state of the mailboxes with seen, and brings seen up to date. The first time, it adds the sides
// whose view proved no mark although the store has marks (stamps too young).
func (r *run) toViewAgain(lists [2][]store.Status, seen [2]map[mail.Box]mail.Mark, first bool) map[*boxRun][]mail.Side {
	again := map[*boxRun][]mail.Side{}
	for _, side := range mail.Sides {
		for _, st := range lists[side] {
			b := r.boxes[st.Box]
			if b == nil || !b.exists[side] {
				r.fresh = r.fresh || r.o.Select(st.Box, st.Role)
			}
			if b == nil || !b.exists[side] || !r.selected(b) || b.err != nil {
				continue
			}
			changed := st.Mark != seen[side][st.Box]
			seen[side][st.Box] = st.Mark
			unproven := first && b.viewed[side] && (st.Mark == "" || b.proven[side] == "")
			if !changed && !unproven {
				continue
			}
			again[b] = append(again[b], side)
		}
	}
	return again
}

// lookAt adds a mailbox that was taken for unchanged.
func (r *run) lookAt(b *boxRun) {
	for _, known := range r.order {
		if known == b {
			return
		}
	}
	r.order = append(r.order, b)
}

func (r *run) anyGone() bool {
	for _, b := range r.order {
		if b.plan.HasGone(mail.Local) || b.plan.HasGone(mail.Remote) {
			return true
		}
	}
	return false
}

func (r *run) anyFailed() bool {
	for _, b := range r.order {
		if b.err != nil {
			return true
		}
	}
	return false
}

// dropGone leaves disappearances to the next run. Those of a mailbox that is missing as a whole and kept stay: nothing is deleted
// for them, and what has moved out of it must be known before its arrival elsewhere is copied.
func (r *run) dropGone(why string) {
	r.dropped = true
	for _, b := range r.order {
		n := 0
		for _, side := range mail.Sides {
			if !b.missing[side] || r.o.DeleteBoxes == plan.DeleteAllBoxes {
				n += b.plan.DropGone(side)
			}
		}
		if n > 0 {
			b.open = true
			r.note(b.name, "%d messages that are gone on one side wait for the next sync: %s", n, why)
		}
	}
}
