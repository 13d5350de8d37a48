package migrate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
)

// Base is what the state of an account holds, as the exports to other tools want it. Nothing of it is in memory but names.
type Base struct {
	Folders []Folder
	// Seen says of mailboxes with messages that only the server has: below the first of them. Another tool that remembers the
	// highest UID it has seen fetches them then.
	Seen map[mail.Box]uint32
	Left []Left // mailboxes that are not handed over

	db      *state.DB
	renamed map[mail.Box][][2]mail.Key
}

// Left is a mailbox that is not handed over.
type Left struct {
	Box mail.Box
	Why string
}

// ReadBase reads which mailboxes the state has. dir says where the Maildir keeps one; the local side is the Maildir, the remote one the
// server.
func ReadBase(ctx context.Context, db *state.DB, dir func(mail.Box) (string, error)) (*Base, error) {
	b := &Base{Seen: map[mail.Box]uint32{}, db: db, renamed: map[mail.Box][][2]mail.Key{}}
	boxes, err := db.Boxes(ctx)
	if err != nil {
		return nil, err
	}
	for _, box := range boxes {
		if !box.Known[mail.Local] || !box.Known[mail.Remote] {
			b.Left = append(b.Left, Left{box.Name, "it is not on both sides"})
			continue
		}
		validity, err := strconv.ParseUint(box.Epoch[mail.Remote], 10, 32)
		if err != nil || validity == 0 {
			b.Left = append(b.Left, Left{box.Name, "its UIDVALIDITY is not known; it was never synced"})
			continue
		}
		f := Folder{Box: box.Name, Validity: uint32(validity), Entries: b.entries(ctx, box.Name)}
		if f.Dir, err = dir(box.Name); err != nil {
			return nil, err
		}
		if err := b.see(ctx, box.Name); err != nil {
			return nil, err
		}
		b.Folders = append(b.Folders, f)
	}
	return b, nil
}

// entries are the messages that both sides have.
func (b *Base) entries(ctx context.Context, box mail.Box) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for p, err := range b.db.Pairs(ctx, box, mail.Remote) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if uid, ok := p.Keys[mail.Remote].UID(); ok && p.Keys[mail.Local] != "" {
				if !yield(Entry{UID: uid, File: string(p.Keys[mail.Local]), Flags: p.Flags}, nil) {
					return
				}
			}
		}
	}
}

// see looks for messages that only the server has.
func (b *Base) see(ctx context.Context, box mail.Box) error {
	halves, err := b.db.HalfPairs(ctx, box)
	if err != nil {
		return err
	}
	for _, p := range halves {
		uid, ok := p.Keys[mail.Remote].UID()
		if seen, there := b.Seen[box]; ok && p.Keys[mail.Local] == "" && (!there || uid <= seen) {
			b.Seen[box] = uid - 1
		}
	}
	return nil
}

// Renamed notes that a file got another unique name.
func (b *Base) Renamed(f Folder, from, to string) error {
	b.renamed[f.Box] = append(b.renamed[f.Box], [2]mail.Key{mail.Key(from), mail.Key(to)})
	return nil
}

// Follow makes the state know the new names, so that the next sync reads no message for them. Without it, after a crash, that sync
// compares those messages by content and finds the same. db is the state of ReadBase, open for writing.
func (b *Base) Follow(ctx context.Context, db *state.DB) error {
	for box, names := range b.renamed {
		for part := range slices.Chunk(names, chunk) {
			if err := follow(ctx, db, box, part); err != nil {
				return fmt.Errorf("note new file names of mailbox %q: %w", box, err)
			}
		}
	}
	return nil
}

func follow(ctx context.Context, db *state.DB, box mail.Box, names [][2]mail.Key) error {
	to := make(map[mail.Key]mail.Key, len(names))
	keys := make([]mail.Key, 0, len(names))
	for _, n := range names {
		to[n[0]] = n[1]
		keys = append(keys, n[0])
	}
	slices.Sort(keys)
	pairs, err := db.PairsByKey(ctx, box, mail.Local, keys)
	if err != nil {
		return err
	}
	return db.Update(ctx, true, func(tx *state.Tx) error {
		for i := range pairs {
			pairs[i].Keys[mail.Local] = to[pairs[i].Keys[mail.Local]]
			if err := tx.PutPair(&pairs[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// ErrUnsettled says that a sync has to come to its end first.
var ErrUnsettled = errors.New("the last sync did not come to its end")

// Settled makes sure that nothing is under way in the state.
func Settled(ctx context.Context, db *state.DB) error {
	account, err := db.Account(ctx)
	if err != nil {
		return err
	}
	intents, err := db.Intents(ctx)
	if err != nil {
		return err
	}
	if account.NextRun > account.Run || len(intents) > 0 {
		return ErrUnsettled
	}
	return nil
}

// Release is the version of another tool, such as 1.4.4.
type Release []int

// ParseRelease finds the first version in a text, such as what a program prints for --version; nil if there is none.
func ParseRelease(text string) Release {
	for word := range strings.FieldsFuncSeq(text, func(c rune) bool { return c != '.' && (c < '0' || c > '9') }) {
		var r Release
		for part := range strings.SplitSeq(word, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				r = nil
				break
			}
			r = append(r, n)
		}
		if len(r) > 1 {
			return r
		}
	}
	return nil
}

// Before reports whether a release is older than another one. An unknown one is not.
func (r Release) Before(other ...int) bool { return r != nil && slices.Compare(r, other) < 0 }
