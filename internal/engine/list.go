package engine

import (
	"context"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// listFresh is how old a list of the local side may be: who waits for a password does something else meanwhile, with the mailboxes or
// with the disk.
const listFresh = time.Second

// aheadList is a list of the local side that was made while the server greeted.
type aheadList struct {
	boxes []store.Status
	at    time.Time
}

// listLocal lists the mailboxes of the local side while the server greets. What fails is done again.
func (r *run) listLocal(ctx context.Context) {
	if list, err := r.stores[mail.Local].Boxes(ctx); err == nil {
		r.local = &aheadList{list, wallClock()}
	}
}

// takeLocal returns the list of the local side, once, if it is of use.
func (r *run) takeLocal() (list []store.Status, ok bool) {
	a := r.local
	r.local = nil
	if a == nil {
		return nil, false
	}
	age := wallClock().Sub(a.at)
	return a.boxes, age >= 0 && age <= listFresh
}

// wallClock is a time that goes on while the machine sleeps.
func wallClock() time.Time { return time.Now().Round(0) }

// statuses asks both sides for their mailboxes at the same time.
func (r *run) statuses(ctx context.Context) (lists [2][]store.Status, err error) {
	g, ctx := errgroup.WithContext(ctx)
	local, known := r.takeLocal()
	for _, side := range mail.Sides {
		if known && side == mail.Local {
			lists[side] = local
			continue
		}
		g.Go(func() (err error) {
			lists[side], err = r.stores[side].Boxes(ctx)
			return err
		})
	}
	return lists, g.Wait()
}

// list finds out which mailboxes there are, which of them have another name now, and which must be looked at.
func (r *run) list(ctx context.Context) error {
	if err := r.listAll(ctx); err != nil {
		return err
	}
	renamed, err := r.renames(ctx)
	if err == nil && renamed {
		err = r.listAll(ctx)
	}
	if err != nil {
		return err
	}
	return r.sortOut(ctx)
}

// listAll asks both sides and the state for their mailboxes.
func (r *run) listAll(ctx context.Context) error {
	lists, err := r.statuses(ctx)
	if err != nil {
		return err
	}
	known, err := r.db.Boxes(ctx)
	if err != nil {
		return stateError(err)
	}
	left, err := r.db.Left(ctx)
	if err != nil {
		return stateError(err)
	}
	r.boxes, r.order = map[mail.Box]*boxRun{}, nil
	for _, b := range known {
		r.boxes[b.Name] = &boxRun{name: b.Name, old: b, now: b}
	}
	for _, side := range mail.Sides {
		for _, st := range lists[side] {
			r.found(side, st)
		}
	}
	for _, b := range r.boxes {
		b.left = left[b.name]
		b.plan = plan.NewBox(b.name)
		if r.selected(b) {
			r.order = append(r.order, b)
		}
	}
	slices.SortFunc(r.order, func(a, b *boxRun) int { return strings.Compare(string(a.name), string(b.name)) })
	r.listed = len(r.order)
	return nil
}

// found takes what a side says of a mailbox.
func (r *run) found(side mail.Side, st store.Status) {
	b := r.boxes[st.Box]
	if b == nil {
		b = &boxRun{name: st.Box, old: state.Box{Name: st.Box}, now: state.Box{Name: st.Box}}
		r.boxes[st.Box] = b
	}
	b.status[side], b.exists[side] = st, true
	if st.Role != "" {
		b.now.Role = st.Role
	}
}

func (r *run) selected(b *boxRun) bool {
	if len(r.o.Only) > 0 && !slices.Contains(r.o.Only, b.name) {
		return false
	}
	return r.o.Select(b.name, b.now.Role)
}

// sortOut settles which mailboxes are missing, cannot be synced, or need no look.
func (r *run) sortOut(ctx context.Context) error {
	kept := r.order[:0]
	for _, b := range r.order {
		for _, side := range mail.Sides {
			if err := b.status[side].Err; err != nil {
				if err := r.fail(b, err); err != nil {
					return err
				}
			}
			known := b.old.Known == [2]bool{true, true}
			if !b.exists[side] && b.exists[side.Other()] && !known { // an interrupted run may have filled it
				n, err := r.db.Count(ctx, b.name, side)
				if err != nil {
					return stateError(err)
				}
				known = n > 0
			}
			b.missing[side] = !b.exists[side] && b.exists[side.Other()] && known
		}
		b.plan.Missing = b.missing
		b.plan.Packs = b.missing == [2]bool{} && r.suspect == "" && r.o.Expunge == plan.ExpungeNone && !r.o.DryRun
		b.plan.PackFrom = r.o.packFrom
		if b.err == nil && r.unchanged(b) {
			continue
		}
		kept = append(kept, b)
	}
	r.order = kept
	return nil
}

// unchanged reports whether a mailbox needs no look at all: both stores say that it is as it was seen last.
func (r *run) unchanged(b *boxRun) bool {
	if b.exists != [2]bool{true, true} || b.old.Known != b.exists || b.old.Role != b.now.Role {
		return false
	}
	if b.left[mail.LeftRenumbered] > 0 || r.retry && b.left[mail.LeftRefused] > 0 {
		return false
	}
	return !r.editsDue(b) && r.same(b, mail.Local) && r.same(b, mail.Remote)
}

// same reports whether one side of a mailbox is as it was seen last.
func (r *run) same(b *boxRun, side mail.Side) bool {
	return r.suspect == "" && b.old.Mark[side] != "" && b.status[side].Mark == b.old.Mark[side] && !r.wholeDue(b, side)
}

// wholeDue spreads the weekly whole views over the days.
func (r *run) wholeDue(b *boxRun, side mail.Side) bool {
	at := b.old.WholeAt[side]
	if at.IsZero() {
		return false
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(b.name))
	spread := time.Duration(h.Sum32()%(24*60)) * time.Minute
	return r.o.Now().Sub(at) > wholeEvery+spread
}
