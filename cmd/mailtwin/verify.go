package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/ui"
)

type verifyOptions struct {
	args  []string
	style ui.Style
	full  bool
}

func newVerify(a *app) *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify [ACCOUNT...] | verify ADDRESS ADDRESS",
		Short: "Prove that both sides hold the same messages",
		Long: `Compare both sides with what they agreed on at the last sync and print each difference by name: messages that are
missing, extra or changed, and flags that differ. Local messages are read and compared byte by byte (their digests);
with --full those on the server too, which downloads all of them. Nothing is changed.

It prints "equal" and ends with 0 if there is no difference, else with 3. What changed since the last sync is a
difference too: sync first.

` + codes,
		Example: `  mailtwin verify
  mailtwin verify --full work`,
		RunE: func(c *cobra.Command, args []string) error {
			o.args = args
			return runVerify(c.Context(), a, o)
		},
	}
	c.Flags().BoolVar(&o.full, "full", false, "read and compare every body on both sides")
	c.Flags().BoolVar(&o.style.JSON, "json", false, "print differences and the verdict as JSON, one object a line")
	return c
}

func runVerify(ctx context.Context, a *app, o verifyOptions) error {
	targets, err := a.targets(o.args)
	if err != nil {
		return a.failEarly(ctx, o.style, err)
	}
	o.style.Names = len(targets) > 1
	u := a.ui(o.style)
	return each(targets, func(t *target) exitCode { return a.verifyOne(ctx, t, u, o) })
}

func (a *app) verifyOne(ctx context.Context, t *target, u *ui.UI, o verifyOptions) exitCode {
	report, err := a.verify(ctx, t, u, o.full)
	if err != nil {
		return a.fail(ctx, u, "verify", t, err)
	}
	u.Verified(t.Name, report)
	if len(report.Findings) > 0 {
		return exitLeft
	}
	return exitDone
}

// verify compares an account while no sync can change it.
func (a *app) verify(ctx context.Context, t *target, u *ui.UI, full bool) (report engine.Report, err error) {
	path := a.statePath(t.Name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return report, mail.WithHint(errors.New("it has not been synced yet"), "mailtwin sync "+t.given)
	}
	lock, err := state.Acquire(path)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	s, err := a.open(ctx, t, u, true, true)
	if err != nil {
		return report, err
	}
	report, err = engine.Verify(ctx, s.options, engine.VerifyOptions{Full: full})
	if shut := s.close(); err == nil && shut != nil {
		err = fmt.Errorf("verify: %w", shut)
	}
	return report, err
}
