package engine

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// How often content that was changed under its key is looked for (a draft that is saved again): in the mailbox for drafts in
// every run, elsewhere daily. What was changed a moment ago may still be being written.
const (
	editsEvery  = 24 * time.Hour
	quietPeriod = 10 * time.Second
)

// editsDue reports whether the local messages of a mailbox are to be looked at for edits.
func (r *run) editsDue(b *boxRun) bool {
	if _, ok := r.stores[mail.Local].(store.Stamper); !ok || b.exists != [2]bool{true, true} || b.old.Known != b.exists {
		return false
	}
	return isDrafts(b) || r.o.Now().Sub(b.old.StampsAt) > editsEvery
}

func isDrafts(b *boxRun) bool { return strings.EqualFold(b.now.Role, `\Drafts`) }

// findEdits compares the stamps of local messages with those of the base, and reads what differs.
func (r *run) findEdits(ctx context.Context, b *boxRun) error {
	if !r.editsDue(b) || b.missing != [2]bool{} {
		return nil
	}
	c := &stampCheck{now: r.o.Now().Unix()}
	if err := c.compare(ctx, r.stores[mail.Local].(store.Stamper), b.name, r.db.Pairs(ctx, b.name, mail.Local)); err != nil {
		return fmt.Errorf("look for edited messages: %w", err)
	}
	if !c.waits && !isDrafts(b) {
		b.now.StampsAt = r.o.Now()
	}
	touched, err := r.readEdits(ctx, b, c.edited)
	if err != nil {
		return err
	}
	return r.rememberStamps(ctx, append(c.fresh, touched...))
}

// stampCheck compares the stamps of a mailbox with those of the base, both in the order of keys.
type stampCheck struct {
	now    int64
	fresh  []mail.Pair // had no stamp yet
	edited []mail.Pair // with the new stamp
	waits  bool        // something may still be being written
}

func (c *stampCheck) compare(ctx context.Context, s store.Stamper, box mail.Box, base iter.Seq2[mail.Pair, error]) error {
	next, stop := iter.Pull2(base)
	defer stop()
	p, err, more := next()
	skip := func(until mail.Key) {
		for more && err == nil && p.Keys[mail.Local] < until {
			p, err, more = next()
		}
	}
	told := s.Stamps(ctx, box, func(k mail.Key, stamp uint64, changed int64) error {
		if skip(k); err == nil && more && p.Keys[mail.Local] == k {
			c.look(p, stamp, changed)
		}
		return err
	})
	if told != nil {
		return told
	}
	return err
}

func (c *stampCheck) look(p mail.Pair, stamp uint64, changed int64) {
	switch {
	case stamp == p.Stamp || p.Left == mail.LeftAltered || p.Keys[mail.Remote] == "":
	case p.Stamp == 0:
		p.Stamp = stamp
		c.fresh = append(c.fresh, p)
	case c.now-changed < int64(quietPeriod.Seconds()):
		c.waits = true
	default:
		p.Stamp = stamp
		c.edited = append(c.edited, p)
	}
}

// readEdits adds new versions to the plan; it returns the pairs whose content turned out to be the same.
func (r *run) readEdits(ctx context.Context, b *boxRun, list []mail.Pair) (same []mail.Pair, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	byKey := make(map[mail.Key]*mail.Pair, len(list))
	keys := make([]mail.Key, len(list))
	for i := range list {
		keys[i] = list[i].Keys[mail.Local]
		byKey[keys[i]] = &list[i]
	}
	err = r.stores[mail.Local].Identify(ctx, b.name, keys, true, func(k mail.Key, id mail.Ident) error {
		p := byKey[k]
		switch {
		case p == nil || id.Size == 0: // emptied: it is being written, or lost
			b.now.StampsAt = b.old.StampsAt
		case id.Digest == p.Ident.Digest:
			same = append(same, *p)
		default:
			b.plan.AddEdit(mail.Local, p, mail.Entry{Ident: id})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for edited messages: %w", err)
	}
	return same, nil
}

// rememberStamps writes stamps of messages whose content is that of the base.
func (r *run) rememberStamps(ctx context.Context, pairs []mail.Pair) error {
	if len(pairs) == 0 || r.o.DryRun {
		return nil
	}
	for _, list := range chunks(pairs, batchSize) {
		err := r.update(ctx, false, func(tx *state.Tx) error {
			for i := range list {
				if err := tx.PutPair(&list[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
