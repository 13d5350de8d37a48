package engine

import (
	"context"
	"sync"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// What a run does to a mailbox, the next one would see as changes since its view: the echo of our own effects. If it is long, it costs
// less to compare it with what is expected at once, by sets of messages, than to be told of each message again.
const (
	echoFrom = 64     // messages that must have changed in a mailbox
	echoMost = 8192   // more of one would take memory
	echoesIn = 32_768 // so would more of all
)

// echo is what was done on one side of a mailbox since its view.
type echo struct {
	since mail.Mark
	over  bool // it was more than is kept
	want  mail.Expected
	gone  int
}

// did notes that a message of a side was stored, moved there or changed, and what flags it has now.
func (r *run) did(b *boxRun, side mail.Side, key mail.Key, flags mail.Flags) {
	e := r.echoOf(b, side)
	switch {
	case e == nil || e.over:
	case e.want.Len() == echoMost || r.noted == echoesIn:
		r.noted -= e.want.Len()
		e.want, e.over = mail.Expected{}, true
	default:
		e.want.Add(key, flags)
		r.noted++
	}
}

// didRemove notes that messages of a side were removed.
func (r *run) didRemove(b *boxRun, side mail.Side, n int) {
	if e := r.echoOf(b, side); e != nil {
		e.gone += n
	}
}

// echoOf returns what was done; nil where nobody is going to ask. The caller holds r.mu.
func (r *run) echoOf(b *boxRun, side mail.Side) *echo {
	if _, ok := r.stores[side].(store.Echoer); !ok {
		return nil
	}
	look := b.looks()
	if look.echo[side] == nil {
		since := b.now.Mark[side]
		if b.viewed[side] {
			since = b.proven[side]
		}
		if since == "" { // a new mailbox, or a store without marks
			return nil
		}
		look.echo[side] = &echo{since: since}
	}
	return look.echo[side]
}

// proveEchoes moves marks past what was done, where that is all that happened since the view. Whatever goes wrong with it, the next run
// sees the echo.
func (r *run) proveEchoes(ctx context.Context) {
	var sides sync.WaitGroup
	for _, side := range mail.Sides {
		s, ok := r.stores[side].(store.Echoer)
		if !ok {
			continue
		}
		var boxes []*boxRun
		var list []store.Echo
		for _, b := range r.order {
			if q, ok := r.echo(ctx, b, side); ok {
				boxes, list = append(boxes, b), append(list, q)
			}
		}
		if len(list) == 0 {
			continue
		}
		sides.Go(func() {
			marks, _ := s.Echo(ctx, list)
			for i, m := range marks {
				boxes[i].look.after[side] = m
			}
		})
	}
	sides.Wait()
}

// echo is what is expected of one side of a mailbox; false if that is not worth being compared.
func (r *run) echo(ctx context.Context, b *boxRun, side mail.Side) (q store.Echo, ok bool) {
	if b.err != nil || b.open || b.look == nil || b.look.echo[side] == nil || !b.exists[side] {
		return q, false
	}
	e := b.look.echo[side]
	q = store.Echo{Box: b.name, Since: e.since, Want: &e.want}
	if e.over || e.want.Len()+e.gone < r.o.echoFrom {
		return q, false
	}
	var err error
	e.want.Total, err = r.db.Count(ctx, b.name, side)
	return q, err == nil
}
