package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/config"
	"mailtwin/internal/dedupe"
	"mailtwin/internal/dedupe/online"
	"mailtwin/internal/dedupe/sift"
	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store/imapstore"
	"mailtwin/internal/ui"
)

// serverTarget is the target for the address of a server, with or without a mailbox behind it; nil if the argument is none.
func (a *app) serverTarget(arg string) (*target, error) {
	scheme, rest, ok := strings.Cut(arg, "://")
	if !ok || !config.Is(arg) || strings.HasPrefix(arg, "maildir:") {
		return nil, nil
	}
	host, box, _ := strings.Cut(rest, "/")
	given := scheme + "://" + host
	s, err := config.Address(given, a.home(), a.dir)
	if err != nil {
		return nil, usage{err}
	}
	t := &target{Account: &config.Account{Name: s.String()}, given: given, adHoc: true, server: true}
	t.Stores[mail.Remote] = s
	if box != "" {
		t.only = []mail.Box{boxName(box)}
	}
	return t, nil
}

// onServers reports whether neither side of an account is a Maildir.
func (t *target) onServers() bool {
	return t.path == "" && t.Stores[mail.Local].Maildir == nil && t.Stores[mail.Remote].Maildir == nil
}

// serverSide is the side whose server is meant where one is: the remote one, unless it is none.
func (t *target) serverSide() mail.Side {
	if t.Stores[mail.Remote].IMAP == nil {
		return mail.Local
	}
	return mail.Remote
}

// server is where duplicates are looked for without a Maildir.
type server struct {
	store   *imapstore.Store
	boxes   []mail.Box
	roles   map[mail.Box]string
	trash   mail.Box
	bad     []error
	session *session // of an account that was synced; nil: none
	side    mail.Side
	lock    *state.Lock
	db      *state.DB // of the journal; nil: not opened
	journal *online.Journal
}

// openServer connects to the server of a target. write: something is going to be changed.
func (a *app) openServer(ctx context.Context, t *target, u *ui.UI, write bool) (s *server, err error) {
	s = &server{side: t.serverSide()}
	defer func() {
		if err != nil {
			_ = s.close() // the error at hand is the one to tell
		}
	}()
	c := t.Stores[s.side].IMAP
	if c == nil {
		return s, usagef("mailtwin dedupe "+t.given, "neither side of account %q is a server", t.Name)
	}
	if _, err := os.Stat(a.statePath(t.Name)); !t.adHoc && err == nil {
		if s.session, err = a.open(ctx, t, u, !write, false); err != nil {
			return s, err
		}
		s.store, _ = s.session.options.Stores[s.side].(*imapstore.Store)
	} else {
		one, err := a.openIMAP(t, c, u, !write)
		if err != nil {
			return s, err
		}
		s.store, _ = one.(*imapstore.Store)
	}
	if _, err = s.store.Hello(ctx, ""); err != nil {
		return s, err
	}
	if err = a.serverBoxes(ctx, t, s, c); err != nil {
		return s, err
	}
	return s, a.openJournal(ctx, t, s, write)
}

// serverBoxes lists the mailboxes, and finds the trash: the one that delete_to names, that has the role, or that is named so.
func (a *app) serverBoxes(ctx context.Context, t *target, s *server, c *config.IMAP) error {
	list, err := s.store.Boxes(ctx)
	if err != nil {
		return err
	}
	named := mail.Box("")
	s.roles = map[mail.Box]string{}
	for _, st := range list {
		s.roles[st.Box] = st.Role
		switch {
		case c.DeleteTo != "" && (st.Box == c.DeleteTo || st.Role != "" && strings.EqualFold(st.Role, string(c.DeleteTo))):
			s.trash = st.Box
		case s.trash == "" && st.Role == `\Trash`:
			s.trash = st.Box
		case strings.EqualFold(string(st.Box), "trash"):
			named = st.Box
		}
		switch {
		case len(t.only) > 0 && !slices.Contains(t.only, st.Box), !t.Mailboxes.Has(st.Box, st.Role):
		case st.Err != nil:
			s.bad = append(s.bad, st.Err)
		default:
			s.boxes = append(s.boxes, st.Box)
		}
	}
	s.trash = cmp.Or(s.trash, named, "Trash")
	if !slices.Contains(t.only, s.trash) { // what is there is gone already
		s.boxes = slices.DeleteFunc(s.boxes, func(b mail.Box) bool { return b == s.trash })
	}
	if len(s.boxes)+len(s.bad) < len(t.only) {
		return t.noSuchBox()
	}
	return nil
}

// journalPath is where the journal of a server is.
func (a *app) journalPath(t *target, side mail.Side) string {
	c := t.Stores[side]
	name := readable(c) + "-" + shortSum(c.String())
	return filepath.Join(filepath.Dir(filepath.Dir(a.statePath("dedupe"))), "dedupe", name, "state.db")
}

// hasJournal reports whether anything was ever moved to the trash of a target's server.
func (a *app) hasJournal(t *target) bool {
	side := t.serverSide()
	if t.Stores[side].IMAP == nil {
		return false
	}
	_, err := os.Stat(a.journalPath(t, side))
	return !errors.Is(err, fs.ErrNotExist)
}

// openJournal opens the journal of what was moved to the trash. Reading makes none.
func (a *app) openJournal(ctx context.Context, t *target, s *server, write bool) (err error) {
	path := a.journalPath(t, s.side)
	if !write {
		if !a.hasJournal(t) {
			return nil
		}
	} else {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if s.lock, err = state.Acquire(path); err != nil {
			return err
		}
	}
	if s.db, err = state.Open(ctx, path, state.Options{ReadOnly: !write, Now: a.now}); err != nil {
		return err
	}
	s.journal, err = online.OpenJournal(ctx, s.db, s.store, !write)
	return err
}

func (s *server) close() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	switch {
	case s.session != nil:
		errs = append(errs, s.session.close())
	case s.store != nil:
		errs = append(errs, closeStore(s.store))
	}
	return errors.Join(append(errs, s.lock.Release())...)
}

// known says which messages the state of the account has on both sides.
func (s *server) known(ctx context.Context, box mail.Box, known func(mail.Key)) error {
	for p, err := range s.session.db.Pairs(ctx, box, s.side) {
		if err != nil {
			return err
		}
		if p.Keys[s.side.Other()] != "" {
			known(p.Keys[s.side])
		}
	}
	return nil
}

// dedupeServer looks for duplicates in the mailboxes of a server.
func (a *app) dedupeServer(ctx context.Context, t *target, u *ui.UI, progress *ui.Progress, o dedupeOptions, by dedupe.By) (code exitCode) {
	begun := a.now()
	s, err := a.openServer(ctx, t, u, o.remove)
	if err != nil {
		return a.fail(ctx, u, "dedupe", t, err)
	}
	defer func() {
		if err := s.close(); err != nil && code == exitDone {
			code = a.fail(ctx, u, "dedupe", t, err)
		}
	}()
	options := online.Options{Store: s.store, Boxes: s.boxes, Memo: a.serverMemo(t, s.side)}
	if s.session != nil {
		options.Known = s.known
	}
	if options.Policy, err = policy(o, by, s.boxes, s.roles); err != nil {
		return a.fail(ctx, u, "dedupe", t, err)
	}
	options.Progress = func(what string, done, total int) {
		progress.Event(engine.Event{Kind: engine.EventProgress, Account: t.given, Phase: engine.PhaseView, Verb: what, Done: done, Total: total})
	}
	found, err := online.Find(ctx, options)
	if err == nil && !o.remove {
		err = a.showServerDoubles(ctx, t, u, s, options, found)
	}
	if err != nil {
		return a.fail(ctx, u, "dedupe", t, err)
	}
	for _, err := range s.bad {
		u.Error(withCure(err))
		code = exitLeft
	}
	if found.Unsaved != nil {
		u.Note("mailtwin: remember what was read: %v", ui.Clean(found.Unsaved.Error()))
	}
	d := summarizeServer(t, o, s, found)
	if o.remove {
		err = a.removeServerDoubles(ctx, t, u, progress, s, options, found, o, &d)
	}
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
	if u.JSON || u.Quiet {
		return code
	}
	switch {
	case !o.remove && d.Copies > 0:
		u.Note("mailtwin dedupe --delete %s moves the copies to %q on the server", ui.Clean(strings.Join(dedupeFlags(o, t), " ")), ui.Clean(string(s.trash)))
	case d.Removed > 0:
		flag := ""
		if o.server {
			flag = "--server "
		}
		u.Note("the copies are in %q on the server\nmailtwin undo %s%s lists them and brings them back", ui.Clean(string(s.trash)), flag, ui.Clean(t.given))
	}
	return code
}

// serverMemo is where what was read of a server is remembered.
func (a *app) serverMemo(t *target, side mail.Side) sift.Memo {
	cache := a.getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(cache) {
		cache = filepath.Join(a.home(), ".cache")
	}
	return sift.FileMemo{Cache: filepath.Join(cache, "mailtwin", "dedupe"), Root: t.Stores[side].String()}
}

// summarizeServer counts what was found.
func summarizeServer(t *target, o dedupeOptions, s *server, found *online.Found) ui.Doubles {
	d := ui.Doubles{Account: t.given, By: o.by, Read: found.Read, Groups: found.Groups.Len(), Copies: found.Groups.Copies(), Deleted: o.remove, Attic: string(s.trash)}
	for i, box := range s.boxes {
		d.Boxes = append(d.Boxes, ui.DoubleBox{Mailbox: string(box), Messages: found.Messages[i]})
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

// removeServerDoubles moves the copies to the trash.
func (a *app) removeServerDoubles(ctx context.Context, t *target, u *ui.UI, progress *ui.Progress, s *server, options online.Options, found *online.Found, o dedupeOptions, d *ui.Doubles) error {
	held, err := a.holdDoubles(ctx, t, u, progress, o, d)
	if err != nil {
		return err
	}
	remove := online.RemoveOptions{Options: options, Journal: s.journal, Trash: s.trash, Held: held, Now: a.now}
	if s.session != nil {
		remove.Allow = func(ctx context.Context, box mail.Box, keys []mail.Key, allowed bool) error {
			return s.session.db.AllowDeletions(ctx, box, s.side, keys, allowed)
		}
	}
	res, err := online.Remove(ctx, remove, found)
	d.Removed, d.RemovedBytes, d.Flagged, d.Skipped = res.Removed, res.Bytes, res.Flagged, res.Skipped
	for _, why := range res.Why {
		u.Note("mailtwin: %s", ui.Clean(why))
	}
	if errors.Is(err, context.Canceled) {
		err = ctx.Err()
	}
	return err
}
