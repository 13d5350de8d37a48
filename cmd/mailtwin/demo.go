package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"mailtwin/internal/demo"
	"mailtwin/internal/ui"
)

func newDemo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch it at work, with nothing to configure",
		Long: `Start a small IMAP server inside the program, reachable from this computer alone, with a handful of mailboxes, and
sync them with a temporary Maildir: once, then again after changes on both sides. The commands shown are the ones
you would type, and their output is the program's own. Afterwards everything is removed again; your own mail,
configuration and state are not touched.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), a) },
	}
}

func runDemo(ctx context.Context, a *app) error {
	err := demo.Run(ctx, a.out, func(ctx context.Context, args []string, env map[string]string) int {
		inner := *a
		inner.config, inner.in = "", nil
		inner.err = a.out // so that both keep their order where they go to different places
		inner.getenv = func(key string) string {
			if v, ok := env[key]; ok {
				return v
			}
			return a.getenv(key)
		}
		return run(ctx, args, inner)
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = errors.New("demo: interrupted")
		a.ui(ui.Style{}).Error(err)
		return exitInterrupted
	}
	a.ui(ui.Style{}).Error(err)
	return exitError
}
