package offlineimap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/imap/wire"
	"mailtwin/internal/mail"
)

// folder is a folder of the Maildir, with what belongs to it on the server.
type folder struct {
	name     string // as OfflineIMAP names it: the path below the root; "" is the root
	was      string // its name before it was renamed to that on the server; else name
	dir      string
	remote   string // the server's name, as LIST has it, with "/" or "." between its components
	validity string // the file with the UIDVALIDITY; "": none fits
	why      string // why it is not known which mailbox it is; "": it is
	shared   string // which file of the state it has in common with another folder; "": none
	box      mail.Box
}

// maxFolders and maxLevels bound what is listed of a tree that has links in circles.
const (
	maxFolders = 100_000
	maxLevels  = 20
)

// list lists the folders of the Maildir as OfflineIMAP does: the root, and what is below it, or right below it.
func (a *account) list() (all []*folder, err error) {
	if isMaildir(a.root) {
		all = append(all, &folder{dir: a.root})
	}
	var walk func(dir, prefix string, level int) error
	walk = func(dir, prefix string, level int) error {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) || err != nil && level > 0 && errors.Is(err, fs.ErrPermission) {
			return nil
		}
		for _, e := range entries {
			name, full := e.Name(), filepath.Join(dir, e.Name())
			if name == "cur" || name == "new" || name == "tmp" || prefix+name == ".mailtwin" {
				continue
			}
			if st, err := os.Stat(full); err != nil || !st.IsDir() {
				continue
			}
			if len(all) == maxFolders {
				return fmt.Errorf("list %s: more than %d folders", a.root, maxFolders)
			}
			if isMaildir(full) {
				all = append(all, &folder{name: prefix + name, dir: full})
			}
			if a.sep == "/" && level < maxLevels {
				if err := walk(full, prefix+name+"/", level+1); err != nil {
					return err
				}
			}
		}
		return err
	}
	return all, walk(a.root, "", 0)
}

func isMaildir(dir string) bool {
	for _, sub := range []string{"cur", "new", "tmp"} {
		if st, err := os.Stat(filepath.Join(dir, sub)); err != nil || !st.IsDir() {
			return false
		}
	}
	return true
}

// match is a name on the server that a file of FolderValidity may stand for.
type match struct{ remote, file, name string } // name: as OfflineIMAP names the folder

// maxDots bounds how many of a name's dots are tried as "/" one by one.
const maxDots = 6

// candidates are the names that B makes this file of, with a separator of the server; the one that has most separators first.
func candidates(file, sep string) []string {
	if sep == "." {
		return []string{file}
	}
	dots := strings.Count(file, ".")
	if dots > maxDots {
		return []string{strings.ReplaceAll(file, ".", "/"), file}
	}
	all := make([]string, 0, 1<<dots)
	for keep := range 1 << dots {
		name, n := []byte(file), 0
		for i, c := range name {
			if c == '.' {
				if keep&(1<<n) == 0 {
					name[i] = '/'
				}
				n++
			}
		}
		all = append(all, string(name))
	}
	return all
}

// folders lists the folders and finds the mailbox of each, through the files of FolderValidity, which have the names of the server
// in them, and nametrans. OfflineIMAP has the server's separator nowhere; the one with which more folders fit is taken.
func (a *account) folders() ([]*folder, error) {
	all, err := a.list()
	if err != nil {
		return nil, fmt.Errorf("list the folders of account %q: %w", a.name, err)
	}
	entries, err := os.ReadDir(a.validityDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the state of account %q: %w", a.name, err)
	}
	var files []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".tmp") {
			files = append(files, e.Name())
		}
	}
	known := map[string]bool{}
	for _, f := range all {
		known[f.name] = true
	}
	var best map[string][]match
	sep := ""
	for _, s := range []string{"/", "."} {
		if m := a.matches(files, s, known); best == nil || len(m) > len(best) || len(m) == len(best) && s == "." && (prefixed(files) || a.mentions(files)) {
			best, sep = m, s
		}
	}
	a.dotted = sep == "."
	a.stripped = a.dotted && prefixed(files)
	for _, f := range all {
		a.identify(f, best[f.name], sep)
	}
	return all, nil
}

// prefixed reports whether all mailboxes seem to be below INBOX, as on Courier: then mailtwin leaves that out as the personal
// namespace's prefix.
func prefixed(files []string) bool {
	n := 0
	for _, f := range files {
		if !strings.EqualFold(f, "INBOX") {
			if !strings.HasPrefix(f, "INBOX.") {
				return false
			}
			n++
		}
	}
	return n > 0
}

// mentions reports whether an expression of the configuration names one of the mailboxes with dots.
func (a *account) mentions(files []string) bool {
	for _, key := range []string{"folderfilter", "folderincludes", "nametrans"} {
		o, _ := a.cfg.find(a.remote, key)
		for _, f := range files {
			if strings.Contains(f, ".") && strings.Contains(o.raw, f) {
				return true
			}
		}
	}
	return false
}

func (a *account) validityDir() string {
	return filepath.Join(a.cfg.metadata, "Repository-"+strings.TrimPrefix(a.remote.name, "Repository "), "FolderValidity")
}

// matches finds for each folder the names on the server that become it.
func (a *account) matches(files []string, sep string, known map[string]bool) map[string][]match {
	found := map[string][]match{}
	failed := false
	for _, file := range files {
		for _, remote := range candidates(file, sep) {
			if a.sep != "/" && a.sep != sep && strings.Contains(remote, a.sep) {
				continue // OfflineIMAP leaves such a mailbox out
			}
			name, err := a.trans.apply(remote)
			if err != nil {
				failed = true
				continue
			}
			if name == sep {
				name = ""
			}
			if name = strings.ReplaceAll(name, sep, a.sep); name == a.sep {
				name = ""
			}
			is := name
			if plain := strings.ReplaceAll(remote, sep, a.sep); !known[name] && name != "" && known[plain] {
				is = plain // the user was told to give it the name on the server
			}
			if known[is] && !slices.ContainsFunc(found[is], func(m match) bool { return m.file == file }) {
				found[is] = append(found[is], match{remote, file, name})
			}
		}
	}
	if failed && a.back != nil {
		a.matchBack(found, files, sep, known)
	}
	return found
}

// matchBack does so with the local repository's nametrans, for the rest, where that of the server's is not understood.
func (a *account) matchBack(found map[string][]match, files []string, sep string, known map[string]bool) {
	for name := range known {
		remote, err := a.back.apply(name)
		remote = strings.ReplaceAll(remote, a.sep, sep)
		if err == nil && found[name] == nil && remote != "" && slices.Contains(files, fileName(remote)) {
			found[name] = []match{{remote, fileName(remote), name}}
		}
	}
}

// identify says which mailbox a folder is.
func (a *account) identify(f *folder, found []match, sep string) {
	f.was = f.name
	switch len(found) {
	case 1:
		f.was = found[0].name
		f.remote, f.validity = found[0].remote, filepath.Join(a.validityDir(), found[0].file)
	case 0:
		name, err := a.back.apply(f.name)
		if err != nil {
			name = f.name
		}
		f.remote, f.why = strings.ReplaceAll(name, a.sep, sep), "OfflineIMAP has saved no UIDVALIDITY of a mailbox that becomes this folder, so it is not known which state is its own"
		if f.remote == "" {
			f.remote = string(mail.Inbox)
		}
	default:
		f.remote, f.why = found[0].remote, fmt.Sprintf("several mailboxes of the server become this folder, %q and %q", found[0].remote, found[1].remote)
	}
	parts := strings.Split(f.remote, sep)
	if a.stripped && len(parts) > 1 && parts[0] == string(mail.Inbox) {
		parts = parts[1:]
	}
	for i, p := range parts {
		if decoded, err := wire.DecodeUTF7(p); err == nil && !a.utf8 {
			parts[i] = decoded
		}
	}
	f.box = mail.JoinBox(parts)
}
