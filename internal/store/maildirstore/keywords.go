package maildirstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

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
		number, word, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n >= maxKeywords || word == "" {
			continue
		}
		for len(words) <= n {
			words = append(words, "")
		}
		if mail.Keywords(word) != word {
			word = noWord + word // whatever it is, its letter is not free
		}
		words[n] = word
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return nil, err
	}
	return words, nil
}

// noWord begins what stands for a letter that is in use for what is no keyword we know. It is alone if the file does not have it.
const noWord = " "

// isWord reports whether a letter stands for a keyword.
func isWord(w string) bool { return w != "" && !strings.HasPrefix(w, noWord) }

// freeLetters counts the letters that keywords can still get.
func freeLetters(words []string) int {
	free := maxKeywords - len(words)
	for _, w := range words {
		if w == "" {
			free++
		}
	}
	return free
}

// lacks returns the flags of f that have no letter and cannot get one.
func lacks(f mail.Flags, words []string) mail.Flags {
	var lost []string
	free := freeLetters(words)
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

// learn gives letters to the keywords of flags that have none yet, as long as there are letters, and returns all. A letter that
// messages have without a meaning here is not free: they would get the keyword.
func (s *Store) learn(b *box, flags mail.Flags) (words []string, err error) {
	s.learning.Lock() // two effects may have one target
	defer s.learning.Unlock()
	unlock, err := s.lockKeywords(b.dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if words, err = s.keywords(b.dir); err != nil {
		return nil, fmt.Errorf("read keywords: %w", err)
	}
	if words, err = s.reserveUsed(b, words); err != nil {
		return nil, fmt.Errorf("read letters of keywords: %w", err)
	}
	changed := false
	for _, w := range flags.Words() {
		if strings.EqualFold(w, forwarded) || indexWord(words, w) >= 0 {
			continue
		}
		if i := slices.Index(words, ""); i >= 0 {
			words[i], changed = w, true
		} else if len(words) < maxKeywords {
			words, changed = append(words, w), true
		}
	}
	if !changed {
		return words, nil
	}
	var text strings.Builder
	for i, w := range words {
		if w = strings.TrimPrefix(w, noWord); w != "" {
			fmt.Fprintf(&text, "%d %s\n", i, w)
		}
	}
	if err := s.writeKeywords(filepath.Join(b.dir, keywordsFile), text.String()); err != nil {
		return nil, fmt.Errorf("write keywords: %w", err)
	}
	return words, nil
}

// SetLetters says what letters in the names of files stand for, words[0] for a, in a mailbox that has no word on that itself: another
// tool kept it in its configuration. ErrGone if there is no such mailbox.
func (s *Store) SetLetters(ctx context.Context, name mail.Box, words []string) error {
	b, err := s.box(ctx, name)
	if err != nil {
		return fmt.Errorf("name keywords of mailbox %q: %w", name, err)
	}
	s.learning.Lock()
	defer s.learning.Unlock()
	path := filepath.Join(b.dir, keywordsFile)
	if _, err := s.fs.Stat(path, false); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var text strings.Builder
	for i, w := range words[:min(len(words), maxKeywords)] {
		if w != "" && mail.Keywords(w) == w && !strings.EqualFold(w, forwarded) {
			fmt.Fprintf(&text, "%d %s\n", i, w)
		}
	}
	if text.Len() == 0 {
		return nil
	}
	if err := s.writeKeywords(path, text.String()); err != nil {
		return fmt.Errorf("name keywords of mailbox %q: %w", name, err)
	}
	return nil
}

// reserveUsed reserves the letters that messages have and no line of the file explains.
func (s *Store) reserveUsed(b *box, words []string) ([]string, error) {
	err := s.fs.Each(filepath.Join(b.dir, "cur"), func(name string, _ fs.FileMode) error {
		_, letters := split(name, s.c.InfoSep)
		for i := range len(letters) {
			n := int(letters[i]) - 'a'
			if n < 0 || n >= maxKeywords {
				continue
			}
			for len(words) <= n {
				words = append(words, "")
			}
			if words[n] == "" {
				words[n] = noWord
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) { // the attic has no cur
		err = nil
	}
	return words, err
}

// writeKeywords replaces the file. Its date must grow: that is how Dovecot sees that it changed, by whole seconds.
func (s *Store) writeKeywords(path, text string) error {
	before, err := s.fs.Stat(path, true)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	last := time.Unix(before.Mtime/int64(time.Second), 0)
	return s.replaceFile(path, text, func(temp string) error {
		if before == (Stat{}) || s.c.Now().Unix() > last.Unix() {
			return nil
		}
		return s.fs.SetTime(temp, last.Add(time.Second))
	})
}

// Dovecot changes its file of keywords while it holds the lock of the list of UIDs, so this lock is taken too where there is such a
// list. A lock is stale after two minutes, as Dovecot has it.
const (
	uidList    = "dovecot-uidlist"
	lockText   = "mailtwin\n"
	lockStale  = 2 * time.Minute
	lockWait   = 10 * time.Second
	lockRetry  = 50 * time.Millisecond
	lockSuffix = ".lock"
)

// lockKeywords takes the lock for the keywords of a mailbox, and returns what gives it back.
func (s *Store) lockKeywords(dir string) (unlock func() error, err error) {
	if _, err := s.fs.Stat(filepath.Join(dir, uidList), false); errors.Is(err, fs.ErrNotExist) {
		return func() error { return nil }, nil
	}
	path := filepath.Join(dir, uidList+lockSuffix)
	for waited := time.Duration(0); ; waited += lockRetry {
		f, err := s.fs.Create(path)
		if err == nil {
			_, err = io.WriteString(f, lockText)
			if err = errors.Join(err, f.Close()); err != nil {
				return nil, errors.Join(err, s.fs.Remove(path))
			}
			return func() error { return s.fs.Remove(path) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("lock keywords: %w", err)
		}
		if s.staleLock(path) {
			_ = s.fs.Remove(path)
		} else if waited >= s.lockWait {
			return nil, mail.WithHint(fmt.Errorf("lock keywords: %s is held by another program", path), "sync again; a lock that nobody holds is void after two minutes")
		} else {
			time.Sleep(lockRetry)
		}
	}
}

// staleLock reports whether nobody holds a lock: it is old, or ours, of a run that was interrupted.
func (s *Store) staleLock(path string) bool {
	st, err := s.fs.Stat(path, false)
	if err != nil {
		return false
	}
	if s.c.Now().Sub(time.Unix(0, max(st.Mtime, st.Ctime))) > lockStale {
		return true
	}
	f, err := s.fs.Open(path)
	if err != nil {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(f, int64(len(lockText))))
	return errors.Join(err, f.Close()) == nil && string(text) == lockText
}

// writeFile replaces a small file, atomically and durably.
func (s *Store) writeFile(path, text string) error {
	return s.replaceFile(path, text, func(string) error { return nil })
}

// replaceFile is writeFile with something done to the file before it is synced.
func (s *Store) replaceFile(path, text string, also func(temp string) error) error {
	temp := path + ".mailtwin-" + s.token()
	f, err := s.fs.Create(temp)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if err == nil {
		err = also(temp)
	}
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
