package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/dedupe/sift"
	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/ui"
)

type dedupeOptions struct {
	args         []string
	style        ui.Style
	by           string
	keep         []string
	across       bool
	remove       bool
	allowDeletes bool
	server       bool
}

func newDedupe(a *app) *cobra.Command {
	var o dedupeOptions
	c := &cobra.Command{
		Use:   "dedupe PATH|ACCOUNT[/MAILBOX]|ADDRESS[/MAILBOX]...",
		Short: "Find and remove duplicate messages",
		Long: `Find messages that are there more than once, and say which copy would stay. Nothing is changed without --delete.

PATH is a Maildir, or a folder of them; it needs no account. Of an account the Maildir is looked at, and what is
removed there the next sync removes on the server too, through the usual checks; this is not held back again.

With --server, of an ADDRESS of a server (imaps://me@imap.example.com), and of an account of two servers, the
server is asked: for what tells messages apart first, and for the bodies of those alone that others have the
Message-ID of. Copies are moved to the server's trash then, and mailtwin undo, with the same words, moves them back.

What is a duplicate (--by):
  content     the same Message-ID, the same body but for line ends, and the same header but for the fields below.
              Messages without Message-ID are compared alike; those that have no body either are left alone
  exact       the same bytes; messages without Message-ID and body are left alone here too
  message-id  the same Message-ID, whatever else. This can take different messages for one: a copy by a mailing list
              with a footer, or drafts. It says in what they differ; look at that before --delete

These fields are added by transport and tools, and do not count (nor does a line "From ..." as in mbox files):
` + wrapped(dedupe.Ignored(), 110) + `

Duplicates are looked for in each mailbox by itself; with --across, over all of the Maildir or account, or those of
its mailboxes that are named. The copy that stays is one that the last sync knows, then the oldest (by internal date);
--keep newest, oldest or largest says otherwise, and --keep INBOX,Archive in which mailbox it stays. It gets the flags
and keywords of all copies, but not \Deleted and \Draft; a copy that is marked \Deleted stays only if all are.

With --delete each copy is read once more, compared with the one that stays, and moved to the attic, from where
mailtwin undo brings it back. If that would be more than half of a mailbox, you are asked, or told to say
--allow-deletes. Stop it whenever you like: run again, and it goes on.

What was read is remembered, so that the next run is quick: files that did not change (inode, size, time) are not
read again, and folders in which nothing came, went or was renamed are not looked through for a day.

` + codes,
		Example: `  mailtwin dedupe ~/Maildir
  mailtwin dedupe --delete ~/Maildir
  mailtwin dedupe work/INBOX
  mailtwin dedupe --across --keep INBOX,Archive work`,
		RunE: func(c *cobra.Command, args []string) error {
			o.args = args
			return runDedupe(c.Context(), a, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.by, "by", "content", "what makes messages duplicates: content, exact or message-id")
	f.StringSliceVar(&o.keep, "keep", nil, "which copy stays: newest, oldest or largest, and mailboxes in order of preference")
	f.BoolVar(&o.across, "across", false, "look for duplicates across mailboxes too")
	f.BoolVar(&o.server, "server", false, "look on the server of an account, not in its Maildir")
	f.BoolVar(&o.remove, "delete", false, "remove the copies")
	f.BoolVar(&o.allowDeletes, "allow-deletes", false, "with --delete: also where most of a mailbox would go")
	f.BoolVarP(&o.style.Verbose, "verbose", "v", false, "print every message that is there more than once")
	f.BoolVar(&o.style.JSON, "json", false, "print duplicates and the result as JSON, one object a line")
	f.BoolVarP(&o.style.Quiet, "quiet", "q", false, "print errors only")
	c.MarkFlagsMutuallyExclusive("quiet", "verbose")
	c.MarkFlagsMutuallyExclusive("quiet", "json")
	return c
}

// wrapped writes words as an indented paragraph.
func wrapped(words []string, columns int) string {
	var b strings.Builder
	line := " "
	for i, w := range words {
		if i < len(words)-1 {
			w += ","
		}
		if len(line)+1+len(w) > columns {
			b.WriteString(line + "\n")
			line = " "
		}
		line += " " + w
	}
	return b.String() + line
}

func runDedupe(ctx context.Context, a *app, o dedupeOptions) error {
	defer debug.SetGCPercent(debug.SetGCPercent(25)) // a large table that lives long, and little beside it
	by, ok := dedupe.ParseBy(o.by)
	if !ok {
		return a.failEarly(ctx, o.style, usagef("content, exact or message-id", "--by: there is no %q", o.by))
	}
	if o.allowDeletes && !o.remove {
		return a.failEarly(ctx, o.style, usagef("mailtwin dedupe --delete --allow-deletes ...", "--allow-deletes is for --delete"))
	}
	targets, err := a.dedupeTargets(o.args)
	if err == nil {
		err = fits(o, targets)
	}
	if err != nil {
		return a.failEarly(ctx, o.style, err)
	}
	o.style.Names = len(targets) > 1
	u := a.ui(o.style)
	progress := u.Follow()
	defer progress.Close()
	var all []exitCode
	for _, t := range targets { // one after the other: each has its own table
		dedupeOne := a.dedupeOne
		if t.server = t.server || o.server && t.path == "" || t.onServers(); t.server {
			dedupeOne = a.dedupeServer
		}
		code := dedupeOne(ctx, t, u, progress, o, by)
		progress.Forget(t.Name)
		if all = append(all, code); code == exitInterrupted {
			break
		}
	}
	return worst(all)
}

// dedupeOne looks for duplicates in one account or Maildir.
func (a *app) dedupeOne(ctx context.Context, t *target, u *ui.UI, progress *ui.Progress, o dedupeOptions, by dedupe.By) (code exitCode) {
	begun := a.now()
	p, err := a.openPlace(ctx, t, u, o.remove)
	if err != nil {
		return a.fail(ctx, u, "dedupe", t, err)
	}
	defer func() {
		if err := p.close(); err != nil && code == exitDone {
			code = a.fail(ctx, u, "dedupe", t, err)
		}
	}()
	options := sift.Options{Folders: p.folders, Now: a.now, Known: p.known}
	if options.Policy, err = policy(o, by, p.names(), p.roles); err != nil {
		return a.fail(ctx, u, "dedupe", t, err)
	}
	options.Progress = func(what string, done, total int) {
		if what != "" {
			progress.Event(engine.Event{Kind: engine.EventProgress, Account: t.given, Phase: engine.PhaseView, Verb: what, Done: done, Total: total})
		}
	}
	options.Fresh = o.remove
	found, err := sift.Find(ctx, options)
	if err == nil && !o.remove && found.Groups.Len() > 0 {
		if found, err = a.showDoubles(ctx, t, u, options, found); err != nil {
			return a.fail(ctx, u, "dedupe", t, err)
		}
	}
	if err != nil {
		return a.fail(ctx, u, "dedupe", t, err)
	}
	d := summarize(t, o, p, found)
	for _, err := range append(found.Unreadable, p.bad...) {
		u.Error(withCure(err))
		code = exitLeft
	}
	if found.Unsaved != nil {
		u.Note("mailtwin: %v", ui.Clean(found.Unsaved.Error()))
	}
	if !o.remove {
		d.Seconds = a.now().Sub(begun).Seconds()
		progress.Forget(t.given)
		if !u.Quiet {
			u.Deduped(d)
		}
		if d.Copies > 0 && !u.JSON && !u.Quiet {
			u.Note("mailtwin dedupe --delete %s moves the copies to %s", ui.Clean(strings.Join(dedupeFlags(o, t), " ")), ui.Clean(p.store.Attic()))
		}
		return code
	}
	err = a.removeDoubles(ctx, t, u, progress, p, options, found, o, &d)
	d.Seconds = a.now().Sub(begun).Seconds()
	progress.Forget(t.given)
	if !u.Quiet {
		u.Deduped(d)
	}
	switch {
	case err != nil:
		return a.fail(ctx, u, "dedupe", t, err)
	case d.Held > 0 || d.Skipped > 0:
		code = exitLeft
	}
	if d.Removed > 0 && !u.JSON && !u.Quiet {
		u.Note("the copies are in %s\nmailtwin undo %s lists them and brings them back%s", ui.Clean(p.store.Attic()), ui.Clean(t.given), p.next)
	}
	return code
}

// mostGroups is how many duplicates are shown without -v.
const mostGroups = 20

// showDoubles prints duplicates. If what is remembered turns out to be old, it looks at every file and begins again.
func (a *app) showDoubles(ctx context.Context, t *target, u *ui.UI, options sift.Options, found *sift.Found) (*sift.Found, error) {
	n := found.Groups.Len()
	if !u.Verbose && !u.JSON {
		n = min(n, mostGroups)
	}
	if !options.Fresh {
		for g := range n {
			for _, i := range found.Groups.At(g) {
				if found.Stale(options, i) {
					options.Fresh = true
				}
			}
		}
		if options.Fresh {
			again, err := sift.Find(ctx, options)
			if err != nil || again.Groups.Len() == 0 {
				return again, err
			}
			return a.showDoubles(ctx, t, u, options, again)
		}
	}
	if u.Quiet {
		return found, nil
	}
	for g := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		u.Duplicate(t.given, shown(ctx, options, found, found.Groups.At(g), u.JSON))
	}
	if more := found.Groups.Len() - n; more > 0 {
		u.Note("and %d more messages with copies; -v shows all of them", more)
	}
	return found, nil
}

// shown turns a group into what is printed of it.
func shown(ctx context.Context, o sift.Options, found *sift.Found, group []uint32, all bool) []ui.Double {
	const mostCopies = 10
	list := make([]ui.Double, 0, len(group))
	for k, i := range group {
		if k > mostCopies && !all {
			break
		}
		s := found.Show(o, i, k == 0)
		d := ui.Double{Mailbox: string(s.Box), File: s.File, Date: s.Date, Bytes: s.Bytes, From: s.From, Subject: s.Subject}
		if k > 0 && o.Policy.By == dedupe.MessageID {
			d.Differs, _ = found.Differ(ctx, o, group[0], i) // a message that is gone by now differs in nothing that is of interest
		}
		list = append(list, d)
	}
	return list
}

// summarize counts what was found.
func summarize(t *target, o dedupeOptions, p *place, found *sift.Found) ui.Doubles {
	d := ui.Doubles{Account: t.given, By: o.by, Read: found.Read, Groups: found.Groups.Len(), Copies: found.Groups.Copies(), Deleted: o.remove, Attic: p.store.Attic()}
	for i, f := range p.folders {
		d.Boxes = append(d.Boxes, ui.DoubleBox{Mailbox: string(f.Name), Messages: found.Messages[i]})
		d.Messages += found.Messages[i]
	}
	for g := range d.Groups {
		for _, i := range found.Groups.At(g)[1:] {
			m := found.Table.At(i)
			d.Bytes += m.Size
			d.Boxes[m.Box].Copies++
			d.Boxes[m.Box].Bytes += m.Size
		}
	}
	return d
}

// removeDoubles removes the copies.
func (a *app) removeDoubles(ctx context.Context, t *target, u *ui.UI, progress *ui.Progress, p *place, options sift.Options, found *sift.Found, o dedupeOptions, d *ui.Doubles) error {
	held, err := a.holdDoubles(ctx, t, u, progress, o, d)
	if err != nil {
		return err
	}
	res, err := sift.Remove(ctx, sift.RemoveOptions{Options: options, Store: p.store, Held: held, Allow: p.allow}, found)
	d.Removed, d.RemovedBytes, d.Flagged, d.Skipped = res.Removed, res.Bytes, res.Flagged, res.Skipped
	for _, why := range res.Why {
		u.Note("mailtwin: %s", ui.Clean(why))
	}
	if err == nil && p.prune {
		err = p.store.Prune(ctx)
	}
	if errors.Is(err, context.Canceled) {
		err = ctx.Err()
	}
	return err
}

// holdDoubles says which mailboxes nothing is to be removed from: most of them would go, and the user does not agree.
func (a *app) holdDoubles(ctx context.Context, t *target, u *ui.UI, progress *ui.Progress, o dedupeOptions, d *ui.Doubles) ([]bool, error) {
	held := make([]bool, len(d.Boxes))
	for i, b := range d.Boxes {
		if o.allowDeletes || !dedupe.MostOf(b.Copies, b.Messages) {
			continue
		}
		what := fmt.Sprintf("%d of %d messages of %s are duplicates", b.Copies, b.Messages, b.Mailbox)
		progress.Forget(t.given)
		if a.canAsk(u) && u.Ask(ctx, a.in, what+". Remove them?") {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		held[i] = true
		d.Held += b.Copies
		hint := "mailtwin dedupe " + strings.Join(dedupeFlags(o, t), " ") + " shows them; if that is right: mailtwin dedupe --delete --allow-deletes " + strings.Join(dedupeFlags(o, t), " ")
		err := mail.WithHint(fmt.Errorf("dedupe %s: will not remove most of a mailbox: %s", t.given, what), hint)
		u.Error(err)
		if u.JSON {
			u.JSONError(t.given, err)
		}
	}
	return held, nil
}
