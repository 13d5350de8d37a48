package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mailtwin/internal/engine"
	"mailtwin/internal/plan"
	"mailtwin/internal/ui"
)

type syncOptions struct {
	args         []string
	style        ui.Style
	dryRun       bool
	allowDeletes bool
	copyBack     bool
}

func newSync(a *app) *cobra.Command {
	var o syncOptions
	c := &cobra.Command{
		Use:   "sync [ACCOUNT[/MAILBOX]...] | sync ADDRESS ADDRESS",
		Short: "Make both sides identical, once",
		Long: `Make both sides of accounts identical, once: messages, flags, moves, deletions and mailboxes, in both directions.

Without arguments all accounts of the configuration are synced (see mailtwin help config). ACCOUNT/MAILBOX syncs
one mailbox alone. With two addresses no configuration is needed; the password is asked for.

What was deleted on one side is deleted on the other. If that would be a lot (all of a mailbox, more than half of
it, thousands in an account) it is held back, and you are asked or told how to let it through. Stop it whenever you
like with Ctrl-C: the next sync goes on.

` + codes,
		Example: `  mailtwin sync
  mailtwin sync work home/INBOX
  mailtwin sync imaps://you@imap.example.com ~/Mail
  mailtwin sync --dry-run work`,
		RunE: func(c *cobra.Command, args []string) error {
			o.args = args
			return runSync(c.Context(), a, o)
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "say what would be done, and do nothing")
	f.BoolVarP(&o.style.Verbose, "verbose", "v", false, "print every operation")
	f.BoolVar(&o.style.JSON, "json", false, "print events and the summary as JSON, one object a line")
	f.BoolVarP(&o.style.Quiet, "quiet", "q", false, "print errors and held-back deletions only")
	f.BoolVar(&o.allowDeletes, "allow-deletes", false, "let deletions through that are held back")
	f.BoolVar(&o.copyBack, "copy-back", false, "copy back what one side had lost when another tool's state was imported")
	c.MarkFlagsMutuallyExclusive("allow-deletes", "copy-back")
	c.MarkFlagsMutuallyExclusive("quiet", "verbose")
	c.MarkFlagsMutuallyExclusive("quiet", "json")
	return c
}

func runSync(ctx context.Context, a *app, o syncOptions) error {
	targets, err := a.targets(o.args)
	if err != nil {
		return a.failEarly(ctx, o.style, err)
	}
	o.style.Names = len(targets) > 1
	u := a.ui(o.style)
	progress := u.Follow()
	defer progress.Close()
	return each(targets, func(t *target) exitCode {
		defer progress.Forget(t.Name)
		return a.syncOne(ctx, t, u, progress, o)
	})
}

// syncOne syncs an account, tells what was done, and runs its hook.
func (a *app) syncOne(ctx context.Context, t *target, u *ui.UI, progress *ui.Progress, o syncOptions) exitCode {
	s, err := a.open(ctx, t, u, o.dryRun, true)
	if err != nil {
		return a.failSync(ctx, u, t, engine.Result{}, o, err)
	}
	s.options.DryRun, s.options.AllowDeletes, s.options.CopyBack = o.dryRun, o.allowDeletes, o.copyBack
	s.options.Events = progress.Event
	if a.canAsk(u) && !o.dryRun && !o.allowDeletes {
		s.options.Confirm = func(held []plan.Held) bool { return u.AskDeletes(ctx, a.in, t.given, held) }
	}
	res, err := engine.Sync(ctx, s.options)
	if err == nil {
		err = s.prune(ctx)
	}
	if shut := s.close(); err == nil {
		err = shut
	}
	if err == nil && res.Summary.Mailboxes < len(t.only) {
		err = t.noSuchBox()
	}
	progress.Forget(t.Name)
	t.nameInHints(&res)
	code := codeOfResult(res)
	if err != nil {
		code = a.failSync(ctx, u, t, res, o, err)
	} else {
		u.Outcome(t.Name, res)
	}
	if t.AfterSync == "" || o.dryRun || !res.Summary.Changed() || code == exitInterrupted {
		return code
	}
	if err := a.afterSync(ctx, t, res.Summary); err != nil {
		if failed := a.fail(ctx, u, "sync", t, err); code == exitDone || code == exitLeft {
			return failed
		}
	}
	return code
}

// failSync tells why an account was not synced, and what was done until then.
func (a *app) failSync(ctx context.Context, u *ui.UI, t *target, res engine.Result, o syncOptions, err error) exitCode {
	res.Summary.Event, res.Summary.Account, res.Summary.DryRun = "summary", t.Name, o.dryRun
	res.Plan = nil // not complete
	code := a.fail(ctx, u, "sync", t, err)
	if code != exitInterrupted {
		res.Summary.Errors++
	}
	if u.JSON || res.Summary.Changed() {
		u.Outcome(t.Name, res)
	}
	return code
}

// noSuchBox is for mailboxes that were named but are on neither side, or left out by the configuration.
func (t *target) noSuchBox() error {
	hint := fmt.Sprintf("mailtwin status %s lists those that are in sync", t.Name)
	if len(t.only) == 1 {
		return usagef(hint, "there is no mailbox %q, or mailboxes = [...] leaves it out", t.only[0])
	}
	return usagef(hint, "one of the mailboxes %q is not there, or mailboxes = [...] leaves it out", t.only)
}

// canAsk reports whether there is somebody at a terminal.
func (a *app) canAsk(u *ui.UI) bool {
	return !u.JSON && !u.Quiet && u.Terminal() && a.in != nil && term.IsTerminal(int(a.in.Fd()))
}

// nameInHints puts what the user typed in place of the made-up name of a pair that is in no configuration.
func (t *target) nameInHints(res *engine.Result) {
	if !t.adHoc {
		return
	}
	for i, r := range res.Reports {
		old := strings.TrimSuffix(fmt.Sprintf("%s/%s", t.Name, r.Box), "/")
		res.Reports[i].Hint = strings.ReplaceAll(r.Hint, old, t.given)
	}
}
