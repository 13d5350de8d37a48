package maildirstore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

// file is one message file of a mailbox.
type file struct {
	key  mail.Key
	name string // in the folder; "": gone since
	cur  bool   // in cur, else in new
	more bool   // the same file has other names, see finder.single
}

func (f *file) sub() string {
	if f.cur {
		return "cur"
	}
	return "new"
}

// split cuts a file name into the unique name and the flags' letters. Names without info, or with info of another version,
// have no flags.
func split(name string, sep byte) (unique, letters string) {
	i := strings.LastIndexByte(name, sep)
	if i <= 0 {
		return name, ""
	}
	info := name[i+1:]
	if !strings.HasPrefix(info, "2,") {
		return name, ""
	}
	return name[:i], info[2:]
}

var systemLetters = []struct {
	letter byte
	flag   mail.System
}{{'D', mail.Draft}, {'F', mail.Flagged}, {'R', mail.Answered}, {'S', mail.Seen}, {'T', mail.Deleted}}

// forwarded is the keyword that Maildir has a letter of its own for (passed).
const forwarded = "$Forwarded"

// flagsOf reads the letters of a name; words are the mailbox's keywords by letter, a first. They count in new as well: by Maildir's
// rule names there have no info, but OfflineIMAP and mbsync leave unread messages there with all their other flags, and mail readers
// show them so. To take them for none would remove the flags from the server.
func flagsOf(letters string, words []string) mail.Flags {
	var f mail.Flags
	var keywords []string
	for i := range len(letters) {
		c := letters[i]
		switch {
		case c == 'P':
			keywords = append(keywords, forwarded)
		case c >= 'a' && c <= 'z':
			if n := int(c - 'a'); n < len(words) && isWord(words[n]) {
				keywords = append(keywords, words[n])
			}
		default:
			for _, s := range systemLetters {
				if s.letter == c {
					f.System |= s.flag
				}
			}
		}
	}
	if len(keywords) > 0 {
		f.Keywords = mail.Keywords(keywords...)
	}
	return f
}

// lettersOf writes flags as letters in the order that Maildir asks for. Letters of old whose meaning is not known stay.
func lettersOf(f mail.Flags, words []string, old string) string {
	var letters []byte
	for _, s := range systemLetters {
		if f.System&s.flag != 0 {
			letters = append(letters, s.letter)
		}
	}
	for _, w := range f.Words() {
		if strings.EqualFold(w, forwarded) {
			letters = append(letters, 'P')
		} else if i := indexWord(words, w); i >= 0 {
			letters = append(letters, byte('a'+i))
		}
	}
	for i := range len(old) {
		if c := old[i]; !known(c, words) && !slices.Contains(letters, c) {
			letters = append(letters, c)
		}
	}
	slices.Sort(letters)
	return string(letters)
}

// SameLetters implements store.Speller.
func (s *Store) SameLetters(ctx context.Context, from mail.Box, had mail.Flags, now mail.Ref) bool {
	there, err := s.box(ctx, from)
	if err != nil {
		return false
	}
	words, err := s.keywords(there.dir)
	if err != nil {
		return false
	}
	b, err := s.box(ctx, now.Box)
	if err != nil {
		return false
	}
	at, ok, err := s.finder(b).find(ctx, now.Key)
	if err != nil || !ok {
		return false
	}
	_, letters := split(at.name, s.c.InfoSep)
	return keywordLetters(letters) == keywordLetters(lettersOf(had, words, "")) && keywordLetters(letters) != ""
}

// keywordLetters keeps of letters those that are a keyword by the list of their mailbox.
func keywordLetters(letters string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c
		}
		return -1
	}, letters)
}

// foreign keeps of letters those that no one here knows the meaning of; a keyword's letter means nothing in another mailbox.
func foreign(letters string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return -1
		}
		return c
	}, letters)
}

func known(c byte, words []string) bool {
	if c >= 'a' && c <= 'z' {
		return int(c-'a') < len(words) && isWord(words[c-'a'])
	}
	return strings.IndexByte("DFPRST", c) >= 0
}

func indexWord(words []string, w string) int {
	return slices.IndexFunc(words, func(have string) bool { return strings.EqualFold(have, w) })
}

// oneName takes, of files with one unique name, one for each inode.
func oneName(twins []file, inode func(*file) (uint64, bool)) (kept []file, inodes []uint64) {
	slices.SortFunc(twins, func(a, b file) int {
		return cmp.Or(strings.Compare(a.sub(), b.sub()), cmp.Compare(len(b.name), len(a.name)), strings.Compare(a.name, b.name))
	})
	at := map[uint64]int{}
	for _, f := range twins {
		ino, ok := inode(&f)
		if !ok {
			continue
		}
		if i, ok := at[ino]; ok {
			kept[i].more = true
			continue
		}
		at[ino] = len(kept)
		kept, inodes = append(kept, f), append(inodes, ino)
	}
	return kept, inodes
}
