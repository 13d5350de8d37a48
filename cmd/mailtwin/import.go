package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mailtwin/internal/config"
	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
	"mailtwin/internal/migrate/mbsync"
	"mailtwin/internal/migrate/offlineimap"
	"mailtwin/internal/ui"
)

type importOptions struct {
	config, metadata string
	names            []string
	dryRun, verify   bool
	style            ui.Style
}

const importLong = `
What is taken over is checked first: the mailbox must have the UIDVALIDITY of then, both messages must be there, and their
Message-ID, their size and the content of a sample must agree; --verify compares the content of all, and downloads them
for that. What does not agree, or is damaged, is compared by content in the first sync. Nothing is deleted for it: a
message that only one side still has is held back, and mailtwin sync asks what to do with it.

An account that is not in config.toml yet is added to its end, each line with where it comes from. What has no equal here
is told, with what to write instead. Nothing of the other tool is changed; its state and configuration are copied into a
tar.gz beside mailtwin's state first. To import again does no harm. --dry-run says all this, in numbers for each
mailbox, and writes nothing.

Do not let both tools sync the same Maildir from then on. The way back is mailtwin export.

` + codes

func newImport(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Take over from OfflineIMAP or mbsync, without copying mail again",
		Long: `Take over the configuration of OfflineIMAP or mbsync, and what it knew: which messages are on both sides. No mail is
copied again, and none is there twice afterwards.`,
		Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(newImportOfflineIMAP(a), newImportMbsync(a))
	return c
}

func newImportOfflineIMAP(a *app) *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "offlineimap [ACCOUNT...]",
		Short: "Take over accounts from OfflineIMAP",
		Long: `Take over accounts from OfflineIMAP: its configuration, and its state in any of its forms (plain text or SQLite).
Without names, the accounts that its configuration lists. Python in the configuration is never run; the usual forms are
translated, others told with their line.
` + importLong,
		Example: `  mailtwin import offlineimap --dry-run
  mailtwin import offlineimap --config ~/.offlineimaprc work`,
		RunE: func(c *cobra.Command, args []string) error {
			o.names = args
			return runImport(c.Context(), a, o, func() ([]migrate.Old, error) {
				return offlineimap.Read(offlineimap.Options{Config: a.path(o.config), Metadata: a.path(o.metadata), Accounts: o.names, Getenv: a.getenv})
			})
		},
	}
	importFlags(a, c, &o, "OfflineIMAP's configuration `file` (default: where it looks itself, then ~/.offlineimaprc)")
	c.Flags().StringVar(&o.metadata, "metadata", "", "`directory` of its state (default: what its configuration says, else ~/.offlineimap)")
	return c
}

func newImportMbsync(a *app) *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "mbsync [CHANNEL|GROUP...]",
		Short: "Take over channels from mbsync (isync)",
		Long: `Take over channels from mbsync: its configuration, its state with journals, and the UIDs in file names. Channels that
connect the same server with the same Maildir are one account here. Without names, all channels. Channels with AltMap
keep their UIDs in a database that is not read: their messages are compared by content in the first sync.
` + importLong,
		Example: `  mailtwin import mbsync --dry-run
  mailtwin import mbsync --config ~/.mbsyncrc work`,
		RunE: func(c *cobra.Command, args []string) error {
			o.names = args
			return runImport(c.Context(), a, o, func() ([]migrate.Old, error) {
				return mbsync.Read(mbsync.Options{Config: a.path(o.config), Channels: o.names, Getenv: a.getenv})
			})
		},
	}
	importFlags(a, c, &o, "mbsync's configuration `file` (default: $XDG_CONFIG_HOME/isyncrc, then ~/.mbsyncrc)")
	return c
}

// importFlags has --config mean the other tool's configuration here, and --into that of mailtwin.
func importFlags(a *app, c *cobra.Command, o *importOptions, from string) {
	f := c.Flags()
	f.StringVar(&o.config, "config", "", from)
	f.StringVar(&a.config, "into", "", "mailtwin's own configuration `file` (default $XDG_CONFIG_HOME/mailtwin/config.toml, or below ~/.config)")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "say what would be taken over, and write nothing")
	f.BoolVar(&o.verify, "verify", false, "compare the content of all messages, not of a sample")
	f.BoolVar(&o.style.JSON, "json", false, "print notes and results as JSON, one object a line")
	f.BoolVarP(&o.style.Quiet, "quiet", "q", false, "print errors, notes and the sum only")
	c.MarkFlagsMutuallyExclusive("quiet", "json")
}

// path makes a path that was given on the command line absolute; "" stays.
func (a *app) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(a.dir, p)
}

func runImport(ctx context.Context, a *app, o importOptions, read func() ([]migrate.Old, error)) error {
	all, err := read()
	switch {
	case errors.Is(err, migrate.ErrBusy), errors.Is(err, fs.ErrPermission):
		return a.failEarly(ctx, o.style, err)
	case err != nil: // of the other tool's configuration
		return a.failEarly(ctx, o.style, usage{err})
	}
	u := a.ui(o.style)
	progress := u.Follow()
	defer progress.Close()
	results := make([]exitCode, 0, len(all))
	for i := range all {
		code := a.importOne(ctx, u, progress, &all[i], o)
		if results = append(results, code); code == exitInterrupted {
			break
		}
	}
	return worst(results)
}

// importOne takes over one account.
func (a *app) importOne(ctx context.Context, u *ui.UI, progress *ui.Progress, old *migrate.Old, o importOptions) exitCode {
	name := migrate.AccountName(old.Name)
	u.ImportNotes(name, old.Notes)
	t := &target{Account: &config.Account{Name: name}, given: name}
	out := ui.Import{Account: name, Tool: old.Tool, DryRun: o.dryRun, Config: a.configPath()}
	if len(old.Settings) == 0 {
		return a.fail(ctx, u, "import", t, mail.WithHint(errors.New("it cannot be taken over"), "see the notes above"))
	}
	known, before, section, err := a.accountFor(name, old)
	if err != nil {
		if section != "" {
			u.ImportSection(out.Config, section, true)
		}
		return a.fail(ctx, u, "import", t, err)
	}
	t, out.Section = known, section
	if section != "" {
		if !o.dryRun {
			if err := migrate.AddSection(out.Config, before, section); err != nil {
				return a.fail(ctx, u, "import", t, err)
			}
		}
		u.ImportSection(out.Config, section, o.dryRun)
	}
	out.Result, out.Backup, err = a.importState(ctx, t, u, progress, old, o)
	progress.Forget(t.Name)
	if err != nil {
		return a.fail(ctx, u, "import", t, err)
	}
	u.Imported(out)
	if !u.JSON && !u.Quiet && !o.dryRun {
		u.Note("next: mailtwin sync --dry-run %s, then mailtwin sync %s", t.given, t.given)
	}
	return exitDone
}

// accountFor finds the account in the configuration, or translates it: then section is what is to be added to the file.
func (a *app) accountFor(name string, old *migrate.Old) (t *target, before []byte, section string, err error) {
	path := a.configPath()
	if before, err = os.ReadFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, "", fmt.Errorf("read configuration: %w", err)
	}
	if err == nil {
		c, err := config.Parse(before, path, a.home())
		if err != nil {
			return nil, nil, "", err
		}
		for _, account := range c.Accounts {
			if account.Name == name {
				return &target{Account: account, given: name}, before, "", a.samePlaces(account, old, path)
			}
		}
	}
	section = migrate.Section(name, old)
	c, err := config.Parse([]byte(migrate.Joined(before, section)), path, a.home())
	if err != nil {
		return nil, nil, section, mail.WithHint(fmt.Errorf("its settings cannot be used as they are: %w", err),
			fmt.Sprintf("add these lines to %s with what lacks or is to be changed, and import again", path))
	}
	for _, account := range c.Accounts {
		if account.Name == name {
			return &target{Account: account, given: name}, before, section, nil
		}
	}
	return nil, nil, "", fmt.Errorf("translate account %s: it is not in its own section", name)
}

// samePlaces makes sure that an account of the configuration has the server and the Maildir of the one that is taken over.
func (a *app) samePlaces(account *config.Account, old *migrate.Old, path string) error {
	c, err := config.Parse([]byte(migrate.Section(account.Name, old)), old.Tool, a.home())
	if err != nil || len(c.Accounts) != 1 {
		return nil // what the old configuration lacks, this one has
	}
	for _, side := range mail.Sides {
		if here, there := account.Stores[side].String(), c.Accounts[0].Stores[side].String(); here != there {
			return usagef(fmt.Sprintf("change it in %s, or rename the account there: then another section is added", path),
				"%s of account %q is %s, and %s of %s is %s", side, account.Name, here, side, old.Tool, there)
		}
	}
	return nil
}

// importState fills the state of an account.
func (a *app) importState(ctx context.Context, t *target, u *ui.UI, progress *ui.Progress, old *migrate.Old, o importOptions) (res migrate.Result, backup string, err error) {
	s, err := a.open(ctx, t, u, o.dryRun, true)
	if err != nil {
		return res, "", err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.options.DryRun, s.options.Events = o.dryRun, progress.Event
	greet, err := engine.Connect(ctx, s.options)
	if err != nil {
		return res, "", err
	}
	opts := migrate.Options{
		Old: *old, Stores: s.options.Stores, Greet: greet, State: s.db, Select: t.Mailboxes.Has, Verify: o.verify, DryRun: o.dryRun, Now: a.now,
		Progress: func(box mail.Box, done, total int) {
			progress.Event(engine.Event{Kind: engine.EventProgress, Account: t.Name, Phase: engine.PhaseView, Box: box, Verb: "compare", Done: done, Total: total})
		},
		Backup: func() error {
			backup = filepath.Join(filepath.Dir(a.statePath(t.Name)), fmt.Sprintf("%s-%s.tar.gz", old.Tool, a.now().Format("20060102T150405")))
			_, err := migrate.Backup(backup, old.Files)
			if errors.Is(err, fs.ErrExist) { // a second import within this second
				backup = backup[:len(backup)-len(".tar.gz")] + fmt.Sprintf("-%d.tar.gz", time.Now().UnixNano())
				_, err = migrate.Backup(backup, old.Files)
			}
			return err
		},
	}
	if m, ok := s.options.Stores[mail.Local].(interface {
		Dir(context.Context, mail.Box) (string, error)
	}); ok {
		opts.Dir = func(box mail.Box) (string, error) { return m.Dir(ctx, box) }
	}
	res, err = migrate.Import(ctx, opts)
	return res, backup, err
}
