package maildirstore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"mailtwin/internal/mail"
)

const day = 24 * time.Hour

// dayForm is how the attic's folders of a day are called; days are those of UTC.
const dayForm = "2006-01-02"

// longMark is in the names of the attic's folders whose mailbox has too long a name; no escaped name has it.
const longMark = "%~"

// fullName is the file that holds the name of the mailbox then. Names with a dot in front are never messages.
const fullName = ".mailbox"

// tempMark begins the names of copies in the attic that are not whole yet.
const tempMark = ".tmp-"

// leftover reports whether a name in the attic is one that only an interrupted write leaves.
func leftover(name string) bool {
	return strings.HasPrefix(name, tempMark) || strings.HasPrefix(name, keywordsFile+".mailtwin-") || strings.HasPrefix(name, fullName+".mailtwin-")
}

// atticName returns the name of a mailbox as that of one folder, and whether it is too long to be read back from that.
func atticName(box mail.Box) (name string, long bool) {
	name = naming{layout: Flat}.escape(string(box))
	if len(name) <= maxName {
		return name, false
	}
	sum := sha256.Sum256([]byte(box))
	return strings.ToValidUTF8(name[:maxName-32], "") + longMark + hex.EncodeToString(sum[:12]), true
}

// atticBox returns the mailbox whose messages are in a folder of the attic.
func (s *Store) atticBox(dir string) (mail.Box, error) {
	name := filepath.Base(dir)
	if !strings.Contains(name, longMark) {
		return mail.Box(naming{layout: Flat}.unescape(name)), nil
	}
	f, err := s.fs.Open(filepath.Join(dir, fullName))
	if errors.Is(err, fs.ErrNotExist) { // the power went before it was written
		return mail.Box(naming{layout: Flat}.unescape(name)), nil
	}
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, 1<<16))
	return mail.Box(b), errors.Join(err, f.Close())
}

// attic is a folder that messages of one mailbox are removed to.
type attic struct {
	*box                 // keywords are learned here as in a mailbox
	words, from []string // keywords by letter: here, and in the mailbox
}

// attic returns today's folder for what is removed from a mailbox.
func (s *Store) attic(b *box) (*attic, error) {
	name, long := atticName(b.name)
	last, err := s.lastPruned()
	if err != nil {
		return nil, err
	}
	now := s.c.Now()
	if now.Before(last.at) { // a clock that is behind must not make what is removed now look old enough to go for good
		now = last.at
	}
	dir := filepath.Join(s.c.Attic, now.UTC().Format(dayForm), name)
	a := &attic{box: &box{name: b.name, dir: dir}}
	if err = s.makeFolder(dir); err == nil {
		err = s.lasting(filepath.Dir(dir), filepath.Dir(s.c.Attic))
	}
	if err == nil && long {
		if _, serr := s.fs.Stat(filepath.Join(dir, fullName), false); errors.Is(serr, fs.ErrNotExist) {
			err = s.writeFile(filepath.Join(dir, fullName), string(b.name))
		}
	}
	if err == nil {
		a.from, err = s.keywords(b.dir)
	}
	if err == nil {
		a.words, err = s.keywords(dir)
	}
	return a, err
}

// stow moves a message to the attic, under another name if its own is taken. Letters of keywords come to mean the same there.
func (s *Store) stow(a *attic, path string, at file) (err error) {
	unique, letters := split(at.name, s.c.InfoSep)
	info := at.name[len(unique):]
	if foreign(letters) != letters {
		flags := flagsOf(letters, a.from)
		if a.words, err = s.withWords(a.box, a.words, flags); err != nil {
			return err
		}
		info = string(s.c.InfoSep) + "2," + lettersOf(flags, a.words, foreign(letters))
	}
	name := unique + info
	for n := 0; ; n++ {
		if n > 0 || name == keywordsFile || strings.HasPrefix(name, ".") {
			name = s.token() + info
		}
		err := s.moveFile(path, filepath.Join(a.dir, name))
		if !errors.Is(err, fs.ErrExist) && !isTooLong(err) || n > 3 {
			return err
		}
	}
}

// moveFile renames a file; over the borders of file systems it copies.
func (s *Store) moveFile(path, to string) error {
	err := s.fs.Rename(path, to)
	if !isCrossDevice(err) {
		return err
	}
	temp := filepath.Join(filepath.Dir(to), tempMark+s.token()) // under its name it is whole, whenever the power goes
	if err = s.copyFile(path, temp); err == nil {
		if err = s.fs.Rename(temp, to); err != nil {
			return errors.Join(err, s.fs.Remove(temp))
		}
		if err = s.fs.SyncDir(filepath.Dir(to)); err == nil {
			err = s.fs.Remove(path)
		}
	}
	return err
}
