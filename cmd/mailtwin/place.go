package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/config"
	"mailtwin/internal/dedupe/sift"
	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store/maildirstore"
	"mailtwin/internal/ui"
)

// place is where duplicates are looked for: a Maildir, of an account or by itself.
type place struct {
	store   *maildirstore.Store
	folders []sift.Folder
	roles   map[mail.Box]string // as far as the server told
	bad     []error             // mailboxes that cannot be opened
	known   func(ctx context.Context, box mail.Box, known func(string)) error
	allow   func(ctx context.Context, box mail.Box, keys []mail.Key, allowed bool) error
	prune   bool   // nobody else looks after the attic
	next    string // what is to be done after copies were removed
	session *session
	lock    *state.Lock
}

// dedupeTargets finds what a command line of dedupe names: paths, accounts and their mailboxes.
func (a *app) dedupeTargets(args []string) ([]*target, error) {
	var all []*target
	var accounts []string
	for _, arg := range args {
		if t, err := a.serverTarget(arg); t != nil || err != nil {
			if err != nil {
				return nil, err
			}
			all = append(all, t)
			continue
		}
		path, is := a.maildirPath(arg)
		if !is {
			if st, err := os.Stat(filepath.Join(a.dir, arg)); err == nil && !st.IsDir() {
				return nil, a.noSuchPath(arg)
			}
			accounts = append(accounts, arg)
			continue
		}
		all = append(all, &target{Account: &config.Account{Name: path}, given: arg, path: path})
	}
	if len(accounts) > 0 {
		list, err := a.targets(accounts)
		if errors.Is(err, config.ErrMissing) {
			return nil, a.noSuchPath(accounts[0])
		}
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// noSuchPath is what to say of a path that leads to no folder.
func (a *app) noSuchPath(arg string) error {
	path := arg
	if !filepath.IsAbs(path) {
		path = filepath.Join(a.dir, path)
	}
	if st, err := os.Stat(path); err == nil && !st.IsDir() {
		return usagef("name the folder that has cur and new in it", "%q is a file, not a Maildir", arg)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return mail.WithHint(err, "check the path and its permissions")
	}
	hint := "check the path"
	var names []string
	list, _ := os.ReadDir(filepath.Dir(path)) // for a hint only
	for _, e := range list {
		names = append(names, e.Name())
	}
	if near := config.Nearest(filepath.Base(path), names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", filepath.Join(filepath.Dir(arg), near))
	}
	return usagef(hint, "there is no folder %q", arg)
}

// names are those of the mailboxes.
func (p *place) names() (names []mail.Box) {
	for _, f := range p.folders {
		names = append(names, f.Name)
	}
	return names
}

// maildirPath reports whether an argument names a folder rather than an account, and its absolute path.
func (a *app) maildirPath(arg string) (string, bool) {
	path, is := strings.CutPrefix(arg, "maildir:")
	switch {
	case path == "~" || strings.HasPrefix(path, "~/"):
		path = filepath.Join(a.home(), path[1:])
	case is || filepath.IsAbs(path) || path == "." || path == ".." || strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../"):
	default:
		if config.Is(arg) {
			return "", false
		}
		name, _, _ := strings.Cut(path, "/")
		if c, err := config.Load(a.configPath(), a.home()); err == nil {
			if _, err := find(c, name); err == nil {
				return "", false
			}
		}
		if st, err := os.Stat(filepath.Join(a.dir, path)); err != nil || !st.IsDir() {
			return "", false
		}
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(a.dir, path)
	}
	return filepath.Clean(path), true
}

// openPlace opens what a target of dedupe names.
func (a *app) openPlace(ctx context.Context, t *target, u *ui.UI, write bool) (p *place, err error) {
	p = &place{}
	defer func() {
		if err != nil {
			_ = p.close() // the error at hand is the one to tell
		}
	}()
	if t.path != "" {
		err = a.openBare(t, p, write)
	} else {
		err = a.openAccount(ctx, t, p, u, write)
	}
	if err != nil {
		return p, err
	}
	list, err := p.store.Boxes(ctx)
	if err != nil {
		return p, err
	}
	memo := p.memo(a, t)
	for _, st := range list {
		switch {
		case len(t.only) > 0 && !slices.Contains(t.only, st.Box), t.path == "" && !t.Mailboxes.Has(st.Box, st.Role):
			continue
		case st.Err != nil:
			p.bad = append(p.bad, st.Err)
			continue
		}
		dir, err := p.store.Dir(ctx, st.Box)
		if err == nil {
			err = legible(dir)
		}
		if err != nil {
			p.bad = append(p.bad, err)
			continue
		}
		p.folders = append(p.folders, sift.Folder{Name: st.Box, Dir: dir, Memo: memo})
	}
	switch {
	case len(p.folders)+len(p.bad) < len(t.only):
		return p, t.noSuchBox()
	case len(p.folders) == 0 && len(p.bad) == 0:
		hint := "a Maildir has the folders cur, new and tmp"
		switch filepath.Base(t.path) {
		case "cur", "new", "tmp":
			hint = "name the folder above it, that has cur, new and tmp in it"
		}
		return p, usagef(hint, "there is no mailbox in it")
	}
	if t.path != "" && write { // an account's Maildir may be below it, too
		for _, f := range p.folders {
			if err := ownedBy(f.Dir); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// bareFolder is where we keep what belongs to a Maildir without an account.
func (a *app) bareFolder(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	sum := sha256.Sum256([]byte(path))
	name := readable(config.Store{Maildir: &config.Maildir{Path: path}}) + "-" + hex.EncodeToString(sum[:5])
	return filepath.Join(filepath.Dir(filepath.Dir(a.statePath("dedupe"))), "dedupe", name)
}

// bareStore is a Maildir without an account.
func (a *app) bareStore(path string, readOnly bool) (*maildirstore.Store, error) {
	if st, err := os.Stat(path); err != nil || !st.IsDir() {
		return nil, a.noSuchPath(path)
	}
	return maildirstore.Bare(maildirstore.Config{Path: path, Attic: filepath.Join(a.bareFolder(path), "attic"), ReadOnly: readOnly, FS: files})
}

func (a *app) openBare(t *target, p *place, write bool) (err error) {
	if write {
		if err := ownedBy(t.path); err != nil {
			return err
		}
		if p.lock, err = state.Acquire(filepath.Join(a.bareFolder(t.path), "run")); err != nil {
			return err
		}
		p.prune = true
	}
	p.store, err = a.bareStore(t.path, !write)
	return err
}

// ownedBy is an error where a folder belongs to an account, whose sync would find messages gone without knowing why.
func ownedBy(path string) error {
	owner := markedBy(path)
	if owner == "" {
		return nil
	}
	hint := "name the account: mailtwin dedupe --delete ACCOUNT; so the sync knows what is removed, and why"
	return setup(fmt.Errorf("%s is kept in sync by an account (%s)", path, owner), hint)
}

// legible makes sure that the folders of a mailbox can be read; new may be missing.
func legible(dir string) error {
	for _, sub := range []string{"cur", "new"} {
		f, err := os.Open(filepath.Join(dir, sub))
		if err != nil && (sub == "cur" || !errors.Is(err, fs.ErrNotExist)) {
			return mail.WithHint(err, "check the owner and the permissions")
		}
		_ = f.Close() // only read
	}
	return nil
}

// markedBy returns the marker of an account in a folder or above it, "" if there is none.
func markedBy(path string) string {
	for dir := path; ; dir = filepath.Dir(dir) {
		for _, control := range []string{".mailtwin", "mailtwin.d"} {
			marker := filepath.Join(dir, control, "marker")
			if _, err := os.Stat(marker); err == nil {
				return marker
			}
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// openAccount opens the Maildir of an account. Looking is possible while another run has the account; nothing is remembered then.
func (a *app) openAccount(ctx context.Context, t *target, p *place, u *ui.UI, write bool) (err error) {
	side := mail.Local
	if t.Stores[side].Maildir == nil {
		side = mail.Remote
	}
	if t.Stores[side].Maildir == nil {
		return usagef("sync the mailbox with a Maildir, and look for duplicates there", "neither side is a Maildir")
	}
	if _, err := os.Stat(a.statePath(t.Name)); errors.Is(err, fs.ErrNotExist) {
		return notSynced(t)
	}
	p.session, err = a.open(ctx, t, u, false, false)
	if !write && errors.Is(err, state.ErrLocked) {
		p.session, err = a.open(ctx, t, u, true, false)
	}
	if err != nil {
		return err
	}
	db := p.session.options.State
	if synced, err := db.Synced(ctx); err != nil || !synced {
		return cmp.Or(err, notSynced(t))
	}
	boxes, err := db.Boxes(ctx)
	if err != nil {
		return err
	}
	p.roles = make(map[mail.Box]string, len(boxes))
	for _, b := range boxes {
		p.roles[b.Name] = b.Role
	}
	p.store, _ = p.session.options.Stores[side].(*maildirstore.Store)
	if _, err = p.store.Hello(ctx, ""); err != nil {
		return err
	}
	p.known = func(ctx context.Context, box mail.Box, known func(string)) error {
		for pair, err := range db.Pairs(ctx, box, side) {
			if err != nil {
				return err
			}
			if pair.Keys[side.Other()] != "" {
				unique, _, _ := strings.Cut(string(pair.Keys[side]), "/")
				known(unique)
			}
		}
		return nil
	}
	p.allow = func(ctx context.Context, box mail.Box, keys []mail.Key, allowed bool) error {
		return db.AllowDeletions(ctx, box, side, keys, allowed)
	}
	p.next = "\nthe next sync removes them on the other side too, and does not hold that back: mailtwin sync " + ui.Clean(t.given)
	return nil
}

func notSynced(t *target) error {
	return mail.WithHint(errors.New("it has not been synced yet"), "mailtwin sync "+t.given+"; or name the folder, with its path")
}

// memo is where what is read of the place is remembered.
func (p *place) memo(a *app, t *target) sift.Memo {
	switch {
	case p.session != nil && p.session.lock == nil:
		return readMemo{stateMemo{p.session.options.State}}
	case p.session != nil:
		return stateMemo{p.session.options.State}
	}
	cache := a.getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(cache) {
		cache = filepath.Join(a.home(), ".cache")
	}
	return sift.FileMemo{Cache: filepath.Join(cache, "mailtwin", "dedupe"), Root: t.path}
}

// stateMemo remembers in the state database of an account.
type stateMemo struct{ db *state.DB }

func (m stateMemo) Load(ctx context.Context, box mail.Box, kind string, fn func([]byte) error) error {
	return m.db.Digests(ctx, box, kind, fn)
}

func (m stateMemo) Save(ctx context.Context, box mail.Box, kind string, parts iter.Seq[[]byte]) error {
	return m.db.SaveDigests(ctx, box, kind, parts)
}

// readMemo remembers nothing new.
type readMemo struct{ stateMemo }

func (readMemo) Save(context.Context, mail.Box, string, iter.Seq[[]byte]) error { return nil }

func (p *place) close() error {
	var errs []error
	switch {
	case p.session != nil:
		errs = append(errs, p.session.close())
	case p.store != nil:
		errs = append(errs, closeStore(p.store))
	}
	return errors.Join(append(errs, p.lock.Release())...)
}
