package memstore

import (
	"bytes"
	"context"
	"io"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/storetest"
)

const mutantEnv = "MEMSTORE_MUTANT"

// mutant is a Store with one thing broken: the field that is set.
type mutant struct {
	*Store
	view     func(mail.View) mail.View
	body     func([]byte) []byte
	entry    func(handed, intended mail.Entry) mail.Entry
	done     func([]mail.Done)
	keepAll  bool // Move copies
	takeAll  bool // a copy moves
	noDel    bool // SetFlags does not remove
	replaces bool // SetFlags replaces
	peekless bool // Fetch sets \Seen
	expunges bool // Delete takes all that are \Deleted
	noSettle bool // Settle finds nothing
	greedy   bool // Settle ignores taken
	forgets  bool // DeleteBox deletes what is in it
	stubborn bool // nothing is ever cancelled
	fixed    bool // marks never change
	strict   bool // Fetch fails when a message is gone
	lenient  bool // View makes the mailbox
	liar     bool // Identify does not know dates
	short    bool // the end of a body is not checked
}

// The mutants that the suite must find.
var mutants = map[string]mutant{
	"view/unordered": {view: func(v mail.View) mail.View { return whole(v, slices.Reverse[[]mail.Entry]) }},
	"view/lossy": {view: func(v mail.View) mail.View {
		return whole(v, func(list []mail.Entry) {
			if len(list) > 3 {
				list[3].Key = ""
			}
		})
	}},
	"view/flags": {view: func(v mail.View) mail.View {
		return whole(v, func(list []mail.Entry) {
			for i := range list {
				list[i].Flags.System &^= mail.Draft
			}
		})
	}},
	"view/total": {view: func(v mail.View) mail.View {
		w, ok := v.(mail.Whole)
		if ok && w.Total > 0 {
			w.Total--
			return w
		}
		return v
	}},
	"delta/gone": {view: func(v mail.View) mail.View {
		d, ok := v.(mail.Delta)
		if ok {
			d.Gone = func(func(mail.Key, error) bool) {}
			return d
		}
		return v
	}},
	"put/newline":   {body: func(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }},
	"put/from":      {body: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\nFrom "), []byte("\r\n>From ")) }},
	"put/8-bit":     {body: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte{0xff}, []byte{'?'}) }},
	"put/dots":      {body: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n.."), []byte("\r\n.")) }},
	"put/bare CR":   {body: func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("a\rb"), []byte("a\r\nb")) }},
	"put/header":    {body: func(b []byte) []byte { return append([]byte("X-Seen-By: us\r\n"), b...) }},
	"put/intent":    {entry: func(_, in mail.Entry) mail.Entry { return in }},
	"put/date":      {entry: func(e, _ mail.Entry) mail.Entry { e.Ident.Date++; return e }},
	"put/keywords":  {entry: func(e, _ mail.Entry) mail.Entry { e.Flags.Keywords = ""; return e }},
	"put/keys":      {done: func(d []mail.Done) { slices.Reverse(d) }},
	"put/short":     {short: true},
	"move/keeps":    {keepAll: true},
	"copy/takes":    {takeAll: true},
	"flags/keeps":   {noDel: true},
	"flags/all":     {replaces: true},
	"fetch/seen":    {peekless: true},
	"fetch/gone":    {strict: true},
	"identify/date": {liar: true},
	"delete/all":    {expunges: true},
	"settle/none":   {noSettle: true},
	"settle/taken":  {greedy: true},
	"box/contents":  {forgets: true},
	"box/appears":   {lenient: true},
	"cancel":        {stubborn: true},
	"marks":         {fixed: true},
}

// whole changes the entries of a whole view; those without a key are left out.
func whole(v mail.View, change func([]mail.Entry)) mail.View {
	w, ok := v.(mail.Whole)
	if !ok {
		return v
	}
	var list []mail.Entry
	for e := range w.All {
		list = append(list, e)
	}
	change(list)
	list = slices.DeleteFunc(list, func(e mail.Entry) bool { return e.Key == "" })
	w.All = func(yield func(mail.Entry, error) bool) { pairs(list)(yield) }
	return w
}

func pairs(list []mail.Entry) iter.Seq2[mail.Entry, error] {
	return func(yield func(mail.Entry, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (m *mutant) ctx(ctx context.Context) context.Context {
	if m.stubborn {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

func (m *mutant) Boxes(ctx context.Context) ([]store.Status, error) {
	list, err := m.Store.Boxes(ctx)
	for i := range list {
		if m.fixed {
			list[i].Mark = "fixed"
		}
	}
	return list, err
}

func (m *mutant) View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error) {
	if m.lenient {
		m.CreateUser(box, "")
	}
	v, err := m.Store.View(ctx, box, since)
	if err == nil && m.view != nil {
		v = m.view(v)
	}
	return v, err
}

func (m *mutant) Put(ctx context.Context, box mail.Box, intents []mail.Intent, bodies store.Bodies) ([]mail.Done, error) {
	done, err := m.Store.Put(ctx, box, intents, func(ctx context.Context, each func(int, mail.Entry, mail.Body) error) error {
		return bodies(ctx, func(i int, e mail.Entry, b mail.Body) error {
			if m.entry != nil {
				e = m.entry(e, intents[i].Entry)
			}
			if m.body != nil || m.short {
				data, err := io.ReadAll(b.Reader)
				if err != nil {
					return err
				}
				if m.body != nil {
					data = m.body(data)
				}
				b = mail.Body{Size: int64(len(data)), Reader: bytes.NewReader(data)}
			}
			return each(i, e, b)
		})
	})
	if m.done != nil {
		m.done(done)
	}
	return done, err
}

func (m *mutant) Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error) {
	return m.Store.Move(m.ctx(ctx), from, intents, (keep || m.keepAll) && !m.takeAll)
}

func (m *mutant) SetFlags(ctx context.Context, box mail.Box, keys []mail.Key, add, del mail.Flags) (store.Changed, error) {
	if m.noDel {
		del = mail.Flags{}
	}
	if m.replaces {
		del = mail.Flags{System: mail.AllSystem}
	}
	return m.Store.SetFlags(ctx, box, keys, add, del)
}

func (m *mutant) Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error {
	n := 0
	err := m.Store.Fetch(ctx, box, keys, func(e mail.Entry, b mail.Body) error {
		n++
		if m.peekless {
			m.SetFlagsUser(box, e.Key, mail.Flags{System: mail.Seen}, mail.Flags{})
		}
		return fn(e, b)
	})
	if m.strict && err == nil && n < len(keys) {
		return store.ErrEpoch
	}
	return err
}

func (m *mutant) Identify(ctx context.Context, box mail.Box, keys []mail.Key, full bool, fn func(mail.Key, mail.Ident) error) error {
	return m.Store.Identify(ctx, box, keys, full, func(k mail.Key, id mail.Ident) error {
		if m.liar {
			id.Date = 0
		}
		return fn(k, id)
	})
}

func (m *mutant) Delete(ctx context.Context, box mail.Box, entries []mail.Entry) ([]mail.Key, error) {
	left, err := m.Store.Delete(ctx, box, entries)
	for _, d := range m.Dump() {
		if m.expunges && d.Box == box && d.Marked {
			m.DeleteUser(box, d.Key)
		}
	}
	return left, err
}

func (m *mutant) DeleteBox(ctx context.Context, box mail.Box) error {
	if m.forgets && m.HasBox(box) {
		m.RemoveBox(box)
		return nil
	}
	return m.Store.DeleteBox(ctx, box)
}

func (m *mutant) Settle(ctx context.Context, intents []mail.Intent, taken func(mail.Ref) bool) ([]mail.Done, error) {
	if m.greedy {
		taken = nil
	}
	done, err := m.Store.Settle(ctx, intents, taken)
	if m.noSettle {
		clear(done)
	}
	return done, err
}

// TestMutant is run by TestSuiteFindsMutants in a process of its own, and must fail there.
func TestMutant(t *testing.T) {
	m, ok := mutants[os.Getenv(mutantEnv)]
	if !ok {
		t.Skip("no mutant is named in " + mutantEnv)
	}
	o := suite(Options{Delta: true})
	o.New = func(*testing.T) (store.Store, storetest.User) {
		m := m
		m.Store = New(Options{Delta: true})
		return &m, struct{ storetest.User }{user{m.Store}} // which cannot open the store again without the mutation
	}
	storetest.Run(t, o)
}

// TestSuiteFindsMutants: the suite fails for every store that has one thing broken.
func TestSuiteFindsMutants(t *testing.T) {
	t.Parallel()
	for name := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMutant$", "-test.skip=/Large", "-test.failfast")
			cmd.Env = append(os.Environ(), mutantEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL") || strings.Contains(string(out), "panic") {
				t.Errorf("the suite lives with it: %v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
