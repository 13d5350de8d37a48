package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"mailtwin/internal/state"
	"mailtwin/internal/ui"
)

func newState(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "state",
		Short: "Check or rebuild what mailtwin knows of an account",
		Long: `The state of an account is what both sides agreed on at the last sync. It is a database below
$XDG_STATE_HOME/mailtwin, usually ~/.local/state/mailtwin. Mail is not in it: without it nothing is lost, and the next
sync finds out again, by comparing content, which messages both sides have.`,
		Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(newStateCheck(a), newStateRebuild(a))
	return c
}

func newStateCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check [ACCOUNT...] | check ADDRESS ADDRESS",
		Short: "Find out whether the state is sound",
		Long: `Read the whole state of accounts: the database's own structure, the checksum of each of its rows, and whether the
last sync came to its end. Nothing is changed, and neither the server nor the Maildir is asked; mailtwin verify does
that.

It ends with 0 if the state is sound, also if the last sync was stopped: the next one goes on. It ends with 1 if the
state is damaged or cannot be read.

` + codes,
		Example: `  mailtwin state check
  mailtwin state check work`,
		RunE: func(c *cobra.Command, args []string) error { return runStateCheck(c.Context(), a, args) },
	}
}

func runStateCheck(ctx context.Context, a *app, args []string) error {
	targets, err := a.targets(args)
	if err != nil {
		return a.failEarly(ctx, ui.Style{}, err)
	}
	u := a.ui(ui.Style{Names: len(targets) > 1})
	codes := make([]exitCode, 0, len(targets))
	for _, t := range targets {
		s, err := a.checkState(ctx, t)
		if err != nil {
			codes = append(codes, a.fail(ctx, u, "check state of", t, err))
			continue
		}
		u.StateChecked(t.given, s)
	}
	return worst(codes)
}

// checkState reads the whole state of an account.
func (a *app) checkState(ctx context.Context, t *target) (s ui.State, err error) {
	path := a.statePath(t.Name)
	if st, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0 {
		return s, nil
	}
	db, err := state.Open(ctx, path, state.Options{ReadOnly: true, Now: a.now})
	if err != nil {
		return s, err
	}
	defer func() { _ = db.Close() }() // it was only read
	if err := db.Check(ctx); err != nil {
		return s, err
	}
	account, err := db.Account(ctx)
	if err != nil {
		return s, err
	}
	counts, err := db.Counts(ctx)
	if err != nil {
		return s, err
	}
	boxes, err := db.Boxes(ctx)
	if err != nil {
		return s, err
	}
	intents, err := db.Intents(ctx)
	for _, n := range counts {
		s.Messages += n
	}
	s.There, s.Mailboxes, s.Pending, s.Unclean = true, len(boxes), len(intents), account.NextRun > account.Run
	return s, err
}

type rebuildOptions struct {
	args []string
	yes  bool
}

func newStateRebuild(a *app) *cobra.Command {
	var o rebuildOptions
	c := &cobra.Command{
		Use:   "rebuild ACCOUNT | rebuild ADDRESS ADDRESS",
		Short: "Begin with a new state, and keep the old one aside",
		Long: `Move the state of an account aside, for a state that is damaged, too old or of a newer version. The database is kept
under a name with the time in it, next to where it was.

The next sync then compares both sides: messages that both have are paired by their content, without copying them, and
what only one side has is copied to the other. It deletes nothing. So what was deleted on one side alone, and not synced
yet, comes back from the other side; flags that differ are set on both.

` + codes,
		Example: `  mailtwin state rebuild work
  mailtwin sync work`,
		RunE: func(c *cobra.Command, args []string) error {
			o.args = args
			return runStateRebuild(c.Context(), a, o)
		},
	}
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return c
}

func runStateRebuild(ctx context.Context, a *app, o rebuildOptions) error {
	targets, err := a.targets(o.args)
	if err == nil && (len(o.args) == 0 || len(targets) != 1 || len(targets[0].only) > 0) {
		err = usagef("mailtwin state rebuild ACCOUNT", "one account must be named, as a whole")
	}
	if err != nil {
		return a.failEarly(ctx, ui.Style{}, err)
	}
	t, u := targets[0], a.ui(ui.Style{})
	if err := a.rebuildState(ctx, t, u, o.yes); err != nil {
		return a.fail(ctx, u, "rebuild state of", t, err)
	}
	return nil
}

// rebuildState moves a state aside if the user agrees.
func (a *app) rebuildState(ctx context.Context, t *target, u *ui.UI, sure bool) error {
	path := a.statePath(t.Name)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		u.Result("there is no state of %s; the next sync makes one", ui.Clean(t.given))
		return nil
	}
	lock, err := state.Acquire(path)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // it ends with the process at the latest
	if !sure {
		if !a.canAsk(u) {
			return usagef("mailtwin state rebuild --yes "+t.given, "there is nobody to ask whether it is right")
		}
		u.Note("The next sync pairs what is on both sides by content and copies what only one side has. It deletes nothing, so what was\ndeleted on one side alone since the last sync comes back.")
		if !u.Ask(ctx, a.in, "move the state of "+t.given+" aside?") {
			if err := ctx.Err(); err != nil {
				return err
			}
			u.Result("nothing was changed")
			return nil
		}
	}
	aside, err := state.SetAside(path, a.now())
	if err != nil {
		return err
	}
	u.Result("the state is kept as %s\nthe next sync pairs what is on both sides by content and copies only what is missing: mailtwin sync %s", ui.Clean(aside), ui.Clean(t.given))
	return nil
}
