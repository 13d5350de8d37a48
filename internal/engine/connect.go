package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"golang.org/x/sync/errgroup"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

func randomID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// connect greets both stores and makes sure that they are the ones that the state belongs to (rule 12).
func (r *run) connect(ctx context.Context) error {
	account, err := r.db.Account(ctx)
	if err != nil {
		return stateError(err)
	}
	r.account = account
	g, gctx := errgroup.WithContext(ctx)
	for _, side := range mail.Sides {
		g.Go(func() error {
			greeting, err := r.stores[side].Hello(gctx, account.Hints[side])
			r.greet[side] = greeting
			if err == nil && side == mail.Local && r.lists {
				r.listLocal(gctx)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, side := range mail.Sides {
		if err := r.checkRoot(ctx, side); err != nil {
			return err
		}
	}
	day := func(t interface{ Unix() int64 }) int64 { return t.Unix() / 86400 }
	r.retry = account.LastSync.IsZero() || day(account.LastSync) != day(r.o.Now())
	r.suspect = r.account.HoldDeletes
	if r.o.DryRun || r.greet[mail.Local].Root != "" && r.greet[mail.Remote].Root != "" {
		return nil
	}
	return r.begin(ctx) // a new marker first: it is the epoch of the keys that will be seen
}

// Connect greets both stores and makes sure that they are the ones that the state belongs to, as Sync does, for work that fills
// the base without a plan. Unless it is a dry run, the stores carry the account's marker afterwards: keys seen from now on are of
// its epoch.
func Connect(ctx context.Context, o Options) ([2]store.Greeting, error) {
	r := newRun(o)
	if err := r.connect(ctx); err != nil || o.DryRun {
		return r.greet, err
	}
	return r.greet, r.begin(ctx)
}

// checkRoot compares a store's identity with the one that the state knows.
func (r *run) checkRoot(ctx context.Context, side mail.Side) error {
	g, known := r.greet[side], r.account.Roots[side]
	if g.Root == "" && known != "" {
		pairs, err := r.db.Counts(ctx)
		if err != nil {
			return stateError(err)
		}
		if len(pairs) == 0 { // an interrupted first run; there is nothing that could be deleted
			return nil
		}
	}
	switch {
	case known == "": // a new state: take over what is there
		if g.Root == "" {
			g.Root = r.o.NewID()
		} else if g.Run > r.account.Run {
			r.account.Run, r.account.NextRun = g.Run, g.Run
		}
		r.account.Roots[side] = g.Root
	case g.Root == "" && g.Empty:
		return mail.WithHint(fmt.Errorf("check %s: %w: nothing is there, but it held mail that was synced", g.Name, store.ErrSetup),
			"is the disk mounted? If the mail is gone for good, remove the state of the account and sync again: everything is copied from the other side")
	case g.Root == "":
		return mail.WithHint(fmt.Errorf("check %s: %w: its marker is missing, so it may not be the one that was synced", g.Name, store.ErrSetup),
			"if it is the right one, remove the state of the account: the next sync pairs what is on both sides and copies only what is missing")
	case g.Root != known:
		return mail.WithHint(fmt.Errorf("check %s: %w: it belongs to another account or state (%s, not %s)", g.Name, store.ErrSetup, g.Root, known),
			"check the account's settings; if they are right, remove the state of the account: the next sync pairs what is on both sides")
	case g.Run >= 0 && g.Run != r.account.Run && g.Run != r.account.NextRun:
		r.account.HoldDeletes = fmt.Sprintf("the state and %s are not of the same age: one of them is an older copy", g.Name)
	}
	return nil
}

// begin marks the account as under change, before the first effect of a run: the state knows the next run counter before a
// marker shows it, so that an older copy of either can be told from an interrupted run.
func (r *run) begin(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed {
		return nil
	}
	if r.account.NextRun <= r.account.Run {
		r.account.NextRun = r.account.Run + 1
	}
	if err := r.update(ctx, true, func(tx *state.Tx) error { return tx.SetAccount(r.account) }); err != nil {
		return err
	}
	r.local = nil
	for _, side := range mail.Sides {
		if err := r.stores[side].SetRoot(ctx, r.account.Roots[side], r.account.NextRun); err != nil {
			return err
		}
	}
	r.account.Run = r.account.NextRun // from here on an older number is that of an older copy
	if err := r.update(ctx, true, func(tx *state.Tx) error { return tx.SetAccount(r.account) }); err != nil {
		return err
	}
	r.changed = true
	return nil
}
