package sift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
	"mailtwin/internal/store/maildirstore"
)

// RemoveOptions of Remove.
type RemoveOptions struct {
	Options
	Store *maildirstore.Store
	// Held says which mailboxes nothing is removed from, by folder; nil: none.
	Held []bool
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

// job is a message that stays and some of its copies.
type job struct {
	keep   uint32
	copies []uint32
}

const (
	perBatch = 512 // copies that are removed together
	rounds   = 3   // how often copies are tried that somebody renames meanwhile
)

// remover is the work of Remove.
type remover struct {
	o     RemoveOptions
	f     *finder
	boxes []*maildirstore.Doubles
	res   Result
	again []job // to be tried once more
	total int
}

// Remove removes the copies of all groups, see the package comment. What it could not do is in the result; an error means that
// it stopped, and a later run goes on.
func Remove(ctx context.Context, o RemoveOptions, found *Found) (Result, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &remover{o: o, f: &finder{o: o.Options, t: found.Table, dirs: make([][2]*os.File, len(o.Folders))}, boxes: make([]*maildirstore.Doubles, len(o.Folders))}
	defer r.f.close()
	for i := range o.Folders {
		err := r.f.open(i)
		if err == nil {
			r.boxes[i], err = o.Store.Doubles(ctx, o.Folders[i].Name)
		}
		if err != nil {
			return r.res, fmt.Errorf("remove duplicates from %q: %w", o.Folders[i].Name, err)
		}
	}
	r.total = found.Groups.Copies()
	var jobs []job
	for i := range found.Groups.Len() {
		g := found.Groups.At(i)
		var copies []uint32
		for _, c := range g[1:] {
			if o.Held == nil || !o.Held[r.f.t.At(c).Box] {
				copies = append(copies, c)
			}
		}
		for len(copies) > 0 {
			n := min(len(copies), perBatch)
			jobs = append(jobs, job{g[0], copies[:n]})
			copies = copies[n:]
			if len(jobs) >= perBatch/2 || n == perBatch {
				if err := r.batch(ctx, jobs); err != nil {
					return r.res, err
				}
				jobs = nil
			}
		}
	}
	for round := 0; round < rounds && len(jobs)+len(r.again) > 0; round++ {
		jobs, r.again = append(jobs, r.again...), nil
		if err := r.batch(ctx, jobs); err != nil {
			return r.res, err
		}
		jobs = nil
	}
	for _, j := range r.again {
		for _, c := range j.copies {
			r.skip(c, "another program renames it all the time: run again")
		}
	}
	return r.res, nil
}

// skip notes why a copy stays.
func (r *remover) skip(i uint32, why string) {
	m := r.f.t.At(i)
	r.res.Skipped++
	if len(r.res.Why) < maxTrouble {
		r.res.Why = append(r.res.Why, fmt.Sprintf("%s in %s stays: %s", r.f.t.Name(m), r.f.o.Folders[m.Box].Name, why))
	}
}

// batch removes the copies of jobs, in the order in which stopping anywhere loses nothing.
func (r *remover) batch(ctx context.Context, jobs []job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	jobs, err := r.verify(ctx, jobs)
	if err == nil {
		jobs, err = r.flags(ctx, jobs)
	}
	if err == nil {
		err = r.settle(jobs)
	}
	if err == nil && r.o.Allow != nil {
		err = r.allow(ctx, jobs, true)
	}
	if err != nil || ctx.Err() != nil {
		return cmp.Or(err, ctx.Err())
	}
	left, err := r.stow(ctx, jobs)
	for _, b := range r.boxes {
		err = errors.Join(err, b.Flush())
	}
	if err == nil && r.o.Allow != nil {
		err = r.allow(ctx, left, false)
	}
	r.again = append(r.again, left...)
	if r.f.o.Progress != nil {
		r.f.o.Progress("remove", r.res.Removed, r.total)
	}
	return err
}

// verdict is what a second reading says of a message.
type verdict uint8

const (
	same verdict = iota
	lost
	changed
	busy
	unread
)

func (v verdict) String() string {
	return [...]string{"", "it is gone", "it is not the same any more", "another program is renaming it: run again", "it cannot be read"}[v]
}

// verify reads all messages of the jobs again and returns the jobs with what is still as it was found.
func (r *remover) verify(ctx context.Context, jobs []job) ([]job, error) {
	var members []uint32
	at := map[uint32]verdict{}
	for _, j := range jobs {
		members = append(append(members, j.keep), j.copies...)
	}
	for _, i := range members {
		at[i] = lost
	}
	list := members
	for round := 0; len(list) > 0 && round <= rounds; round++ {
		if round > 0 {
			if err := r.search(ctx, list); err != nil {
				return nil, err
			}
		}
		verdicts := make([]verdict, len(list))
		index := make(map[uint32]int, len(list))
		for k, i := range list {
			index[i] = k
		}
		err := parallel(ctx, r.f, 0, list, "", r.f.reader, func(rd *reader, i uint32, m *dedupe.Message) error {
			v := r.reread(ctx, rd, m)
			verdicts[index[i]] = v
			return nil
		})
		if err != nil {
			return nil, err
		}
		var next []uint32
		for k, i := range list {
			if at[i] = verdicts[k]; verdicts[k] == lost {
				next = append(next, i)
			}
		}
		list = next
	}
	kept := jobs[:0]
	for _, j := range jobs {
		var good []uint32
		for _, c := range j.copies {
			switch {
			case at[j.keep] != same:
				r.skip(c, "the message that would stay: "+at[j.keep].String())
			case at[c] == lost: // somebody removed it: nothing is left to do
			case at[c] != same:
				r.skip(c, at[c].String())
			default:
				good = append(good, c)
			}
		}
		if len(good) > 0 {
			kept = append(kept, job{j.keep, good})
		}
	}
	return kept, nil
}

// search looks for messages under the names that they have by now.
func (r *remover) search(ctx context.Context, list []uint32) error {
	byBox := map[uint16]map[string]uint32{}
	for _, i := range list {
		m := r.f.t.At(i)
		if byBox[m.Box] == nil {
			byBox[m.Box] = map[string]uint32{}
		}
		byBox[m.Box][string(dedupe.Unique(r.f.t.Name(m)))] = i
	}
	for box, names := range byBox {
		if err := r.f.list(ctx, int(box), names); err != nil {
			return err
		}
	}
	return nil
}

// reread reads a message again and compares it with what the plan rests on.
func (r *remover) reread(ctx context.Context, rd *reader, m *dedupe.Message) verdict {
	fd, err := r.f.openMessage(m)
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			return lost
		}
		return unread
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return unread
	}
	if st.Nlink > 1 && r.f.o.Now().UnixNano()-ctime(&st) < int64(60e9) { // between the link and the unlink of a rename
		return busy
	}
	facts, _, err := rd.read(ctx, fd, st.Size, true)
	if err != nil {
		return unread
	}
	now := dedupe.Message{}
	learn(&now, facts, true, r.o.Policy.By)
	if r.o.Policy.By == dedupe.MessageID && now.Key == m.Key && now.Key != 0 || r.o.Policy.By != dedupe.MessageID && now.Sum == m.Sum {
		return same
	}
	return changed
}

// kept are the flags that no copy passes on: one that is about to be expunged, or that is a draft, must not make the message
// that stays so.
var kept = mail.Flags{System: mail.Deleted | mail.Draft}

// flags gives the messages that stay the flags of all their copies.
func (r *remover) flags(ctx context.Context, jobs []job) ([]job, error) {
	done := jobs[:0]
	for _, j := range jobs {
		var add mail.Flags
		for _, c := range j.copies {
			m := r.f.t.At(c)
			add = add.Union(r.boxes[m.Box].Flags(string(r.f.t.Name(m))))
		}
		m := r.f.t.At(j.keep)
		b, name, cur := r.boxes[m.Box], string(r.f.t.Name(m)), m.Bits&dedupe.Cur != 0
		add = add.Minus(kept).Minus(b.Flags(name))
		if add.Empty() {
			done = append(done, j)
			continue
		}
		now, nowCur, lacks, err := b.Add(ctx, name, cur, add)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist):
			r.again = append(r.again, j)
			continue
		case err != nil:
			return nil, fmt.Errorf("set flags of %s in %q: %w", name, r.f.o.Folders[m.Box].Name, err)
		}
		if now != name || cur != nowCur {
			r.res.Flagged++
			m.Bits &^= dedupe.Cur
			if nowCur {
				m.Bits |= dedupe.Cur
			}
			if err := r.f.t.Rename(m, []byte(now)); err != nil {
				return nil, err
			}
		}
		if !lacks.Empty() {
			for _, c := range j.copies {
				r.skip(c, fmt.Sprintf("the mailbox of the one that stays cannot hold its keywords %v", lacks))
			}
			continue
		}
		done = append(done, j)
	}
	return done, nil
}

// settle makes the messages that stay durable.
func (r *remover) settle(jobs []job) error {
	names := map[uint16]map[string]bool{}
	for _, j := range jobs {
		m := r.f.t.At(j.keep)
		if names[m.Box] == nil {
			names[m.Box] = map[string]bool{}
		}
		names[m.Box][string(r.f.t.Name(m))] = m.Bits&dedupe.Cur != 0
	}
	for box, list := range names {
		if err := r.boxes[box].Settle(list); err != nil {
			return err
		}
	}
	return nil
}

// allow notes that the copies go because the user wants it, or that they stay.
func (r *remover) allow(ctx context.Context, jobs []job, allowed bool) error {
	keys := map[uint16][]mail.Key{}
	for _, j := range jobs {
		for _, c := range j.copies {
			m := r.f.t.At(c)
			keys[m.Box] = append(keys[m.Box], mail.Key(dedupe.Unique(r.f.t.Name(m))))
		}
	}
	for box, list := range keys {
		if err := r.o.Allow(ctx, r.f.o.Folders[box].Name, list, allowed); err != nil {
			return err
		}
	}
	return nil
}

// stow moves the copies to the attic. It returns those that somebody renamed meanwhile.
func (r *remover) stow(ctx context.Context, jobs []job) (left []job, err error) {
	for _, j := range jobs {
		if ctx.Err() != nil {
			return left, ctx.Err()
		}
		m := r.f.t.At(j.keep)
		if !r.boxes[m.Box].There(string(r.f.t.Name(m)), m.Bits&dedupe.Cur != 0) {
			left = append(left, j)
			continue
		}
		var missed []uint32
		for _, c := range j.copies {
			m := r.f.t.At(c)
			if r.sameName(j.keep, c) {
				r.skip(c, "it has the name of the one that stays: run again")
				continue
			}
			err := r.boxes[m.Box].Stow(ctx, string(r.f.t.Name(m)), m.Bits&dedupe.Cur != 0)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				missed = append(missed, c)
			case err != nil:
				return left, fmt.Errorf("remove %s from %q: %w", r.f.t.Name(m), r.f.o.Folders[m.Box].Name, err)
			default:
				r.res.Removed++
				r.res.Bytes += m.Size
			}
		}
		if len(missed) > 0 {
			left = append(left, job{j.keep, missed})
		}
	}
	return left, nil
}

// sameName reports whether two messages have come to name one file: that of a copy which somebody renamed was looked for by a
// unique name that is not unique.
func (r *remover) sameName(a, b uint32) bool {
	x, y := r.f.t.At(a), r.f.t.At(b)
	return x.Box == y.Box && (x.Bits^y.Bits)&dedupe.Cur == 0 && string(r.f.t.Name(x)) == string(r.f.t.Name(y))
}
