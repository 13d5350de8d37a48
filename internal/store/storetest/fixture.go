package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// fixture is one store with its user, for one test.
type fixture struct {
	*testing.T
	Options
	ctx  context.Context
	s    store.Store
	u    User
	caps store.Caps
	made int // messages
}

const rootID = "0123456789abcdef0123456789abcdef"

// open makes a store with a session, a marker if it can have one, and an INBOX.
func open(t *testing.T, o Options) *fixture {
	t.Helper()
	s, u := o.New(t)
	f := &fixture{T: t, Options: o, ctx: t.Context(), s: s, u: u}
	t.Cleanup(func() { f.must(f.s.Close(), "close store") })
	g, err := s.Hello(f.ctx, "")
	f.must(err, "open store")
	f.caps = g.Caps
	if o.Marker {
		f.must(s.SetRoot(f.ctx, rootID, 1), "write marker")
	}
	f.must(s.CreateBox(f.ctx, mail.Inbox, ""), "create INBOX")
	return f
}

func (f *fixture) must(err error, doing string) {
	f.Helper()
	if err != nil {
		f.Fatalf("%s: %v", doing, err)
	}
}

// box makes a mailbox behind the store's back.
func (f *fixture) box(name mail.Box) mail.Box {
	f.Helper()
	f.must(f.u.CreateBox(name), "create mailbox as user")
	return name
}

// age makes marks reliable.
func (f *fixture) age() {
	f.Helper()
	if a, ok := f.u.(Ager); ok {
		f.must(a.Age(), "let time pass")
	}
}

// reopen opens the store as after a crash, where that can be done.
func (f *fixture) reopen() {
	f.Helper()
	r, ok := f.u.(Reopener)
	if !ok {
		return
	}
	f.must(f.s.Close(), "close store")
	s, err := r.Reopen()
	f.must(err, "open the mail again")
	f.s = s
	_, err = s.Hello(f.ctx, "")
	f.must(err, "open store again")
}

// message makes a message that no other is like.
func (f *fixture) message(system mail.System) Message {
	f.made++
	return Message{
		Flags: mail.Flags{System: system},
		Date:  1_000_000_000 + int64(f.made)*100_001,
		Data:  fmt.Appendf(nil, "Message-ID: <%d@storetest>\r\nSubject: number %d\r\n\r\nHello %d\r\n", f.made, f.made, f.made),
	}
}

func (f *fixture) messages(n int) []Message {
	list := make([]Message, n)
	for i := range list {
		list[i] = f.message(0)
	}
	return list
}

// keywords returns a set of keywords, empty where the store has none.
func (f *fixture) keywords(words ...string) string {
	if !f.Keywords {
		return ""
	}
	return mail.Keywords(words...)
}

func identOf(data []byte) mail.Ident {
	d := mail.NewDigester()
	_, _ = d.Write(data)
	return d.Ident()
}

func (m Message) ident() mail.Ident {
	id := identOf(m.Data)
	id.Date = m.Date
	return id
}

func (m Message) entry() mail.Entry { return mail.Entry{Flags: m.Flags, Ident: m.ident()} }

// list is what the user sees, in the order of keys.
func (f *fixture) list(box mail.Box) []Message {
	f.Helper()
	list, err := f.u.List(box)
	f.must(err, "list messages as user")
	slices.SortFunc(list, func(a, b Message) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// deliver adds messages behind the store's back and returns them with their keys.
func (f *fixture) deliver(box mail.Box, msgs ...Message) []Message {
	f.Helper()
	old := f.list(box)
	for _, m := range msgs {
		f.must(f.u.Deliver(box, m), "deliver message as user")
	}
	now := f.list(box)
	used := map[mail.Key]bool{}
	for _, m := range old {
		used[m.Key] = true
	}
	for i := range msgs {
		for _, m := range now {
			if !used[m.Key] && identOf(m.Data) == identOf(msgs[i].Data) {
				used[m.Key], msgs[i].Key = true, m.Key
				break
			}
		}
		if msgs[i].Key == "" {
			f.Fatalf("the user does not find the message that was delivered to %q", box)
		}
	}
	return msgs
}

// describe tells all that a test can compare about a message.
func (f *fixture) describe(m Message) string {
	flags := m.Flags
	if !f.UserKeywords {
		flags.Keywords = ""
	}
	return fmt.Sprintf("%.12x %d %s", identOf(m.Data).Digest, m.Date, strings.ToLower(flags.String()))
}

// holds checks that a mailbox has just these messages, as the user sees it.
func (f *fixture) holds(box mail.Box, want ...Message) {
	f.Helper()
	f.same(fmt.Sprintf("messages in %q", box), texts(f.list(box), f.describe), texts(want, f.describe))
}

func texts[T any](list []T, text func(T) string) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = text(x)
	}
	slices.Sort(out)
	return out
}

// same compares two sorted lists.
func (f *fixture) same(what string, got, want []string) {
	f.Helper()
	if !slices.Equal(got, want) {
		f.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// prepared makes intents to put messages into a mailbox.
func (f *fixture) prepared(box mail.Box, msgs []Message) []mail.Intent {
	f.Helper()
	entries := make([]mail.Entry, len(msgs))
	for i, m := range msgs {
		entries[i] = m.entry()
	}
	tokens, err := f.s.Prepare(f.ctx, box, entries)
	f.must(err, "prepare")
	if len(tokens) != len(msgs) {
		f.Fatalf("%d tokens for %d entries", len(tokens), len(msgs))
	}
	intents := make([]mail.Intent, len(msgs))
	for i := range msgs {
		intents[i] = mail.Intent{
			ID: int64(i + 1), Kind: mail.IntentPut, Box: box, Entry: entries[i], Token: tokens[i],
			From: mail.Ref{Box: box, Key: mail.Key(fmt.Sprintf("source %d", i))},
		}
	}
	return intents
}

// bodies hands out messages by index, in the order given.
func bodies(msgs []Message, order ...int) store.Bodies {
	return func(ctx context.Context, each func(int, mail.Entry, mail.Body) error) error {
		for _, i := range order {
			if err := ctx.Err(); err != nil {
				return err
			}
			m := msgs[i]
			if err := each(i, m.entry(), mail.Body{Size: int64(len(m.Data)), Reader: bytes.NewReader(m.Data)}); err != nil {
				return err
			}
		}
		return nil
	}
}

func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// put stores messages and returns what became of them, keys looked up where the store tells none.
func (f *fixture) put(box mail.Box, msgs ...Message) []mail.Done {
	f.Helper()
	intents := f.prepared(box, msgs)
	done, err := f.s.Put(f.ctx, box, intents, bodies(msgs, upTo(len(msgs))...))
	f.must(err, "put messages")
	return f.resolve(intents, done)
}

// resolve asks for the keys that a store without UIDPLUS does not tell.
func (f *fixture) resolve(intents []mail.Intent, done []mail.Done) []mail.Done {
	f.Helper()
	if len(done) != len(intents) {
		f.Fatalf("%d outcomes for %d intents", len(done), len(intents))
	}
	if f.caps.Keys {
		return done
	}
	settled, err := f.s.Settle(f.ctx, intents, func(mail.Ref) bool { return false })
	f.must(err, "settle")
	for i := range done {
		if done[i].Err == nil {
			done[i].Key, done[i].Stamp = settled[i].Key, settled[i].Stamp
		}
	}
	return done
}

// unknown returns a key that no message has, of the kind that the mailbox has.
func (f *fixture) unknown(like mail.Key) mail.Key {
	if _, ok := like.UID(); ok {
		return mail.UIDKey(4_000_000_000)
	}
	return "1000000000.nosuch.storetest"
}
