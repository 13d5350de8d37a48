package engine

import (
	"context"
	"errors"
	"time"

	"mailtwin/internal/store"
)

// What a run does that loses its server, or is asked to wait.
const (
	firstPause  = time.Second     // before the first try; each further one that got nowhere waits twice as long
	longestWait = 2 * time.Minute // that a server may ask for; if it asks for more, the run ends and says so
	mostTries   = 200             // in all; each but a few of them got something done
)

// patience decides whether a run goes on after its server was lost. Each try is a whole run of its own, which first settles what the one
// before left open (rules 5 and 6): what was done is found and not done again.
type patience struct {
	left, most int // tries without progress
	all        int
	pause      time.Duration
	first      time.Duration
	done       int
}

func newPatience(o Options) *patience {
	first := o.RetryPause
	if first <= 0 {
		first = firstPause
	}
	return &patience{left: o.Retries, most: o.Retries, all: mostTries, pause: first, first: first}
}

// again waits, and reports whether there is to be another try. A server that was not reached in the first place is not waited for.
func (p *patience) again(ctx context.Context, r *run, err error) bool {
	if ctx.Err() != nil || !errors.Is(err, store.ErrUnreachable) || p.done == 0 && !r.met || r.o.DryRun {
		return false
	}
	if done := 1 + r.res.Summary.effects(); done > p.done {
		p.done, p.left, p.pause = done, p.most, p.first
	}
	if p.left, p.all = p.left-1, p.all-1; p.left < 0 || p.all < 0 {
		return false
	}
	wait := p.pause
	p.pause *= 2
	var busy *store.BusyError
	if errors.As(err, &busy) {
		if wait = max(wait, busy.Wait); wait > longestWait {
			return false
		}
		r.wait("the server asks to wait; going on in %v", wait)
	} else {
		r.wait("the connection was lost; going on in %v", wait)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// effects is how much was done.
func (s Summary) effects() int {
	return s.CopiedToLocal + s.CopiedToRemote + s.MovedLocal + s.MovedRemote + s.RenamedLocal + s.RenamedRemote + s.FlaggedLocal + s.FlaggedRemote +
		s.DeletedLocal + s.DeletedRemote + s.Adopted
}

// next is the run that goes on where this one stopped. What was done counts; what was left or failed shows again.
func (r *run) next() *run {
	n := newRun(r.o)
	n.atOnce = r.atOnce
	was, now := &r.res.Summary, &n.res.Summary
	now.CopiedToLocal, now.CopiedToRemote, now.Adopted = was.CopiedToLocal, was.CopiedToRemote, was.Adopted
	now.MovedLocal, now.MovedRemote = was.MovedLocal, was.MovedRemote
	now.RenamedLocal, now.RenamedRemote = was.RenamedLocal, was.RenamedRemote
	now.FlaggedLocal, now.FlaggedRemote = was.FlaggedLocal, was.FlaggedRemote
	now.DeletedLocal, now.DeletedRemote = was.DeletedLocal, was.DeletedRemote
	return n
}
