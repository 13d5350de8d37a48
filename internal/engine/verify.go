package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
)

// Verify compares both sides with what they agreed on and reports every difference by name; it changes nothing. Bodies
// are hashed on a side where reading is cheap, with Full on both. Reports are in the order of mailboxes.
func Verify(ctx context.Context, o Options, v VerifyOptions) (Report, error) {
	o.DryRun = true
	r := newRun(o)
	w := &verifier{run: r, full: v.Full}
	if err := r.connect(ctx); err != nil {
		return w.report, err
	}
	if err := w.list(ctx); err != nil {
		return w.report, err
	}
	for _, b := range r.order {
		if err := w.box(ctx, b); err != nil {
			if errors.Is(err, context.Canceled) || ctx.Err() != nil {
				return w.report, err
			}
			w.find(b.name, mail.Local, "", "mailbox unreadable", err.Error())
		}
	}
	return w.report, nil
}

type verifier struct {
	run    *run
	full   bool
	report Report
}

func (w *verifier) find(box mail.Box, side mail.Side, key mail.Key, kind, text string) {
	w.report.Findings = append(w.report.Findings, Finding{Box: box, Side: side, Key: key, Kind: kind, Text: text})
}

// list finds all selected mailboxes, also those that nobody changed.
func (w *verifier) list(ctx context.Context) error {
	r := w.run
	if err := r.list(ctx); err != nil {
		return err
	}
	r.order = r.order[:0]
	for _, b := range r.boxes {
		if r.selected(b) {
			r.order = append(r.order, b)
		}
	}
	slices.SortFunc(r.order, func(a, b *boxRun) int { return compareKeys(mail.Key(a.name), mail.Key(b.name)) })
	w.report.Mailboxes = len(r.order)
	return nil
}

func (w *verifier) box(ctx context.Context, b *boxRun) error {
	for _, side := range mail.Sides {
		if b.status[side].Err != nil {
			w.find(b.name, side, "", "mailbox unreadable", b.status[side].Err.Error())
			return nil
		}
		if !b.exists[side] {
			w.find(b.name, side, "", "mailbox missing", "")
			continue
		}
		if err := w.side(ctx, b, side); err != nil {
			return err
		}
	}
	n, err := w.run.db.Count(ctx, b.name, mail.Local)
	w.report.Messages += n
	if err != nil {
		return err
	}
	return w.halves(ctx, b)
}

// side compares one side of a mailbox with the base.
func (w *verifier) side(ctx context.Context, b *boxRun, side mail.Side) error {
	v, err := w.run.stores[side].View(ctx, b.name, "")
	if err != nil {
		return err
	}
	whole, ok := v.(mail.Whole)
	if !ok {
		return errors.New("view mailbox: not a whole view")
	}
	if old := b.old.Epoch[side]; old != "" && old != whole.Epoch {
		w.find(b.name, side, "", "content differs", "the mailbox was renumbered since the last sync; run mailtwin sync first")
		return nil
	}
	gone := map[mail.Key]bool{}
	for c, err := range plan.Diff(side, w.run.db.Pairs(ctx, b.name, side), whole.All, false) {
		switch {
		case err != nil:
			return err
		case c.Pair == nil:
			w.find(b.name, side, c.Now.Key, "extra", "the other side does not have it")
		case c.Gone:
			gone[c.Pair.Keys[side]] = true
			w.find(b.name, side, c.Pair.Keys[side], "missing", "the last sync left it there")
		default:
			now := plan.Effective(c.Pair, side, c.Now.Flags)
			w.find(b.name, side, c.Now.Key, "flags differ", fmt.Sprintf("has %v, both sides agreed on %v", now, c.Pair.Flags))
		}
	}
	if w.full || w.run.greet[side].Caps.Named {
		return w.hash(ctx, b, side, gone)
	}
	return nil
}

// hashChunk is how many messages are hashed in one call.
const hashChunk = 1000

// hash reads the messages of one side and compares their digests with the base.
func (w *verifier) hash(ctx context.Context, b *boxRun, side mail.Side, gone map[mail.Key]bool) error {
	want := map[mail.Key]*mail.Pair{}
	flush := func() error {
		keys := make([]mail.Key, 0, len(want))
		for k := range want {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		err := w.run.stores[side].Identify(ctx, b.name, keys, true, func(k mail.Key, id mail.Ident) error {
			p := want[k]
			if p == nil {
				return nil
			}
			delete(want, k)
			w.report.Hashed[side]++
			if p.Left != mail.LeftAltered && !p.Ident.Digest.IsZero() && id.Digest != p.Ident.Digest {
				w.find(b.name, side, k, "content differs", "its digest is not that of the message that was synced")
			}
			return nil
		})
		for _, k := range keys {
			if err == nil && want[k] != nil {
				w.find(b.name, side, k, "missing", "it vanished while it was looked at")
			}
		}
		clear(want)
		return err
	}
	for p, err := range w.run.db.Pairs(ctx, b.name, side) {
		if err != nil {
			return err
		}
		if !gone[p.Keys[side]] {
			want[p.Keys[side]] = &p
		}
		if len(want) >= hashChunk {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(want) == 0 {
		return nil
	}
	return flush()
}

// halves reports messages that only one side has, for a known reason.
func (w *verifier) halves(ctx context.Context, b *boxRun) error {
	halves, err := w.run.db.HalfPairs(ctx, b.name)
	for i := range halves {
		p := &halves[i]
		if p.Left != mail.LeftExpunged && p.Left != mail.LeftReplaced {
			w.find(b.name, plan.Holder(p), p.Keys[plan.Holder(p)], "extra", "only this side has it: "+p.Left.String())
		}
	}
	return err
}
