package main

import (
	"context"

	"github.com/spf13/cobra"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/ui"
)

func newStatus(a *app) *cobra.Command {
	var style ui.Style
	c := &cobra.Command{
		Use:   "status [ACCOUNT...] | status ADDRESS ADDRESS",
		Short: "Show what is in sync, and what was held back or left",
		Long: `Show for each account its mailboxes and how many messages they hold on both sides, when a sync last changed
something, what is pending, and what was held back or left and why. Only the state of the last sync is read:
neither the server nor the Maildir is asked.

` + codes,
		Example: `  mailtwin status
  mailtwin status --json work`,
		RunE: func(c *cobra.Command, args []string) error { return runStatus(c.Context(), a, style, args) },
	}
	c.Flags().BoolVar(&style.JSON, "json", false, "print one JSON object for each account")
	return c
}

func runStatus(ctx context.Context, a *app, style ui.Style, args []string) error {
	targets, err := a.targets(args)
	if err != nil {
		return a.failEarly(ctx, style, err)
	}
	u := a.ui(style)
	codes := make([]exitCode, 0, len(targets))
	for _, t := range targets {
		status, err := a.status(ctx, t)
		if err != nil {
			codes = append(codes, a.fail(ctx, u, "status", t, err))
			continue
		}
		u.Status(status, a.now())
	}
	return worst(codes)
}

// status reads an account's state.
func (a *app) status(ctx context.Context, t *target) (s ui.Status, err error) {
	db, err := state.Open(ctx, a.statePath(t.Name), state.Options{ReadOnly: true, Now: a.now})
	if err != nil {
		return s, err
	}
	defer func() { _ = db.Close() }() // it was only read
	account, err := db.Account(ctx)
	if err != nil {
		return s, err
	}
	s = ui.Status{
		Account: t.given, Local: t.Stores[mail.Local].String(), Remote: t.Stores[mail.Remote].String(),
		Synced: account.Roots != [2]string{}, Unclean: account.NextRun > account.Run, Suspect: account.HoldDeletes,
	}
	if !account.LastSync.IsZero() {
		s.LastSync = &account.LastSync
	}
	if account.Summary != "" {
		s.Summary = []byte(account.Summary)
	}
	return s, fillStatus(ctx, db, &s)
}

// fillStatus adds what is kept of the mailboxes.
func fillStatus(ctx context.Context, db *state.DB, s *ui.Status) error {
	boxes, err := db.Boxes(ctx)
	if err != nil {
		return err
	}
	counts, err := db.Counts(ctx)
	if err != nil {
		return err
	}
	left, err := db.Left(ctx)
	if err != nil {
		return err
	}
	for _, b := range boxes {
		line := ui.StatusBox{Mailbox: string(b.Name), Messages: counts[b.Name]}
		for reason, n := range left[b.Name] {
			if line.Left == nil {
				line.Left = map[string]int{}
			}
			line.Left[reason.String()] = n
		}
		s.Mailboxes = append(s.Mailboxes, line)
	}
	intents, err := db.Intents(ctx)
	if err != nil {
		return err
	}
	s.Pending = len(intents)
	reports, err := db.Reports(ctx)
	for _, r := range reports {
		s.Reports = append(s.Reports, ui.ReportOf(r))
	}
	return err
}
