package mbsync

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// errVersion says that a journal is of a version whose records are not known.
var errVersion = errors.New("another version of mbsync wrote it")

// statusBits are the bits that a "~" record of a version of the journal has, in our meaning.
var statusBits = map[string]map[uint32]uint8{
	"4": {1 << 0: isExpired, 1 << 1: isExpired, 1 << 2: isPending, 1 << 3: isDummyFar, 1 << 4: isDummyNear, 1 << 5: isSkipped, 1 << 7: isDead},
	"5": {1 << 0: isDead, 1 << 1: isExpired, 1 << 2: isExpired, 1 << 4: isPending, 1 << 5: isDummyFar, 1 << 6: isDummyNear, 1 << 7: isSkipped},
}

// arguments are how many numbers follow the letter of a record.
var arguments = map[byte][2]int{ // least, most
	'N': {2, 2}, 'F': {2, 2}, 'T': {2, 2}, 'P': {2, 2}, '+': {2, 2}, '&': {2, 2}, '-': {2, 2}, '=': {2, 2}, '_': {2, 2}, '|': {2, 2},
	'!': {1, 1}, '#': {2, 2}, '<': {3, 3}, '>': {3, 3}, '*': {3, 3}, '~': {3, 3}, '%': {3, 3}, '$': {3, 4}, '^': {2, 4},
}

// journal applies records to a state.
type journal struct {
	s       *state
	version string
	at      map[[2]uint32]int // where the entry with these UIDs is
	flags   map[int]pending   // of entries that await propagation; version 5
}

// pending are the flags that an entry gets with its UID: these, or where it is upgraded its own with changes.
type pending struct {
	flags, add, remove uint8
	upgrade            bool
}

// replay applies a journal to the state as mbsync would at its next start. torn says that the last line is cut off, which
// a crash of the machine does: what stands before it holds. On other errors the state is of no use.
func (s *state) replay(r io.Reader) (torn bool, err error) {
	l := newLines(r)
	version, err := l.next()
	switch {
	case errors.Is(err, io.EOF):
		return false, nil
	case errors.Is(err, errTorn):
		return true, nil
	case err != nil:
		return false, l.damage("%w", err)
	case statusBits[version] == nil:
		return false, l.damage("%w", errVersion)
	}
	j := &journal{s: s, version: version, at: make(map[[2]uint32]int, len(s.records)), flags: map[int]pending{}}
	for i := range s.records {
		if err := j.enter(i); err != nil {
			return false, err
		}
	}
	for {
		line, err := l.next()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case errors.Is(err, errTorn):
			return true, nil
		case err != nil:
			return false, l.damage("%w", err)
		}
		if err := j.apply(line); err != nil {
			return false, l.damage("%w", err)
		}
	}
}

// enter makes an entry known under its UIDs.
func (j *journal) enter(i int) error {
	uid := j.s.records[i].uid
	if other, ok := j.at[uid]; ok && j.s.records[other].is&isDead == 0 && uid != [2]uint32{} {
		return fmt.Errorf("the entry %d %d is there twice", uid[far], uid[near])
	}
	j.at[uid] = i
	return nil
}

// apply carries out one record.
func (j *journal) apply(line string) error {
	if len(line) < 3 || line[1] != ' ' {
		return errors.New("this is no record of a journal")
	}
	c, words := line[0], strings.Fields(line[2:])
	if c == '#' && len(words) == 3 {
		words = words[:2] // the third is the text of the X-TUID header
	}
	want, known := arguments[c]
	if !known || len(words) < want[0] || len(words) > want[1] {
		return errors.New("this is no record of a journal")
	}
	var n [4]uint32
	for i, w := range words {
		var ok bool
		if n[i], ok = number(w); !ok {
			return errors.New("this is no record of a journal")
		}
	}
	switch c {
	case 'N', 'F', 'T', '!': // limits of UIDs and the trash
		return nil
	case '|':
		j.s.validity = [2]uint32{n[0], n[1]}
		return nil
	case '+':
		if len(j.s.records) == maxRecords {
			return errors.New("too many entries")
		}
		j.s.records = append(j.s.records, record{uid: [2]uint32{n[0], n[1]}, is: isPending})
		return j.enter(len(j.s.records) - 1)
	}
	i, ok := j.at[[2]uint32{n[0], n[1]}]
	if !ok || j.s.records[i].is&isDead != 0 {
		return fmt.Errorf("there is no entry %d %d", n[0], n[1])
	}
	return j.change(i, c, n)
}

// change carries out a record that concerns an entry.
func (j *journal) change(i int, c byte, n [4]uint32) error {
	rec := &j.s.records[i]
	if (c == '*' || c == '%') && n[2] >= 1<<len(flagLetters) {
		return errors.New("there is no such flag")
	}
	switch c {
	case '-', '=':
		rec.is = isDead
		delete(j.at, rec.uid)
	case '<':
		return j.assign(i, far, n[2])
	case '>':
		return j.assign(i, near, n[2])
	case '*':
		rec.flags = uint8(n[2])
	case '~':
		rec.is = 0
		for bit, is := range statusBits[j.version] {
			if n[2]&bit != 0 {
				rec.is |= is
			}
		}
	case '_':
		rec.is = isPending | isDummyNear
		if rec.uid[far] == 0 {
			rec.is = isPending | isDummyFar
		}
	case '%':
		j.flags[i] = pending{flags: uint8(n[2])}
	case '$':
		j.flags[i] = pending{add: uint8(n[2]), remove: uint8(n[3]), upgrade: true}
	case '^':
		return j.upgrade(i)
	}
	return nil // '&' and 'P' concern what is still to be done
}

// assign gives an entry a UID on one end.
func (j *journal) assign(i, end int, uid uint32) error {
	rec := &j.s.records[i]
	delete(j.at, rec.uid)
	rec.uid[end] = uid
	rec.is &^= isPending
	if p := j.flags[i]; uid != 0 && j.version != "4" {
		if p.upgrade {
			rec.flags = (rec.flags | p.add) &^ p.remove
		} else {
			rec.flags = p.flags
		}
		delete(j.flags, i)
	}
	return j.enter(i)
}

// upgrade splits an entry whose placeholder is being replaced: the placeholder becomes an entry of its own.
func (j *journal) upgrade(i int) error {
	if len(j.s.records) == maxRecords {
		return errors.New("too many entries")
	}
	rec := j.s.records[i]
	end := near
	if rec.is&isDummyFar != 0 {
		end = far
	}
	dummy := record{is: rec.is}
	dummy.uid[end] = rec.uid[end]
	delete(j.at, rec.uid)
	rec.uid[end] = 0
	rec.is = rec.is&^(isDummyFar|isDummyNear) | isPending
	j.s.records[i] = rec
	j.s.records = append(j.s.records, dummy)
	j.flags[i] = pending{upgrade: true}
	if err := j.enter(i); err != nil {
		return err
	}
	return j.enter(len(j.s.records) - 1)
}
