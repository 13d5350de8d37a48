package maildirstore

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"mailtwin/internal/mail"
)

// listing has the files of a mailbox, sorted by key, in a few bytes beside their unique names: a mailbox may have a million.
type listing struct {
	chunks [][]byte // keys, one after the other; what is written stays
	at     []slot
	infos  []string // what follows the unique name in the name of a file: each once
	places map[string]uint16
	odd    map[int]string // names that are not unique name and info, by place
	shared bool           // somebody reads it: see writable
}

// slot says where the key of a file is, and how its name is made of it.
type slot struct {
	chunk, offset uint16
	length        uint16
	info          uint16
	cut           uint8 // how much of the key is not in the name
	bits          uint8
}

const (
	inCur    = 1 << iota // else in new
	hasMore              // see file.more
	isGone               // since it was listed
	inOdd                // its name is in odd
	maxInfos = math.MaxUint16
)

func (l *listing) len() int { return len(l.at) }

// add appends a file; see sort.
func (l *listing) add(name string, cur bool, sep byte) {
	unique, _ := split(name, sep)
	s, ok := l.keep(unique)
	if !ok {
		return
	}
	if cur {
		s.bits |= inCur
	}
	l.at = append(l.at, s)
	l.setInfo(len(l.at)-1, name, len(unique))
}

// keep writes a key down. False if there are more than can be, far beyond what a folder holds.
func (l *listing) keep(key string) (slot, bool) {
	n := len(l.chunks) - 1
	if n < 0 || len(l.chunks[n])+len(key) > cap(l.chunks[n]) {
		if n++; n > math.MaxUint16 || len(key) > math.MaxUint16 {
			return slot{}, false
		}
		size := math.MaxUint16
		if n == 0 {
			size = 4096
		}
		l.chunks = append(l.chunks, make([]byte, 0, max(size, len(key))))
	}
	s := slot{chunk: uint16(n), offset: uint16(len(l.chunks[n])), length: uint16(len(key))} //nolint:gosec // see above
	l.chunks[n] = append(l.chunks[n], key...)
	return s, true
}

// setInfo notes the name of a file, whose first bytes are those of its key.
func (l *listing) setInfo(i int, name string, unique int) {
	s := &l.at[i]
	s.bits &^= inOdd
	info := name[unique:]
	place, ok := l.places[info]
	if !ok && len(l.infos) < maxInfos {
		if l.places == nil {
			l.places = map[string]uint16{}
		}
		place, ok = uint16(len(l.infos)), true //nolint:gosec // see above
		info = strings.Clone(info)
		l.infos, l.places[info] = append(l.infos, info), place
	}
	if !ok {
		l.setOdd(i, name)
		return
	}
	s.info = place
}

func (l *listing) setOdd(i int, name string) {
	if l.odd == nil {
		l.odd = map[int]string{}
	}
	l.odd[i] = strings.Clone(name)
	l.at[i].bits |= inOdd
}

// key returns the key of a file. It shares the memory of the listing, in which what is written stays.
func (l *listing) key(i int) mail.Key {
	s := l.at[i]
	if s.length == 0 {
		return ""
	}
	b := l.chunks[s.chunk][s.offset:][:s.length]
	return mail.Key(unsafe.String(&b[0], len(b)))
}

func (l *listing) unique(i int) string {
	key := string(l.key(i))
	return key[:len(key)-int(l.at[i].cut)]
}

func (l *listing) file(i int) file {
	s := l.at[i]
	f := file{key: l.key(i), cur: s.bits&inCur != 0, more: s.bits&hasMore != 0}
	switch {
	case s.bits&isGone != 0:
	case s.bits&inOdd != 0:
		f.name = l.odd[i]
	default:
		f.name = l.unique(i) + l.infos[s.info]
	}
	return f
}

// infoOf returns what follows the unique name in a file's name.
func (l *listing) infoOf(i int) string {
	if s := l.at[i]; s.bits&(inOdd|isGone) == 0 {
		return l.infos[s.info]
	}
	return strings.TrimPrefix(l.file(i).name, l.unique(i))
}

// find returns the place of a key.
func (l *listing) find(key mail.Key) (int, bool) {
	lo, hi := 0, len(l.at)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); l.key(mid) < key { //nolint:gosec // between the two
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(l.at) && l.key(lo) == key
}

// hasUnique reports whether a file has a unique name.
func (l *listing) hasUnique(unique string) bool {
	i, ok := l.find(mail.Key(unique))
	for ; !ok && i < len(l.at) && strings.HasPrefix(string(l.key(i)), unique); i++ { // twins have longer keys
		ok = l.unique(i) == unique
	}
	return ok
}

// writable returns a listing that may be changed: this one, or a copy if somebody reads it. Keys are common to both.
func (l *listing) writable() *listing {
	if !l.shared {
		return l
	}
	w := *l
	w.shared = false
	w.at, w.infos = slices.Clone(l.at), slices.Clone(l.infos)
	w.places = make(map[string]uint16, len(l.infos))
	for i, info := range w.infos {
		w.places[info] = uint16(i) //nolint:gosec // at most maxInfos
	}
	if l.odd != nil {
		w.odd = make(map[int]string, len(l.odd))
		for i, name := range l.odd {
			w.odd[i] = name
		}
	}
	return &w
}

// rename notes that a file has another name; "" for one that is gone.
func (l *listing) rename(i int, name string, cur bool) {
	s := &l.at[i]
	s.bits &^= inCur | isGone
	if cur {
		s.bits |= inCur
	}
	unique := l.unique(i)
	switch {
	case name == "":
		s.bits |= isGone
	case strings.HasPrefix(name, unique):
		l.setInfo(i, name, len(unique))
	default:
		l.setOdd(i, name)
	}
}

// assignKeys gives every file its key and sorts them. Where several files have one unique name, the key of each is that
// name and its inode's number: that tells them apart whatever flags they get and whichever of them goes, so that none takes the
// place of another. inode says false for a file that is gone since; it is left out: a mail reader renamed it, and both of its names
// were seen. Several names of one and the same file are one message: a mail reader, or a run of ours, that renames by a link and an
// unlink stopped, or is, between the two.
func (l *listing) assignKeys(inode func(*file) (uint64, bool)) {
	l.sort()
	kept, again := 0, false
	for i := 0; i < len(l.at); {
		j := i + 1
		for j < len(l.at) && l.key(j) == l.key(i) {
			j++
		}
		if j-i == 1 {
			l.move(kept, i)
			kept++
		} else {
			again = true
			kept += l.tellApart(kept, i, j, inode)
		}
		i = j
	}
	for i := kept; i < len(l.at); i++ {
		delete(l.odd, i)
	}
	l.at = l.at[:kept]
	if again {
		l.sort()
	}
}

// move puts a file at an earlier place.
func (l *listing) move(to, from int) {
	l.at[to] = l.at[from]
	if name, ok := l.odd[from]; ok && to != from {
		l.odd[to] = name
		delete(l.odd, from)
	}
}

func (l *listing) sort() {
	if len(l.odd) == 0 {
		slices.SortFunc(l.at, func(a, b slot) int { return strings.Compare(l.text(a), l.text(b)) })
		return
	}
	order := make([]int, len(l.at))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(l.text(l.at[a]), l.text(l.at[b])) })
	at, odd := make([]slot, len(order)), map[int]string{}
	for to, from := range order {
		at[to] = l.at[from]
		if name, ok := l.odd[from]; ok {
			odd[to] = name
		}
	}
	l.at, l.odd = at, odd
}

func (l *listing) text(s slot) string {
	if s.length == 0 {
		return ""
	}
	return unsafe.String(&l.chunks[s.chunk][s.offset], int(s.length))
}

// tellApart gives the files from i to before j, of one unique name, their keys, and puts those that are messages at to; it returns how
// many. Of the names of one file that in cur comes first, and of those the one with most flags.
func (l *listing) tellApart(to, i, j int, inode func(*file) (uint64, bool)) int {
	twins := make([]file, 0, j-i)
	for k := i; k < j; k++ {
		twins = append(twins, l.file(k))
		delete(l.odd, k)
	}
	unique := string(l.key(i))
	kept, inodes := oneName(twins, inode)
	for k, f := range kept {
		s := l.at[i]
		s.cut, s.bits = 0, 0
		if len(kept) > 1 {
			suffix := "/" + strconv.FormatUint(inodes[k], 36)
			long, ok := l.keep(unique + suffix)
			if !ok {
				continue
			}
			s = long
			s.cut = uint8(len(suffix)) //nolint:gosec // of a number
		}
		if f.cur {
			s.bits |= inCur
		}
		if f.more {
			s.bits |= hasMore
		}
		l.at[to+k] = s
		l.setInfo(to+k, f.name, len(unique))
	}
	return len(kept)
}
