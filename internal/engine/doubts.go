package engine

import (
	"context"
	"fmt"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store"
)

// resolve finds out more of arrivals that may be moves, what costs least first: the headers of those without Message-ID, how large those
// are that are rough, and the digest of what nothing else is left for. Those that are still in doubt come again.
func (r *run) resolve(ctx context.Context, side mail.Side, boxes []*plan.Box, doubt []*plan.Arrival) error {
	if traced, err := r.trace(ctx, side, boxes, doubt); traced || err != nil {
		return err
	}
	full := false
	list := unidentified(doubt, true)
	if len(list) == 0 {
		list, full = doubt, true
	}
	for box, list := range byBox(list, func(a *plan.Arrival) mail.Box { return a.Box }) {
		if err := r.identify(ctx, box, side, list, full); err != nil {
			return err
		}
	}
	return nil
}

func byBox[T any](list []T, boxOf func(T) mail.Box) map[mail.Box][]T {
	groups := map[mail.Box][]T{}
	for _, x := range list {
		groups[boxOf(x)] = append(groups[boxOf(x)], x)
	}
	return groups
}

// trace asks for the headers of arrivals without Message-ID, and for those of the copies that the other side has of what could be the
// same. false: there was nothing to ask, so it takes digests. So it does if headers cannot be read: the digests say what is wrong then.
// Where names name messages, reading them is as cheap.
func (r *run) trace(ctx context.Context, side mail.Side, boxes []*plan.Box, doubt []*plan.Arrival) (traced bool, err error) {
	here, ok := r.stores[side].(store.Tracer)
	there, also := r.stores[side.Other()].(store.Tracer)
	if !ok || !also || r.greet[side].Caps.Named {
		return false, nil
	}
	var list []*plan.Arrival
	for _, a := range doubt {
		if !a.Traced && a.Half == nil && a.Entry.Ident.MessageID.IsZero() {
			list = append(list, a)
			a.Traced = true
		}
	}
	if len(list) == 0 {
		return false, nil
	}
	for box, list := range byBox(list, func(a *plan.Arrival) mail.Box { return a.Box }) {
		byKey := map[mail.Key]*plan.Arrival{}
		err := here.Traces(ctx, box, keysOf(list, byKey, func(a *plan.Arrival) mail.Key { return a.Entry.Key }), func(k mail.Key, id mail.Ident, trace mail.Hash) error {
			if a := byKey[k]; a != nil {
				a.Entry.Ident = id.Merge(a.Entry.Ident)
				a.Trace, a.Entry.Rough = trace, false
			}
			return nil
		})
		if endsRun(err) {
			return false, fmt.Errorf("identify messages on the %s side: %w", side, err)
		}
	}
	for box, list := range byBox(plan.Nameless(side, boxes, list), func(n *plan.News) mail.Box { return n.Pair.Box }) {
		byKey := map[mail.Key]*plan.News{}
		err := there.Traces(ctx, box, keysOf(list, byKey, func(n *plan.News) mail.Key { return n.Pair.Keys[side.Other()] }), func(k mail.Key, _ mail.Ident, trace mail.Hash) error {
			if n := byKey[k]; n != nil {
				n.Trace = trace
			}
			return nil
		})
		if endsRun(err) {
			return false, fmt.Errorf("identify messages on the %s side: %w", side.Other(), err)
		}
	}
	return true, nil
}

// keysOf returns the keys of a list, and fills an index of it.
func keysOf[T any](list []T, byKey map[mail.Key]T, keyOf func(T) mail.Key) []mail.Key {
	keys := make([]mail.Key, len(list))
	for i, x := range list {
		keys[i] = keyOf(x)
		byKey[keys[i]] = x
	}
	return keys
}
