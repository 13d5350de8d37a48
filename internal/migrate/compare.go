package migrate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

const (
	chunk      = 1000     // messages that are asked for at a time
	maxSample  = 20       // messages of a mailbox whose content is compared without --verify
	maxApart   = 500      // messages that are read to see whether any of their kind are the same
	maxContent = 64 << 20 // octets of a mailbox that are read to recognise messages that were moved
)

// compare finds out whether what the old tool took for one message is one. Without --verify the content of a sample is read on
// the server: if one differs, the whole state of the mailbox is not believed.
func (m *importer) compare(ctx context.Context, box mail.Box, t *taken, list []*known) error {
	if err := m.stamps(ctx, box, list); err != nil {
		return err
	}
	done := 0
	for part := range slices.Chunk(list, chunk) {
		g, gctx := errgroup.WithContext(ctx)
		for _, side := range mail.Sides {
			g.Go(func() error { return m.identify(gctx, box, side, part, side == mail.Local) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
		done += len(part)
		if m.o.Progress != nil {
			m.o.Progress(box, done, len(list))
		}
	}
	sure, odd, apart := sort(list)
	if err := m.settleApart(ctx, box, apart); err != nil {
		return err
	}
	if n := strangers(apart); n > 0 && 2*n >= len(list) {
		t.Why = fmt.Sprintf("%d of %d messages are not the same on both sides: it is the state of another mailbox", n, len(list))
		return nil
	}
	n, bad, err := m.settle(ctx, box, m.sample(sure))
	if err != nil {
		return err
	}
	if bad > 0 && !m.o.Verify {
		t.Why = fmt.Sprintf("of %d messages whose content was compared, %d are not the same on both sides", n, bad)
		return nil
	}
	return m.settleOdd(ctx, box, odd)
}

// sort marks what cannot be compared as doubtful. sure are those whose Message-ID and size agree; odd those that agree but for their
// size, which servers do not always tell exactly; of those that are apart only the content can show that they are one message.
func sort(list []*known) (sure, odd, apart []*known) {
	for _, k := range list {
		l, r := k.ident[mail.Local], k.ident[mail.Remote]
		switch {
		case !k.told[0] || !k.told[1]:
			k.doubtful = true
		case k.Stub:
			k.altered = true
		case l.MessageID != r.MessageID:
			apart = append(apart, k)
		case l.Size == r.Size && l.Size > 0:
			sure = append(sure, k)
		case !l.MessageID.IsZero():
			odd = append(odd, k)
		default:
			apart = append(apart, k)
		}
	}
	return sure, odd, apart
}

// strangers counts those that are surely different messages.
func strangers(apart []*known) (n int) {
	for _, k := range apart {
		if k.doubtful && k.ident[mail.Local].MessageID != k.ident[mail.Remote].MessageID {
			n++
		}
	}
	return n
}

// settleApart reads all of a list; but if of many none turns out to be the same, the rest is not worth reading.
func (m *importer) settleApart(ctx context.Context, box mail.Box, list []*known) error {
	first := list[:min(len(list), maxApart)]
	n, bad, err := m.settle(ctx, box, first)
	if err != nil {
		return err
	}
	if rest := list[len(first):]; n > bad || m.o.Verify {
		_, _, err = m.settle(ctx, box, rest)
	} else {
		for _, k := range rest {
			k.doubtful = true
		}
	}
	return err
}

// settleOdd reads a sample of a list, and where the sizes turn out to be right, all of it: the old tool altered some messages.
func (m *importer) settleOdd(ctx context.Context, box mail.Box, list []*known) error {
	picked := m.sample(list)
	if _, _, err := m.settle(ctx, box, picked); err != nil {
		return err
	}
	if !slices.ContainsFunc(picked, func(k *known) bool { return k.altered || k.doubtful }) {
		return nil
	}
	rest := slices.DeleteFunc(slices.Clone(list), func(k *known) bool { return k.verified || k.altered || k.doubtful })
	_, _, err := m.settle(ctx, box, rest)
	return err
}

// sample picks those whose content is compared: some, or all.
func (m *importer) sample(list []*known) []*known {
	if m.o.Verify {
		return list
	}
	return pick(list, min(maxSample, 3+len(list)/500))
}

// settle compares the content of messages, and returns how many that were and how many of them differ. These are doubtful; those that
// are the same but for what a mail library does to a message are altered.
func (m *importer) settle(ctx context.Context, box mail.Box, list []*known) (n, bad int, err error) {
	d, l := mail.NewDigester(), newLoose()
	for part := range slices.Chunk(list, chunk) {
		var differ []*known
		hashes := make(map[*known][sha256.Size]byte)
		read := make(map[*known]bool, len(part))
		err := m.readAll(ctx, box, part, read, func(k *known, body io.Reader) error {
			d.Reset()
			l.reset()
			if _, err := io.Copy(io.MultiWriter(d, l), body); err != nil {
				return err
			}
			if k.verified = d.Ident().Digest == k.ident[mail.Local].Digest; !k.verified {
				differ, hashes[k] = append(differ, k), l.hash()
			}
			return nil
		})
		if err != nil {
			return n, bad, err
		}
		n += len(read)
		for _, k := range part {
			k.doubtful = !k.verified // gone in this moment, or different
		}
		altered, err := m.alteredOf(ctx, box, differ, hashes)
		if err != nil {
			return n, bad, err
		}
		bad += len(differ) - altered
	}
	return n, bad, nil
}

// readAll reads messages on the remote side, and notes which were read. A connection that breaks in a body is no reason to begin anew.
func (m *importer) readAll(ctx context.Context, box mail.Box, list []*known, read map[*known]bool, fn func(*known, io.Reader) error) error {
	byKey := index(list, mail.Remote)
	for vain := false; ; {
		before := len(read)
		rest := slices.DeleteFunc(slices.Clone(list), func(k *known) bool { return read[k] })
		err := m.o.Stores[mail.Remote].Fetch(ctx, box, keys(rest, mail.Remote), func(e mail.Entry, b mail.Body) error {
			k := byKey[e.Key]
			if k == nil || read[k] {
				return nil
			}
			if err := fn(k, b.Reader); err != nil {
				return err
			}
			read[k] = true
			return nil
		})
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || vain || !errors.Is(err, store.ErrUnreachable):
			return fmt.Errorf("read messages on the remote side: %w", err)
		}
		vain = len(read) == before
	}
}

// alteredOf reads the local copies of messages with these loose hashes, and returns how many have the same.
func (m *importer) alteredOf(ctx context.Context, box mail.Box, list []*known, hashes map[*known][sha256.Size]byte) (altered int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	byKey, l := index(list, mail.Local), newLoose()
	err = m.o.Stores[mail.Local].Fetch(ctx, box, keys(list, mail.Local), func(e mail.Entry, b mail.Body) error {
		l.reset()
		if _, err := io.Copy(l, b.Reader); err != nil {
			return err
		}
		if k := byKey[e.Key]; k != nil && !k.altered && l.hash() == hashes[k] {
			k.altered, k.doubtful = true, false
			altered++
		}
		return nil
	})
	if err != nil {
		return altered, fmt.Errorf("read messages on the local side: %w", err)
	}
	return altered, nil
}

// pick takes the smallest message of each of n parts of the list.
func pick(list []*known, n int) []*known {
	n = min(n, len(list))
	picked := make([]*known, 0, n)
	for i := range n {
		part := list[i*len(list)/n : (i+1)*len(list)/n]
		picked = append(picked, slices.MinFunc(part, func(a, b *known) int {
			return cmp.Compare(a.ident[mail.Local].Size, b.ident[mail.Local].Size)
		}))
	}
	return picked
}

func keys(list []*known, side mail.Side) []mail.Key {
	keys := make([]mail.Key, len(list))
	for i, k := range list {
		keys[i] = k.key(side)
	}
	slices.Sort(keys)
	return keys
}

func index(list []*known, side mail.Side) map[mail.Key]*known {
	byKey := make(map[mail.Key]*known, len(list))
	for _, k := range list {
		byKey[k.key(side)] = k
	}
	return byKey
}

// identify asks one side what messages are.
func (m *importer) identify(ctx context.Context, box mail.Box, side mail.Side, list []*known, full bool) error {
	if len(list) == 0 {
		return nil
	}
	byKey := index(list, side)
	err := m.o.Stores[side].Identify(ctx, box, keys(list, side), full, func(key mail.Key, id mail.Ident) error {
		if k := byKey[key]; k != nil {
			k.ident[side], k.told[side] = id, true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("identify messages on the %s side: %w", side, err)
	}
	return nil
}

// identifyHalves asks the side that still has them what messages are. With their digests the first sync finds those that the
// user moved on the other side; a server is asked for so many as can be read in a short time.
func (m *importer) identifyHalves(ctx context.Context, box mail.Box, side mail.Side, list []*known) error {
	for part := range slices.Chunk(list, chunk) {
		if err := m.identify(ctx, box, side, part, side == mail.Local); err != nil {
			return err
		}
	}
	if side == mail.Local {
		return m.stamps(ctx, box, list)
	}
	room := int64(maxContent)
	var small []*known
	for _, k := range list {
		if size := k.ident[side].Size; k.told[side] && size > 0 && size <= room {
			room -= size
			small = append(small, k)
		}
	}
	for part := range slices.Chunk(small, chunk) {
		if err := m.identify(ctx, box, side, part, true); err != nil {
			return err
		}
	}
	return nil
}

// stamps notes what tells later whether a file has the content of now. It comes before the content is read.
func (m *importer) stamps(ctx context.Context, box mail.Box, list []*known) error {
	s, ok := m.o.Stores[mail.Local].(store.Stamper)
	if !ok || len(list) == 0 {
		return nil
	}
	byKey := index(list, mail.Local)
	return s.Stamps(ctx, box, func(key mail.Key, stamp uint64, _ int64) error {
		if k := byKey[key]; k != nil {
			k.stamp = stamp
		}
		return nil
	})
}
