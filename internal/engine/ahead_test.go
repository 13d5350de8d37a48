package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
	"mailtwin/internal/store/memstore"
)

// flagSetter is a store that is watched while it sets flags.
type flagSetter struct {
	*memstore.Store
	watch *flagWatch
}

// flagWatch notes in which phase flags were set on which messages.
type flagWatch struct {
	mu      sync.Mutex
	phase   Phase
	keys    map[Phase][]mail.Key
	calls   int
	before  func(call int) error // asked before each call, counted from 1; nil: nothing fails
	secure  error                // of each call of Secure
	durable func(call int) error // asked when what a call did is to become durable; nil: nothing fails
	lacks   mail.Flags           // what the store says that it cannot hold
	errs    int                  // events
}

func (s *flagSetter) ChangeFlags(ctx context.Context, box mail.Box, entries []mail.Entry, add, del mail.Flags) (store.Changed, error) {
	w := s.watch
	w.mu.Lock()
	w.calls++
	call, before := w.calls, w.before
	w.mu.Unlock()
	if before != nil {
		if err := before(call); err != nil {
			return store.Changed{}, err
		}
	}
	did, err := s.Store.ChangeFlags(ctx, box, entries, add, del)
	if err == nil {
		w.mu.Lock()
		for _, e := range entries {
			w.keys[w.phase] = append(w.keys[w.phase], e.Key)
		}
		w.mu.Unlock()
	}
	if w.durable != nil {
		did.Secure = func() error { return w.durable(call) }
	}
	did.Lacks = did.Lacks.Union(w.lacks)
	return did, err
}

func (s *flagSetter) Secure(ctx context.Context, box mail.Box, keys []mail.Key) error {
	if s.watch.secure != nil {
		return s.watch.secure
	}
	return s.Store.Secure(ctx, box, keys)
}

func (w *flagWatch) event(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Kind {
	case EventPhase:
		w.phase = e.Phase
	case EventError:
		w.errs++
	default:
	}
}

// aheadNews is how many messages have other flags: more than one batch of what is done ahead, with a rest.
const aheadNews = 30

// aheadWorld has a mailbox of 40 messages on both sides that were synced, and news of a few at a time. One side is watched.
func aheadWorld(t *testing.T, news mail.Side) (*world, *flagWatch) {
	t.Helper()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Delta: true})
	if news == mail.Local {
		w = newWorld(t, memstore.Options{Delta: true}, memstore.Options{Delta: true})
	}
	watch := &flagWatch{keys: map[Phase][]mail.Key{}}
	w.wrap = func(side mail.Side, s store.Store) store.Store {
		if side == news {
			return s
		}
		return &flagSetter{s.(*memstore.Store), watch}
	}
	w.o.deltaChunk = 4
	w.o.Events = watch.event
	w.fill(mail.Remote, "INBOX", 0, 40)
	w.fill(mail.Remote, "Archive", 40, 60)
	w.sync()
	w.sync()
	watch.keys, watch.calls = map[Phase][]mail.Key{}, 0
	return w, watch
}

// flagSome has a user change the flags of the first messages of INBOX on a side, in two ways that alternate. It returns their keys.
func (w *world) flagSome(side mail.Side, n int) []mail.Key {
	keys := slices.Sorted(slices.Values(w.keys(side, "INBOX")))[:n]
	for i, k := range keys {
		w.stores[side].SetFlagsUser("INBOX", k, flags([]string{`\Seen`, "work"}[i%2]), mail.Flags{})
	}
	return keys
}

// TestFlagsAhead: flags that one side alone changed are set on the other before the plan is made, if they are many; what else is new in
// the mailbox is done as always. It makes no difference whether their pairs were read early.
func TestFlagsAhead(t *testing.T) {
	t.Parallel()
	for _, news := range mail.Sides {
		for name, from := range map[string]int{"untold": 0, "told": 1, "told of some": 3} {
			for n, phase := range map[int]Phase{aheadNews: PhaseView, 2: PhaseFlags} {
				t.Run(fmt.Sprintf("%d on the %s side, %s", n, news, name), func(t *testing.T) {
					t.Parallel()
					w, watch := aheadWorld(t, news)
					if watched := w.wrap; from > 0 {
						w.o.packFrom = 8192
						w.wrap = func(side mail.Side, s store.Store) store.Store {
							if side == news {
								return &teller{Store: s, from: from}
							}
							return watched(side, s)
						}
					}
					w.flagSome(news, n)
					w.fill(news, "INBOX", 60, 61)
					s := w.sync().Summary
					if got := [2]int{s.FlaggedLocal, s.FlaggedRemote}; got[news.Other()] != n || got[news] != 0 || s.CopiedToLocal+s.CopiedToRemote != 1 {
						t.Errorf("%+v", s)
					}
					if len(watch.keys[phase]) != n || len(watch.keys) != 1 {
						t.Errorf("set in phases %v, want %d in %v", watch.keys, n, phase)
					}
					w.equal(61)
					w.still()
				})
			}
		}
	}
}

// TestFlagsAheadMany: what is told at once is set in portions, to the last one.
func TestFlagsAheadMany(t *testing.T) {
	t.Parallel()
	w, watch := aheadWorld(t, mail.Remote)
	w.fill(mail.Remote, "INBOX", 100, 100+aheadSize+200)
	w.sync()
	w.sync()
	const n = aheadSize + 150
	w.o.deltaChunk = n
	w.flagSome(mail.Remote, n)
	if s := w.sync().Summary; len(watch.keys[PhaseView]) != n || s.FlaggedLocal != n || watch.calls < 4 {
		t.Errorf("%d ahead in %d calls, %+v", len(watch.keys[PhaseView]), watch.calls, s)
	}
	w.equal(60 + aheadSize + 200)
	w.still()
}

// TestFlagsAheadBoxes: several mailboxes at a time set flags ahead, and the account is marked as under change once.
func TestFlagsAheadBoxes(t *testing.T) {
	t.Parallel()
	w, watch := aheadWorld(t, mail.Remote)
	boxes := []mail.Box{"A", "B", "C", "D"}
	for _, box := range boxes {
		w.fill(mail.Remote, box, 100, 130)
	}
	w.sync()
	w.sync()
	for _, box := range boxes {
		for i, k := range w.keys(mail.Remote, box) {
			w.stores[1].SetFlagsUser(box, k, flags([]string{`\Seen`, "work"}[i%2]), mail.Flags{})
		}
	}
	before, err := w.db.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := w.options()
	o.Workers = len(boxes)
	res, err := Sync(t.Context(), o)
	if n := 30 * len(boxes); err != nil || res.Summary.FlaggedLocal != n || len(watch.keys[PhaseView]) != n {
		t.Errorf("%v, %d ahead, %+v", err, len(watch.keys[PhaseView]), res.Summary)
	}
	if after, err := w.db.Account(t.Context()); err != nil || after.Run != before.Run+1 || after.NextRun != after.Run {
		t.Errorf("%+v, was %+v, %v", after, before, err)
	}
	w.now = w.now.Add(time.Minute)
	w.equal(60 + 30*len(boxes))
	w.still()
}

// TestFlagsAheadEdited: a message that has new content on one side and got other flags on the other one ahead of that has both.
func TestFlagsAheadEdited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir, QuietEdits: true}, memstore.Options{Delta: true})
	w.o.deltaChunk = 2
	w.stores[mail.Remote].CreateUser("INBOX", `\Drafts`)
	w.fill(mail.Remote, "INBOX", 0, 12)
	w.sync()
	w.sync()
	for i, k := range w.keys(mail.Local, "INBOX")[:3] {
		w.stores[mail.Local].Edit("INBOX", k, fmt.Appendf(nil, "Message-ID: <new%d@x>\r\n\r\nedited %d\r\n", i, i))
	}
	w.flagSome(mail.Remote, 12)
	w.sync()
	w.equal(12)
	edited := 0
	for _, m := range w.stores[mail.Remote].Dump() {
		if m.Flags.Empty() {
			t.Errorf("%q lost its flags", m.Data)
		}
		if strings.Contains(string(m.Data), "edited") {
			edited++
		}
	}
	if edited != 3 {
		t.Errorf("%d of 3 new versions are on the other side", edited)
	}
	w.still()
}

// TestFlagsWait: flags wait for the plan where that may still bring something that bears on them.
func TestFlagsWait(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do   func(w *world)
		want int
	}{
		"the other side changed": {func(w *world) {
			w.stores[0].SetFlagsUser("INBOX", w.keys(mail.Local, "INBOX")[35], flags(`\Flagged`), mail.Flags{})
		}, 60},
		"a message is gone":       {func(w *world) { w.stores[1].DeleteUser("INBOX", w.keys(mail.Remote, "INBOX")[35]) }, 59},
		"a message came and went": {func(w *world) { w.stores[1].DeleteUser("INBOX", w.fill(mail.Remote, "INBOX", 90, 91)[0]) }, 60},
		"expunge on this side":    {func(w *world) { w.o.Expunge = plan.ExpungeLocal }, 60},
		"expunge on the other":    {func(w *world) { w.o.Expunge = plan.ExpungeRemote }, 60},
		"one side is an older copy": {func(w *world) {
			old := w.stores[0].Snapshot()
			w.stores[1].SetFlagsUser("Archive", w.keys(mail.Remote, "Archive")[0], flags(`\Flagged`), mail.Flags{})
			w.sync()
			w.stores[0].Restore(old)
		}, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, watch := aheadWorld(t, mail.Remote)
			test.do(w)
			w.flagSome(mail.Remote, aheadNews)
			res := w.sync()
			if n := len(watch.keys[PhaseView]); n > 0 || res.Summary.FlaggedLocal < aheadNews {
				t.Errorf("%d ahead, %+v", n, res.Summary)
			}
			w.sync()
			w.equal(test.want)
			w.still()
		})
	}
}

// TestFlagsWaitForBoth: the side that is looked at first has much news, and the other one, which is looked at later, changed too.
func TestFlagsWaitForBoth(t *testing.T) {
	t.Parallel()
	w, watch := aheadWorld(t, mail.Local)
	w.stores[1].SetFlagsUser("INBOX", w.keys(mail.Remote, "INBOX")[0], flags(`\Flagged`), mail.Flags{})
	w.flagSome(mail.Local, aheadNews)
	if s := w.sync().Summary; len(watch.keys[PhaseView]) > 0 || s.FlaggedRemote != aheadNews || s.FlaggedLocal != 1 {
		t.Errorf("%d ahead, %+v", len(watch.keys[PhaseView]), s)
	}
	w.equal(60)
	w.still()
}

// TestFlagsWaitForLooks: a mailbox that is looked at again, since messages of another one are gone, may have changed on both sides since
// it was listed.
func TestFlagsWaitForLooks(t *testing.T) {
	t.Parallel()
	w, watch := aheadWorld(t, mail.Remote)
	w.stores[1].DeleteUser("Archive", w.keys(mail.Remote, "Archive")[3])
	listed := 0
	w.stores[1].Reads = func(r memstore.Read) error {
		if r.Method == memstore.View && r.Box == "Archive" && r.Key == "" {
			if listed++; listed == 1 {
				w.stores[0].SetFlagsUser("INBOX", w.keys(mail.Local, "INBOX")[0], flags(`\Flagged`), mail.Flags{})
				w.flagSome(mail.Remote, aheadNews)
			}
		}
		return nil
	}
	if s := w.sync().Summary; len(watch.keys[PhaseView]) > 0 || s.FlaggedLocal != aheadNews || s.FlaggedRemote != 1 || s.DeletedLocal != 1 {
		t.Errorf("%d ahead, %+v", len(watch.keys[PhaseView]), s)
	}
	w.equal(59)
	w.still()
}

// TestFlagsAheadDryRun: a dry run sets nothing.
func TestFlagsAheadDryRun(t *testing.T) {
	t.Parallel()
	w, watch := aheadWorld(t, mail.Remote)
	w.flagSome(mail.Remote, aheadNews)
	w.o.DryRun = true
	if res := w.sync(); res.Summary.FlaggedLocal != aheadNews || len(res.Plan) != aheadNews || watch.calls > 0 {
		t.Errorf("%d of %d, %d calls", len(res.Plan), aheadNews, watch.calls)
	}
	w.o.DryRun = false
	w.sync()
	w.equal(60)
	w.still()
}

// TestFlagsAheadLeft: pairs that lack a message, or have two different ones, are left to the plan; those around them are not.
func TestFlagsAheadLeft(t *testing.T) {
	t.Parallel()
	refuse := true
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir, Refuse: func(_ mail.Box, _ mail.Entry, text []byte) error {
		if refuse && string(text) == string(body(5)) {
			return errors.New("refused")
		}
		return nil
	}}, memstore.Options{Delta: true})
	watch := &flagWatch{keys: map[Phase][]mail.Key{}}
	w.wrap = func(side mail.Side, s store.Store) store.Store {
		if side == mail.Remote {
			return s
		}
		return &flagSetter{s.(*memstore.Store), watch}
	}
	w.o.deltaChunk = 4
	w.o.Events = watch.event
	altered := w.stores[0].Deliver("INBOX", flags(), []byte("Message-ID: <a@x>\r\n\r\nlocal version\r\n"), 17)
	w.stores[1].Deliver("INBOX", flags(), []byte("Message-ID: <a@x>\r\n\r\nremote version, another one\r\n"), 17)
	w.fill(mail.Remote, "INBOX", 0, 30)
	for range 3 {
		w.sync()
	}
	watch.keys = map[Phase][]mail.Key{}
	w.flagSome(mail.Remote, 31)
	s := w.sync().Summary
	if ahead, later := watch.keys[PhaseView], watch.keys[PhaseFlags]; len(ahead) != 29 || !slices.Equal(later, []mail.Key{altered}) || s.FlaggedLocal != 30 {
		t.Errorf("%d ahead, later %v, %+v", len(ahead), later, s)
	}
	refuse = false
	w.now = w.now.Add(48 * time.Hour)
	w.sync()
	if local, remote := w.stores[0].Dump(), w.stores[1].Dump(); len(local) != 31 || len(remote) != 31 {
		t.Errorf("%d and %d messages", len(local), len(remote))
	} else {
		for _, side := range [2][]memstore.Message{local, remote} {
			seen := slices.DeleteFunc(side, func(m memstore.Message) bool { return !m.Flags.Equal(flags(`\Seen`)) })
			if len(seen) != 16 {
				t.Errorf("%d have been read, want 16", len(seen))
			}
		}
	}
	w.still()
}

// TestFlagsAheadOfLooks: our own effects change a mailbox that is asked for again: because messages of another one are gone, or because
// the server's arithmetic is wrong. All is done in the same run, and counts once.
func TestFlagsAheadOfLooks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do   func(w *world)
		gone int
		moved,
		want int
	}{
		"a removal elsewhere": {func(w *world) { w.stores[1].DeleteUser("Archive", w.keys(mail.Remote, "Archive")[3]) }, 1, 0, 59},
		"moves elsewhere, and a removal": {func(w *world) {
			for _, k := range w.keys(mail.Remote, "Archive")[:2] {
				w.stores[1].MoveUser("Archive", k, "Old")
			}
			w.stores[1].DeleteUser("Archive", w.keys(mail.Remote, "Archive")[3])
			w.fill(mail.Remote, "Old", 90, 91)
		}, 1, 2, 60},
		"moves elsewhere": {func(w *world) {
			for _, k := range w.keys(mail.Remote, "Archive")[:2] {
				w.stores[1].MoveUser("Archive", k, "Old")
			}
		}, 0, 2, 60},
		"a wrong total": {func(w *world) {
			watched := w.wrap
			w.wrap = func(side mail.Side, s store.Store) store.Store {
				if side == mail.Remote {
					return &miscounter{s.(*memstore.Store)}
				}
				return watched(side, s)
			}
		}, 0, 0, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, watch := aheadWorld(t, mail.Remote)
			test.do(w)
			w.flagSome(mail.Remote, aheadNews)
			s := w.sync().Summary
			if len(watch.keys[PhaseView]) != aheadNews || s.FlaggedLocal != aheadNews || s.DeletedLocal != test.gone || s.MovedLocal != test.moved || s.HeldBack > 0 {
				t.Errorf("%d ahead, %+v", len(watch.keys[PhaseView]), s)
			}
			w.equal(test.want)
			w.still()
		})
	}
}

// TestFlagsAheadTold: a run that goes on after all flags were set and the server was lost finds nothing more to do, and tells of them all
// the same.
func TestFlagsAheadTold(t *testing.T) {
	t.Parallel()
	w, watch := aheadWorld(t, mail.Remote)
	w.o.Retries, w.o.RetryPause = 1, 1
	w.flagSome(mail.Remote, aheadNews)
	lost := false
	w.stores[1].Reads = func(r memstore.Read) error {
		if r.Method == memstore.End && !lost {
			lost = true
			return store.ErrUnreachable
		}
		return nil
	}
	at := w.now
	s := w.sync().Summary
	if !lost || s.FlaggedLocal != aheadNews || len(watch.keys[PhaseView]) != aheadNews {
		t.Errorf("lost %v, %d ahead, %+v", lost, len(watch.keys[PhaseView]), s)
	}
	account, err := w.db.Account(t.Context())
	if err != nil || !account.LastSync.Equal(at) || account.Run != account.NextRun || !strings.Contains(account.Summary, fmt.Sprintf(`"flagged_local":%d`, aheadNews)) {
		t.Errorf("%v, %+v, want a sync at %v", err, account, at)
	}
	w.equal(60)
	w.still()
}

// miscounter has one message more than it tells of.
type miscounter struct{ *memstore.Store }

func (s *miscounter) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	v, err := s.Store.View(ctx, box, since)
	if d, ok := v.(mail.Delta); ok {
		d.Total++
		v = d
	}
	return v, err
}

// TestFlagsAheadFirst: before the first flag is set, the account is marked as under change: a Maildir that is restored from before that
// is known for an older copy.
func TestFlagsAheadFirst(t *testing.T) {
	t.Parallel()
	w, watch := aheadWorld(t, mail.Remote)
	old := w.stores[0].Snapshot()
	var account state.Account
	watch.before = func(call int) error {
		if call > 1 {
			return nil
		}
		var err error
		account, err = w.db.Account(t.Context())
		return err
	}
	before, err := w.db.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.flagSome(mail.Remote, aheadNews)
	if w.sync(); account.Run <= before.Run {
		t.Errorf("run %d, was %d", account.Run, before.Run)
	}
	w.stores[0].Restore(old)
	w.sync()
	w.sync()
	w.equal(60)
	kept := 0
	for _, m := range w.stores[1].Dump() {
		if !m.Flags.Empty() {
			kept++
		}
	}
	if kept != aheadNews {
		t.Errorf("%d of %d messages kept their flags when an older copy was restored", kept, aheadNews)
	}
}
