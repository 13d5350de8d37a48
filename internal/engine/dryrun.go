package engine

import (
	"bufio"
	"context"
	"io"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"time"

	words "mailtwin/internal/mail"
	"mailtwin/internal/plan"
)

// describedDeletes is how many deletions of a mailbox are shown with date, sender and subject.
const describedDeletes = 500

// describe turns the plan into words for a dry run, and counts what it would do.
func (r *run) describe(ctx context.Context) error {
	for _, b := range r.order {
		if b.err != nil {
			continue
		}
		r.describeBoxes(b)
		r.describeOps(b)
		if err := r.describeDeletes(ctx, b); err != nil {
			return err
		}
	}
	kept, err := r.reportKept(ctx)
	if err != nil {
		return err
	}
	return r.countLeft(ctx, kept)
}

func (r *run) planned(p Planned) { r.res.Plan = append(r.res.Plan, p) }

func (r *run) describeBoxes(b *boxRun) {
	for _, side := range words.Sides {
		if r.createOn(b, side) {
			r.planned(Planned{Side: side, Verb: "create mailbox", Box: b.name})
		}
	}
	if side, missing := b.missingOn(); missing && r.wantsRemoval(b) {
		r.planned(Planned{Side: side.Other(), Verb: "remove mailbox", Box: b.name})
	}
}

func (r *run) describeOps(b *boxRun) {
	ops, s := &b.plan.Ops, &r.res.Summary
	for _, op := range ops.Adopt {
		r.planned(Planned{Verb: "adopt", Box: b.name, Key: op.Pair.Keys[words.Local]})
	}
	s.Adopted += len(ops.Adopt)
	for _, side := range words.Sides {
		for _, op := range ops.Copy[side] {
			r.planned(Planned{Side: side, Verb: "copy", Box: b.name, Key: op.From.Entry.Key})
		}
		for _, op := range ops.Move[side] {
			if op.To.Box == b.name {
				continue // only its key is another one
			}
			if side == words.Local {
				s.MovedLocal++
			} else {
				s.MovedRemote++
			}
			r.planned(Planned{Side: side, Verb: "move", Box: b.name, To: op.To.Box, Key: op.Pair.Keys[side]})
		}
	}
	s.CopiedToLocal += len(ops.Copy[words.Local])
	s.CopiedToRemote += len(ops.Copy[words.Remote])
	for _, op := range ops.Flags {
		r.describeFlags(b, op)
	}
}

func (r *run) describeFlags(b *boxRun, op plan.Flags) {
	for _, side := range words.Sides {
		add, del := op.Want.Minus(op.Now[side]), op.Now[side].Minus(op.Want)
		if add.Empty() && del.Empty() {
			continue
		}
		var changes []string
		for _, name := range add.Names() {
			changes = append(changes, "+"+name)
		}
		for _, name := range del.Names() {
			changes = append(changes, "-"+name)
		}
		r.planned(Planned{Side: side, Verb: "flag", Box: b.name, Key: op.Pair.Keys[side], Flags: strings.Join(changes, " ")})
		if side == words.Local {
			r.res.Summary.FlaggedLocal++
		} else {
			r.res.Summary.FlaggedRemote++
		}
	}
}

func (r *run) describeDeletes(ctx context.Context, b *boxRun) error {
	for _, side := range words.Sides {
		var keys []words.Key
		at := map[words.Key]int{}
		doomed := len(b.plan.Ops.Delete)
		for i, op := range slices.Concat(b.plan.Ops.Delete, b.plan.Held) {
			if !op.On[side] {
				continue
			}
			held := i >= doomed
			key := op.Pair.Keys[side]
			at[key] = len(r.res.Plan)
			if len(keys) < describedDeletes {
				keys = append(keys, key)
			}
			r.planned(Planned{Side: side, Verb: "delete", Box: b.name, Key: key, Held: held})
			switch {
			case held: // counted by the guard
			case side == words.Local:
				r.res.Summary.DeletedLocal++
			default:
				r.res.Summary.DeletedRemote++
			}
		}
		if len(keys) == 0 {
			continue
		}
		err := r.stores[side].Fetch(ctx, b.name, keys, func(e words.Entry, body words.Body) error {
			if i, ok := at[e.Key]; ok {
				readHeader(&r.res.Plan[i], body.Reader)
			}
			_, err := io.Copy(io.Discard, body.Reader)
			return err
		})
		if err := r.fail(b, err); err != nil {
			return err
		}
	}
	return nil
}

// readHeader takes what people know a message by; a header that cannot be parsed leaves it empty.
func readHeader(p *Planned, body io.Reader) {
	m, err := mail.ReadMessage(bufio.NewReader(io.LimitReader(body, 64<<10)))
	if err != nil {
		return
	}
	decode := func(s string) string {
		var d mime.WordDecoder
		if t, err := d.DecodeHeader(s); err == nil {
			return t
		}
		return s
	}
	p.Subject, p.From = decode(m.Header.Get("Subject")), decode(m.Header.Get("From"))
	if t, err := m.Header.Date(); err == nil {
		p.Date = t.In(time.Local)
	}
}
