package offlineimap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// unfinished stands in the place of the status while an export is under way. It is no database, so that OfflineIMAP fails at the
// folder and touches nothing, which is what has to happen when the export is stopped: with an older status, or none, it would
// upload every file that has no UID yet.
var unfinished = "mailtwin did not finish its export to OfflineIMAP; run the export again\n" + strings.Repeat("-\n", 1000)

func (x *Export) statusPath(t *target, plain bool) string {
	kind := "LocalStatus-sqlite"
	if plain {
		kind = "LocalStatus"
	}
	return filepath.Join(x.Metadata, "Account-"+x.Name, kind, t.status)
}

func (x *Export) validityPath(side, name string) string {
	return filepath.Join(x.Metadata, "Repository-"+x.repository(side), "FolderValidity", fileName(name))
}

// Write writes the state of all folders and puts UIDs into the names of their files; flags stay as they are. It can be
// stopped at any moment: OfflineIMAP then fails at the folders that are not done, and another Write completes them. An old
// status of OfflineIMAP at the same place is replaced; keep a copy of it before.
func (x *Export) Write() ([]Written, error) {
	if x.infoSep() != ':' && x.infoSep() != '!' {
		return nil, fmt.Errorf("export to OfflineIMAP: it cannot read the flags of files that have %q before them", string([]byte{x.infoSep()}))
	}
	if x.Name == "" || strings.ContainsAny(x.Name, "/,[]%\r\n") {
		return nil, fmt.Errorf("export to OfflineIMAP: %q is not a name for an account there", x.Name)
	}
	if isLocked(filepath.Join(x.Metadata, x.Name+".lock")) {
		return nil, mail.WithHint(fmt.Errorf("export account %q: OfflineIMAP %w on it", x.Name, migrate.ErrBusy), "wait until it has ended, and switch off what starts it")
	}
	targets := x.targets()
	for _, t := range targets {
		if t.skipped != "" {
			continue
		}
		n := &numbering{dir: t.Dir, fmd5: fmd5(t.localView), infoSep: x.infoSep()}
		if err := n.scan(); err != nil {
			return nil, fmt.Errorf("export mailbox %q: %w", t.Box, err)
		}
	}
	for _, dir := range []string{"Account-" + x.Name + "/LocalStatus-sqlite", "Account-" + x.Name + "/LocalStatus", "Repository-" + x.repository("local") + "/FolderValidity", "Repository-" + x.repository("remote") + "/FolderValidity"} {
		if err := os.MkdirAll(filepath.Join(x.Metadata, dir), 0o700); err != nil {
			return nil, err
		}
	}
	for _, t := range targets {
		if t.skipped != "" {
			continue
		}
		if err := x.block(t); err != nil {
			return nil, fmt.Errorf("export mailbox %q: %w", t.Box, err)
		}
	}
	letters := x.letters()
	all := make([]Written, 0, len(targets))
	for _, t := range targets {
		w := Written{Box: t.Box, Skipped: t.skipped}
		if t.skipped == "" {
			if err := x.write(t, &w, letters); err != nil {
				return all, fmt.Errorf("export mailbox %q: %w", t.Box, err)
			}
		}
		all = append(all, w)
	}
	return all, nil
}

// block makes OfflineIMAP fail at the folder. The journals of an earlier status go first: one would be rolled back into what is
// written here.
func (x *Export) block(t *target) error {
	path := x.statusPath(t, false)
	if err := remove(path+journals[0], path+journals[1], path+"-shm"); err != nil {
		return err
	}
	write := func(w io.Writer) error { _, err := io.WriteString(w, unfinished); return err }
	if err := replace(path, write); err != nil {
		return err
	}
	if x.Plain {
		return replace(x.statusPath(t, true), write)
	}
	return remove(x.statusPath(t, true)) // which is older than the database
}

func remove(paths ...string) error {
	for _, p := range paths {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(filepath.Dir(paths[0]))
}

// attempts bounds how often a folder is numbered because mail readers rename files meanwhile.
const attempts = 5

// write exports one folder.
func (x *Export) write(t *target, w *Written, letters [26]string) error {
	n := &numbering{dir: t.Dir, fmd5: fmd5(t.localView), infoSep: x.infoSep(), letters: letters}
	var renamed func(from, to string) error
	if x.Renamed != nil {
		renamed = func(from, to string) error { return x.Renamed(t.Folder, from, to) }
	}
	for try := 1; ; try++ {
		if err := errors.Join(n.scan(), n.twins()); err != nil {
			return err
		}
		if err := n.pair(t.Folder); err != nil {
			return err
		}
		again, err := n.rename(renamed)
		if err != nil {
			return err
		}
		if !again {
			break
		}
		if try == attempts {
			return mail.WithHint(fmt.Errorf("number the files of %s: their names change all the time", t.Dir), "close what else is at work on the Maildir, and run the export again")
		}
	}
	for _, sub := range []string{"cur", "new"} {
		if err := syncDir(filepath.Join(t.Dir, sub)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	w.Missing, w.Renamed = n.missing, n.renamed
	for path, validity := range map[string]uint32{x.validityPath("local", t.local): 42, x.validityPath("remote", t.remote): t.Validity} {
		if err := replace(path, func(w io.Writer) error { _, err := fmt.Fprintf(w, "%d\n", validity); return err }); err != nil {
			return err
		}
	}
	var err error
	w.Pairs, err = x.writeStatus(t, n)
	return err
}

// writeStatus puts the status in place, which lets OfflineIMAP go on with the folder.
func (x *Export) writeStatus(t *target, n *numbering) (pairs int, err error) {
	order := make([]int, 0, len(n.files))
	for i, f := range n.files {
		if f.remote != 0 {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return compareUID(n.files[a].remote, n.files[b].remote) })
	each := func(add func(uint32, string) error) error {
		for _, i := range order {
			if err := add(n.files[i].remote, n.lettersOf(n.files[i])); err != nil {
				return err
			}
		}
		return nil
	}
	path := x.statusPath(t, false)
	if !x.Plain {
		temp := path + ".mailtwin"
		if err := remove(temp); err != nil {
			return 0, err
		}
		if err := writeSQLite(temp, each); err != nil {
			return 0, err
		}
		if err := os.Rename(temp, path); err != nil {
			return 0, err
		}
		return len(order), syncDir(filepath.Dir(path))
	}
	err = replace(x.statusPath(t, true), func(w io.Writer) error {
		if _, err := io.WriteString(w, plainHead2+"\n"); err != nil {
			return err
		}
		return each(func(uid uint32, letters string) error {
			_, err := fmt.Fprintf(w, "%d|%s|0|\n", uid, letters)
			return err
		})
	})
	if err != nil {
		return 0, err
	}
	return len(order), remove(path)
}

// replace writes a file under another name and puts it in place, durably.
func replace(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path+".mailtwin", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(f)
	err = write(b)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
