package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// folder is one that the walk found, relative to the root.
type folder struct{ dir string }

// maxDepth is how deep mailboxes nest at most.
const maxDepth = 64

// walk finds all folders that have a cur, in no order.
func (s *Store) walk(ctx context.Context) ([]folder, error) {
	var found []folder
	seen := map[[2]uint64]bool{}
	var visit func(dir string, depth int) error
	visit = func(dir string, depth int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		var subs, links []string
		isBox := false
		err := s.fs.Each(filepath.Join(s.c.Path, dir), func(name string, typ fs.FileMode) error {
			switch {
			case name == "cur":
				isBox = true
			case name == "new" || name == "tmp":
			case dir == "." && name == s.c.control():
			case dir != "." && (s.c.Layout != Nested || strings.HasPrefix(name, ".")):
			case typ&fs.ModeDir != 0:
				subs = append(subs, name)
			case typ&fs.ModeSymlink != 0:
				links = append(links, name)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if isBox {
			found = append(found, folder{dir})
		}
		if depth >= maxDepth {
			return nil
		}
		for _, name := range append(subs, links...) { // a folder is known by its own name before a link to it
			sub := filepath.Join(dir, name)
			if !s.enter(sub, seen) {
				continue
			}
			if err := visit(sub, depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}
	if st, err := s.fs.Stat(s.c.Path, true); err == nil {
		seen[[2]uint64{st.Dev, st.Ino}] = true
	}
	err := visit(".", 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return found, err
}

// enter reports whether a name is a folder that was not visited before; links are followed, but not in circles.
func (s *Store) enter(dir string, seen map[[2]uint64]bool) bool {
	if s.c.Layout != Nested && filepath.Dir(dir) != "." {
		return false
	}
	st, err := s.fs.Stat(filepath.Join(s.c.Path, dir), true)
	if err != nil || st.Mode != fs.ModeDir || seen[[2]uint64{st.Dev, st.Ino}] {
		return false
	}
	seen[[2]uint64{st.Dev, st.Ino}] = true
	return true
}

// Boxes implements store.Store.
func (s *Store) Boxes(ctx context.Context) ([]store.Status, error) {
	folders, err := s.walk(ctx)
	if err != nil {
		return nil, s.trouble("list mailboxes of "+s.c.Path, err)
	}
	byName := map[mail.Box][]string{}
	bad := map[mail.Box]error{}
	for _, f := range folders {
		if f.dir == "." && s.c.Inbox != "." {
			continue // the root's own cur is no mailbox; Hello says so at the first sync
		}
		name, ok := s.naming.box(f.dir)
		if !ok {
			if s.c.Layout == MaildirPP && !strings.HasPrefix(f.dir, ".") {
				continue
			}
			name = mail.Box(strings.ToValidUTF8(f.dir, "?"))
			bad[name] = fmt.Errorf("list mailbox %q: its name on disk is not UTF-8 or has an empty part", name)
		}
		byName[name] = append(byName[name], f.dir)
	}
	list := make([]store.Status, 0, len(byName))
	for name, dirs := range byName {
		st := store.Status{Box: name, Total: -1, Err: bad[name]}
		switch {
		case len(dirs) > 1:
			slices.Sort(dirs)
			st.Err = mail.WithHint(fmt.Errorf("list mailbox %q: the folders %q have one name for it", name, dirs), "rename one of them")
		case st.Err == nil:
			b := s.remember(name, filepath.Join(s.c.Path, dirs[0]))
			stamps, err := s.stamps(b)
			if err != nil {
				st.Err = s.trouble(fmt.Sprintf("list mailbox %q", name), err)
			} else {
				st.Mark = s.markOf(stamps)
			}
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b store.Status) int { return strings.Compare(string(a.Box), string(b.Box)) })
	return list, nil
}

// remember keeps where a mailbox is.
func (s *Store) remember(name mail.Box, path string) *box {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.boxes[name]
	if b == nil || b.dir != path {
		b = &box{name: name, dir: path}
		s.boxes[name] = b
	}
	return b
}

// box finds a mailbox; ErrGone if there is none.
func (s *Store) box(name mail.Box) (*box, error) {
	s.mu.Lock()
	b := s.boxes[name]
	s.mu.Unlock()
	if b == nil {
		dir, err := s.naming.dir(name)
		if err != nil {
			return nil, err
		}
		b = s.remember(name, filepath.Join(s.c.Path, dir))
	}
	st, err := s.fs.Stat(filepath.Join(b.dir, "cur"), true)
	if errors.Is(err, fs.ErrNotExist) || err == nil && st.Mode != fs.ModeDir {
		s.forget(name)
		return nil, store.ErrGone
	}
	return b, err
}

func (s *Store) forget(name mail.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.boxes, name)
}

// inspect says whether there is nothing at all; of a tree without our marker also whether layout and names fit it.
func (s *Store) inspect(foreign bool) (empty bool, err error) {
	var rootCur, dotFolders, plainFolders, mutf7 bool
	n := 0
	err = s.fs.Each(s.c.Path, func(name string, typ fs.FileMode) error {
		n++
		switch {
		case name == "cur":
			rootCur = true
		case name == "new" || name == "tmp" || typ&fs.ModeDir == 0 || name == ".mailtwin" || name == "mailtwin.d":
		case s.hasCur(name) && strings.HasPrefix(name, "."):
			dotFolders = true
		case s.hasCur(name):
			plainFolders = true
		}
		if s.hasMUTF7(name, typ) {
			mutf7 = true
		}
		return nil
	})
	if err != nil {
		return false, s.setup(err, "check the owner and the permissions")
	}
	if n == 0 {
		return true, nil
	}
	if !foreign {
		return false, nil
	}
	no := func(what, line string) error {
		return s.setup(errors.New(what), "if this is the right folder, write in its account: "+line)
	}
	switch {
	case dotFolders && !plainFolders && s.c.Layout != MaildirPP:
		return false, no("it has folders with a leading dot, as in the layout maildir++", `layout = "maildir++"`)
	case plainFolders && !rootCur && s.c.Layout == MaildirPP:
		return false, no("its folders have no leading dot, as in the layout nested", `layout = "nested"`)
	case rootCur && s.c.Inbox != ".":
		return false, no("the folder itself holds messages", `inbox = "."`)
	case mutf7 && s.c.Names != "mutf7":
		return false, no("its folders have names in modified UTF-7", `names = "mutf7"`)
	}
	return !rootCur && !dotFolders && !plainFolders && n == 0, nil
}

func (s *Store) hasCur(name string) bool {
	st, err := s.fs.Stat(filepath.Join(s.c.Path, name, "cur"), true)
	return err == nil && st.Mode == fs.ModeDir
}

// hasMUTF7 reports whether a folder's name has a shift sequence that decodes to something else.
func (s *Store) hasMUTF7(name string, typ fs.FileMode) bool {
	i := strings.IndexByte(name, '&')
	if i < 0 || typ&fs.ModeDir == 0 || !s.hasCur(name) {
		return false
	}
	n := naming{layout: Nested, mutf7: true}
	decoded := n.unescape(name)
	return decoded != name && n.escape(decoded) == name
}
