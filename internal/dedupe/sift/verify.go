package sift

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
)

// alone makes sure that no other run removes from a folder at the same time: two that were asked for different things could each
// rely on the message that the other one takes. A folder that is there under two names is found out so too. It ends with the
// descriptor. File systems without such locks do without.
func alone(dir *os.File) error {
	err := retry(func() error { return unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return mail.WithHint(fmt.Errorf("lock %s: %w", dir.Name(), errBusy), "wait until the other run is done; if there is none, the folder is there under two names")
	}
	return nil
}

var errBusy = errors.New("duplicates are being removed from it already")

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
		for _, i := range append([]uint32{j.keep}, j.copies...) {
			if _, is := at[i]; !is { // a large group is several jobs
				at[i], members = lost, append(members, i)
			}
		}
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
		m.Stamp = stampOf(&st) // of what was read; see stow
		return same
	}
	if stampOf(&st) == m.Stamp { // what is remembered of it is wrong, and nothing shows that
		r.wrong[m.Box].Store(true)
	}
	return changed
}

// forget drops what is remembered of mailboxes in which a file changed although inode, size and time are the same: in place, with its time
// set back, or another file that came to have its inode.
func (r *remover) forget(ctx context.Context) error {
	for i := range r.wrong {
		f := &r.f.o.Folders[i]
		if !r.wrong[i].Load() || f.Memo == nil {
			continue
		}
		if err := f.Memo.Save(ctx, f.Name, r.o.Policy.By.String(), func(func([]byte) bool) {}); err != nil {
			return fmt.Errorf("forget what was read of %q: %w", f.Name, err)
		}
	}
	return nil
}

// stale reports whether the file under a message's name is not the one that was read.
func (r *remover) stale(i uint32) bool { return (&Found{Table: r.f.t}).Stale(r.o.Options, i) }

// sameName reports whether two messages have come to name one file: that of a copy which somebody renamed was looked for by a
// unique name that is not unique.
func (r *remover) sameName(a, b uint32) bool {
	x, y := r.f.t.At(a), r.f.t.At(b)
	return x.Box == y.Box && (x.Bits^y.Bits)&dedupe.Cur == 0 && string(r.f.t.Name(x)) == string(r.f.t.Name(y))
}
