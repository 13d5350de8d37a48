package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "mailtwin",
		Short: "Keep an IMAP account and a Maildir identical, in both directions",
		Long: `mailtwin keeps an IMAP account and a Maildir identical, in both directions: new mail, flags, moves, deletions
and mailboxes. Nothing is lost and nothing is doubled, whenever it is stopped. What would delete a lot is held
back until you say that it is right.

See it at work, with nothing to configure:
  mailtwin demo

Sync once, without a configuration; the password is asked for:
  mailtwin sync imaps://you@imap.example.com ~/Mail

Or write a configuration (mailtwin help config) and then:
  mailtwin sync

` + codes,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration `file` (default $XDG_CONFIG_HOME/mailtwin/config.toml, or below ~/.config)")
	root.PersistentFlags().BoolP("help", "h", false, "show this text")
	root.AddCommand(newSync(a), newStatus(a), newVerify(a), newUndo(a), newDedupe(a), newImport(a), newExport(a), newState(a), newDemo(a), newVersion(a), newConfigHelp())
	return root
}

// noSuchCommand is for words that are no command.
func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "mailtwin help"
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef(hint, "there is no command %q", args[0])
}
