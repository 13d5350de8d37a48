package migrate

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Backup writes the files of another tool into a new tar.gz that only its owner can read. It is whole and on the disk when Backup
// returns, or not there. Files that are gone, folders and devices are passed over; of a link the content is taken. It returns how
// many files are in it.
func Backup(path string, files []string) (n int, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("write backup: %w", err)
	}
	temp, err := os.CreateTemp(dir, ".backup-*") // mode 0600
	if err != nil {
		return 0, fmt.Errorf("write backup: %w", err)
	}
	defer func() {
		_ = temp.Close()
		if err != nil {
			_ = os.Remove(temp.Name())
			err = fmt.Errorf("write backup %s: %w", path, err)
		}
	}()
	zip := gzip.NewWriter(temp)
	w := tar.NewWriter(zip)
	files = slices.Clone(files)
	slices.Sort(files)
	for _, name := range slices.Compact(files) {
		is, err := addFile(w, name)
		if err != nil {
			return n, err
		}
		if is {
			n++
		}
	}
	if err := errors.Join(w.Close(), zip.Close(), temp.Sync(), temp.Close()); err != nil {
		return n, err
	}
	if _, err := os.Lstat(path); err == nil {
		return n, fs.ErrExist
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return n, err
	}
	return n, syncDir(dir)
}

// addFile adds one file under its path without the leading slash.
func addFile(w *tar.Writer, name string) (is bool, err error) {
	st, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !st.Mode().IsRegular() {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // it is only read
	if st, err = f.Stat(); err != nil {
		return false, err
	}
	h := &tar.Header{Name: strings.TrimLeft(filepath.ToSlash(name), "/"), Mode: int64(st.Mode().Perm()), Size: st.Size(), ModTime: st.ModTime(), Format: tar.FormatPAX}
	if err := w.WriteHeader(h); err != nil {
		return false, err
	}
	if _, err := io.CopyN(w, f, st.Size()); err != nil {
		return false, fmt.Errorf("read %s: %w", name, err) // it shrank: somebody is at work
	}
	return true, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
