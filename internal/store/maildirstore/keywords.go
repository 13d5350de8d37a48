package maildirstore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
)

// keywordsFile is Dovecot's: a line "0 name" for the letter a, and so on.
const keywordsFile = "dovecot-keywords"

const maxKeywords = 26

// keywords returns the keywords of a mailbox by letter.
func (s *Store) keywords(dir string) ([]string, error) {
	f, err := s.fs.Open(filepath.Join(dir, keywordsFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var words []string
	lines := bufio.NewScanner(io.LimitReader(f, 1<<16))
	for lines.Scan() {
		number, word, ok := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 0 || n >= maxKeywords || mail.Keywords(word) != word {
			continue
		}
		for len(words) <= n {
			words = append(words, "")
		}
		words[n] = word
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return nil, err
	}
	return words, nil
}

// lacks returns the flags of f that have no letter and cannot get one.
func lacks(f mail.Flags, words []string) mail.Flags {
	var lost []string
	free := maxKeywords - len(words)
	for _, w := range words {
		if w == "" {
			free++
		}
	}
	for _, w := range f.Words() {
		if strings.EqualFold(w, forwarded) || indexWord(words, w) >= 0 {
			continue
		}
		if free--; free < 0 {
			lost = append(lost, w)
		}
	}
	return mail.Flags{Keywords: mail.Keywords(lost...)}
}

// learn gives letters to the keywords of flags that have none yet, as long as there are letters, and returns all.
func (s *Store) learn(b *box, flags ...mail.Flags) ([]string, error) {
	words, err := s.keywords(b.dir)
	if err != nil {
		return nil, fmt.Errorf("read keywords: %w", err)
	}
	changed := false
	for _, f := range flags {
		for _, w := range f.Words() {
			if strings.EqualFold(w, forwarded) || indexWord(words, w) >= 0 {
				continue
			}
			if i := slices.Index(words, ""); i >= 0 {
				words[i], changed = w, true
			} else if len(words) < maxKeywords {
				words, changed = append(words, w), true
			}
		}
	}
	if !changed {
		return words, nil
	}
	var text strings.Builder
	for i, w := range words {
		if w != "" {
			fmt.Fprintf(&text, "%d %s\n", i, w)
		}
	}
	if err := s.writeFile(filepath.Join(b.dir, keywordsFile), text.String()); err != nil {
		return nil, fmt.Errorf("write keywords: %w", err)
	}
	return words, nil
}

// writeFile replaces a small file, atomically and durably.
func (s *Store) writeFile(path, text string) error {
	temp := path + ".mailtwin-" + s.token()
	f, err := s.fs.Create(temp)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.fs.Replace(temp, path)
	}
	if err != nil {
		_ = s.fs.Remove(temp)
		return err
	}
	return s.fs.SyncDir(filepath.Dir(path))
}
