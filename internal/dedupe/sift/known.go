package sift

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"

	"mailtwin/internal/dedupe"
)

// markKnown joins what the state database knows with the table, by hashes of unique names.
func (f *finder) markKnown(ctx context.Context) error {
	type named struct {
		hash uint64
		at   uint32
	}
	seed := maphash.MakeSeed()
	for box := range f.o.Folders {
		var list []named
		for i := uint32(0); int(i) < f.t.Len(); i++ {
			if m := f.t.At(i); int(m.Box) == box && m.Bits&dedupe.Gone == 0 {
				list = append(list, named{maphash.Bytes(seed, dedupe.Unique(f.t.Name(m))), i})
			}
		}
		slices.SortFunc(list, func(a, b named) int { return cmp.Compare(a.hash, b.hash) })
		err := f.o.Known(ctx, f.o.Folders[box].Name, func(unique string) {
			h := maphash.String(seed, unique)
			k, _ := slices.BinarySearchFunc(list, h, func(n named, h uint64) int { return cmp.Compare(n.hash, h) })
			for ; k < len(list) && list[k].hash == h; k++ {
				if m := f.t.At(list[k].at); string(dedupe.Unique(f.t.Name(m))) == unique {
					m.Bits |= dedupe.Known
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
