package storetest

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// seen is a view that was read to its end.
type seen struct {
	mail.Head
	delta   bool
	entries []mail.Entry
	gone    []mail.Key
	mark    mail.Mark
}

// view reads a view and checks what every view must keep to.
func (f *fixture) view(box mail.Box, since mail.Mark) seen {
	f.Helper()
	v, err := f.s.View(f.ctx, box, since)
	f.must(err, "view")
	got := seen{Head: v.At()}
	switch v := v.(type) {
	case mail.Whole:
		got.entries = ordered(f, v.All, entryKey)
	case mail.Delta:
		got.delta = true
		got.entries = ordered(f, v.Changed, entryKey)
		got.gone = ordered(f, v.Gone, func(k mail.Key) mail.Key { return k })
	}
	if got.mark, err = got.End(); err != nil {
		f.Fatalf("end view: %v", err)
	}
	if got.Box != box || got.Epoch == "" {
		f.Errorf("the view says mailbox %q, epoch %q; want mailbox %q", got.Box, got.Epoch, box)
	}
	return got
}

func entryKey(e mail.Entry) mail.Key { return e.Key }

// ordered reads what a view yields, which must come in the order of keys, each once.
func ordered[T any](f *fixture, all iter.Seq2[T, error], key func(T) mail.Key) []T {
	f.Helper()
	var list []T
	for x, err := range all {
		f.must(err, "read view")
		if n := len(list); n > 0 && key(list[n-1]) >= key(x) {
			f.Errorf("key %q comes after %q", key(x), key(list[n-1]))
		}
		list = append(list, x)
	}
	return list
}

// whole is the whole view of a mailbox; it must agree with what the user sees.
func (f *fixture) whole(box mail.Box) seen {
	f.Helper()
	got := f.view(box, "")
	if got.delta {
		f.Error("a view since nothing is a Delta")
	}
	if got.Total != -1 && got.Total != len(got.entries) {
		f.Errorf("the view has %d messages and says %d", len(got.entries), got.Total)
	}
	f.agrees(box, got.entries)
	return got
}

// agrees compares entries with what the user sees.
func (f *fixture) agrees(box mail.Box, entries []mail.Entry) {
	f.Helper()
	flags := func(x mail.Flags) string {
		if !f.UserKeywords {
			x.Keywords = ""
		}
		return strings.ToLower(x.String())
	}
	f.same(fmt.Sprintf("view of %q", box),
		texts(entries, func(e mail.Entry) string { return fmt.Sprintf("%q %s", e.Key, flags(e.Flags)) }),
		texts(f.list(box), func(m Message) string { return fmt.Sprintf("%q %s", m.Key, flags(m.Flags)) }))
}

// entry returns what the store shows of one message.
func (f *fixture) entry(box mail.Box, k mail.Key) mail.Entry {
	f.Helper()
	entries := f.view(box, "").entries
	i, ok := slices.BinarySearchFunc(entries, k, func(e mail.Entry, k mail.Key) int { return cmp.Compare(e.Key, k) })
	if !ok {
		f.Fatalf("the view of %q lacks %q", box, k)
	}
	return entries[i]
}

// applied is a whole view brought up to date with a later one.
func applied(old []mail.Entry, v seen) []mail.Entry {
	if !v.delta {
		return v.entries
	}
	now := map[mail.Key]mail.Entry{}
	for _, e := range old {
		now[e.Key] = e
	}
	for _, e := range v.entries {
		now[e.Key] = e
	}
	for _, k := range v.gone {
		delete(now, k)
	}
	list := make([]mail.Entry, 0, len(now))
	for _, e := range now {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b mail.Entry) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// boxes lists the mailboxes and checks the list.
func (f *fixture) boxes() map[mail.Box]store.Status {
	f.Helper()
	list, err := f.s.Boxes(f.ctx)
	f.must(err, "list mailboxes")
	byName := map[mail.Box]store.Status{}
	for i, st := range list {
		if i > 0 && list[i-1].Box >= st.Box {
			f.Errorf("mailbox %q is listed after %q", st.Box, list[i-1].Box)
		}
		if st.Err != nil {
			f.Errorf("mailbox %q: %v", st.Box, st.Err)
		}
		byName[st.Box] = st
	}
	return byName
}

// status is one line of the list.
func (f *fixture) status(box mail.Box) store.Status {
	f.Helper()
	st, ok := f.boxes()[box]
	if !ok {
		f.Fatalf("mailbox %q is not listed", box)
	}
	return st
}

// keysOf returns the keys of messages.
func keysOf(msgs []Message) []mail.Key {
	keys := make([]mail.Key, len(msgs))
	for i, m := range msgs {
		keys[i] = m.Key
	}
	return keys
}
