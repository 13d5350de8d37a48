package demo

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// reader is a mail reader that works on the Maildir, as mutt or notmuch would.
type reader struct{ root string }

// find returns the file of the message with a subject.
func (r reader) find(box, subject string) (string, error) {
	for _, sub := range []string{"new", "cur"} {
		dir := filepath.Join(r.root, box, sub)
		files, err := os.ReadDir(dir)
		if err != nil {
			return "", fmt.Errorf("read the Maildir: %w", err)
		}
		for _, f := range files {
			text, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				return "", fmt.Errorf("read the Maildir: %w", err)
			}
			if bytes.Contains(text, []byte("\nSubject: "+subject+"\n")) {
				return filepath.Join(dir, f.Name()), nil
			}
		}
	}
	return "", fmt.Errorf("find message %q in the Maildir: %w", subject, fs.ErrNotExist)
}

// delete removes a message.
func (r reader) delete(box, subject string) error {
	path, err := r.find(box, subject)
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// flag adds a flag, which is a letter in the name of the file.
func (r reader) flag(box, subject, letter string) error {
	path, err := r.find(box, subject)
	if err != nil {
		return err
	}
	unique, info, _ := strings.Cut(filepath.Base(path), ":2,")
	letters := strings.Split(info+letter, "")
	slices.Sort(letters)
	return os.Rename(path, filepath.Join(r.root, box, "cur", unique+":2,"+strings.Join(letters, "")))
}

// move files a message elsewhere.
func (r reader) move(box, subject, to string) error {
	path, err := r.find(box, subject)
	if err != nil {
		return err
	}
	return os.Rename(path, filepath.Join(r.root, to, "cur", filepath.Base(path)))
}

// put delivers a message: written beside, then renamed, so that nobody sees half of it.
func (r reader) put(box string, m message) error {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(r.root, box, sub), 0o700); err != nil {
			return fmt.Errorf("write to the Maildir: %w", err)
		}
	}
	name := fmt.Sprintf("%d.demo.localhost", m.date.UnixNano())
	text := strings.ReplaceAll(m.text(), "\r\n", "\n")
	tmp := filepath.Join(r.root, box, "tmp", name)
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write to the Maildir: %w", err)
	}
	return os.Rename(tmp, filepath.Join(r.root, box, "new", name))
}

// list returns each mailbox with the number of its files.
func (r reader) list() (lines []string, err error) {
	counts := map[string]int{}
	err = filepath.WalkDir(r.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || d.Name() != "cur" && d.Name() != "new" {
			return err
		}
		files, err := os.ReadDir(path)
		box, rel := filepath.Rel(r.root, filepath.Dir(path))
		if rel != nil {
			return rel
		}
		counts[box] += len(files)
		return err
	})
	for box, n := range counts {
		lines = append(lines, fmt.Sprintf("%-14s %d", box, n))
	}
	slices.Sort(lines)
	return lines, err
}
