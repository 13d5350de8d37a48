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

// Boxes implements store.Store.
func (s *Store) Boxes(ctx context.Context) ([]store.Status, error) {
	folders, unreadable, err := s.walk(ctx)
	if err != nil {
		return nil, s.trouble("list mailboxes of "+s.c.Path, err)
	}
	if err := s.sameRoot(); err != nil {
		return nil, err
	}
	byName := map[mail.Box][]string{}
	bad := map[mail.Box]error{}
	for _, dir := range folders {
		if dir == "." && s.c.Inbox != "." {
			continue // the root's own cur is no mailbox; Hello says so at the first sync
		}
		name, ok := s.naming.box(dir)
		if !ok {
			if s.c.Layout == MaildirPP && !strings.HasPrefix(dir, ".") {
				continue
			}
			name = mail.Box(strings.ToValidUTF8(dir, "?"))
			bad[name] = fmt.Errorf("list mailbox %q: its name on disk is not UTF-8 or has an empty part", name)
		}
		byName[name] = append(byName[name], dir)
	}
	for dir, err := range unreadable {
		name, ok := s.naming.box(dir)
		if !ok {
			name = mail.Box(strings.ToValidUTF8(dir, "?"))
		}
		bad[name] = s.trouble(fmt.Sprintf("list mailbox %q and those below it", name), err)
		byName[name] = append(byName[name], dir)
	}
	s.mu.Lock()
	root := s.root
	s.mu.Unlock()
	list := make([]store.Status, 0, len(byName))
	boxes := make(map[mail.Box]*box, len(byName))
	for name, dirs := range byName {
		st := store.Status{Box: name, Total: -1, Err: bad[name]}
		switch {
		case len(dirs) > 1 && st.Err == nil:
			slices.Sort(dirs)
			st.Err = mail.WithHint(fmt.Errorf("list mailbox %q: the folders %q have one name for it", name, dirs), "rename one of them")
		case st.Err == nil:
			boxes[name] = &box{name: name, dir: filepath.Join(s.c.Path, dirs[0])}
			stamps, err := s.stamps(boxes[name])
			if err != nil {
				st.Err = s.trouble(fmt.Sprintf("list mailbox %q", name), err)
			} else {
				st.Mark, st.Epoch = s.markOf(stamps), root
			}
		}
		if st.Err != nil {
			bad[name] = st.Err
			delete(boxes, name)
		}
		list = append(list, st)
	}
	s.listed(boxes, bad)
	slices.SortFunc(list, func(a, b store.Status) int { return strings.Compare(string(a.Box), string(b.Box)) })
	return list, nil
}

// sameRoot makes sure that the root is still the one that Hello saw: where a disk was unmounted, or mounted over it, no mailbox is
// missing (rule 12).
func (s *Store) sameRoot() error {
	s.mu.Lock()
	root := s.root
	s.mu.Unlock()
	if root == "" {
		return nil
	}
	m, err := s.readMarker()
	if err == nil && (m == nil || m.ID != root) {
		err = errors.New("its marker is not there any more")
	}
	if err != nil {
		return s.setup(err, "is the disk mounted?")
	}
	return nil
}

// listed keeps where the mailboxes are, and what is known of those that stay where they were.
func (s *Store) listed(boxes map[mail.Box]*box, bad map[mail.Box]error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, b := range s.boxes {
		if now := boxes[name]; now != nil && now.dir == b.dir {
			boxes[name] = b
		}
	}
	s.boxes, s.bad, s.walked = boxes, bad, true
}

// remember adds a mailbox that was made.
func (s *Store) remember(name mail.Box, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boxes[name] = &box{name: name, dir: path}
}

func (s *Store) forget(name mail.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.boxes[name]; b != nil {
		delete(s.durable, b.dir) // another folder may get its name
	}
	delete(s.boxes, name)
}

// known returns what the last list said of a mailbox, and whether there was one.
func (s *Store) known(name mail.Box) (b *box, bad error, walked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.boxes[name], s.bad[name], s.walked
}

// box finds a mailbox; ErrGone if there is none. Folders that others made may be spelled in ways that we would not choose, and
// where letter case does not count a folder may answer to a name that is not its own; so only the list tells.
func (s *Store) box(ctx context.Context, name mail.Box) (*box, error) {
	b, bad, walked := s.known(name)
	if b == nil {
		dir, err := s.naming.dir(name)
		if err != nil {
			return nil, err
		}
		if _, err := s.fs.Stat(filepath.Join(s.c.Path, dir, "cur"), false); walked && bad == nil && errors.Is(err, fs.ErrNotExist) {
			return nil, store.ErrGone
		}
		if _, err := s.Boxes(ctx); err != nil {
			return nil, err
		}
		if b, bad, _ = s.known(name); bad != nil {
			return nil, bad
		}
		if b == nil {
			return nil, store.ErrGone
		}
	}
	err := s.proper(b)
	if errors.Is(err, fs.ErrNotExist) {
		s.forget(name)
		return nil, store.ErrGone
	}
	return b, err
}

// proper makes sure that the parts of a mailbox are folders, not links to somewhere else; tmp and new may be missing.
func (s *Store) proper(b *box) error {
	for _, sub := range []string{"cur", "new", "tmp"} {
		st, err := s.fs.Stat(filepath.Join(b.dir, sub), false)
		switch {
		case err == nil && st.Mode != fs.ModeDir:
			return mail.WithHint(fmt.Errorf("open folder %s: %s in it is not a folder", b.dir, sub), "a mailbox has the folders cur, new and tmp; put one in the place of what is there")
		case err != nil && (sub == "cur" || !errors.Is(err, fs.ErrNotExist)):
			return err
		}
	}
	return nil
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
