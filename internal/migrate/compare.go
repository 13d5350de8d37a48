package migrate

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

const (
	chunk      = 1000     // messages that are asked for at a time
	maxSample  = 20       // messages of a mailbox whose content is compared without --verify
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
	sure, odd, strange := sort(list)
	if strange > 0 && 2*strange >= len(list) {
		t.Why = fmt.Sprintf("%d of %d messages are not the same on both sides: it is the state of another mailbox", strange, len(list))
		return nil
	}
	n, bad, err := m.sample(ctx, box, sure)
	if err != nil {
		return err
	}
	if bad > 0 && !m.o.Verify {
		t.Why = fmt.Sprintf("of %d messages whose content was compared, %d are not the same on both sides", n, bad)
		return nil
	}
	_, bad, err = m.sample(ctx, box, odd)
	if bad > 0 && !m.o.Verify {
		for _, k := range odd {
			k.doubtful = true
		}
	}
	return err
}

// sort marks what does not agree as doubtful. odd are those that agree but for their size, which servers do not always tell
// exactly; strange counts those that are surely different messages.
func sort(list []*known) (sure, odd []*known, strange int) {
	for _, k := range list {
		l, r := k.ident[mail.Local], k.ident[mail.Remote]
		switch {
		case !k.told[0] || !k.told[1]:
			k.doubtful = true
		case l.MessageID != r.MessageID:
			k.doubtful = true
			strange++
		case l.Size == r.Size && l.Size > 0:
			sure = append(sure, k)
		case !l.MessageID.IsZero():
			odd = append(odd, k)
		default:
			k.doubtful = true
		}
	}
	return sure, odd, strange
}

// sample compares the content of some, or all, and returns how many that were and how many of them differ. These are doubtful.
func (m *importer) sample(ctx context.Context, box mail.Box, list []*known) (n, bad int, err error) {
	picked := list
	if !m.o.Verify {
		picked = pick(list, min(maxSample, 3+len(list)/500))
	}
	for part := range slices.Chunk(picked, chunk) {
		digests := make(map[*known]mail.Hash, len(part))
		byKey := index(part, mail.Remote)
		err := m.o.Stores[mail.Remote].Identify(ctx, box, keys(part, mail.Remote), true, func(key mail.Key, id mail.Ident) error {
			if k := byKey[key]; k != nil {
				digests[k] = id.Digest
			}
			return nil
		})
		if err != nil {
			return n, bad, err
		}
		for _, k := range part {
			d, ok := digests[k]
			switch {
			case !ok: // gone in this moment
				k.doubtful = true
			case d == k.ident[mail.Local].Digest:
				k.verified = true
				n++
			default:
				k.doubtful = true
				n++
				bad++
			}
		}
	}
	return n, bad, nil
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
