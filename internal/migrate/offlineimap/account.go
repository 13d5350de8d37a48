package offlineimap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"mailtwin/internal/migrate"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// source is where a folder's state is.
func (a *account) source(f *folder) (*source, error) {
	visible, err := a.back.apply(f.was)
	if visible == a.sep {
		visible = ""
	}
	meta := filepath.Join(a.cfg.metadata, "Account-"+a.name)
	name := statusName(f.was, a.sep)
	return &source{
		dir: f.dir, fmd5: fmd5(visible), validity: f.validity, infoSep: a.infoSep,
		sqlite: filepath.Join(meta, "LocalStatus-sqlite", name), plain: filepath.Join(meta, "LocalStatus", name),
	}, err
}

// statusName names the status file of a folder.
func statusName(folder, sep string) string { return fileName(strings.ReplaceAll(folder, sep, ".")) }

// folder reads what is known of one folder.
func (a *account) folder(f *folder) error {
	out := migrate.Folder{Box: f.box, Dir: f.dir, Place: a.dirOf(f.box), Distrust: f.why, Entries: func(func(migrate.Entry, error) bool) {}}
	if !utf8.ValidString(string(f.box)) {
		a.noteFile(f.dir, "the mailbox's name is not UTF-8; it is left out")
		return nil
	}
	src, err := a.source(f)
	a.old.Files = append(a.old.Files, src.files()...)
	if err != nil && out.Distrust == "" {
		out.Distrust = "the nametrans of the local repository is not understood, and UIDs in file names count only for the name that it makes"
	}
	if f.shared != "" && out.Distrust == "" {
		out.Distrust = f.shared
	}
	var k *known
	if out.Distrust == "" {
		var damage *distrust
		if k, err = src.load(); errors.As(err, &damage) {
			out.Distrust = damage.Error()
		} else if err != nil {
			return err
		}
	}
	if f.validity != "" {
		if out.Validity, err = readValidity(f.validity); err != nil && out.Distrust == "" {
			out.Distrust = err.Error()
		}
	}
	if want := a.expected(f.dir); out.Distrust == "" && want != f.box {
		out.Distrust = fmt.Sprintf("its folder %s is where mailtwin looks for the mailbox %q; move it to %s first", f.dir, want, a.dirOf(f.box))
		if want == "" {
			out.Distrust = fmt.Sprintf("its folder %s is named in a way that mailtwin does not use; move it to %s first", f.dir, a.dirOf(f.box))
		}
	}
	if out.Distrust == "" {
		a.counted(f, src, k)
		out.Entries = src.entries
	}
	a.old.Folders = append(a.old.Folders, out)
	return nil
}

// counted tells what of the state does not become entries as it stands.
func (a *account) counted(f *folder, src *source, k *known) {
	if k.damage != "" {
		a.noteFile(src.sqlite, "mailbox %q: %s; the UIDs in file names are used, and flags of both sides are put together", f.box, k.damage)
	} else if k.noStatus && len(k.names.list) > 0 {
		a.noteFile(src.sqlite, "mailbox %q: the status is missing; the UIDs in file names are used, and flags of both sides are put together", f.box)
	} else if k.unlisted > 0 {
		a.noteFile(src.sqlite, "mailbox %q: %d files have a UID and are not in the status, as after a run that was stopped; they are used, and flags of both sides are put together", f.box, k.unlisted)
	}
	if k.gone > 0 {
		a.noteFile(f.dir, "mailbox %q: %d messages of the status have no file; nothing is deleted on the server because of that alone", f.box, k.gone)
	}
	if k.names.twice > 0 {
		a.noteFile(f.dir, "mailbox %q: %d files share their UID with another one, as copies of files do; they are paired by content", f.box, k.names.twice)
	}
	if k.names.foreign > 0 {
		a.noteFile(f.dir, "mailbox %q: %d files have a UID of another folder in their names, as files do that were moved; they are paired by content", f.box, k.names.foreign)
	}
	if k.rows > 0 && src.sqlite != "" && !missing(src.sqlite+journals[0]) {
		a.noteFile(src.sqlite+journals[0], "mailbox %q: OfflineIMAP was stopped while it wrote the status; what it had not finished there is left out", f.box)
	}
}

// markShared finds folders that have a status file or a file of the UIDVALIDITY in common.
func (a *account) markShared(all []*folder) {
	byFile := map[string][]*folder{}
	for _, f := range all {
		status := "status " + statusName(f.was, a.sep)
		byFile[status] = append(byFile[status], f)
		if f.validity != "" {
			byFile["UIDVALIDITY "+f.validity] = append(byFile["UIDVALIDITY "+f.validity], f)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(byFile)) {
		list := byFile[what]
		kind, file, _ := strings.Cut(what, " ")
		for i, f := range list {
			if len(list) > 1 {
				f.shared = fmt.Sprintf("OfflineIMAP keeps the %s of two folders in one file %s, of %q and %q", kind, filepath.Base(file), f.name, list[(i+1)%len(list)].name)
			}
		}
	}
}

// keep adds all files of the account's state to those for the backup, also those that are not read.
func (a *account) keep() {
	dirs := []string{filepath.Join(a.cfg.metadata, "Account-"+a.name)}
	for _, s := range []*section{a.local, a.remote} {
		dirs = append(dirs, filepath.Join(a.cfg.metadata, "Repository-"+strings.TrimPrefix(s.name, "Repository ")))
	}
	for _, dir := range dirs {
		for _, sub := range []string{"LocalStatus-sqlite", "LocalStatus", "FolderValidity", "UIDMapping", "StartUID"} {
			list, _ := os.ReadDir(filepath.Join(dir, sub)) // what cannot be read is told where it is needed
			for _, e := range list {
				if e.Type().IsRegular() {
					a.old.Files = append(a.old.Files, filepath.Join(dir, sub, e.Name()))
				}
			}
		}
	}
}

// lost tells of status files that belong to no folder on disk: it was renamed or removed.
func (a *account) lost(all []*folder) {
	known := map[string]bool{}
	for _, f := range all {
		known[statusName(f.was, a.sep)] = true
	}
	for _, kind := range []string{"LocalStatus-sqlite", "LocalStatus"} {
		dir := filepath.Join(a.cfg.metadata, "Account-"+a.name, kind)
		list, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.noteFile(dir, "this cannot be listed: %v", err)
		}
		for _, e := range list {
			name := e.Name()
			for _, suffix := range []string{"-journal", "-wal", "-shm", ".tmp", ".old"} {
				if base, ok := strings.CutSuffix(name, suffix); ok && (known[base] || !missing(filepath.Join(dir, base))) {
					name = base
				}
			}
			if known[name] || e.IsDir() {
				continue
			}
			known[name] = true
			a.old.Files = append(a.old.Files, filepath.Join(dir, e.Name()))
			a.noteFile(filepath.Join(dir, e.Name()), "this is the state of a folder that is not on disk; it was renamed or removed, and nothing is deleted on the server because of it")
		}
	}
}
