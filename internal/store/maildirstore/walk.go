package maildirstore

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// maxDepth is how deep mailboxes nest at most.
const maxDepth = 64

// walker finds the folders that have a cur. Links are followed, each folder is entered once, and a folder is known by its own
// name rather than by a link to it.
type walker struct {
	s     *Store
	seen  map[[2]uint64]bool
	links []string         // found, and not followed yet
	found []string         // relative to the root
	bad   map[string]error // folders that cannot be read
}

// walk returns all folders that have a cur, relative to the root, in no order, and why others cannot be read.
func (s *Store) walk(ctx context.Context) (found []string, bad map[string]error, err error) {
	w := &walker{s: s, seen: map[[2]uint64]bool{}, bad: map[string]error{}}
	todo := []string{"."}
	for len(todo) > 0 {
		for _, dir := range todo {
			if err := w.visit(ctx, dir); err != nil && (dir != "." || !errors.Is(err, fs.ErrNotExist)) {
				return nil, nil, err
			}
		}
		todo, w.links = w.links, nil
		slices.Sort(todo)
	}
	return w.found, w.bad, nil
}

// visit looks into a folder that was not visited before, and into those below it. What vanishes meanwhile is passed over.
func (w *walker) visit(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := filepath.Join(w.s.c.Path, dir)
	st, err := w.s.fs.Stat(path, true)
	if err != nil || st.Mode != fs.ModeDir || w.seen[[2]uint64{st.Dev, st.Ino}] {
		if dir == "." {
			return err
		}
		return nil // a link that leads nowhere
	}
	w.seen[[2]uint64{st.Dev, st.Ino}] = true
	var subs []string
	isBox := false
	err = w.s.fs.Each(path, func(name string, typ fs.FileMode) error {
		switch {
		case name == "cur":
			isBox = true
		case name == "new" || name == "tmp" || dir == "." && name == w.s.c.control():
		case dir != "." && (w.s.c.Layout != Nested || strings.HasPrefix(name, ".")):
		case typ&fs.ModeDir != 0:
			subs = append(subs, filepath.Join(dir, name))
		case typ&fs.ModeSymlink != 0:
			w.links = append(w.links, filepath.Join(dir, name))
		}
		return nil
	})
	switch {
	case err == nil:
	case dir == "." || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return err
	case errors.Is(err, fs.ErrPermission) && dir != "lost+found": // of the file system; no mail is in it
		w.bad[dir] = err
		return nil
	default:
		return nil
	}
	if isBox {
		w.found = append(w.found, dir)
	}
	if strings.Count(dir, string(filepath.Separator)) >= maxDepth {
		return nil
	}
	for _, sub := range subs {
		if err := w.visit(ctx, sub); err != nil {
			return err
		}
	}
	return nil
}
