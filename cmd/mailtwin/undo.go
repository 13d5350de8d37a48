package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailtwin/internal/config"
	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store/maildirstore"
	"mailtwin/internal/ui"
)

type undoOptions struct {
	args           []string
	style          ui.Style
	restore        bool
	since, subject string
	after          time.Time // what since means
	ids            []string
	server         bool
}

func newUndo(a *app) *cobra.Command {
	var o undoOptions
	c := &cobra.Command{
		Use:   "undo [ACCOUNT[/MAILBOX]|PATH|ADDRESS [ID...]] | undo ADDRESS ADDRESS [ID...]",
		Short: "Bring back what a sync or dedupe removed",
		Long: `List what a sync removed from a Maildir because it was deleted on the other side, and what mailtwin dedupe removed,
newest first: id, when it was removed, mailbox, date, sender and subject. Listing changes nothing. PATH is a Maildir
without an account, for dedupe alone.

With ids, or --restore for all that is listed, messages are brought back into the mailbox that they were in, with
their flags and dates; a mailbox that is gone is made again. The next sync copies them to the other side as new
messages.

Removed messages are kept in the Maildir (.mailtwin/attic) for keep_deleted, usually 30 days, and at most
keep_deleted_size of them, see mailtwin help config. What a sync removed from a server is not here; delete_to = "trash"
moves it to the server's trash instead of removing it.

What mailtwin dedupe moved to the trash of a server is listed with --server, or for the ADDRESS that dedupe was
given, and brought back as long as it is in the trash.

` + codes,
		Example: `  mailtwin undo
  mailtwin undo work/INBOX --since 2d
  mailtwin undo work d5xk2mvq
  mailtwin undo work --subject invoice --restore`,
		RunE: func(c *cobra.Command, args []string) error {
			o.args = args
			return runUndo(c.Context(), a, o)
		},
	}
	f := c.Flags()
	f.BoolVar(&o.restore, "restore", false, "bring back all that is listed")
	f.BoolVar(&o.server, "server", false, "what dedupe --server moved to the trash of an account's server")
	f.StringVar(&o.since, "since", "", "only what was removed since then: `TIME` is a date (2026-03-02), days (7d) or hours (12h)")
	f.StringVar(&o.subject, "subject", "", "only messages whose subject has this `TEXT` in it, in any letter case")
	f.BoolVar(&o.style.JSON, "json", false, "print messages and the result as JSON, one object a line")
	return c
}

func runUndo(ctx context.Context, a *app, o undoOptions) error {
	names := o.args
	switch n := 1; {
	case len(names) == 0:
	default:
		if len(names) > 1 && config.Is(names[0]) && config.Is(names[1]) {
			n = 2
		}
		n = min(n, len(names))
		names, o.ids = names[:n], names[n:]
	}
	var err error
	if o.after, err = sinceWhen(o.since, a.now()); err != nil {
		return a.failEarly(ctx, o.style, err)
	}
	targets, err := a.dedupeTargets(names)
	if len(names) == 0 || len(names) > 1 {
		targets, err = a.targets(names)
	}
	if err != nil {
		return a.failEarly(ctx, o.style, err)
	}
	o.style.Names = len(targets) > 1
	u := a.ui(o.style)
	codes := make([]exitCode, 0, len(targets))
	for _, t := range targets {
		if len(names) == 0 && t.Stores[mail.Local].Maildir == nil && t.Stores[mail.Remote].Maildir == nil {
			continue // it was not asked for
		}
		undoOne := a.undoOne
		if t.server = t.server || o.server && t.path == "" || t.onServers() && !t.adHoc && a.hasJournal(t); t.server {
			undoOne = a.undoServer
		}
		codes = append(codes, undoOne(ctx, t, u, o))
	}
	return worst(codes)
}

// sinceWhen reads a time as people give it, counted back from now, or a date.
func sinceWhen(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for unit, days := range map[string]int{"d": 1, "w": 7} {
		number, ok := strings.CutSuffix(s, unit)
		if n, err := strconv.ParseUint(number, 10, 16); ok && err == nil {
			return now.AddDate(0, 0, -days*int(n)), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, form := range []string{time.DateOnly, "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("for example 2026-03-02, 7d or 12h", "--since: %q is not a time", s)
}

// undoOne lists what an account can get back, or brings it back.
func (a *app) undoOne(ctx context.Context, t *target, u *ui.UI, o undoOptions) exitCode {
	restore := o.restore || len(o.ids) > 0
	if restore {
		path := a.statePath(t.Name)
		if t.path != "" {
			path = filepath.Join(a.bareFolder(t.path), "run")
		}
		lock, err := state.Acquire(path)
		if err != nil {
			return a.fail(ctx, u, "undo", t, err)
		}
		defer func() { _ = lock.Release() }() // it ends with the process at the latest
	}
	found, err := a.openAttics(ctx, t, !restore)
	if err == nil {
		err = found.list(ctx, t, o)
	}
	if err != nil {
		return a.fail(ctx, u, "undo", t, err)
	}
	if !restore {
		u.Removed(t.Name, t.given, found.messages)
		return exitDone
	}
	err = found.restore(ctx)
	missing := u.Restored(t.Name, found.messages, t.path == "")
	switch {
	case err != nil:
		return a.fail(ctx, u, "undo", t, err)
	case missing > 0:
		return exitLeft
	}
	return exitDone
}

// attics are an account's Maildirs and what is found in their attics.
type attics struct {
	stores   []*maildirstore.Store
	sides    []mail.Side
	removed  [][]maildirstore.Removed // by store
	messages []ui.Removed             // of all stores together
}

func (a *app) openAttics(ctx context.Context, t *target, readOnly bool) (*attics, error) {
	f := &attics{}
	if t.path != "" {
		st, err := a.bareStore(t.path, readOnly)
		f.stores, f.sides = []*maildirstore.Store{st}, []mail.Side{mail.Local}
		return f, err
	}
	for _, side := range mail.Sides {
		c := t.Stores[side].Maildir
		if c == nil {
			continue
		}
		st, err := openMaildir(c, readOnly)
		if err == nil {
			_, err = st.Hello(ctx, "")
		}
		if err != nil {
			return nil, err
		}
		f.stores, f.sides = append(f.stores, st), append(f.sides, side)
	}
	if len(f.stores) == 0 {
		return nil, usagef(`delete_to = "trash" moves what is deleted to the server's trash`, "neither side is a Maildir, and what was removed from a server is not kept")
	}
	return f, nil
}

// list finds the messages that the options name, newest first.
func (f *attics) list(ctx context.Context, t *target, o undoOptions) error {
	used := make([]bool, len(o.ids))
	for i, st := range f.stores {
		all, err := st.Removed(ctx, o.after, t.only...)
		if err != nil {
			return err
		}
		var kept []maildirstore.Removed
		for _, r := range all {
			if ok, err := named(r.ID, o.ids, used); err != nil || !ok {
				if err != nil {
					return err
				}
				continue
			}
			h, err := st.Header(r)
			if err != nil || !strings.Contains(strings.ToLower(h.Subject), strings.ToLower(o.subject)) {
				if err = ctx.Err(); err != nil {
					return err
				}
				continue // gone meanwhile, or not asked for
			}
			kept = append(kept, r)
			f.messages = append(f.messages, ui.Removed{
				Store: i, Side: f.sides[i].String(), ID: r.ID, Mailbox: string(r.Box), At: r.At, Date: r.Date, Sent: h.Date, From: h.From, Subject: h.Subject, Bytes: r.Size,
			})
		}
		f.removed = append(f.removed, kept)
	}
	if i := slices.Index(used, false); i >= 0 {
		return noSuchRemoved(t, o.ids[i])
	}
	return nil
}

func noSuchRemoved(t *target, id string) error {
	return usagef("mailtwin undo "+t.given+" lists what there is", "there is no removed message %q", id)
}

// named reports whether a message is one of those asked for: any, if there are no ids. An id may be cut short.
func named(id string, ids []string, used []bool) (bool, error) {
	found := len(ids) == 0
	for i, want := range ids {
		if len(want) < 4 && want != id || !strings.HasPrefix(id, strings.ToLower(want)) {
			continue
		}
		if used[i] {
			return false, usagef("write the whole id", "several removed messages have ids that begin with %q", want)
		}
		found, used[i] = true, true
	}
	return found, nil
}

// restore brings all found messages back.
func (f *attics) restore(ctx context.Context) error {
	var errs []error
	for i, st := range f.stores {
		keys, err := st.Restore(ctx, f.removed[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s side: %w", f.sides[i], err))
		}
		n := 0
		for m := range f.messages {
			if f.messages[m].Store == i {
				f.messages[m].Key = string(keys[n])
				n++
			}
		}
	}
	return errors.Join(errs...)
}
