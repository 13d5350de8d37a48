package main

import (
	"context"
	"slices"
	"strings"

	"mailtwin/internal/dedupe/online"
	"mailtwin/internal/mail"
	"mailtwin/internal/ui"
)

// undoServer lists what dedupe moved to the trash of a server, or brings it back.
func (a *app) undoServer(ctx context.Context, t *target, u *ui.UI, o undoOptions) (code exitCode) {
	restore := o.restore || len(o.ids) > 0
	if t.Stores[t.serverSide()].IMAP != nil && !a.hasJournal(t) { // no need to ask the server
		return a.undoNothing(ctx, t, u, o)
	}
	only := t.only
	t.only = nil // a mailbox that is gone can be brought back
	s, err := a.openServer(ctx, t, u, restore)
	if err != nil {
		return a.fail(ctx, u, "undo", t, err)
	}
	defer func() {
		if err := s.close(); err != nil && code == exitDone {
			code = a.fail(ctx, u, "undo", t, err)
		}
	}()
	t.only = only
	list, shown, err := listMoved(ctx, t, s, o, !restore || u.JSON)
	if err != nil {
		return a.fail(ctx, u, "undo", t, err)
	}
	if !restore {
		u.Removed(t.Name, strings.TrimSpace(map[bool]string{true: "--server "}[o.server]+t.given), shown)
		return exitDone
	}
	keys, err := s.journal.Restore(ctx, list)
	for i, k := range keys {
		if k != "" {
			shown[i].Key = string(list[i].Box)
		}
	}
	missing := u.Restored(t.Name, shown, s.session != nil)
	switch {
	case err != nil:
		return a.fail(ctx, u, "undo", t, err)
	case missing > 0:
		u.Note("%d are not in %q on the server any more", missing, ui.Clean(string(s.trash)))
		return exitLeft
	}
	return exitDone
}

// undoNothing is undoServer where nothing was ever moved to the trash.
func (a *app) undoNothing(ctx context.Context, t *target, u *ui.UI, o undoOptions) exitCode {
	switch {
	case len(o.ids) > 0:
		return a.fail(ctx, u, "undo", t, noSuchRemoved(t, o.ids[0]))
	case o.restore:
		u.Restored(t.Name, nil, false)
	default:
		u.Removed(t.Name, t.given, nil)
	}
	return exitDone
}

// listMoved finds the messages that the options name, newest first. Sender and subject are asked for where they are to be shown.
func listMoved(ctx context.Context, t *target, s *server, o undoOptions, show bool) (kept []online.Moved, shown []ui.Removed, err error) {
	if s.journal == nil {
		return nil, nil, nil
	}
	all, err := s.journal.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	used := make([]bool, len(o.ids))
	asked := map[mail.Ref]*ui.Double{}
	for _, m := range all {
		switch i := slices.Index(o.ids, m.ID); {
		case len(t.only) > 0 && !slices.Contains(t.only, m.Box), m.At.Before(o.after), len(o.ids) > 0 && i < 0:
			continue
		case i >= 0:
			used[i] = true
		}
		asked[mail.Ref{Box: m.Trash, Key: m.Key}] = &ui.Double{}
		kept = append(kept, m)
	}
	if i := slices.Index(used, false); i >= 0 {
		return nil, nil, noSuchRemoved(t, o.ids[i])
	}
	if show || o.subject != "" {
		if err := describe(ctx, s.store, asked); err != nil {
			return nil, nil, err
		}
	}
	n := 0
	for _, m := range kept {
		d := asked[mail.Ref{Box: m.Trash, Key: m.Key}]
		if !strings.Contains(strings.ToLower(d.Subject), strings.ToLower(o.subject)) {
			continue
		}
		kept[n] = m
		n++
		shown = append(shown, ui.Removed{
			Side: s.side.String(), ID: m.ID, Mailbox: string(m.Box), At: m.At, Date: m.Date, From: d.From, Subject: d.Subject, Bytes: m.Bytes,
		})
	}
	return kept[:n], shown, nil
}
