package mbsync

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

// The files that mbsync keeps in a Maildir folder.
const (
	validityFile = ".uidvalidity"
	altMapFile   = ".isyncuidmap.db"
	stateFile    = ".mbsyncstate"
)

// readValidity reads .uidvalidity: the UIDVALIDITY and the highest UID that was given. Its errors say what is wrong.
func readValidity(dir string) (validity, highest uint32, err error) {
	f, err := openFile(filepath.Join(dir, validityFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(filepath.Join(dir, altMapFile)); err == nil {
			return 0, 0, fmt.Errorf("the UIDs are in a Berkeley database (AltMap), which cannot be read here; mdconvert -n %q puts them into the file names", dir)
		}
		return 0, 0, errors.New("the folder has no file .uidvalidity, which says what the UIDs in file names belong to")
	}
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	buf := make([]byte, maxLine)
	n, _ := f.Read(buf)
	words := strings.Fields(string(buf[:n]))
	if len(words) == 2 {
		var ok, okToo bool
		validity, ok = number(words[0])
		highest, okToo = number(words[1])
		if ok && okToo {
			return validity, highest, nil
		}
	}
	return 0, 0, errors.New("its file .uidvalidity is damaged")
}

// openFile opens a file, but nothing that one could wait for, such as a pipe.
func openFile(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("open %s: this is no file", path)
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// splitName cuts a file name into what stands before ",U=", the UID (0: none) and the rest, as mbsync does.
func splitName(name string) (before string, uid uint32, after string) {
	i := strings.Index(name, ",U=")
	if i < 0 {
		return name, 0, ""
	}
	j := i + 3
	for j < len(name) && name[j] >= '0' && name[j] <= '9' {
		j++
	}
	uid, _ = number(name[i+3 : j])
	return name[:i], uid, name[j:]
}

// unique is a file name up to ":2,", and the rest.
func unique(name string, infoSep byte) (base, info string) {
	if i := strings.Index(name, string([]byte{infoSep})+"2,"); i >= 0 {
		return name[:i], name[i:]
	}
	return name, ""
}

// each calls f with the names of all messages of a folder, and whether they are in new.
func each(dir string, f func(name string, isNew bool) error) error {
	for _, sub := range []string{"cur", "new"} {
		if err := eachIn(filepath.Join(dir, sub), func(name string) error { return f(name, sub == "new") }); err != nil {
			if sub == "new" && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return err
		}
	}
	return nil
}

func eachIn(dir string, f func(name string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	for {
		list, err := d.ReadDir(1024)
		for _, e := range list {
			if strings.HasPrefix(e.Name(), ".") || e.IsDir() {
				continue
			}
			if err := f(e.Name()); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// uidNames are the unique names of the files that have a UID, in little room: a folder may have a million.
type uidNames struct {
	text []byte
	list []uidName
}

type uidName struct {
	uid    uint32
	length uint16
	start  int
	again  bool // another file has the same UID
}

// readNames lists the files of a folder that have a UID in their names.
func readNames(dir string, infoSep byte) (*uidNames, error) {
	n := &uidNames{}
	err := each(dir, func(name string, _ bool) error {
		_, uid, _ := splitName(name)
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
	slices.SortFunc(n.list, func(a, b uidName) int { return compare(a.uid, b.uid) })
	for i := 1; i < len(n.list); i++ {
		if n.list[i].uid == n.list[i-1].uid {
			n.list[i].again, n.list[i-1].again = true, true
		}
	}
	return n, nil
}

func compare(a, b uint32) int {
	if a < b {
		return -1
	}
	return int(min(a-b, 1))
}

// find returns the unique name of the file with a UID, "" if there is none; twice says that several have it.
func (n *uidNames) find(uid uint32) (name string, twice bool) {
	i, ok := slices.BinarySearchFunc(n.list, uid, func(a uidName, uid uint32) int { return compare(a.uid, uid) })
	if !ok {
		return "", false
	}
	e := n.list[i]
	return string(n.text[e.start : e.start+int(e.length)]), e.again
}

// tree is where the folders of a MaildirStore are.
type tree struct {
	path    string // absolute, with what is before a mailbox's name; "": not given
	inbox   string // absolute
	style   string // "", "verbatim", "maildir++" or "legacy"
	flatten string
	infoSep byte
}

// dir returns the folder of a mailbox, which is named as mbsync names it; "" if the store has no place for it.
func (t tree) dir(box string) string {
	if t.flatten != "" {
		box = strings.ReplaceAll(box, "/", t.flatten)
	}
	if box == string(mail.Inbox) {
		return t.inbox
	}
	rest, below := strings.CutPrefix(box, "INBOX/")
	switch {
	case t.style == "maildir++" && below:
		return t.inbox + "/.." + strings.ReplaceAll(rest, "/", ".")
	case t.style == "maildir++":
		return t.inbox + "/." + strings.ReplaceAll(box, "/", ".")
	case below && t.style == "legacy":
		return filepath.Clean(t.inbox + "/." + strings.ReplaceAll(rest, "/", "/."))
	case below:
		return filepath.Clean(t.inbox + "/" + rest)
	case t.path == "":
		return ""
	case t.style == "legacy":
		return filepath.Clean(t.path + strings.ReplaceAll(box, "/", "/."))
	}
	return filepath.Clean(t.path + box)
}

// maxFolders and maxDepth bound what is listed of a tree that has links in circles.
const (
	maxFolders = 100_000
	maxDepth   = 10
)

// list returns the mailboxes of the store that are on disk, as mbsync names them.
func (t tree) list() ([]string, error) {
	var boxes []string
	if isMaildir(t.inbox) {
		boxes = append(boxes, string(mail.Inbox))
	}
	add := func(box string) error {
		if len(boxes) == maxFolders {
			return fmt.Errorf("list %s: more than %d folders", t.path, maxFolders)
		}
		if t.flatten != "" {
			box = strings.ReplaceAll(box, t.flatten, "/")
		}
		boxes = append(boxes, box)
		return nil
	}
	if t.style == "maildir++" {
		return boxes, t.listDots(func(box string) error { boxes = append(boxes, box); return nil })
	}
	if t.inbox != "" {
		if err := t.walk(t.inbox, "INBOX/", true, 0, add); err != nil {
			return nil, err
		}
	}
	if t.path == "" {
		return boxes, nil
	}
	root, prefix := filepath.Split(t.path)
	err := t.walk(filepath.Clean(root), "", false, 0, func(box string) error {
		rest, ok := strings.CutPrefix(box, prefix)
		if !ok || rest == "" {
			return nil
		}
		return add(rest)
	})
	slices.Sort(boxes)
	return slices.Compact(boxes), err
}

// listDots lists the folders of a Maildir++ tree.
func (t tree) listDots(add func(box string) error) error {
	list, err := os.ReadDir(t.inbox)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range list {
		name, ok := strings.CutPrefix(e.Name(), ".")
		if !ok || name == "" || !isMaildir(filepath.Join(t.inbox, e.Name())) {
			continue
		}
		box := strings.ReplaceAll(name, ".", "/")
		if strings.HasPrefix(box, "/") {
			box = "INBOX" + box
		}
		if err := add(box); err != nil {
			return err
		}
	}
	return err
}

// walk lists the folders below dir. inMailbox says that dir is a mailbox itself, so that the style of subfolders counts.
func (t tree) walk(dir, prefix string, inMailbox bool, depth int, add func(box string) error) error {
	if depth == maxDepth || inMailbox && t.style == "" {
		return nil
	}
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range list {
		name, full := e.Name(), filepath.Join(dir, e.Name())
		if name == "cur" || name == "new" || name == "tmp" || full == t.inbox || full == filepath.Clean(t.path) {
			continue
		}
		if st, err := os.Stat(full); err != nil || !st.IsDir() {
			continue
		}
		if t.style == "legacy" {
			if strings.HasPrefix(name, ".") != inMailbox {
				continue
			}
			name = strings.TrimPrefix(name, ".")
		}
		if isMaildir(full) && prefix+name != "INBOX" {
			if err := add(prefix + name); err != nil {
				return err
			}
		}
		if err := t.walk(full, prefix+name+"/", true, depth+1, add); err != nil {
			return err
		}
	}
	return nil
}

func isMaildir(dir string) bool {
	st, err := os.Stat(filepath.Join(dir, "cur"))
	return dir != "" && err == nil && st.IsDir()
}
