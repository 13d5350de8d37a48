package mbsync

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"mailtwin/internal/migrate"
)

// source is where the state of a pair of mailboxes is read from.
type source struct {
	dir     string
	state   string
	local   int // the end that is the Maildir
	infoSep byte
}

// distrust says why state is not to be believed.
type distrust struct{ err error }

func (d *distrust) Error() string { return d.err.Error() }
func (d *distrust) Unwrap() error { return d.err }

func distrustf(format string, args ...any) error { return &distrust{fmt.Errorf(format, args...)} }

// known is the state of a pair of mailboxes, checked.
type known struct {
	s     *state
	names *uidNames
	torn  bool // the journal's last line is cut off

	placeholders, expired, single, twice int
}

// files are the files of the state that exist.
func (f *source) files() []string {
	var list []string
	for _, path := range []string{f.state, f.state + ".journal", f.state + ".new", filepath.Join(f.dir, validityFile), filepath.Join(f.dir, altMapFile)} {
		if !missing(path) {
			list = append(list, path)
		}
	}
	return list
}

// load reads the state and the journal, and lists the folder. The error is a distrust, or that of listing.
func (f *source) load() (*known, error) {
	k := &known{}
	var err error
	if k.s, err = f.readState(); err != nil {
		return nil, err
	}
	if k.torn, err = f.replay(k.s); err != nil {
		return nil, err
	}
	validity, highest, err := readValidity(f.dir)
	if err != nil {
		return nil, distrustf("%w", err)
	}
	switch v := k.s.validity; {
	case v[1-f.local] == 0 || v[1-f.local] == badUID:
		return nil, distrustf("the state %s does not say which UIDVALIDITY of the server it belongs to", f.state)
	case v[f.local] != validity:
		return nil, distrustf("the state %s belongs to the UIDVALIDITY %d of the folder, which has %d now: its files were numbered anew", f.state, v[f.local], validity)
	}
	if k.names, err = readNames(f.dir, f.infoSep); err != nil {
		return nil, fmt.Errorf("list folder %s: %w", f.dir, err)
	}
	return k, f.check(k, highest)
}

func (f *source) readState() (*state, error) {
	file, err := openFile(f.state)
	if errors.Is(err, fs.ErrNotExist) {
		if !missing(f.state+".journal") && !missing(f.state+".new") {
			return &state{}, nil // the first run was interrupted
		}
		return nil, distrustf("mbsync has no state of it in %s", f.state)
	}
	if err != nil {
		return nil, distrustf("%w", err)
	}
	defer func() { _ = file.Close() }()
	s, err := readState(file)
	if err != nil {
		return nil, distrustf("the state %s is damaged: %w", f.state, err)
	}
	return s, nil
}

// replay applies the journal, which counts only while the new state was not put in place.
func (f *source) replay(s *state) (torn bool, err error) {
	file, err := openFile(f.state + ".journal")
	if errors.Is(err, fs.ErrNotExist) || err == nil && missing(f.state+".new") {
		if err == nil {
			_ = file.Close()
		}
		return false, nil
	}
	if err != nil {
		return false, distrustf("%w", err)
	}
	defer func() { _ = file.Close() }()
	torn, err = s.replay(file)
	switch {
	case errors.Is(err, errVersion):
		return false, distrustf("an interrupted run left the journal %s, and its version is not known; let the mbsync that wrote it finish its run", file.Name())
	case err != nil:
		return false, distrustf("the journal %s is damaged: %w", file.Name(), err)
	}
	return torn, nil
}

// check looks for what cannot be, and counts what is not taken over.
func (f *source) check(k *known, highest uint32) error {
	var uids [2][]uint32
	for _, r := range k.s.records {
		if r.is&isDead != 0 || r.uid == [2]uint32{} {
			continue
		}
		for end, uid := range r.uid {
			if uid != 0 {
				uids[end] = append(uids[end], uid)
			}
		}
		if r.uid[f.local] > highest {
			return distrustf("the state %s names the UID %d, and .uidvalidity says that the highest one given is %d: one of them is an older copy", f.state, r.uid[f.local], highest)
		}
		f.count(k, r)
	}
	for _, list := range uids {
		slices.Sort(list)
		for i := 1; i < len(list); i++ {
			if list[i] == list[i-1] {
				return distrustf("the state %s names the UID %d twice", f.state, list[i])
			}
		}
	}
	return nil
}

func (f *source) count(k *known, r record) {
	name, twice := k.names.find(r.uid[f.local])
	switch {
	case r.is&(isDummyFar|isDummyNear) != 0:
		k.placeholders++
	case r.is&isExpired != 0 && (r.uid[near] == 0 || name == ""):
		k.expired++
	case r.uid[far] == 0 || r.uid[near] == 0:
		k.single++
	case twice:
		k.twice++
	}
}

// entry makes an entry of a record; false if it is none: a message on one side only, or a file of which there are two.
func (f *source) entry(k *known, r record) (e migrate.Entry, ok bool) {
	if r.is&isDead != 0 || r.uid[far] == 0 || r.uid[near] == 0 {
		return e, false
	}
	name, twice := k.names.find(r.uid[f.local])
	if twice || name == "" && r.is&isExpired != 0 {
		return e, false
	}
	return migrate.Entry{UID: r.uid[1-f.local], File: name, Flags: flagsOf(r.flags), Stub: r.is&(isDummyFar|isDummyNear) != 0}, true
}

// entries reads the state again and yields what of it is on both sides.
func (f *source) entries(yield func(migrate.Entry, error) bool) {
	k, err := f.load()
	if err != nil {
		yield(migrate.Entry{}, fmt.Errorf("read state %s again: %w", f.state, err))
		return
	}
	for _, r := range k.s.records {
		if e, ok := f.entry(k, r); ok && !yield(e, nil) {
			return
		}
	}
}
