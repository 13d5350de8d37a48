package online

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/dedupe/sift"
	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// world is a server in memory, the journal of it, and what is remembered of it.
type world struct {
	t      *testing.T
	server *memstore.Store
	store  store.Store // what the program talks to: the server, or something in between
	memo   sift.FileMemo
	path   string // of the journal
	policy dedupe.Policy
	boxes  []mail.Box
	known  map[mail.Key]bool
	held   []bool
	allow  func(ctx context.Context, box mail.Box, keys []mail.Key, allowed bool) error
}

const trash mail.Box = "Trash"

func newWorld(t *testing.T, o memstore.Options) *world {
	t.Helper()
	s := memstore.New(o)
	dir := t.TempDir()
	return &world{
		t: t, server: s, store: s, memo: sift.FileMemo{Cache: filepath.Join(dir, "cache"), Root: "server"},
		path: filepath.Join(dir, "state.db"), boxes: []mail.Box{mail.Inbox},
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// text is a message in wire form; fields are lines in front of the others.
func text(id, body string, fields ...string) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	if id != "" {
		b.WriteString("Message-ID: <" + id + "@x>\r\n")
	}
	return b.String() + "Subject: the same\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\n\r\n" + body + "\r\n"
}

// put delivers a message; age counts in hours, flags are letters as in a Maildir and "k" for a keyword.
func (w *world) put(box mail.Box, s, flags string, age int) mail.Key {
	return w.server.Deliver(box, flagsOf(flags), []byte(s), int64(1_700_000_000-3600*age))
}

func flagsOf(letters string) (f mail.Flags) {
	for letter, flag := range map[string]mail.System{"S": mail.Seen, "F": mail.Flagged, "R": mail.Answered, "T": mail.Deleted, "D": mail.Draft} {
		if strings.Contains(letters, letter) {
			f.System |= flag
		}
	}
	if strings.Contains(letters, "k") {
		f.Keywords = mail.Keywords("work")
	}
	return f
}

func (w *world) hello(ctx context.Context) error {
	_, err := w.store.Hello(ctx, "")
	if err == nil {
		_, err = w.store.Boxes(ctx)
	}
	return err
}

func (w *world) options() Options {
	o := Options{Policy: w.policy, Store: w.store, Boxes: w.boxes, Memo: w.memo}
	if w.known != nil {
		o.Known = func(_ context.Context, _ mail.Box, known func(mail.Key)) error {
			for k := range w.known {
				known(k)
			}
			return nil
		}
	}
	return o
}

// find is a run that only looks.
func (w *world) find() *Found {
	w.t.Helper()
	w.must(w.hello(w.t.Context()))
	f, err := Find(w.t.Context(), w.options())
	w.must(err)
	w.must(f.Unsaved)
	return f
}

// names are the UIDs of the groups, the one that stays first.
func (f *Found) names() string {
	out := make([]string, 0, f.Groups.Len())
	for g := range f.Groups.Len() {
		var uids []uint32
		for _, i := range f.Groups.At(g) {
			uid, _ := mail.Key(f.Table.Name(f.Table.At(i))).UID()
			uids = append(uids, uid)
		}
		slices.Sort(uids[1:])
		out = append(out, strings.Trim(fmt.Sprint(uids), "[]"))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// journal opens the journal in a session of its own, for as long as fn takes.
func (w *world) journal(fn func(j *Journal) error) error {
	ctx := w.t.Context()
	if err := w.hello(ctx); err != nil {
		return err
	}
	db, err := state.Open(ctx, w.path, state.Options{})
	w.must(err)
	j, err := OpenJournal(ctx, db, w.store, false)
	if err == nil {
		err = fn(j)
	}
	w.must(db.Close())
	return err
}

// remove is a run that removes.
func (w *world) remove(between func()) (res Result, err error) {
	err = w.journal(func(j *Journal) error {
		found, err := Find(w.t.Context(), w.options())
		if err != nil {
			return err
		}
		if between != nil {
			between()
		}
		res, err = Remove(w.t.Context(), RemoveOptions{
			Options: w.options(), Journal: j, Trash: trash, Held: w.held, Allow: w.allow, Now: func() time.Time { return time.Unix(1_800_000_000, 0) },
		}, found)
		return err
	})
	return res, err
}

// restore is a run that brings all back.
func (w *world) restore() (back int, err error) {
	err = w.journal(func(j *Journal) error {
		list, err := j.List(w.t.Context())
		if err != nil {
			return err
		}
		keys, err := j.Restore(w.t.Context(), list)
		for _, k := range keys {
			if k != "" {
				back++
			}
		}
		return err
	})
	return back, err
}

// listed is what the journal knows.
func (w *world) listed() (list []Moved) {
	w.t.Helper()
	w.must(w.journal(func(j *Journal) (err error) {
		list, err = j.List(w.t.Context())
		return err
	}))
	return list
}

// in lists the messages of a mailbox.
func (w *world) in(box mail.Box) (list []memstore.Message) {
	for _, m := range w.server.Dump() {
		if m.Box == box {
			list = append(list, m)
		}
	}
	return list
}

var errStopped = errors.New("stopped")

// stopAt makes the server fail at the n-th of all moments before and after its effects, and tells whether it did.
func (w *world) stopAt(n int) (stopped *bool) {
	stopped = new(bool)
	w.server.Effects = func(memstore.Effect) error {
		if n--; n < 0 {
			*stopped = true
			return errStopped
		}
		return nil
	}
	return stopped
}
