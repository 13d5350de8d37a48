package sift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

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
	wrong []atomic.Bool // by folder: what is remembered of it
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
	r := &remover{o: o, f: &finder{o: o.Options, t: found.Table, dirs: make([][2]*os.File, len(o.Folders))}, boxes: make([]*maildirstore.Doubles, len(o.Folders)), wrong: make([]atomic.Bool, len(o.Folders))}
	defer r.f.close()
	for i := range o.Folders {
		err := r.f.open(i)
		if err == nil {
			err = alone(r.f.dirs[i][1])
		}
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
	return r.res, r.forget(ctx)
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
	if r.o.Allow != nil { // also when it was stopped: what the user let through now is not let through for good
		err = errors.Join(err, r.allow(context.WithoutCancel(ctx), left, false))
	}
	r.again = append(r.again, left...)
	if r.f.o.Progress != nil {
		r.f.o.Progress("remove", r.res.Removed, r.total)
	}
	return err
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
		has := b.Flags(name)
		if has.System&mail.Deleted != 0 && m.Bits&dedupe.Deleted == 0 {
			for _, c := range j.copies {
				r.skip(c, "the one that would stay was marked as deleted meanwhile: run again")
			}
			continue
		}
		if add = add.Minus(kept).Minus(has); add.Empty() {
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

// stow moves the copies to the attic. It returns those that somebody renamed or wrote anew since they were read, or whose message
// that stays somebody did that to; and with an error, all that were not moved.
func (r *remover) stow(ctx context.Context, jobs []job) (left []job, err error) {
	for k, j := range jobs {
		if ctx.Err() != nil {
			return append(left, jobs[k:]...), ctx.Err()
		}
		if r.stale(j.keep) {
			left = append(left, j)
			continue
		}
		var missed []uint32
		for n, c := range j.copies {
			m := r.f.t.At(c)
			if r.sameName(j.keep, c) {
				r.skip(c, "it has the name of the one that stays: run again")
				continue
			}
			if r.stale(c) {
				missed = append(missed, c)
				continue
			}
			err := r.boxes[m.Box].Stow(ctx, string(r.f.t.Name(m)), m.Bits&dedupe.Cur != 0)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				missed = append(missed, c)
			case err != nil:
				left = append(append(left, job{j.keep, append(missed, j.copies[n:]...)}), jobs[k+1:]...)
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
