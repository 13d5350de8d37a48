package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// reopen has mailboxes seen again of which a message was not where it was seen.
func (r *run) reopen() {
	for name := range r.missed {
		r.boxes[name].open = true
	}
}

// commit advances the marks of mailboxes in which everything seen was done, and writes what status shows. A run in which
// nothing happened writes nothing.
func (r *run) commit(ctx context.Context) error {
	for _, b := range r.order {
		for _, side := range mail.Sides {
			for _, m := range b.plan.Ops.Move[side] {
				if b.err != nil { // not done, perhaps: where it went to must be seen again too
					r.boxes[m.To.Box].open = true
				}
			}
		}
	}
	r.reopen()
	r.proveEchoes(ctx)
	kept, err := r.reportKept(ctx)
	if err != nil {
		return err
	}
	var changed []state.Box
	var gone []mail.Box
	for _, b := range r.order {
		switch {
		case b.exists == [2]bool{} && b.err == nil:
			gone = append(gone, b.name)
		case r.settleBox(b):
			changed = append(changed, b.now)
		}
	}
	reports, err := r.allReports(ctx)
	if err != nil {
		return err
	}
	if err := r.countLeft(ctx, kept); err != nil {
		return err
	}
	account := r.settleAccount()
	if len(changed)+len(gone) == 0 && account == nil && reports == nil {
		return nil
	}
	return r.update(ctx, false, func(tx *state.Tx) error {
		for _, b := range changed {
			if err := tx.PutBox(b); err != nil {
				return err
			}
		}
		for _, name := range gone {
			if err := tx.DropBox(name); err != nil {
				return err
			}
		}
		if reports != nil {
			if err := tx.SetReports(*reports); err != nil {
				return err
			}
		}
		if account != nil {
			if account.HoldDeletes == "" && r.account.HoldDeletes != "" {
				if err := r.voidUnseen(tx); err != nil {
					return err
				}
			}
			return tx.SetAccount(*account)
		}
		return nil
	})
}

// settleBox decides what is remembered of a mailbox; false if that is what is stored already.
func (r *run) settleBox(b *boxRun) bool {
	if b.err != nil {
		return false
	}
	if _, missing := b.missingOn(); !missing {
		b.now.Known = b.exists
		b.now.EmptyRuns = 0
	}
	if b.old.Known != b.now.Known {
		b.now.StampsAt = r.o.Now() // what is there was read or written just now
	}
	if !b.open {
		for _, side := range mail.Sides {
			if b.viewed[side] {
				b.now.Mark[side] = b.proven[side]
			}
			if b.look != nil && b.look.after[side] != "" {
				b.now.Mark[side] = b.look.after[side]
			}
		}
	}
	if b.open { // what was not done must be seen again
		b.now.WholeAt = b.old.WholeAt
	}
	same := b.now.Mark == b.old.Mark && b.now.Epoch == b.old.Epoch && b.now.Known == b.old.Known &&
		b.now.EmptyRuns == b.old.EmptyRuns && b.now.ID == b.old.ID && b.now.Role == b.old.Role && b.now.StampsAt.Equal(b.old.StampsAt)
	if same && b.now.Mark[0] != "" && b.now.Mark[1] != "" {
		return b.now.WholeAt != b.old.WholeAt
	}
	return !same // without marks, when the last whole view was does not matter
}

// settleAccount returns what is to be written of the account; nil for nothing.
func (r *run) settleAccount() *state.Account {
	a := r.account
	hints := [2]string{r.greet[0].Hint, r.greet[1].Hint}
	for side, st := range r.stores {
		if h, ok := st.(store.Hinter); ok {
			hints[side] = h.Hint()
		}
	}
	trusted := a.HoldDeletes != "" && len(r.o.Only) == 0 && len(r.res.Errors) == 0 && !slices.ContainsFunc(r.order, func(b *boxRun) bool { return b.open })
	changed := r.changed || r.res.Summary.Changed() // by a try before this one
	if !changed && hints == a.Hints && !trusted {
		return nil
	}
	if trusted {
		a.HoldDeletes = ""
	}
	a.Hints = hints
	if r.changed {
		a.Run = a.NextRun
	}
	if changed {
		a.LastSync = r.o.Now()
		if text, err := json.Marshal(r.res.Summary); err == nil {
			a.Summary = string(text)
		}
	}
	return &a
}

// voidUnseen makes hints of the pairs of mailboxes that were not looked at while the ages of state and stores differed: they are
// paired by content when they are looked at, so that nothing of an older copy is taken for a deletion.
func (r *run) voidUnseen(tx *state.Tx) error {
	for _, b := range r.boxes {
		if slices.Contains(r.order, b) || b.old == (state.Box{Name: b.name}) {
			continue
		}
		if err := tx.VoidKeys(b.name, mail.Local); err != nil {
			return err
		}
		b.old.Mark = [2]mail.Mark{}
		if err := tx.PutBox(b.old); err != nil {
			return err
		}
	}
	return nil
}

// allReports joins this run's reports with those of mailboxes that it did not look at; nil if nothing changed.
func (r *run) allReports(ctx context.Context) (*[]state.Report, error) {
	old, err := r.db.Reports(ctx)
	if err != nil {
		return nil, stateError(err)
	}
	looked := map[mail.Box]bool{"": true}
	for _, b := range r.order {
		looked[b.name] = true
	}
	reports := slices.DeleteFunc(slices.Clone(old), func(rep state.Report) bool { return looked[rep.Box] })
	reports = append(reports, r.res.Reports...)
	if reports, err = r.leftReports(ctx, reports, old); err != nil {
		return nil, err
	}
	if slices.Equal(reports, old) {
		return nil, nil
	}
	return &reports, nil
}

// leftKinds are the reports that stay as long as there are such pairs, and what they say when nothing better is known.
var leftKinds = []struct {
	left mail.Left
	kind string
	text string
}{
	{mail.LeftRefused, "refused", "%d messages were refused by the other side; they are tried again once a day"},
	{mail.LeftDeleting, "delete pending", "%d messages are only marked as deleted on one side"},
	{mail.LeftAltered, "altered", "%d messages are on both sides with different content; they are kept as they are"},
}

// leftReports adds what is left from earlier runs, in the words of then.
func (r *run) leftReports(ctx context.Context, reports, old []state.Report) ([]state.Report, error) {
	left, err := r.db.Left(ctx)
	if err != nil {
		return nil, stateError(err)
	}
	for _, b := range r.order {
		for _, k := range leftKinds {
			n := left[b.name][k.left]
			is := func(rep state.Report) bool { return rep.Box == b.name && rep.Kind == k.kind }
			if n == 0 || slices.ContainsFunc(reports, is) {
				continue
			}
			rep := state.Report{Box: b.name, Kind: k.kind, Count: n, Text: fmt.Sprintf(k.text, n)}
			if i := slices.IndexFunc(old, is); i >= 0 {
				rep.Text, rep.Hint = old[i].Text, old[i].Hint
				if rest, ok := strings.CutPrefix(rep.Text, fmt.Sprint(old[i].Count)+" "); ok {
					rep.Text = fmt.Sprintf("%d %s", n, rest) // some may be settled
				}
			}
			reports = append(reports, rep)
		}
	}
	return reports, nil
}

// countLeft counts what the account is left with.
func (r *run) countLeft(ctx context.Context, kept int) error {
	left, err := r.db.Left(ctx)
	if err != nil {
		return stateError(err)
	}
	n := kept
	for _, byReason := range left {
		n += byReason[mail.LeftRefused] + byReason[mail.LeftDeleting] + byReason[mail.LeftAltered]
	}
	counts, err := r.messages(ctx)
	if err != nil {
		return err
	}
	r.count(func(s *Summary) { s.Left += n; s.Messages = counts })
	return nil
}

// messages counts the pairs of the account, where that is cheap.
func (r *run) messages(ctx context.Context) (int, error) {
	if !r.changed {
		total := 0
		for _, b := range r.boxes {
			if n := b.status[mail.Local].Total; n > 0 {
				total += n
			} else if n := b.status[mail.Remote].Total; n > 0 {
				total += n
			}
		}
		return total, nil
	}
	counts, err := r.db.Counts(ctx)
	if err != nil {
		return 0, stateError(err)
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, nil
}
