package offlineimap

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mailtwin/internal/migrate"
)

// source is where the state of one folder is read from.
type source struct {
	dir           string
	fmd5          string // what the names of its files must have
	sqlite, plain string // the status files; one may be missing
	validity      string
	infoSep       byte
	namesOnly     bool // the status is damaged: the UIDs in the names of files are all there is
}

// distrust says why state is not to be believed.
type distrust struct{ text string }

func (d *distrust) Error() string { return d.text }

func distrustf(format string, args ...any) error { return &distrust{fmt.Sprintf(format, args...)} }

// known is what a folder's state holds, in numbers.
type known struct {
	rows, gone, unlisted int
	names                *uidNames
	noStatus             bool
	damage               string // what is wrong with the status, so that it counts as missing
}

// files are the files of the state that exist.
func (f *source) files() (list []string) {
	for _, path := range []string{f.sqlite, f.sqlite + journals[0], f.sqlite + journals[1], f.plain, f.plain + ".old", f.plain + ".tmp", f.validity} {
		if path != "" && !missing(path) {
			list = append(list, path)
		}
	}
	return list
}

// status reads the status: the database where there is one, else the text. false: there is neither.
func (f *source) status(yield func(row) bool) (bool, error) {
	read, path := readSQLite, f.sqlite
	if missing(path) {
		if path = f.plain; missing(path) {
			return false, nil
		}
		read = readPlainFile
	}
	if err := read(path, yield); err != nil {
		return true, distrustf("the status %s is damaged: %v", path, err)
	}
	return true, nil
}

func readPlainFile(path string, yield func(row) bool) error {
	file, err := openFile(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return readPlain(file, yield)
}

// load reads the status and lists the folder, to see whether they can be believed. The error is a distrust, or that of listing.
func (f *source) load() (*known, error) {
	k := &known{}
	var err error
	if k.names, err = readNames(f.dir, f.fmd5, f.infoSep); err != nil {
		return nil, fmt.Errorf("list folder %s: %w", f.dir, err)
	}
	uids, err := f.readUIDs(k)
	var damage *distrust
	if errors.As(err, &damage) {
		// The names of files say what is what, too, and only the flags that both sides agreed on are not known.
		f.namesOnly, k.noStatus, k.damage = true, true, damage.Error()
		k.rows, k.gone, uids = 0, 0, nil
	} else if err != nil {
		return nil, err
	}
	for _, n := range k.names.list {
		if _, ok := slices.BinarySearch(uids, n.uid); !ok {
			k.unlisted++
		}
	}
	if k.damage == "" {
		if err := f.compare(k); err != nil {
			return nil, err
		}
	} else if len(k.names.list) == 0 {
		return nil, damage
	}
	if k.names.foreign > 0 && len(k.names.list) == 0 {
		return nil, distrustf("its files have UIDs of another folder in their names: it was renamed or moved, or nametrans was changed")
	}
	return k, nil
}

// readUIDs reads the UIDs in the status, and counts.
func (f *source) readUIDs(k *known) (uids []uint32, err error) {
	has, err := f.status(func(r row) bool {
		k.rows++
		uids = append(uids, r.uid)
		if _, _, ok := k.names.find(r.uid); !ok {
			k.gone++
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(uids)
	for i := 1; i < len(uids); i++ {
		if uids[i] == uids[i-1] {
			return nil, distrustf("the status %s names the UID %d twice", f.plain, uids[i])
		}
	}
	k.noStatus = !has
	return uids, nil
}

// compare looks whether a plain status lies beside the database that says much more: then the database is what an upgrade of
// OfflineIMAP left when it was stopped.
func (f *source) compare(k *known) error {
	if missing(f.sqlite) || missing(f.plain) {
		return nil
	}
	n := 0
	if err := readPlainFile(f.plain, func(row) bool { n++; return true }); err == nil && n > 10 && k.rows < n/2 {
		return distrustf("the status %s has %d messages, and the older %s has %d: an upgrade of OfflineIMAP was stopped half way", f.sqlite, k.rows, f.plain, n)
	}
	return nil
}

// entries reads the state again and yields what of it is on both sides. Files that have a UID and are not in the status are
// those of a run that was stopped before it wrote them there; what both sides agree on of their flags is not known.
func (f *source) entries(yield func(migrate.Entry, error) bool) {
	names, err := readNames(f.dir, f.fmd5, f.infoSep)
	if err != nil {
		yield(migrate.Entry{}, fmt.Errorf("list folder %s again: %w", f.dir, err))
		return
	}
	listed := make([]bool, len(names.list))
	stopped := false
	read := f.status
	if f.namesOnly {
		read = func(func(row) bool) (bool, error) { return false, nil }
	}
	_, err = read(func(r row) bool {
		e := migrate.Entry{UID: r.uid}
		e.Flags.System = r.flags
		at, twice, ok := names.find(r.uid)
		if ok {
			listed[at] = true
			e.File = names.name(at)
		}
		stopped = !twice && !yield(e, nil)
		return !stopped
	})
	switch {
	case stopped:
	case err != nil:
		yield(migrate.Entry{}, fmt.Errorf("read the state again: %w", err))
	default:
		for i, n := range names.list {
			if !listed[i] && !n.again && !yield(migrate.Entry{UID: n.uid, File: names.name(i)}, nil) {
				return
			}
		}
	}
}

// fmd5 is how a folder is named in the names of its files.
func fmd5(visible string) string {
	sum := md5.Sum([]byte(visible))
	return hex.EncodeToString(sum[:])
}

// unique is a file name up to ":2,", and the rest.
func unique(name string, infoSep byte) (base, info string) {
	if i := strings.Index(name, string([]byte{infoSep})+"2,"); i >= 0 {
		return name[:i], name[i:]
	}
	return name, ""
}

// uidIn is the UID in a file's name, as OfflineIMAP reads it: the first one, and only with the folder's FMD5 anywhere. foreign says
// that there is a UID, of another folder.
func uidIn(name, fmd5 string) (uid uint32, foreign bool) {
	for rest := name; ; {
		i := strings.Index(rest, ",U=")
		if i < 0 {
			return 0, false
		}
		rest = rest[i+3:]
		j := 0
		for j < len(rest) && rest[j] >= '0' && rest[j] <= '9' {
			j++
		}
		if j == 0 {
			continue
		}
		if !strings.Contains(name, ",FMD5="+fmd5) {
			return 0, strings.Contains(name, ",FMD5=")
		}
		n, err := strconv.ParseUint(rest[:j], 10, 32)
		if err != nil {
			return 0, true
		}
		return uint32(n), false
	}
}

// uidNames are the unique names of the files that have a UID, in little room: a folder may have a million.
type uidNames struct {
	text    []byte
	list    []uidName // by UID
	foreign int       // files with a UID of another folder
	twice   int       // files that share their UID
}

type uidName struct {
	uid    uint32
	length uint16
	start  int
	again  bool // another file has the same UID
}

func (n *uidNames) name(i int) string {
	e := n.list[i]
	return string(n.text[e.start : e.start+int(e.length)])
}

// find returns the index of the file with a UID; again says that several have it.
func (n *uidNames) find(uid uint32) (i int, again, ok bool) {
	i, ok = slices.BinarySearchFunc(n.list, uid, func(a uidName, uid uint32) int { return compareUID(a.uid, uid) })
	return i, ok && n.list[i].again, ok
}

func compareUID(a, b uint32) int {
	if a < b {
		return -1
	}
	return int(min(a-b, 1))
}

// readNames lists the files of a folder that have a UID in their names.
func readNames(dir, fmd5 string, infoSep byte) (*uidNames, error) {
	n := &uidNames{}
	err := each(dir, func(name string, _ bool) error {
		uid, foreign := uidIn(name, fmd5)
		if foreign {
			n.foreign++
		}
		if uid == 0 {
			return nil
		}
		base, _ := unique(name, infoSep)
		n.list = append(n.list, uidName{uid: uid, length: uint16(min(len(base), 1<<16-1)), start: len(n.text)})
		n.text = append(n.text, base...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(n.list, func(a, b uidName) int { return compareUID(a.uid, b.uid) })
	for i := range n.list {
		if i > 0 && n.list[i].uid == n.list[i-1].uid || i+1 < len(n.list) && n.list[i].uid == n.list[i+1].uid {
			n.list[i].again = true
			n.twice++
		}
	}
	return n, nil
}

// each calls f with the names of all messages of a folder, and whether they are in new.
func each(dir string, f func(name string, isNew bool) error) error {
	for _, sub := range []string{"cur", "new"} {
		d, err := os.Open(filepath.Join(dir, sub))
		if sub == "new" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for {
			var list []fs.DirEntry
			if list, err = d.ReadDir(1024); err != nil || len(list) == 0 {
				break
			}
			for _, e := range list {
				if !strings.HasPrefix(e.Name(), ".") && !e.IsDir() && err == nil {
					err = f(e.Name(), sub == "new")
				}
			}
			if err != nil {
				break
			}
		}
		_ = d.Close()
		if err != nil && !isEOF(err) {
			return err
		}
	}
	return nil
}
