package plan

import (
	"cmp"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
)

func (l Limits) orDefaults() Limits {
	return Limits{
		AllOf:      cmp.Or(l.AllOf, 10),
		OverHalf:   cmp.Or(l.OverHalf, 100),
		Account:    cmp.Or(l.Account, 5000),
		MaxDeletes: l.MaxDeletes,
	}
}

// Check says which deletions the guard holds back (DESIGN.md section 4, rule 13). known has the number of pairs of each
// mailbox in the base. suspect, if not "", is why no deletion can be trusted at all.
func Check(l Limits, boxes []*Box, known map[mail.Box]int, suspect string) []Held {
	l = l.orDefaults()
	var held []Held
	var totals [2]int
	account := 0
	for _, n := range known {
		account += n
	}
	for _, b := range boxes {
		for _, side := range mail.Sides {
			if n := b.deletes(side, true, true); n > 0 {
				why := fmt.Sprintf("they were missing on the %s side when the state was imported", side.Other())
				held = append(held, Held{Box: b.Name, Side: side, Count: n, Of: known[b.Name], Why: why, Vanished: true})
			}
			n, of := b.deletes(side, false, suspect != ""), known[b.Name]
			if n == 0 {
				continue
			}
			totals[side] += n
			if why := l.box(n, of, suspect); why != "" {
				held = append(held, Held{Box: b.Name, Side: side, Count: n, Of: of, Why: why, Suspect: suspect != ""})
			}
		}
	}
	for _, side := range mail.Sides {
		if why := l.account(totals[side], account); why != "" {
			held = slices.DeleteFunc(held, func(h Held) bool { return h.Side == side && !h.Vanished })
			held = append(held, Held{Side: side, Count: totals[side], Of: account, Why: why, Suspect: suspect != ""})
		}
	}
	slices.SortFunc(held, func(a, b Held) int { return cmp.Or(cmp.Compare(a.Box, b.Box), cmp.Compare(a.Side, b.Side)) })
	return held
}

func (l Limits) box(n, of int, suspect string) string {
	switch {
	case suspect != "":
		return suspect
	case n >= of && of >= l.AllOf:
		return fmt.Sprintf("all %d messages of the mailbox", of)
	case n > l.OverHalf && 2*n > of:
		return fmt.Sprintf("%d of %d messages of the mailbox", n, of)
	}
	return ""
}

func (l Limits) account(n, of int) string {
	switch {
	case n == 0:
		return ""
	case l.MaxDeletes > 0 && n > l.MaxDeletes:
		return fmt.Sprintf("%d messages, more than max_deletes = %d", n, l.MaxDeletes)
	case n > l.Account, 2*n > of && n >= l.AllOf:
		return fmt.Sprintf("%d of %d messages of the account", n, of)
	}
	return ""
}

// deletes counts the deletions on side, of vanished messages or of the others; without all, not those that the user let through
// when they were made (duplicates).
func (b *Box) deletes(side mail.Side, vanished, all bool) int {
	n := 0
	for _, d := range b.Ops.Delete {
		if d.On[side] && d.Vanished == vanished && (all || !d.Pair.Allowed) {
			n++
		}
	}
	if !vanished {
		n += len(b.Ops.DeleteIDs[side])
	}
	return n
}

// HoldBack takes the held deletions out of the plan and says whether the mailbox lost any.
func (b *Box) HoldBack(held []Held) bool {
	before := b.Ops.Deletes()
	for _, h := range held {
		if (h.Box == "" || h.Box == b.Name) && !h.Vanished {
			b.Ops.DeleteIDs[h.Side] = nil
		}
	}
	b.Ops.Delete = slices.DeleteFunc(b.Ops.Delete, func(d Delete) bool {
		is := slices.ContainsFunc(held, func(h Held) bool {
			return d.On[h.Side] && d.Vanished == h.Vanished && (h.Box == "" || h.Box == b.Name) && (!d.Pair.Allowed || h.Suspect || h.Vanished)
		})
		if is {
			b.Held = append(b.Held, d)
		}
		return is
	})
	return b.Ops.Deletes() < before
}
