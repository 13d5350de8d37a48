package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// Sync makes both sides of an account equal, once. The error is that of the account; mailboxes that failed are in
// Result.Errors while all others were synced. After a cancelled context or an error the Result says what was done until then.
func Sync(ctx context.Context, o Options) (Result, error) {
	r := newRun(o)
	begun := r.o.Now()
	err := r.sync(ctx)
	for p := newPatience(o); errors.Is(err, errMeanwhile) || err != nil && p.again(ctx, r, err); {
		r = r.next()
		r.atOnce = r.atOnce || errors.Is(err, errMeanwhile)
		err = r.sync(ctx)
	}
	r.finish(begun)
	return r.res, err
}

// run is one sync under way.
type run struct {
	o       Options
	db      *state.DB
	stores  [2]store.Store
	greet   [2]store.Greeting
	account state.Account
	suspect string // why no deletion can be trusted in this run
	retry   bool   // refused messages are tried again
	boxes   map[mail.Box]*boxRun
	order   []*boxRun  // those that are looked at, by name
	listed  int        // selected mailboxes
	lists   bool       // the local side may be listed while the server greets
	local   *aheadList // of the local side; nil: nothing of use
	fresh   bool       // a mailbox came into being since the list
	dropped bool       // disappearances were left to the next run

	unconfirmed bool          // see mayHaveMoved
	atOnce      bool          // disappearances are confirmed before moves are looked for
	met         bool          // both stores were reached
	renaming    []mail.Intent // renames that an interrupted run was about to do
	late        []mail.Intent // effects that were repeated: a twin may turn up

	mu      sync.Mutex // guards what follows
	res     Result
	changed bool              // the account has been marked as under change
	missed  map[mail.Box]bool // a message of them was not where it was seen: what was seen must be seen again
	noted   int               // effects that echoes may be compared with
}

// boxRun is one mailbox in a run.
type boxRun struct {
	mu       sync.Mutex // effects in it, in phases in which mailboxes are not on their own
	name     mail.Box
	old, now state.Box // as stored; as it will be
	status   [2]store.Status
	exists   [2]bool
	missing  [2]bool // both had it, this side has it no more
	revived  [2]bool // it was missing and is to be created again
	viewed   [2]bool
	look     *look        // how its views are taken; nil: it was not viewed
	proven   [2]mail.Mark // by the views of this run
	left     map[mail.Left]int
	plan     *plan.Box
	twins    []twin
	err      error // it failed: nothing further is done in it
	open     bool  // something seen was not done: marks stay where they are
}

// look is what a mailbox has that is being viewed or changed; most are not, and there may be very many.
type look struct {
	echo   [2]*echo
	after  [2]mail.Mark                 // proven after what this run did; "": not
	ahead  [2]func() (mail.View, error) // a view that was asked for already
	early  [2]*early
	voided bool // the keys of a side became void in this run
}

func (b *boxRun) looks() *look {
	if b.look == nil {
		b.look = &look{}
	}
	return b.look
}

func newRun(o Options) *run {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewID == nil {
		o.NewID = randomID
	}
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.packFrom == 0 {
		o.packFrom = 8192
	}
	if o.echoFrom == 0 {
		o.echoFrom = echoFrom
	}
	if o.deltaChunk == 0 {
		o.deltaChunk = deltaChunk
	}
	if o.Select == nil {
		o.Select = func(mail.Box, string) bool { return true }
	}
	if o.Events == nil {
		o.Events = func(Event) {}
	}
	r := &run{o: o, db: o.State, stores: o.Stores, boxes: map[mail.Box]*boxRun{}, missed: map[mail.Box]bool{}}
	r.res.Summary = Summary{Event: "summary", Account: o.Account, DryRun: o.DryRun}
	return r
}

// sync is View, Plan, Guard, Apply, Commit.
func (r *run) sync(ctx context.Context) error {
	r.phase(PhaseConnect)
	r.lists = r.o.crash == nil // else the order of all steps counts
	if err := r.connect(ctx); err != nil {
		return err
	}
	r.met = true
	if err := r.recover(ctx); err != nil {
		return err
	}
	r.phase(PhaseView)
	if err := r.view(ctx); err != nil {
		return err
	}
	r.phase(PhasePlan)
	if err := r.plan(ctx); err != nil {
		return err
	}
	if r.o.DryRun {
		return r.describe(ctx)
	}
	if err := r.apply(ctx); err != nil {
		return err
	}
	r.phase(PhaseCommit)
	return r.commit(ctx)
}

// finish completes the summary.
func (r *run) finish(begun time.Time) {
	s := &r.res.Summary
	for _, st := range r.stores {
		if c, ok := st.(store.Counted); ok {
			n := c.Counts()
			s.BytesDown += n.BytesIn
			s.BytesUp += n.BytesOut
			s.RoundTrips += n.RoundTrips
		}
	}
	s.Mailboxes = r.listed
	s.Errors = len(r.res.Errors)
	s.Seconds = r.o.Now().Sub(begun).Seconds()
}

func (r *run) phase(p Phase) { r.o.Events(Event{Kind: EventPhase, Account: r.o.Account, Phase: p}) }

func (r *run) note(box mail.Box, format string, args ...any) {
	r.o.Events(Event{Kind: EventNote, Account: r.o.Account, Box: box, Text: fmt.Sprintf(format, args...)})
}

// wait tells that nothing is being done for a while.
func (r *run) wait(format string, args ...any) {
	r.o.Events(Event{Kind: EventWait, Account: r.o.Account, Text: fmt.Sprintf(format, args...)})
}

// count changes the summary.
func (r *run) count(fn func(*Summary)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fn(&r.res.Summary)
}

func (r *run) report(rep state.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.res.Reports = append(r.res.Reports, rep)
}

// hold takes the mailboxes for an effect that concerns several of them, in a fixed order.
func (r *run) hold(names ...mail.Box) (release func()) {
	slices.Sort(names)
	names = slices.Compact(names)
	for _, n := range names {
		r.boxes[n].mu.Lock()
	}
	return func() {
		for _, n := range names {
			r.boxes[n].mu.Unlock()
		}
	}
}

// fail records that a mailbox failed; errors of the whole account and cancellation go on to the caller.
func (r *run) fail(b *boxRun, err error) error {
	if err == nil {
		return nil
	}
	if endsRun(err) {
		return err
	}
	err = fmt.Errorf("sync mailbox %q: %w", b.name, err)
	r.mu.Lock()
	first := b.err == nil
	b.err = errors.Join(b.err, err)
	if first {
		r.res.Errors = append(r.res.Errors, err)
	}
	r.mu.Unlock()
	if first {
		r.o.Events(Event{Kind: EventError, Account: r.o.Account, Box: b.name, Err: err})
		r.report(state.Report{Box: b.name, Kind: "error", Count: 1, Text: err.Error(), Hint: mail.HintOf(err)})
	}
	return nil
}

// endsRun reports whether an error is not for one mailbox alone.
func endsRun(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, store.ErrUnreachable) || errors.Is(err, store.ErrLogin) || errors.Is(err, errState) || errors.Is(err, state.ErrDamaged)
}

// leaveOpen keeps the marks of a mailbox where they are: something seen in it was not done.
func (r *run) leaveOpen(b *boxRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b.open = true
}

func isGone(err error) bool { return errors.Is(err, store.ErrGone) }

// errState marks errors of the state database: they end the run.
var errState = errors.New("state database")

func stateError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", errState, err)
}

// each runs fn for every mailbox that has not failed, several at a time.
func (r *run) each(ctx context.Context, fn func(context.Context, *boxRun) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.o.Workers)
	for _, b := range r.order {
		if b.err != nil {
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return r.fail(b, fn(ctx, b))
		})
	}
	return g.Wait()
}

// update writes to the state database; what was done is recorded even if the run is being cancelled.
func (r *run) update(ctx context.Context, durable bool, fn func(*state.Tx) error) error {
	if r.o.crash == nil {
		return stateError(r.db.Update(context.WithoutCancel(ctx), durable, fn))
	}
	if err := r.o.crash(); err != nil {
		return stateError(err)
	}
	if err := r.db.Update(context.WithoutCancel(ctx), durable, fn); err != nil {
		return stateError(err)
	}
	return stateError(r.o.crash())
}
