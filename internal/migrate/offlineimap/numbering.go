package offlineimap

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// file is a message of a folder that gets a UID. Its texts are in the numbering's; a folder may have a million.
type file struct {
	name, key int // where they begin
	nameLen   uint16
	keyLen    uint16
	isNew     bool
	system    mail.System
	words     uint32 // a bit for each keyword that has a letter
	uid       uint32 // in its name, as OfflineIMAP reads it; 0: none
	remote    uint32 // 0: none
}

// numbering puts UIDs into the names of the files of a folder.
type numbering struct {
	dir, fmd5 string
	infoSep   byte
	letters   [26]string
	text      []byte
	files     []file // by key: the unique name without its UID

	missing, renamed int
}

func (n *numbering) name(f file) string { return string(n.text[f.name : f.name+int(f.nameLen)]) }
func (n *numbering) keyOf(f file) []byte {
	return n.text[f.key : f.key+int(f.keyLen)]
}

// lettersOf are the flags of a file for the status.
func (n *numbering) lettersOf(f file) string {
	s := lettersOf(f.system)
	for i := range n.letters {
		if f.words&(1<<i) != 0 {
			s += string(rune('a' + i))
		}
	}
	return s
}

var uidPart = regexp.MustCompile(`,U=[0-9]+|,FMD5=[0-9a-fA-F]{32}`)

// keyOfName is the unique name without its UID: the same before and after an export.
func (n *numbering) keyOfName(name string) string {
	base, _ := unique(name, n.infoSep)
	return uidPart.ReplaceAllString(base, "")
}

// maxName is how long a file's name may be, in octets, on the file systems in use.
const maxName = 255

// scan lists the folder.
func (n *numbering) scan() error {
	n.text, n.files = n.text[:0], n.files[:0]
	err := each(n.dir, func(name string, isNew bool) error {
		uid, _ := uidIn(name, n.fmd5)
		f := file{name: len(n.text), nameLen: uint16(len(name)), isNew: isNew, uid: uid}
		n.text = append(n.text, name...)
		key := n.keyOfName(name)
		if len(name)+len(n.suffix(math.MaxUint32)) > maxName && len(n.withUID(name, math.MaxUint32)) > maxName {
			return fmt.Errorf("list folder %s: the name of %s has no room for a UID", n.dir, name)
		}
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

func (n *numbering) path(f file, name string) string {
	sub := "cur"
	if f.isNew {
		sub = "new"
	}
	return filepath.Join(n.dir, sub, name)
}

// twins removes what a rename leaves when it is stopped between link and unlink: two names of one file, which differ in the
// UID only.
func (n *numbering) twins() error {
	for i := 1; i < len(n.files); i++ {
		a, b := n.files[i-1], n.files[i]
		if !slices.Equal(n.keyOf(a), n.keyOf(b)) {
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
	seen := map[uint32]bool{}
	for e, err := range f.Entries {
		if err != nil {
			return err
		}
		i := -1
		if e.File != "" && e.UID != 0 && !seen[e.UID] {
			i = n.find(e.File)
		}
		if i < 0 || n.files[i].remote != 0 {
			n.missing++
			continue
		}
		seen[e.UID] = true
		n.files[i].remote, n.files[i].system, n.files[i].words = e.UID, e.Flags.System, 0
		for _, w := range e.Flags.Words() {
			for letter, word := range n.letters {
				if strings.EqualFold(w, word) {
					n.files[i].words |= 1 << letter
				}
			}
		}
	}
	return nil
}

func (n *numbering) suffix(uid uint32) string { return fmt.Sprintf(",U=%d,FMD5=%s", uid, n.fmd5) }

// withUID is a file name with this UID, or with none.
func (n *numbering) withUID(name string, uid uint32) string {
	base, info := unique(name, n.infoSep)
	base = uidPart.ReplaceAllString(base, "")
	if uid != 0 {
		base += n.suffix(uid)
	}
	return base + info
}

// wanted is the name that a file shall have. A UID that OfflineIMAP does not read may stay.
func (n *numbering) wanted(f file) string {
	name := n.name(f)
	if f.uid == f.remote && (f.uid != 0 || !strings.Contains(name, ",FMD5="+n.fmd5)) {
		return name
	}
	return n.withUID(name, f.remote)
}

// rename gives the files their names. again says that a mail reader was faster somewhere.
func (n *numbering) rename(renamed func(from, to string) error) (again bool, err error) {
	for pass := range 2 { // first away with UIDs that do not count, so that no name is in the way
		for _, f := range n.files {
			from := n.name(f)
			to := n.wanted(f)
			if from == to || (f.remote == 0) != (pass == 0) {
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
