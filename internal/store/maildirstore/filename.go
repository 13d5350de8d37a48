package maildirstore

import (
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

// file is one message file of a mailbox.
type file struct {
	key  mail.Key
	name string // in the folder; "": gone since
	cur  bool   // in cur, else in new
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

// flagsOf reads the letters of a name; words are the mailbox's keywords by letter, a first.
func flagsOf(letters string, words []string) mail.Flags {
	var f mail.Flags
	var keywords []string
	for i := range len(letters) {
		c := letters[i]
		switch {
		case c == 'P':
			keywords = append(keywords, forwarded)
		case c >= 'a' && c <= 'z':
			if n := int(c - 'a'); n < len(words) && words[n] != "" {
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

func known(c byte, words []string) bool {
	if c >= 'a' && c <= 'z' {
		return int(c-'a') < len(words) && words[c-'a'] != ""
	}
	return strings.IndexByte("DFPRST", c) >= 0
}

func indexWord(words []string, w string) int {
	return slices.IndexFunc(words, func(have string) bool { return strings.EqualFold(have, w) })
}

// assignKeys gives every file its key and sorts them. Of several files with one unique name, the first in the order cur
// before new, then by name, has it as key, the others have their whole name and place.
func assignKeys(files []file, sep byte) {
	for i := range files {
		unique, _ := split(files[i].name, sep)
		files[i].key = mail.Key(unique)
	}
	byKey := func(a, b file) int { return strings.Compare(string(a.key), string(b.key)) }
	slices.SortFunc(files, func(a, b file) int {
		if c := byKey(a, b); c != 0 {
			return c
		}
		if a.cur != b.cur {
			if a.cur {
				return -1
			}
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	again := false
	for i := len(files) - 1; i > 0; i-- {
		if files[i].key == files[i-1].key {
			files[i].key = mail.Key(files[i].name + "/" + files[i].sub())
			again = true
		}
	}
	if again {
		slices.SortFunc(files, byKey)
	}
}
