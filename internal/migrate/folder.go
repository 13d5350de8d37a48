package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// known is a message of the old state, and what both sides say of it now.
type known struct {
	Entry
	has      [2]bool
	told     [2]bool // ident is what the side says
	ident    [2]mail.Ident
	stamp    uint64
	doubtful bool // it is left to the first sync
	verified bool // the content is known to be the same
	altered  bool // it is the same but for what a mail library does to a message
}

func (k *known) key(side mail.Side) mail.Key {
	if side == mail.Local {
		return mail.Key(k.File)
	}
	return mail.UIDKey(k.UID)
}

// folder finds out what of a folder's state holds.
func (m *importer) folder(ctx context.Context, f *Folder) (*taken, error) {
	t := &taken{Box: Box{Name: string(f.Box)}, box: state.Box{Name: f.Box, Known: [2]bool{true, true}}}
	if t.Why = m.unfit(f); t.Why != "" {
		return t, nil
	}
	list, doubled, err := collect(f.Entries)
	if err != nil {
		if ctx.Err() != nil {
			return t, ctx.Err()
		}
		t.Why = fmt.Sprintf("its state cannot be read to the end: %v", err)
		return t, nil
	}
	t.Known, t.Doubtful = len(list)+doubled, doubled
	for _, side := range mail.Sides {
		st, ok := m.status[side][f.Box]
		if !ok {
			continue
		}
		if st.Role != "" {
			t.box.Role = st.Role
		}
		if t.Why, err = m.look(ctx, f, t, side, list); t.Why != "" || err != nil {
			return t, err
		}
	}
	return t, m.take(ctx, f, t, list)
}

// unfit says why nothing of a folder can be taken over, "" if it can.
func (m *importer) unfit(f *Folder) string {
	var there bool
	for _, side := range mail.Sides {
		st, ok := m.status[side][f.Box]
		if st.Err != nil {
			return st.Err.Error()
		}
		there = there || ok
	}
	switch {
	case !m.selected(f.Box):
		return "it is left out by mailboxes = [...]"
	case f.Distrust != "":
		return f.Distrust
	case !there:
		return "it is on neither side any more"
	case f.Validity == 0:
		return "its state does not say which UIDVALIDITY it is for"
	}
	return ""
}

// collect reads the entries. Those that contradict others are left out, and counted.
func collect(entries iter.Seq2[Entry, error]) (list []*known, doubled int, err error) {
	for e, err := range entries {
		if err != nil {
			return nil, 0, err
		}
		list = append(list, &known{Entry: e})
	}
	before := len(list)
	slices.SortStableFunc(list, func(a, b *known) int { return strings.Compare(a.File, b.File) })
	list = alone(list, func(a, b *known) bool { return a.File == b.File && a.File != "" })
	slices.SortStableFunc(list, func(a, b *known) int { return cmp.Compare(a.UID, b.UID) })
	list = alone(list, func(a, b *known) bool { return a.UID == b.UID || b.UID == 0 })
	return list, before - len(list), nil
}

// alone leaves out what is the same as a neighbour.
func alone(list []*known, same func(a, b *known) bool) []*known {
	var kept []*known
	for i, k := range list {
		if k.UID != 0 && (i == 0 || !same(list[i-1], k)) && (i+1 == len(list) || !same(k, list[i+1])) {
			kept = append(kept, k)
		}
	}
	return kept
}

// looks is how often a Maildir is looked through for files that are not found: a scan that races with renames can miss some.
const looks = 2

// look finds out which messages one side still has; why says why the state is not of this mailbox.
func (m *importer) look(ctx context.Context, f *Folder, t *taken, side mail.Side, list []*known) (why string, err error) {
	for try := 1; ; try++ {
		v, err := m.o.Stores[side].View(ctx, f.Box, "")
		if errors.Is(err, store.ErrGone) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		whole, ok := v.(mail.Whole)
		if !ok {
			return "", errors.New("view mailbox: not a whole view")
		}
		t.box.Epoch[side] = whole.Epoch
		if want := strconv.FormatUint(uint64(f.Validity), 10); side == mail.Remote && whole.Epoch != want {
			return fmt.Sprintf("its UIDVALIDITY is %s, and the state is for %s: the server renumbered it", whole.Epoch, want), nil
		}
		missing, err := mark(list, side, whole.All)
		if err != nil {
			return "", err
		}
		if _, err := whole.End(); err != nil {
			return "", err
		}
		if missing == 0 || side == mail.Remote || try == looks {
			return "", nil
		}
	}
}

// mark notes which messages a view shows; it returns how many are missing.
func mark(list []*known, side mail.Side, all iter.Seq2[mail.Entry, error]) (missing int, err error) {
	byKey := slices.Clone(list)
	slices.SortFunc(byKey, func(a, b *known) int { return strings.Compare(string(a.key(side)), string(b.key(side))) })
	i := 0
	for e, err := range all {
		if err != nil {
			return 0, err
		}
		for i < len(byKey) && byKey[i].key(side) < e.Key {
			i++
		}
		if i < len(byKey) && byKey[i].key(side) == e.Key {
			byKey[i].has[side] = true
		}
	}
	for _, k := range list {
		if !k.has[side] {
			missing++
		}
	}
	return missing, nil
}

// take makes pairs of what holds.
func (m *importer) take(ctx context.Context, f *Folder, t *taken, list []*known) error {
	var both []*known
	var halves [2][]*known // by the side that has them
	for _, k := range list {
		switch {
		case k.has[0] && k.has[1]:
			both = append(both, k)
		case k.has[mail.Local] && m.o.Greet[mail.Remote].Caps.Partial:
			t.Doubtful++ // a server that shows a part of a mailbox has lost nothing (rule 10)
		case k.has[mail.Local]:
			halves[mail.Local] = append(halves[mail.Local], k)
		case k.has[mail.Remote]:
			halves[mail.Remote] = append(halves[mail.Remote], k)
		default:
			t.Gone++
		}
	}
	if err := m.compare(ctx, f.Box, t, both); err != nil || t.Why != "" {
		return err
	}
	for _, side := range mail.Sides {
		if err := m.identifyHalves(ctx, f.Box, side, halves[side]); err != nil {
			return err
		}
	}
	for _, k := range both {
		if k.doubtful {
			t.Doubtful++
			continue
		}
		t.Paired++
		switch {
		case k.Stub:
			t.Stubs++
		case k.altered:
			t.Altered++
			t.Compared++
		case k.verified:
			t.Compared++
		}
		t.pairs = append(t.pairs, k)
	}
	for _, side := range mail.Sides {
		for _, k := range halves[side] {
			if !k.told[side] { // gone in this moment
				t.Gone++
				continue
			}
			t.Missing[side.Other()]++
			t.pairs = append(t.pairs, k)
		}
	}
	return m.secure(ctx, t)
}

func (k *known) pair(box mail.Box) mail.Pair {
	p := mail.Pair{Box: box, Flags: k.Flags, Stamp: k.stamp, Verified: k.verified, Ident: k.ident[mail.Local].Merge(k.ident[mail.Remote])}
	for _, side := range mail.Sides {
		if k.has[side] {
			p.Keys[side] = k.key(side)
		} else {
			p.Left = mail.LeftVanished
		}
	}
	if k.altered {
		p.Left = mail.LeftAltered
	}
	return p
}

// secure makes the files durable before rows rest on them (rule 1).
func (m *importer) secure(ctx context.Context, t *taken) error {
	for _, side := range mail.Sides {
		s, ok := m.o.Stores[side].(store.Securer)
		if !ok || m.o.DryRun {
			continue
		}
		for part := range slices.Chunk(t.pairs, chunk) {
			var keys []mail.Key
			for _, k := range part {
				if k.has[side] {
					keys = append(keys, k.key(side))
				}
			}
			if len(keys) == 0 {
				continue
			}
			if err := s.Secure(ctx, t.box.Name, keys); err != nil {
				return fmt.Errorf("make messages durable on the %s side: %w", side, err)
			}
		}
	}
	return nil
}
