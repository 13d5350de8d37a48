package mbsync

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/migrate"
)

// file is a message of a folder that gets a UID. Its texts are in the numbering's; a folder may have a million.
type file struct {
	name, key   int // where they begin
	nameLen     uint16
	keyLen      uint16
	isNew       bool
	bits        uint8  // flags
	uid, remote uint32 // 0: none
}

// numbering gives UIDs to the files of a folder.
type numbering struct {
	dir     string
	infoSep byte
	text    []byte
	files   []file // by key: the unique name without its UID

	validity, highest uint32
	seen              uint32 // the highest remote UID among the entries
	missing, renamed  int
}

func (n *numbering) name(f file) string { return string(n.text[f.name : f.name+int(f.nameLen)]) }
func (n *numbering) keyOf(f file) []byte {
	return n.text[f.key : f.key+int(f.keyLen)]
}

// keyOfName is the unique name without its UID: the same before and after an export.
func (n *numbering) keyOfName(name string) string {
	base, _ := unique(name, n.infoSep)
	before, _, after := splitName(base)
	return before + after
}

// scan lists the folder.
func (n *numbering) scan() error {
	n.text, n.files = n.text[:0], n.files[:0]
	err := each(n.dir, func(name string, isNew bool) error {
		if len(n.dir)+len("/cur/")+len(name)+len(",U=4294967295:2,DFPRST") > maxPath {
			return fmt.Errorf("export folder %s: the file %s: mbsync takes no path of more than %d bytes", n.dir, name, maxPath)
		}
		_, uid, _ := splitName(name)
		f := file{name: len(n.text), nameLen: uint16(len(name)), isNew: isNew, uid: uid}
		n.text = append(n.text, name...)
		key := n.keyOfName(name)
		if f.key, f.keyLen = f.name, uint16(len(key)); !strings.HasPrefix(name, key) {
			f.key = len(n.text)
			n.text = append(n.text, key...)
		}
		n.files = append(n.files, f)
		return nil
	})
	slices.SortFunc(n.files, func(a, b file) int { return slices.Compare(n.keyOf(a), n.keyOf(b)) })
	return err
}

// maxPath is how long a path mbsync takes (_POSIX_PATH_MAX with its end); one more and the whole run dies.
const maxPath = 255

func (n *numbering) path(f file, name string) string {
	sub := "cur"
	if f.isNew {
		sub = "new"
	}
	return filepath.Join(n.dir, sub, name)
}

// twins removes what a rename leaves when it is stopped between link and unlink: two names of one file, of which only one
// has a UID.
func (n *numbering) twins() error {
	for i := 1; i < len(n.files); i++ {
		a, b := n.files[i-1], n.files[i]
		if !slices.Equal(n.keyOf(a), n.keyOf(b)) || (a.uid == 0) == (b.uid == 0) {
			continue
		}
		st, err := os.Lstat(n.path(a, n.name(a)))
		other, errOther := os.Lstat(n.path(b, n.name(b)))
		if err != nil || errOther != nil || !os.SameFile(st, other) {
			continue
		}
		at := i
		if a.uid == 0 {
			at = i - 1
		}
		if err := os.Remove(n.path(n.files[at], n.name(n.files[at]))); err != nil {
			return err
		}
		n.files = slices.Delete(n.files, at, at+1)
		i--
	}
	return nil
}

// find returns the file with a unique name, which may have got or lost its UID since; -1 if there is none or it is in doubt.
func (n *numbering) find(uniqueName string) int {
	key := []byte(n.keyOfName(uniqueName))
	i, ok := slices.BinarySearchFunc(n.files, key, func(f file, key []byte) int { return slices.Compare(n.keyOf(f), key) })
	if !ok {
		return -1
	}
	if i+1 == len(n.files) || !slices.Equal(n.keyOf(n.files[i+1]), key) {
		return i
	}
	found := -1
	for ; i < len(n.files) && slices.Equal(n.keyOf(n.files[i]), key); i++ {
		if base, _ := unique(n.name(n.files[i]), n.infoSep); base == uniqueName {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	return found
}

// pair notes which remote messages the files are.
func (n *numbering) pair(f migrate.Folder) error {
	n.missing = 0
	for e, err := range f.Entries {
		if err != nil {
			return err
		}
		n.seen = max(n.seen, e.UID)
		i := -1
		if e.File != "" && e.UID != 0 {
			i = n.find(e.File)
		}
		if i < 0 || n.files[i].remote != 0 {
			n.missing++
			continue
		}
		n.files[i].remote = e.UID
		for bit, flag := range flagNames {
			if e.Flags.And(flag).Equal(flag) {
				n.files[i].bits |= 1 << bit
			}
		}
	}
	return nil
}

// number chooses the UID of each paired file: the one it has, where that is in doubt or there is none a new one. Other files
// get none; mbsync takes them for new messages.
func (n *numbering) number() ([]uint32, error) {
	order := make([]int, 0, len(n.files)) // paired files
	for i, f := range n.files {
		if f.remote != 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return compare(n.files[a].remote, n.files[b].remote) })
	uids := make([]uint32, len(n.files))
	taken := make(map[uint32]bool)
	for _, i := range order {
		if u := n.files[i].uid; u != 0 && u < math.MaxInt32 && !taken[u] {
			taken[u] = true
			uids[i] = u
			n.highest = max(n.highest, u)
		}
	}
	for _, i := range order {
		if uids[i] == 0 {
			if n.highest == math.MaxUint32-1 {
				return nil, errors.New("there are no more UIDs")
			}
			n.highest++
			uids[i] = n.highest
		}
	}
	return uids, nil
}

// withUID is a file name with this UID, or with none.
func (n *numbering) withUID(name string, uid uint32) string {
	before, _, after := splitName(name)
	if before == name {
		before, after = unique(name, n.infoSep)
	}
	if uid == 0 {
		return before + after
	}
	return fmt.Sprintf("%s,U=%d%s", before, uid, after)
}

// rename gives the files their names. again says that a mail reader was faster somewhere.
func (n *numbering) rename(uids []uint32, renamed func(from, to string) error) (again bool, err error) {
	for pass := range 2 { // first away with UIDs that do not count, so that no name is in the way
		for i, f := range n.files {
			from := n.name(f)
			to := n.withUID(from, uids[i])
			if from == to || (uids[i] == 0) != (pass == 0) {
				continue
			}
			err := move(n.path(f, from), n.path(f, to))
			for k := 1; errors.Is(err, fs.ErrExist) && pass == 0 && k < 100; k++ { // another file has that name
				base, info := unique(n.withUID(from, 0), n.infoSep)
				to = fmt.Sprintf("%s_%d%s", base, k, info)
				err = move(n.path(f, from), n.path(f, to))
			}
			switch {
			case errors.Is(err, fs.ErrNotExist):
				again = true // under another name now
				continue
			case err != nil:
				return again, err
			}
			n.renamed++
			if renamed == nil {
				continue
			}
			fromBase, _ := unique(from, n.infoSep)
			toBase, _ := unique(to, n.infoSep)
			if err := renamed(fromBase, toBase); err != nil {
				return again, err
			}
		}
	}
	return again, nil
}

// move renames and never overwrites. Where there are no links, a look has to do.
func move(from, to string) error {
	err := os.Link(from, to)
	if err == nil {
		err = os.Remove(from)
		if errors.Is(err, fs.ErrNotExist) { // a mail reader renamed or removed it meanwhile: its word counts
			return errors.Join(err, os.Remove(to))
		}
		return err
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !missing(to) {
		return fmt.Errorf("rename %s to %s: %w", from, to, fs.ErrExist)
	}
	return os.Rename(from, to)
}
