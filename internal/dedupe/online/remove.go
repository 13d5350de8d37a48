package online

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// batch is how many messages are moved at a time.
const batch = 500

// RemoveOptions of Remove.
type RemoveOptions struct {
	Options
	Journal *Journal
	Trash   mail.Box // where copies go
	Held    []bool   // which mailboxes nothing is removed from; nil: none
	Now     func() time.Time
	// Allow notes, durably, that messages are about to be removed because the user wants it, or that they were not removed after
	// all; nil: nobody has to know.
	Allow func(ctx context.Context, box mail.Box, keys []mail.Key, allowed bool) error
}

// Result of Remove.
type Result struct {
	Removed int
	Bytes   int64
	Flagged int // messages that stay and got flags of their copies
	Skipped int
	Why     []string // of the first skipped ones
}

type remover struct {
	o     RemoveOptions
	found *Found
	flags []map[mail.Key]mail.Flags // of the messages of groups, by mailbox, as they are now
	stays map[uint32]uint32         // by copy
	res   Result
}

// never are flags that no copy passes on: one that is about to be expunged, or that is a draft, must not make the one that stays so.
var never = mail.Flags{System: mail.Deleted | mail.Draft}

// Remove moves the copies of all groups to the trash, see the package comment. What it could not do is in the result; an error means that
// it stopped, and a later run goes on.
func Remove(ctx context.Context, o RemoveOptions, found *Found) (Result, error) {
	r := &remover{o: o, found: found}
	if err := r.look(ctx); err != nil {
		return r.res, err
	}
	groups, err := r.pass(ctx)
	if err != nil {
		return r.res, err
	}
	byBox := map[uint16][]uint32{}
	r.stays = map[uint32]uint32{}
	for _, g := range groups {
		for _, i := range g[1:] {
			r.stays[i] = g[0]
			box := found.Table.At(i).Box
			byBox[box] = append(byBox[box], i)
		}
	}
	if len(byBox) == 0 {
		return r.res, nil
	}
	if err := r.trash(ctx); err != nil {
		return r.res, err
	}
	for box := range o.Boxes {
		list := byBox[uint16(box)] //nolint:gosec // as it was made
		for len(list) > 0 {
			n := min(batch, len(list))
			if err := r.move(ctx, box, list[:n]); err != nil {
				return r.res, fmt.Errorf("move copies from %q to %q: %w", o.Boxes[box], o.Trash, err)
			}
			list = list[n:]
		}
	}
	return r.res, nil
}

func (r *remover) key(i uint32) mail.Key { return mail.Key(r.found.Table.Name(r.found.Table.At(i))) }

// look asks for the flags that messages of groups have now, and makes sure that the mailboxes are those that were looked through.
func (r *remover) look(ctx context.Context) error {
	r.flags = make([]map[mail.Key]mail.Flags, len(r.o.Boxes))
	for g := range r.found.Groups.Len() {
		for _, i := range r.found.Groups.At(g) {
			box := r.found.Table.At(i).Box
			if r.flags[box] == nil {
				r.flags[box] = map[mail.Key]mail.Flags{}
			}
			r.flags[box][r.key(i)] = mail.Flags{}
		}
	}
	for box, wanted := range r.flags {
		if wanted == nil {
			continue
		}
		v, err := r.o.Store.View(ctx, r.o.Boxes[box], "")
		if err != nil {
			return err
		}
		whole, ok := v.(mail.Whole)
		if !ok || whole.Epoch != r.found.Epochs[box] {
			return mail.WithHint(fmt.Errorf("mailbox %q: %w", r.o.Boxes[box], store.ErrEpoch), "run it again: the server has renumbered the mailbox")
		}
		now := make(map[mail.Key]mail.Flags, len(wanted))
		for e, err := range whole.All {
			if err != nil {
				return err
			}
			if _, ok := wanted[e.Key]; ok {
				now[e.Key] = e.Flags
			}
		}
		if _, err := whole.End(); err != nil {
			return err
		}
		r.flags[box] = now
	}
	return nil
}

// pass gives the messages that stay the flags of their copies, and returns the groups whose copies may go.
func (r *remover) pass(ctx context.Context) (groups [][]uint32, err error) {
	type change struct {
		box uint16
		add string
	}
	changes := map[change][]int{} // groups by what the one that stays lacks
	what := map[change]mail.Flags{}
	for g := range r.found.Groups.Len() {
		all := r.found.Groups.At(g)
		stays := r.found.Table.At(all[0])
		has, there := r.flags[stays.Box][r.key(all[0])]
		if !there {
			r.skip(all[1:], goneMeanwhile)
			continue
		}
		if has.System&mail.Deleted != 0 && stays.Bits&dedupe.Deleted == 0 {
			r.skip(all[1:], "the one that would stay was marked as deleted meanwhile: run again")
			continue
		}
		group := []uint32{all[0]}
		var add mail.Flags
		for _, i := range all[1:] {
			m := r.found.Table.At(i)
			f, there := r.flags[m.Box][r.key(i)]
			switch {
			case !there: // somebody removed it: nothing is left to do
			case r.o.Held != nil && r.o.Held[m.Box]:
			case r.o.Boxes[m.Box] == r.o.Trash:
				r.skip([]uint32{i}, "it is in the trash already")
			default:
				group, add = append(group, i), add.Union(f)
			}
		}
		if len(group) == 1 {
			continue
		}
		groups = append(groups, group)
		if add = add.Minus(never).Minus(has); !add.Empty() {
			c := change{stays.Box, fmt.Sprint(add)}
			changes[c], what[c] = append(changes[c], len(groups)-1), add
		}
	}
	for c, list := range changes {
		keys := make([]mail.Key, len(list))
		for k, g := range list {
			keys[k] = r.key(groups[g][0])
		}
		did, err := r.o.Store.SetFlags(ctx, r.o.Boxes[c.box], keys, what[c], mail.Flags{})
		if err != nil {
			return nil, err
		}
		for _, g := range list {
			if slices.Contains(did.Missing, r.key(groups[g][0])) {
				r.skip(groups[g][1:], goneMeanwhile)
				groups[g] = groups[g][:1]
				continue
			}
			if r.res.Flagged++; !did.Lacks.Empty() {
				r.skip(groups[g][1:], fmt.Sprintf("the mailbox of the one that stays cannot hold its keywords %v", did.Lacks))
				groups[g] = groups[g][:1]
			}
		}
	}
	return groups, nil
}

// trash makes sure that there is a place for the copies.
func (r *remover) trash(ctx context.Context) error {
	if err := r.o.Store.CreateBox(ctx, r.o.Trash, `\Trash`); err != nil {
		return err
	}
	epoch, err := epochOf(ctx, r.o.Store, r.o.Trash)
	if err != nil {
		return err
	}
	return r.o.Journal.mailbox(ctx, r.o.Trash, epoch)
}

const goneMeanwhile = "the message that would stay is not there any more: run again"

// safe returns those copies whose messages that stay are there at this moment: other clients are at work too, and the look at the
// flags may be long ago.
func (r *remover) safe(ctx context.Context, list []uint32) (left []uint32, err error) {
	wanted := map[uint16][]mail.Key{}
	for _, i := range list {
		stays := r.stays[i]
		box := r.found.Table.At(stays).Box
		wanted[box] = append(wanted[box], r.key(stays))
	}
	there := map[mail.Ref]bool{}
	for box, keys := range wanted {
		name := r.o.Boxes[box]
		slices.Sort(keys)
		err := r.o.Store.Identify(ctx, name, slices.Compact(keys), false, func(key mail.Key, _ mail.Ident) error {
			there[mail.Ref{Box: name, Key: key}] = true
			return nil
		})
		if err != nil && !errors.Is(err, store.ErrGone) {
			return nil, err
		}
	}
	for _, i := range list {
		stays := r.stays[i]
		if there[mail.Ref{Box: r.o.Boxes[r.found.Table.At(stays).Box], Key: r.key(stays)}] {
			left = append(left, i)
			continue
		}
		r.skip([]uint32{i}, goneMeanwhile)
	}
	return left, nil
}

func (r *remover) move(ctx context.Context, box int, list []uint32) error {
	list, err := r.safe(ctx, list)
	if err != nil || len(list) == 0 {
		return err
	}
	intents := make([]mail.Intent, len(list))
	keys := make([]mail.Key, len(list))
	now := uint64(r.o.Now().Unix()) //nolint:gosec // after 1970
	for k, i := range list {
		m := r.found.Table.At(i)
		keys[k] = r.key(i)
		intents[k] = mail.Intent{From: mail.Ref{Box: r.o.Boxes[box], Key: keys[k]}, Box: r.o.Trash, Entry: mail.Entry{
			Flags: r.flags[box][keys[k]], Stamp: now, Ident: mail.Ident{MessageID: r.found.ids[i], Digest: r.found.digests[i], Size: m.Size, Date: m.Date},
		}}
	}
	if r.o.Allow != nil {
		if err := r.o.Allow(ctx, r.o.Boxes[box], keys, true); err != nil {
			return err
		}
	}
	done, err := r.o.Journal.move(ctx, r.o.Boxes[box], intents)
	if err != nil {
		return err
	}
	var stayed []mail.Key
	for k, i := range list {
		switch {
		case done[k].Key != "":
			r.res.Removed++
			r.res.Bytes += r.found.Table.At(i).Size
		case done[k].Err != nil:
			r.skip([]uint32{i}, done[k].Err.Error())
			stayed = append(stayed, keys[k])
		}
	}
	if r.o.Allow == nil || len(stayed) == 0 {
		return nil
	}
	return r.o.Allow(ctx, r.o.Boxes[box], stayed, false)
}

// skip notes what stays although it is a copy.
func (r *remover) skip(list []uint32, why string) {
	const told = 10
	for _, i := range list {
		if r.res.Skipped++; len(r.res.Why) < told {
			s := r.found.Show(r.o.Options, i)
			r.res.Why = append(r.res.Why, fmt.Sprintf("%s UID %d stays: %s", s.Box, s.UID, why))
		}
	}
}
