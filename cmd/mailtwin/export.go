package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
	"mailtwin/internal/state"
	"mailtwin/internal/store/imapstore"
	"mailtwin/internal/store/maildirstore"
	"mailtwin/internal/ui"
)

type exportOptions struct {
	tool    exportTool
	dir     string
	args    []string
	release string
	dryRun  bool
	style   ui.Style
}

// exportTool is a synchroniser that accounts can be handed to.
type exportTool struct {
	name, program, config, state string // config and state: below the directory
	args                         func(config string) []string
	fill                         func(*exportJob) (exported, error)
}

// exported is a tool's own part of an export.
type exported interface {
	Config() string // text of its configuration
	Check() ([]ui.ExportedBox, error)
	Write() ([]ui.ExportedBox, error)
}

const exportLong = `
DIR is made, or must be empty. It gets a configuration without a password, and the state. UIDs are put into the names of
files, as the other tool does it itself; messages are not changed, and nothing is copied or deleted. The other tool, started
with that configuration, goes on where mailtwin stopped.

Both sides must be in sync first: what is not is refused. Files of the other tool that are elsewhere are not touched.
mailtwin keeps its state, so that you can come back with mailtwin sync. But do not let both tools sync the same Maildir at
the same time. An export that was stopped leaves a state that the other tool refuses; export again.

` + codes

func newExport(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: "Hand an account to OfflineIMAP or mbsync, the way back",
		Long: `Write a configuration and the state of an account so that OfflineIMAP or mbsync goes on with the same Maildir, without
copying or deleting a message.`,
		Args: noSuchCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(
		newExportTo(a, toOfflineIMAP, "OfflineIMAP", "Keywords for which its configuration gives no letter stay on the server only, as ever with OfflineIMAP."),
		newExportTo(a, toMbsync, "mbsync", "Versions before 1.5 name mailboxes in another way; the mbsync that is installed is asked for its version."))
	return c
}

func newExportTo(a *app, tool exportTool, title, more string) *cobra.Command {
	o := exportOptions{tool: tool}
	c := &cobra.Command{
		Use:     tool.name + " DIR ACCOUNT | " + tool.name + " DIR ADDRESS ADDRESS",
		Short:   "Hand an account to " + title,
		Long:    "Hand an account to " + title + ": its configuration and its state.\n" + more + "\n" + exportLong,
		Example: fmt.Sprintf("  mailtwin export %s --dry-run ~/%s work\n  mailtwin export %s ~/%s work", tool.name, tool.name, tool.name, tool.name),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(fmt.Sprintf("mailtwin export %s DIR ACCOUNT", tool.name), "which directory shall get the state?")
			}
			o.dir, o.args = a.path(args[0]), args[1:]
			return runExport(c.Context(), a, o)
		},
	}
	f := c.Flags()
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "say what would be handed over, and write nothing")
	f.StringVar(&o.release, "release", "", "`version` of the other tool, such as 1.4 (default: that of the one installed, else the newest)")
	f.BoolVar(&o.style.JSON, "json", false, "print results as JSON, one object a line")
	f.BoolVarP(&o.style.Quiet, "quiet", "q", false, "print errors, notes and the sum only")
	c.MarkFlagsMutuallyExclusive("quiet", "json")
	return c
}

func runExport(ctx context.Context, a *app, o exportOptions) error {
	t, err := a.exportTarget(o)
	if err != nil {
		return a.failEarly(ctx, o.style, err)
	}
	u := a.ui(o.style)
	progress := u.Follow()
	defer progress.Close()
	out, err := a.export(ctx, t, u, progress, o)
	progress.Forget(t.Name)
	if err != nil {
		return a.fail(ctx, u, "export", t, err)
	}
	u.Exported(out)
	for _, b := range out.Boxes {
		if b.Why != "" {
			return exitLeft
		}
	}
	return nil
}

// exportTarget finds the account: one alone, whole, of a server and a Maildir.
func (a *app) exportTarget(o exportOptions) (*target, error) {
	all, err := a.targets(o.args)
	if err != nil {
		return nil, err
	}
	usual := fmt.Sprintf("mailtwin export %s DIR ACCOUNT", o.tool.name)
	switch {
	case len(all) != 1:
		return nil, usagef(usual, "there are %d accounts; name one", len(all))
	case len(all[0].only) > 0:
		return nil, usagef(usual, "an account is handed over as a whole, not a mailbox of it")
	case all[0].Stores[mail.Local].Maildir == nil || all[0].Stores[mail.Remote].IMAP == nil:
		return nil, usagef("", "account %q does not keep a server and a Maildir in sync; %s cannot go on with it", all[0].Name, o.tool.name)
	}
	return all[0], a.exportDir(o, all[0])
}

// exportDir makes sure that nothing of somebody else's is in the directory.
func (a *app) exportDir(o exportOptions, t *target) error {
	if o.release != "" && migrate.ParseRelease(o.release) == nil {
		return usagef("for example: --release 1.4", "%q is not a version", o.release)
	}
	root := t.Stores[mail.Local].Maildir.Path
	if rel, err := filepath.Rel(root, o.dir); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return usagef("name a directory outside of it", "%s is in the Maildir %s", o.dir, root)
	}
	list, err := os.ReadDir(o.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read directory: %w", err)
	}
	if text, err := os.ReadFile(filepath.Join(o.dir, o.tool.config)); err == nil && bytes.HasPrefix(text, []byte(exportHead(o, t))) {
		return nil // an earlier export of the same account
	}
	return usagef("name a new directory", "%s is not empty, and what is in it is no export of account %q to %s", o.dir, t.Name, o.tool.name)
}

func exportHead(o exportOptions, t *target) string {
	return fmt.Sprintf("# mailtwin export %s: account %q\n", o.tool.name, t.Name)
}

// exportJob is what the tools are filled from.
type exportJob struct {
	t           *target
	base        *migrate.Base
	local       maildirstore.Config
	prefix, sep string // of the server's names
	release     migrate.Release
	state       string
	now         time.Time
}

// export hands over an account while no sync can change it.
func (a *app) export(ctx context.Context, t *target, u *ui.UI, progress *ui.Progress, o exportOptions) (out ui.Export, err error) {
	out = ui.Export{Account: t.Name, Tool: o.tool.name, DryRun: o.dryRun, Config: filepath.Join(o.dir, o.tool.config), State: filepath.Join(o.dir, o.tool.state)}
	out.Command = append([]string{o.tool.program}, o.tool.args(out.Config)...)
	path := a.statePath(t.Name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return out, mail.WithHint(errors.New("it has not been synced yet"), "mailtwin sync "+t.given)
	}
	lock, err := state.Acquire(path)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	s, err := a.open(ctx, t, u, true, false)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.options.Events = progress.Event
	if err := inSync(ctx, s, t); err != nil {
		return out, err
	}
	job, err := a.exportJob(ctx, s, t, o)
	if err != nil {
		return out, err
	}
	x, err := o.tool.fill(job)
	if err != nil {
		return out, err
	}
	if o.dryRun {
		out.Boxes, err = x.Check()
	} else {
		out.Boxes, err = a.writeExport(ctx, x, job, out.Config, exportHead(o, t), path)
	}
	for _, l := range job.base.Left {
		out.Boxes = append(out.Boxes, ui.ExportedBox{Name: string(l.Box), Why: l.Why})
	}
	return out, err
}

// inSync refuses what another tool would take for changes of the user's: operations that are still to be done.
func inSync(ctx context.Context, s *session, t *target) error {
	hint := fmt.Sprintf("mailtwin sync %s, then export again", t.given)
	if err := migrate.Settled(ctx, s.db); err != nil {
		return mail.WithHint(err, hint)
	}
	s.options.DryRun = true
	res, err := engine.Sync(ctx, s.options)
	switch {
	case err != nil:
		return err
	case len(res.Errors) > 0:
		return res.Errors[0]
	case res.Summary.HeldBack > 0:
		return mail.WithHint(fmt.Errorf("%d deletions are held back, which the other tool would not know of", res.Summary.HeldBack),
			fmt.Sprintf("mailtwin sync %s asks what to do with them; mailtwin status %s shows them", t.given, t.given))
	case len(res.Plan) > 0:
		return mail.WithHint(fmt.Errorf("both sides are not in sync: %d operations are to be done", len(res.Plan)), hint)
	}
	return nil
}

func (a *app) exportJob(ctx context.Context, s *session, t *target, o exportOptions) (*exportJob, error) {
	local, ok := s.options.Stores[mail.Local].(*maildirstore.Store)
	remote, also := s.options.Stores[mail.Remote].(*imapstore.Store)
	if !ok || !also {
		return nil, errors.New("it does not keep a server and a Maildir in sync")
	}
	j := &exportJob{t: t, local: local.Config(), release: migrate.ParseRelease(o.release), state: filepath.Join(o.dir, o.tool.state), now: a.now()}
	j.prefix, j.sep = remote.Names()
	if o.release == "" {
		j.release = installed(ctx, o.tool.program)
	}
	var err error
	j.base, err = migrate.ReadBase(ctx, s.db, func(box mail.Box) (string, error) { return local.Dir(ctx, box) })
	return j, err
}

// installed asks a program for its version; nil if it is not there or tells none.
func installed(ctx context.Context, program string) migrate.Release {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	c := exec.CommandContext(ctx, program, "--version")
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	if err != nil {
		return nil
	}
	return migrate.ParseRelease(string(out))
}

// writeExport writes all. The configuration comes first, since it says whose directory it is; until the state is complete the other
// tool refuses it.
func (a *app) writeExport(ctx context.Context, x exported, job *exportJob, config, head, path string) ([]ui.ExportedBox, error) {
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		return nil, err
	}
	if err := migrate.WriteFile(config, head+x.Config()); err != nil {
		return nil, err
	}
	boxes, err := x.Write()
	if ctx.Err() != nil {
		return boxes, ctx.Err()
	}
	db, broken := state.Open(ctx, path, state.Options{Now: a.now})
	if broken != nil {
		return boxes, errors.Join(err, broken)
	}
	return boxes, errors.Join(err, job.base.Follow(ctx, db), db.Close())
}
