package online

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/dedupe/sift"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Options of Find.
type Options struct {
	Policy   dedupe.Policy
	Store    store.Store // greeted
	Boxes    []mail.Box
	Memo     sift.Memo     // nil: nothing is remembered
	Progress sift.Progress // nil: nobody asks
	// Known says which messages the state database knows on both sides; nil: none.
	Known func(ctx context.Context, box mail.Box, known func(mail.Key)) error
}

// Found is what Find found.
type Found struct {
	Table    *dedupe.Table
	Groups   dedupe.Groups
	Messages []int                // by mailbox
	Epochs   []string             // by mailbox
	Read     int                  // bodies that were read
	Unsaved  error                // what was read could not be remembered: the next run takes as long as this one
	ids      []mail.Hash          // Message-IDs, by message
	digests  map[uint32]mail.Hash // of messages without Message-ID that were read
}

// chunk is how many messages are asked for at a time.
const chunk = 2000

// errLabels: what looks like a copy in another mailbox is the same message, and moving it to the trash takes it out of all of them.
var errLabels = mail.WithHint(errors.New("this server's mailboxes are labels: a message that is in several of them is there once"), "leave out --across")

// noID is the key of all messages without Message-ID, which are compared by content.
const noID = 1

type finder struct {
	o      Options
	f      *Found
	starts []uint32 // where the messages of a mailbox begin
	hasher *dedupe.Hasher
	buf    []byte
}

// Find asks the server and finds the duplicates.
func Find(ctx context.Context, o Options) (*Found, error) {
	f := &finder{o: o, f: &Found{Table: &dedupe.Table{}, digests: map[uint32]mail.Hash{}}, hasher: dedupe.NewHasher(o.Policy.By == dedupe.Exact), buf: make([]byte, 64<<10)}
	for i, box := range o.Boxes {
		f.starts = append(f.starts, uint32(f.f.Table.Len())) //nolint:gosec // at most 1<<31
		if err := f.list(ctx, i, box); err != nil {
			return nil, fmt.Errorf("look through mailbox %q: %w", box, err)
		}
	}
	f.starts = append(f.starts, uint32(f.f.Table.Len())) //nolint:gosec // at most 1<<31
	if err := f.bodies(ctx); err != nil {
		return nil, err
	}
	f.f.Unsaved = f.save(ctx)
	f.f.Groups = f.f.Table.Plan(o.Policy)
	return f.f, ctx.Err()
}

// list takes all messages of a mailbox, with what tells them apart.
func (f *finder) list(ctx context.Context, i int, box mail.Box) error {
	v, err := f.o.Store.View(ctx, box, "")
	if err != nil {
		return err
	}
	whole, ok := v.(mail.Whole)
	if !ok {
		return errors.New("the server does not show all of it")
	}
	first := f.f.Table.Len()
	for e, err := range whole.All {
		if err != nil {
			return err
		}
		if f.o.Policy.Across && len(f.o.Boxes) > 1 && strings.HasPrefix(e.Ident.Stable, "gmail:") {
			return errLabels
		}
		m := dedupe.Message{Box: uint16(i)} //nolint:gosec // the caller has fewer
		if e.Flags.System&mail.Deleted != 0 {
			m.Bits |= dedupe.Deleted
		}
		if err := f.f.Table.Add(m, []byte(e.Key)); err != nil {
			return err
		}
		f.f.ids = append(f.f.ids, mail.Hash{})
	}
	if _, err := whole.End(); err != nil {
		return err
	}
	f.f.Messages = append(f.f.Messages, f.f.Table.Len()-first)
	f.f.Epochs = append(f.f.Epochs, whole.Epoch)
	if err := f.remember(ctx, box, first, whole.Epoch); err != nil {
		return err
	}
	if err := f.identify(ctx, box, first); err != nil {
		return err
	}
	return f.known(ctx, box, first)
}

// at finds a message by its key in the mailbox whose messages begin with first; they are in the order of keys.
func (f *finder) at(first int, key mail.Key) (uint32, bool) {
	n := f.f.Table.Len() // of the mailbox that is being listed; the others end where the next one begins
	if next := slices.IndexFunc(f.starts, func(s uint32) bool { return int(s) > first }); next >= 0 {
		n = int(f.starts[next])
	}
	lo, hi := first, n
	for lo < hi {
		mid := (lo + hi) / 2
		if string(f.f.Table.Name(f.f.Table.At(uint32(mid)))) < string(key) { //nolint:gosec // at most 1<<31
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == n || string(f.f.Table.Name(f.f.Table.At(uint32(lo)))) != string(key) { //nolint:gosec // as above
		return 0, false
	}
	return uint32(lo), true //nolint:gosec // as above
}

// identify asks for Message-ID, size and date of the messages that are not remembered.
func (f *finder) identify(ctx context.Context, box mail.Box, first int) error {
	var keys []mail.Key
	done := 0
	ask := func() error {
		err := f.o.Store.Identify(ctx, box, keys, false, func(key mail.Key, id mail.Ident) error {
			if i, ok := f.at(first, key); ok {
				f.learn(i, id)
			}
			return nil
		})
		done += len(keys)
		keys = keys[:0]
		f.progress("read", done, f.f.Table.Len()-first)
		return err
	}
	for i := first; i < f.f.Table.Len(); i++ {
		m := f.f.Table.At(uint32(i)) //nolint:gosec // at most 1<<31
		if m.Bits&dedupe.HasKey != 0 {
			done++
			continue
		}
		if keys = append(keys, mail.Key(f.f.Table.Name(m))); len(keys) == chunk {
			if err := ask(); err != nil {
				return err
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return ask()
}

// learn notes what tells a message apart.
func (f *finder) learn(i uint32, id mail.Ident) {
	m := f.f.Table.At(i)
	m.Size, m.Date, f.f.ids[i] = id.Size, id.Date, id.MessageID
	m.Key = noID
	if !id.MessageID.IsZero() {
		m.Key = binary.LittleEndian.Uint64(id.MessageID[:])
	}
	m.Bits |= dedupe.HasKey
}

func (f *finder) known(ctx context.Context, box mail.Box, first int) error {
	if f.o.Known == nil {
		return nil
	}
	return f.o.Known(ctx, box, func(key mail.Key) {
		if i, ok := f.at(first, key); ok {
			f.f.Table.At(i).Bits |= dedupe.Known
		}
	})
}

// bodies reads those messages that have their Message-ID, or none, in common with others.
func (f *finder) bodies(ctx context.Context) error {
	list := f.f.Table.Candidates(f.o.Policy)
	if f.o.Policy.By == dedupe.MessageID { // without an id, only the content tells
		list = slices.DeleteFunc(list, func(i uint32) bool { return f.f.Table.At(i).Key != noID })
	}
	slices.Sort(list)
	done, all := 0, len(list)
	for len(list) > 0 {
		box := f.f.Table.At(list[0]).Box
		var keys []mail.Key
		for len(list) > 0 && len(keys) < chunk && f.f.Table.At(list[0]).Box == box {
			keys = append(keys, mail.Key(f.f.Table.Name(f.f.Table.At(list[0]))))
			list = list[1:]
		}
		err := f.o.Store.Fetch(ctx, f.o.Boxes[box], keys, func(e mail.Entry, b mail.Body) error {
			done++
			f.progress("compare", done, all)
			return f.read(int(f.starts[box]), e.Key, b)
		})
		if err != nil {
			return fmt.Errorf("read messages of %q: %w", f.o.Boxes[box], err)
		}
	}
	return nil
}

// read hashes a body.
func (f *finder) read(first int, key mail.Key, b mail.Body) error {
	i, ok := f.at(first, key)
	if !ok {
		return nil
	}
	f.hasher.Reset()
	var to io.Writer = f.hasher
	digester := mail.NewDigester()
	if f.f.ids[i].IsZero() { // nothing else would find it again in the trash
		to = io.MultiWriter(f.hasher, digester)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, b.Reader, f.buf); err != nil {
		return err
	}
	if f.f.ids[i].IsZero() {
		f.f.digests[i] = digester.Ident().Digest
	}
	facts, m := f.hasher.Facts(true), f.f.Table.At(i)
	f.f.Read++
	m.Sum = facts.Sum
	if f.o.Policy.By == dedupe.Exact {
		m.Sum = facts.Exact
	}
	m.Bits |= dedupe.HasSum
	if facts.Bare {
		m.Bits |= dedupe.Bare
	}
	if f.o.Policy.By == dedupe.MessageID { // its key is of its own kind
		m.Key = binary.LittleEndian.Uint64(facts.Sum[:])
	}
	return nil
}

func (f *finder) progress(what string, done, total int) {
	if f.o.Progress != nil {
		f.o.Progress(what, done, total)
	}
}

// Shown is a message as people know it.
type Shown struct {
	Box   mail.Box
	UID   uint32
	Date  time.Time // internal
	Bytes int64
}

// Show tells what message it is.
func (f *Found) Show(o Options, i uint32) Shown {
	m := f.Table.At(i)
	uid, _ := mail.Key(f.Table.Name(m)).UID()
	return Shown{Box: o.Boxes[m.Box], UID: uid, Date: time.Unix(m.Date, 0), Bytes: m.Size}
}
