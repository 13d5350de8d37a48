package plan

import (
	"iter"

	"mailtwin/internal/mail"
)

// Change is what one side shows of one message, compared with the base.
type Change struct {
	Pair *mail.Pair // nil: arrived
	Now  mail.Entry // zero if gone
	Gone bool
}

// Effective returns the flags that a side shows of a pair, with those that it cannot hold taken as unchanged.
func Effective(p *mail.Pair, side mail.Side, now mail.Flags) mail.Flags {
	return now.Union(p.Lacks[side])
}

// Diff compares a whole view with the base. base has the pairs with a key on side, now the messages, both in key order.
// Messages without news are left out, but if marked is set those with \Deleted are in. It ends at the first error.
func Diff(side mail.Side, base iter.Seq2[mail.Pair, error], now iter.Seq2[mail.Entry, error], marked bool) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		next, stop := iter.Pull2(base)
		defer stop()
		pair, err, more := next()
		for entry, entryErr := range now {
			if entryErr != nil {
				yield(Change{}, entryErr)
				return
			}
			for more && err == nil && pair.Keys[side] < entry.Key {
				if p := pair; !yield(Change{Pair: &p, Gone: true}, nil) {
					return
				}
				pair, err, more = next()
			}
			if err != nil {
				break
			}
			change, news := Change{Now: entry}, true
			if more && pair.Keys[side] == entry.Key {
				if news = HasNews(side, &pair, entry.Flags, marked); news { // else nothing of it is kept
					p := pair
					change.Pair = &p
				}
				pair, err, more = next()
			}
			if news && !yield(change, nil) {
				return
			}
		}
		for more && err == nil {
			if p := pair; !yield(Change{Pair: &p, Gone: true}, nil) {
				return
			}
			pair, err, more = next()
		}
		if err != nil {
			yield(Change{}, err)
		}
	}
}

// HasNews reports whether a message that both the base and the side have belongs into the plan.
func HasNews(side mail.Side, p *mail.Pair, now mail.Flags, marked bool) bool {
	return !Effective(p, side, now).Equal(p.Flags) || marked && now.System&mail.Deleted != 0
}
