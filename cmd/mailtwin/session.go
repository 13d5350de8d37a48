package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"mailtwin/internal/config"
	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
	"mailtwin/internal/ui"
)

// most is how many accounts are worked on at the same time.
const most = 4

// session is an account whose state and stores are at hand.
type session struct {
	options engine.Options
	lock    *state.Lock
	db      *state.DB
}

// open makes an account ready for the engine. readOnly: nothing is written anywhere, and no lock taken. online: servers are going to be
// asked, so they may greet while the state is opened.
func (a *app) open(ctx context.Context, t *target, u *ui.UI, readOnly, online bool) (_ *session, err error) {
	s := &session{}
	defer func() {
		if err != nil {
			_ = s.close() // the error at hand is the one to tell
		}
	}()
	path := a.statePath(t.Name)
	if !readOnly {
		if s.lock, err = state.Acquire(path); err != nil {
			return nil, err
		}
	}
	s.options = engineOptions(t)
	if s.options.Stores, err = a.stores(t, u, readOnly); err != nil {
		return nil, err
	}
	for _, st := range s.options.Stores {
		if r, ok := st.(interface{ Reach(context.Context) }); ok && online {
			r.Reach(ctx)
		}
	}
	s.db, err = state.Open(ctx, path, state.Options{ReadOnly: readOnly, Now: a.now})
	s.options.State, s.options.Now = s.db, a.now
	return s, err
}

// engineOptions translates an account's settings.
func engineOptions(t *target) engine.Options {
	o := engine.Options{Account: t.Name, Select: t.Mailboxes.Has, Only: t.only, Limits: plan.Limits{MaxDeletes: t.MaxDeletes}, Retries: t.Retries}
	switch {
	case t.ExpungeLocal && t.ExpungeRemote:
		o.Expunge = plan.ExpungeBoth
	case t.ExpungeLocal:
		o.Expunge = plan.ExpungeLocal
	case t.ExpungeRemote:
		o.Expunge = plan.ExpungeRemote
	}
	switch t.DeleteMailboxes {
	case "never":
		o.DeleteBoxes = plan.DeleteNoBoxes
	case "all":
		o.DeleteBoxes = plan.DeleteAllBoxes
	}
	return o
}

// prune lets stores that keep removed messages drop what was kept long enough.
func (s *session) prune(ctx context.Context) error {
	for _, st := range s.options.Stores {
		if p, ok := st.(interface{ Prune(context.Context) error }); ok {
			if err := p.Prune(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// close gives everything back, the lock last.
func (s *session) close() error {
	var errs [4]error
	var all sync.WaitGroup
	for i, st := range s.options.Stores {
		if st != nil {
			all.Go(func() { errs[i] = closeStore(st) })
		}
	}
	if s.db != nil {
		all.Go(func() { errs[2] = s.db.Close() })
	}
	all.Wait()
	errs[3] = s.lock.Release()
	return errors.Join(errs[:]...)
}

func closeStore(st store.Store) error {
	if err := st.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// each runs fn for all accounts, several at a time, and returns the exit code of all together.
func each(all []*target, fn func(*target) exitCode) error {
	codes := make([]exitCode, len(all))
	var wg sync.WaitGroup
	slots := make(chan struct{}, most)
	for i, t := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			codes[i] = fn(t)
		})
	}
	wg.Wait()
	return worst(codes)
}

// fail prints an account's error and returns its exit code. what is the command.
func (a *app) fail(ctx context.Context, u *ui.UI, what string, t *target, err error) exitCode {
	code := codeOf(ctx, err)
	err = fmt.Errorf("%s %s: %w", what, t.given, withCure(err))
	if hint := strings.ReplaceAll(mail.HintOf(err), " "+state.HintAccount+" ", " "+t.given+" "); hint != mail.HintOf(err) {
		err = mail.WithHint(err, hint)
	}
	if code == exitInterrupted {
		hint := "run it again: it goes on where it stopped"
		if what == "import" {
			hint = "nothing was taken over; run it again"
		}
		err = mail.WithHint(fmt.Errorf("%s %s: interrupted", what, t.given), hint)
	}
	u.Error(err)
	if u.JSON {
		u.JSONError(t.Name, err)
	}
	return code
}

// failEarly prints an error that came before any account was looked at.
func (a *app) failEarly(ctx context.Context, style ui.Style, err error) error {
	u := a.ui(style)
	var faults config.Errors
	if errors.As(err, &faults) {
		for _, e := range faults {
			u.Error(mail.WithHint(e, e.Hint))
		}
	} else {
		u.Error(withCure(err))
	}
	return codeOf(ctx, err)
}
