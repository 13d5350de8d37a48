package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

const unreadableHint = "it is tried again once a day; if another mail program cannot open it either, remove it or tell those who run the server"

// handed is what was seen of a message on its way.
type handed struct {
	ok    bool
	flags mail.Flags
	ident mail.Ident
	stamp uint64
}

func (c *copier) batch(ctx context.Context, ops []plan.Copy) error {
	intents, err := c.prepare(ctx, ops)
	if err != nil {
		return err
	}
	passed, unreadable := make([]handed, len(ops)), map[int]error{}
	done, err := c.run.stores[c.to].Put(ctx, c.box.name, intents, c.bodies(ops, passed, unreadable))
	if err != nil {
		return fmt.Errorf("copy messages to the %s side: %w", c.to, err)
	}
	for i, err := range unreadable {
		done[i] = mail.Done{Err: mail.WithHint(fmt.Errorf("%w: %w", store.ErrRefused, err), unreadableHint)}
	}
	if err := c.settle(ctx, intents, done, passed); err != nil {
		return err
	}
	if err := c.secure(ctx, ops, done); err != nil {
		return err
	}
	c.add(func(tx *state.Tx) error { return c.commit(tx, ops, intents, done, passed) })
	c.tell(done, passed, unreadable)
	return nil
}

// prepare writes the intents, together with what the batch before has to commit.
func (c *copier) prepare(ctx context.Context, ops []plan.Copy) ([]mail.Intent, error) {
	entries := make([]mail.Entry, len(ops))
	for i, op := range ops {
		entries[i] = op.From.Entry
	}
	tokens, err := c.run.stores[c.to].Prepare(ctx, c.box.name, entries)
	if err != nil {
		return nil, fmt.Errorf("prepare copies to the %s side: %w", c.to, err)
	}
	intents := make([]mail.Intent, len(ops))
	for i, op := range ops {
		if e := &op.From.Entry; e.Rough {
			e.Ident.Size, e.Rough = 0, false // not known
		}
		intents[i] = mail.Intent{
			Side: c.to, Kind: mail.IntentPut, From: mail.Ref{Box: c.box.name, Key: op.From.Entry.Key},
			Box: c.box.name, Entry: op.From.Entry, Token: tokens[i],
		}
		if op.From.Half != nil {
			intents[i].Pair = op.From.Half.ID
		}
	}
	after := c.take()
	err = c.run.update(ctx, true, func(tx *state.Tx) error {
		if err := runAll(tx, after); err != nil {
			return err
		}
		for i := range intents {
			if err := tx.AddIntent(&intents[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.add(after...)
	}
	return intents, err
}

// identify asks the source what the messages are, if the other side could not find them again without: the intents must say
// so, since the source may be gone when they are settled.
func (c *copier) identify(ctx context.Context, ops []plan.Copy) error {
	r := c.run
	if r.greet[c.to].Caps.Named || len(ops) == 0 {
		return nil
	}
	from := c.to.Other()
	list := make([]*plan.Arrival, len(ops))
	for i, op := range ops {
		list[i] = op.From
	}
	return r.identify(ctx, c.box.name, from, unidentified(list, true), r.greet[from].Caps.Named) // where names name, reading is cheap
}

// bodies reads the messages from the source and digests them as they pass; unreadable gets those that the source does not hand out.
func (c *copier) bodies(ops []plan.Copy, passed []handed, unreadable map[int]error) store.Bodies {
	keys := make([]mail.Key, len(ops))
	index := make(map[mail.Key]int, len(ops))
	for i, op := range ops {
		keys[i] = op.From.Entry.Key
		index[keys[i]] = i
	}
	digester := mail.NewDigester()
	return func(ctx context.Context, each func(int, mail.Entry, mail.Body) error) error {
		err := c.run.stores[c.to.Other()].Fetch(ctx, c.box.name, keys, func(e mail.Entry, body mail.Body) error {
			i, ok := index[e.Key]
			if !ok {
				return nil
			}
			digester.Reset()
			if err := each(i, e, mail.Body{Size: body.Size, Reader: tee{body.Reader, digester}}); err != nil {
				return err
			}
			id := digester.Ident()
			id.Date = e.Ident.Date
			passed[i] = handed{ok: true, flags: e.Flags, ident: id, stamp: e.Stamp}
			c.mu.Lock()
			c.done++
			c.bytes += body.Size
			n, bytes := c.done, c.bytes
			c.mu.Unlock()
			c.run.progress(c.box, PhaseCopy, c.to, "copy", min(n, c.total), c.total, bytes)
			return nil
		})
		var u *store.UnreadableError
		if errors.As(err, &u) { // the others go on
			for key, why := range u.Keys {
				unreadable[index[key]] = why
			}
			return nil
		}
		return err
	}
}

// tee digests what is read.
type tee struct {
	from     io.Reader
	digester *mail.Digester
}

func (t tee) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	_, _ = t.digester.Write(p[:n])
	return n, err
}

// settle asks for the keys that the store could not tell at once.
func (c *copier) settle(ctx context.Context, intents []mail.Intent, done []mail.Done, passed []handed) error {
	var open []mail.Intent
	var at []int
	for i := range done {
		if passed[i].ok && done[i].Key == "" && done[i].Err == nil {
			in := intents[i]
			in.Entry.Ident, in.Entry.Flags = passed[i].ident, passed[i].flags
			open, at = append(open, in), append(at, i)
		}
	}
	if len(open) == 0 {
		return nil
	}
	own := map[mail.Key]bool{}
	for _, d := range done {
		own[d.Key] = true
	}
	taken := c.run.taken(ctx, c.to)
	found, err := c.run.stores[c.to].Settle(ctx, open, func(ref mail.Ref) bool { return own[ref.Key] || taken(ref) })
	if err != nil {
		return fmt.Errorf("find copies on the %s side: %w", c.to, err)
	}
	for i, d := range found {
		done[at[i]] = d
	}
	return nil
}

// taken says whether a message of a side belongs to a known pair.
func (r *run) taken(ctx context.Context, side mail.Side) func(mail.Ref) bool {
	return func(ref mail.Ref) bool {
		has, err := r.db.Has(ctx, side, ref)
		return has || err != nil
	}
}

// secure makes the sources durable before pairs rest on them.
func (c *copier) secure(ctx context.Context, ops []plan.Copy, done []mail.Done) error {
	var keys [2][]mail.Key
	from := c.to.Other()
	for i, d := range done {
		if d.Key != "" {
			keys[from] = append(keys[from], ops[i].From.Entry.Key)
		}
	}
	if len(keys[from]) == 0 {
		return nil
	}
	s, ok := c.run.stores[from].(store.Securer)
	if !ok {
		return nil
	}
	return s.Secure(ctx, c.box.name, keys[from])
}

// commit writes the pairs of a batch and closes its intents. An intent whose outcome is unknown stays open: the next run
// settles it.
func (c *copier) commit(tx *state.Tx, ops []plan.Copy, intents []mail.Intent, done []mail.Done, passed []handed) error {
	for i, d := range done {
		var err error
		switch {
		case d.Key != "":
			p := c.pair(ops[i], passed[i])
			p.Keys[c.to], p.Lacks[c.to] = d.Key, d.Lacks
			if c.to == mail.Local {
				p.Stamp = d.Stamp
			}
			p.Left, p.Verified = mail.LeftNone, true
			if err = replace(tx, ops[i].From.Old, c.to.Other()); err == nil {
				err = tx.PutPair(&p)
			}
		case errors.Is(d.Err, store.ErrRefused) && ops[i].From.Old != nil:
			c.run.leaveOpen(c.box) // the old version stays, and the new one is looked at again
		case errors.Is(d.Err, store.ErrRefused):
			p := c.pair(ops[i], passed[i])
			p.Left = mail.LeftRefused
			err = tx.PutPair(&p)
		case passed[i].ok && d.Err == nil:
			continue
		}
		if err == nil {
			err = tx.DropIntent(intents[i].ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// replace leaves of a pair only the copy with the old version, which is to be removed; nil: nothing was replaced.
func replace(tx *state.Tx, old *mail.Pair, side mail.Side) error {
	if old == nil {
		return nil
	}
	old.Keys[side], old.Lacks[side], old.Left = "", mail.Flags{}, mail.LeftReplaced
	if old.Keys[side.Other()] == "" {
		return tx.DropPair(old.ID)
	}
	return tx.PutPair(old)
}

// pair is the pair or half pair of a message that passed.
func (c *copier) pair(op plan.Copy, h handed) mail.Pair {
	p := mail.Pair{Box: c.box.name}
	if op.From.Half != nil {
		p = *op.From.Half
	}
	p.Keys[c.to.Other()] = op.From.Entry.Key
	p.Stamp = 0
	if c.to == mail.Remote {
		p.Stamp = h.stamp
	}
	p.Flags, p.Ident = op.From.Entry.Flags, op.From.Entry.Ident
	if h.ok {
		p.Flags, p.Ident = h.flags, h.ident.Merge(op.From.Entry.Ident)
	}
	return p
}

// lostText says what became of messages that were sent or asked for in vain, by the side that they did not reach.
var lostText = [2]string{
	mail.Local:  "did not come from the remote side, or are gone there",
	mail.Remote: "were sent to the remote side, and are not to be found there",
}

// tell counts and reports the outcome of a batch.
func (c *copier) tell(done []mail.Done, passed []handed, unreadable map[int]error) {
	copied, lost := 0, 0
	c.run.mu.Lock()
	for i, d := range done {
		if d.Key != "" {
			copied++
			c.run.did(c.box, c.to, d.Key, passed[i].flags.Minus(d.Lacks))
		}
	}
	c.run.mu.Unlock()
	for i, d := range done {
		switch {
		case d.Key != "":
		case errors.Is(d.Err, store.ErrRefused):
			by := c.to
			if unreadable[i] != nil {
				by = c.to.Other()
			}
			c.run.note(c.box.name, "the %s side refused a message: %v", by, d.Err)
			c.run.report(state.Report{Box: c.box.name, Kind: "refused", Count: 1, Text: d.Err.Error(), Hint: mail.HintOf(d.Err)})
		default:
			c.run.leaveOpen(c.box)
			if d.Err != nil {
				_ = c.run.fail(c.box, d.Err)
			} else if passed[i].ok || c.to == mail.Local { // what is gone from here was taken away by the user
				lost++
			}
		}
	}
	if lost > 0 {
		c.run.report(state.Report{
			Box: c.box.name, Kind: "not copied", Count: lost, Text: fmt.Sprintf("%d messages %s", lost, lostText[c.to]),
			Hint: "the next sync looks again",
		})
		c.run.count(func(s *Summary) { s.Left += lost })
	}
	c.run.count(func(s *Summary) {
		if c.to == mail.Local {
			s.CopiedToLocal += copied
		} else {
			s.CopiedToRemote += copied
		}
	})
}
