package mbsync

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// unfinished stands in the place of the state while an export is under way. mbsync refuses to sync a mailbox with such a
// state ("malformed sync state header entry") and touches nothing, which is what has to happen when the export is stopped: with
// an older state it would take new UIDs for old ones, and without any it would copy every message both ways.
const unfinished = "# mailtwin did not finish its export to mbsync; run the export again\n"

// Write writes the state of all folders and puts UIDs into the names of their files; flags stay as they are. It can be
// stopped at any moment: mbsync then refuses the mailboxes that are not done, and another Write completes them. An old
// state and journal of mbsync at the same place are replaced; keep a copy of them before.
func (x *Export) Write() ([]Written, error) {
	if x.Validity == 0 {
		return nil, errors.New("export to mbsync: no UIDVALIDITY is given for the folders")
	}
	targets := x.targets()
	for _, t := range targets {
		if t.skipped != "" {
			continue
		}
		if err := x.check(t); err != nil {
			return nil, err
		}
	}
	if x.State != "" {
		if err := os.MkdirAll(x.State, 0o700); err != nil {
			return nil, err
		}
	}
	for _, t := range targets {
		if t.skipped != "" {
			continue
		}
		if err := block(t.state); err != nil {
			return nil, fmt.Errorf("export mailbox %q: %w", t.Box, err)
		}
	}
	all := make([]Written, 0, len(targets))
	for _, t := range targets {
		w := Written{Box: t.Box, Skipped: t.skipped}
		if t.skipped == "" {
			if err := x.write(t, &w); err != nil {
				return all, fmt.Errorf("export mailbox %q: %w", t.Box, err)
			}
		}
		all = append(all, w)
	}
	return all, nil
}

// check looks for what would stop mbsync, before anything is changed.
func (x *Export) check(t *target) error {
	if isLocked(t.state + ".lock") {
		return mail.WithHint(fmt.Errorf("export mailbox %q: mbsync %w on it", t.Box, migrate.ErrBusy), "wait until it has ended, and switch off what starts it")
	}
	if missing(filepath.Join(t.Dir, validityFile)) && !missing(filepath.Join(t.Dir, altMapFile)) {
		return mail.WithHint(fmt.Errorf("export mailbox %q: mbsync keeps its UIDs in a Berkeley database (AltMap), which is not written", t.Box),
			fmt.Sprintf("mdconvert -n %q puts them into the file names", t.Dir))
	}
	if !missing(filepath.Join(t.Dir, validityFile)) {
		if _, _, err := readValidity(t.Dir); err != nil {
			return mail.WithHint(fmt.Errorf("export mailbox %q: %w", t.Box, err), fmt.Sprintf("remove %s", filepath.Join(t.Dir, validityFile)))
		}
	}
	n := &numbering{dir: t.Dir, infoSep: x.infoSep()}
	return n.scan()
}

// block makes mbsync refuse the mailbox, and takes the journal of an earlier run away.
func block(state string) error {
	if err := replace(state, func(w io.Writer) error { _, err := io.WriteString(w, unfinished); return err }); err != nil {
		return err
	}
	for _, suffix := range []string{".new", ".journal"} { // without .new a journal does not count
		if err := os.Remove(state + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(filepath.Dir(state))
}

// attempts bounds how often a folder is numbered because mail readers rename files meanwhile.
const attempts = 5

// write exports one folder.
func (x *Export) write(t *target, w *Written) error {
	n := &numbering{dir: t.Dir, infoSep: x.infoSep()}
	var renamed func(from, to string) error
	if x.Renamed != nil {
		renamed = func(from, to string) error { return x.Renamed(t.Folder, from, to) }
	}
	n.validity = x.Validity
	if validity, highest, err := readValidity(t.Dir); err == nil {
		n.validity, n.highest = validity, highest
	}
	var uids []uint32
	for try := 1; ; try++ {
		if err := errors.Join(n.scan(), n.twins()); err != nil {
			return err
		}
		if err := n.pair(t.Folder); err != nil {
			return err
		}
		var err error
		if uids, err = n.number(); err != nil {
			return err
		}
		text := fmt.Sprintf("%d\n%d\n", n.validity, n.highest)
		if err := replace(filepath.Join(t.Dir, validityFile), func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
			return err
		}
		again, err := n.rename(uids, renamed)
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
	var err error
	w.Pairs, err = x.writeState(t, n, uids)
	return err
}

// writeState puts the state in place, which lets mbsync go on with the mailbox.
func (x *Export) writeState(t *target, n *numbering, uids []uint32) (pairs int, err error) {
	order := make([]int, 0, len(n.files))
	for i := range n.files {
		if uids[i] != 0 {
			order = append(order, i)
		}
	}
	seen, ok := x.Seen[t.Box]
	if !ok {
		seen = n.seen
	}
	slices.SortFunc(order, func(a, b int) int { return compare(n.files[a].remote, n.files[b].remote) })
	return len(order), replace(t.state, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "FarUidValidity %d\nNearUidValidity %d\nMaxPulledUid %d\nMaxPushedUid %d\n\n", t.Validity, n.validity, seen, n.highest)
		if err != nil {
			return err
		}
		for _, i := range order {
			if _, err := fmt.Fprintf(w, "%d %d %s\n", n.files[i].remote, uids[i], lettersOf(flagsOf(n.files[i].bits))); err != nil {
				return err
			}
		}
		return nil
	})
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
