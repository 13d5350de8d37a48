package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// world is an account that another tool kept in sync.
type world struct {
	t      *testing.T
	stores [2]*memstore.Store
	faulty store.Store // not nil: in place of the remote one
	db     *state.DB
	old    migrate.Old
	n      int
}

const inbox = mail.Inbox

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, stores: [2]*memstore.Store{
		memstore.New(memstore.Options{Kind: memstore.Maildir, Name: "near"}), memstore.New(memstore.Options{Kind: memstore.IMAP, Name: "far"}),
	}}
	_, err := w.stores[1].Hello(t.Context(), "")
	must(t, err)
	db, err := state.Memory(context.Background())
	must(t, err)
	w.db = db
	t.Cleanup(func() { _ = db.Close() })
	w.old.Tool = "mbsync"
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func text(n int, more string) []byte {
	return fmt.Appendf(nil, "Message-ID: <%d@example.org>\r\nSubject: message %d\r\n\r\nbody %d%s\r\n", n, n, n, more)
}

// both puts messages on both sides and into the old state.
func (w *world) both(box mail.Box, n int) {
	f := w.folder(box)
	list := slices.Collect(entries(w.t, f))
	for range n {
		w.n++
		list = append(list, w.put(box, text(w.n, ""), text(w.n, "")))
	}
	f.Entries = from(list)
}

// put puts what need not be the same on both sides; nil: nothing.
func (w *world) put(box mail.Box, local, remote []byte) (e migrate.Entry) {
	e.Flags = mail.ParseFlags([]string{`\Seen`})
	if local != nil {
		e.File = string(w.stores[0].Deliver(box, e.Flags, local, 1_700_000_000))
	}
	if remote != nil {
		e.UID, _ = w.stores[1].Deliver(box, e.Flags, remote, 1_700_000_000).UID()
	}
	return e
}

func (w *world) folder(box mail.Box) *migrate.Folder {
	for i := range w.old.Folders {
		if w.old.Folders[i].Box == box {
			return &w.old.Folders[i]
		}
	}
	w.stores[0].CreateUser(box, "")
	w.stores[1].CreateUser(box, "")
	w.old.Folders = append(w.old.Folders, migrate.Folder{Box: box, Validity: w.validity(box), Entries: from(nil)})
	return &w.old.Folders[len(w.old.Folders)-1]
}

// validity is that of a mailbox on the server.
func (w *world) validity(box mail.Box) uint32 {
	v, err := w.stores[1].View(w.t.Context(), box, "")
	must(w.t, err)
	n, err := strconv.ParseUint(v.At().Epoch, 10, 32)
	must(w.t, err)
	return uint32(n)
}

func from(list []migrate.Entry) func(func(migrate.Entry, error) bool) {
	return func(yield func(migrate.Entry, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func entries(t *testing.T, f *migrate.Folder) func(func(migrate.Entry) bool) {
	return func(yield func(migrate.Entry) bool) {
		for e, err := range f.Entries {
			if must(t, err); !yield(e) {
				return
			}
		}
	}
}

func (w *world) engine() engine.Options {
	o := engine.Options{Account: "a", Stores: [2]store.Store{w.stores[0], w.stores[1]}, State: w.db, NewID: func() string { return "id" }, Now: func() time.Time { return time.Unix(1_700_000_100, 0) }}
	if w.faulty != nil {
		o.Stores[1] = w.faulty
	}
	return o
}

func (w *world) try(change func(*migrate.Options)) (migrate.Result, error) {
	w.t.Helper()
	o := migrate.Options{Old: w.old, Stores: w.engine().Stores, State: w.db}
	if change != nil {
		change(&o)
	}
	e := w.engine()
	e.DryRun = o.DryRun
	greet, err := engine.Connect(w.t.Context(), e)
	must(w.t, err)
	o.Greet = greet
	return migrate.Import(w.t.Context(), o)
}

func (w *world) take() migrate.Box {
	w.t.Helper()
	res, err := w.try(nil)
	must(w.t, err)
	return res.Sum()
}

// sync syncs, and makes sure that nothing is deleted or doubled.
func (w *world) sync() engine.Summary {
	w.t.Helper()
	before := w.count()
	res, err := engine.Sync(w.t.Context(), w.engine())
	must(w.t, err)
	if s := res.Summary; s.DeletedLocal+s.DeletedRemote+s.Errors > 0 {
		w.t.Fatalf("%+v %v", s, res.Errors)
	}
	for what, n := range w.count() {
		if n > max(1, before[what]) {
			w.t.Fatalf("%s is there %d times", what, n)
		}
	}
	for what := range before {
		if w.count()[what] == 0 {
			w.t.Fatalf("%s is lost", what)
		}
	}
	return res.Summary
}

// count counts contents by side.
func (w *world) count() map[string]int {
	n := map[string]int{}
	for side, s := range w.stores {
		for _, m := range s.Dump() {
			n[fmt.Sprint(side, m.Ident.Digest)]++
		}
	}
	return n
}

// TestImport: what holds becomes pairs, and what does not is left to the first sync, which neither doubles nor deletes.
func TestImport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(*world)
		want   migrate.Box // of all mailboxes
		sync   engine.Summary
	}{
		"all well": {func(*world) {}, migrate.Box{Known: 10, Paired: 10, Compared: 3}, engine.Summary{}},
		"another UIDVALIDITY": {
			func(w *world) { w.old.Folders[0].Validity++ }, migrate.Box{Known: 10, Why: "UIDVALIDITY"}, engine.Summary{Adopted: 10},
		},
		"no UIDVALIDITY": {
			func(w *world) { w.old.Folders[0].Validity = 0 }, migrate.Box{Why: "does not say"}, engine.Summary{Adopted: 10},
		},
		"distrust": {
			func(w *world) { w.old.Folders[0].Distrust = "torn" }, migrate.Box{Why: "torn"}, engine.Summary{Adopted: 10},
		},
		"one local file gone": {
			func(w *world) { w.stores[0].DeleteUser(inbox, mail.Key(w.entry(3).File)) },
			migrate.Box{Known: 10, Paired: 9, Compared: 3, Missing: [2]int{1, 0}},
			engine.Summary{HeldBack: 1},
		},
		"one gone on the server": {
			func(w *world) { w.stores[1].DeleteUser(inbox, mail.UIDKey(w.entry(3).UID)) },
			migrate.Box{Known: 10, Paired: 9, Compared: 3, Missing: [2]int{0, 1}},
			engine.Summary{HeldBack: 1},
		},
		"one gone on both": {
			func(w *world) {
				w.stores[0].DeleteUser(inbox, mail.Key(w.entry(3).File))
				w.stores[1].DeleteUser(inbox, mail.UIDKey(w.entry(3).UID))
			}, migrate.Box{Known: 10, Paired: 9, Compared: 3, Gone: 1}, engine.Summary{},
		},
		"moved meanwhile": {
			func(w *world) { w.folder("Work"); w.stores[0].MoveUser(inbox, mail.Key(w.entry(3).File), "Work") },
			migrate.Box{Known: 10, Paired: 9, Compared: 3, Missing: [2]int{1, 0}},
			engine.Summary{MovedRemote: 1},
		},
		"shifted by one": {
			func(w *world) {
				list := slices.Collect(entries(w.t, &w.old.Folders[0]))
				for i := range list[:9] {
					list[i].UID = list[i+1].UID
				}
				w.old.Folders[0].Entries = from(list[:9])
			}, migrate.Box{Known: 9, Why: "not the same on both sides"}, engine.Summary{Adopted: 10},
		},
		"one entry wrong": {
			func(w *world) {
				list := slices.Collect(entries(w.t, &w.old.Folders[0]))
				list[3].UID, list[4].UID = list[4].UID, list[3].UID
				w.old.Folders[0].Entries = from(list)
			}, migrate.Box{Known: 10, Paired: 8, Compared: 3, Doubtful: 2}, engine.Summary{Adopted: 2},
		},
		"entries doubled": {
			func(w *world) {
				list := slices.Collect(entries(w.t, &w.old.Folders[0]))
				list = append(list, migrate.Entry{UID: list[0].UID, File: list[5].File})
				w.old.Folders[0].Entries = from(list)
			}, migrate.Box{Known: 11, Paired: 9, Compared: 3, Doubtful: 2}, engine.Summary{Adopted: 1},
		},
		"two folders are one mailbox": {
			func(w *world) { w.old.Folders = append(w.old.Folders, w.old.Folders[0]) }, migrate.Box{Why: "several folders"}, engine.Summary{Adopted: 10},
		},
		"the state ends with an error": {
			func(w *world) {
				list := w.old.Folders[0].Entries
				w.old.Folders[0].Entries = func(yield func(migrate.Entry, error) bool) {
					n := 0
					for e := range list {
						if n++; n > 5 {
							yield(migrate.Entry{}, errors.New("torn"))
							return
						}
						if !yield(e, nil) {
							return
						}
					}
				}
			}, migrate.Box{Why: "cannot be read to the end"}, engine.Summary{Adopted: 10},
		},
		"a mailbox that is not there": {
			func(w *world) {
				w.old.Folders = append(w.old.Folders, migrate.Folder{Box: "Gone", Validity: 1, Entries: w.old.Folders[0].Entries})
			}, migrate.Box{Known: 10, Paired: 10, Compared: 3, Why: "on neither side"}, engine.Summary{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.both(inbox, 10)
			c.damage(w)
			res, err := w.try(nil)
			must(t, err)
			got, why := res.Sum(), ""
			for _, b := range res.Boxes {
				why += b.Why
			}
			if c.want.Why != "" && !strings.Contains(why, c.want.Why) || c.want.Why == "" && why != "" {
				t.Errorf("why: %q", why)
			}
			if c.want.Why = ""; got != c.want {
				t.Errorf("took %+v, want %+v", got, c.want)
			}
			s := w.sync()
			if s.CopiedToLocal+s.CopiedToRemote > 0 || s.Adopted != c.sync.Adopted || s.HeldBack != c.sync.HeldBack || s.MovedRemote != c.sync.MovedRemote {
				t.Errorf("the first sync: %+v", s)
			}
		})
	}
}

// entry is one of the old state's first folder.
func (w *world) entry(i int) migrate.Entry {
	return slices.Collect(entries(w.t, &w.old.Folders[0]))[i]
}

// TestImportAgain: a dry run and a second import change nothing, and what is synced already is not overwritten.
func TestImportAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.both(inbox, 5)
	if res, err := w.try(func(o *migrate.Options) { o.DryRun = true }); err != nil || res.Sum().Paired != 5 {
		t.Fatalf("%+v %v", res, err)
	}
	if boxes, err := w.db.Boxes(t.Context()); err != nil || len(boxes) > 0 {
		t.Fatalf("a dry run wrote %v, %v", boxes, err)
	}
	if got := w.take(); got.Paired != 5 {
		t.Fatalf("%+v", got)
	}
	if res, err := w.try(nil); err != nil || !res.Already {
		t.Fatalf("%+v %v", res, err)
	}
	w.old.Tool = "offlineimap"
	if _, err := w.try(nil); err == nil || !strings.Contains(err.Error(), "synced already") || !strings.Contains(mail.HintOf(err), "state rebuild") {
		t.Fatalf("%v", err)
	}
}

// TestImportMended: an import that took nothing over is no reason not to try again.
func TestImportMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.both(inbox, 5)
	w.old.Folders[0].Distrust = "the UIDs are in a Berkeley database"
	if got := w.take(); got.Paired != 0 {
		t.Fatalf("%+v", got)
	}
	w.old.Folders[0].Distrust = ""
	if got := w.take(); got.Paired != 5 {
		t.Fatalf("%+v", got)
	}
}

// TestImportFails: whatever call of the server fails, the base stays empty, and another import does it all.
func TestImportFails(t *testing.T) {
	t.Parallel()
	for _, method := range []memstore.Method{memstore.Boxes, memstore.View, memstore.Identify, memstore.Fetch} {
		w := newWorld(t)
		w.both(inbox, 5)
		w.both("Work", 5)
		broken := errors.New("broken")
		w.faulty = memstore.FailOnce(w.stores[1], method, broken)
		if _, err := w.try(nil); !errors.Is(err, broken) {
			t.Fatalf("%v: %v", method, err)
		}
		if boxes, err := w.db.Boxes(t.Context()); err != nil || len(boxes) > 0 {
			t.Fatalf("%v: a failed import wrote %v, %v", method, boxes, err)
		}
		w.faulty = nil
		if got := w.take(); got.Paired != 10 {
			t.Fatalf("%v: %+v", method, got)
		}
		w.sync()
	}
}

// TestImportPlaces: a folder that would be another mailbox here is told, before anything is taken over.
func TestImportPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.both(inbox, 1)
	dir := t.TempDir()
	w.old.Folders[0].Dir = dir
	must(t, os.Mkdir(dir+"/cur", 0o700))
	_, err := w.try(func(o *migrate.Options) { o.Dir = func(mail.Box) (string, error) { return dir + "/elsewhere", nil } })
	if !errors.Is(err, store.ErrSetup) || !strings.Contains(err.Error(), "elsewhere") || !strings.Contains(mail.HintOf(err), "mv '"+dir+"' '"+dir+"/elsewhere'") {
		t.Fatalf("%v %s", err, mail.HintOf(err))
	}
	w.old.Folders[0].Place = "/it's/there"
	_, err = w.try(func(o *migrate.Options) { o.Dir = func(mail.Box) (string, error) { return "", store.ErrGone } })
	if want := `mkdir -p '/it'\''s' && mv '` + dir + `' '/it'\''s/there'`; !strings.Contains(mail.HintOf(err), want) {
		t.Fatalf("%v %s", err, mail.HintOf(err))
	}
}
