package mbsync

import (
	"fmt"
	"strings"

	"mailtwin/internal/mail"
)

// statement is a line of the configuration: a keyword and its arguments.
type statement struct {
	line int
	key  string // as written; letter case does not count
	args []string
}

func (s statement) is(keys ...string) bool {
	for _, k := range keys {
		if strings.EqualFold(s.key, k) {
			return true
		}
	}
	return false
}

// arg is the first argument.
func (s statement) arg() string { return s.args[0] }

// section is a part of the file that begins with one of a few keywords and ends with an empty line. The statements outside
// of all sections are one without a name.
type section struct {
	statement
	body []statement
}

// find returns the last statement with one of the keys.
func (s *section) find(keys ...string) (statement, bool) {
	for i := len(s.body) - 1; i >= 0; i-- {
		if s.body[i].is(keys...) {
			return s.body[i], true
		}
	}
	return statement{}, false
}

// value is the argument of the last statement with one of the keys, "" if there is none.
func (s *section) value(keys ...string) string {
	if st, ok := s.find(keys...); ok {
		return st.arg()
	}
	return ""
}

var sectionKeys = []string{"IMAPAccount", "IMAPStore", "MaildirStore", "Channel", "Group"}

// parse splits a configuration into its sections; the first one holds the global options. Its errors have no text of the
// file in them, which may be a password.
func parse(text, file string) ([]*section, error) {
	all := []*section{{}}
	in := all[0]
	n := 0
	for raw := range strings.Lines(text) {
		n++
		words, comment, err := split(strings.TrimRight(raw, "\r\n"))
		switch {
		case err != "":
			return nil, mail.WithHint(fmt.Errorf("read %s:%d: %s", file, n, err), "does mbsync still accept the file? mbsync -l -a lists the mailboxes")
		case len(words) == 0:
			if !comment {
				in = all[0]
			}
			continue
		case len(words) == 1:
			return nil, mail.WithHint(fmt.Errorf("read %s:%d: the keyword has no value", file, n), "does mbsync still accept the file? mbsync -l -a lists the mailboxes")
		}
		s := statement{line: n, key: words[0], args: words[1:]}
		if in == all[0] && s.is(sectionKeys...) {
			in = &section{statement: s}
			all = append(all, in)
			continue
		}
		in.body = append(in.body, s)
	}
	return all, nil
}

// split cuts a line into its words. Quotes and backslashes work anywhere in a word; what follows a "#" at the beginning of a
// word is a comment.
func split(line string) (words []string, comment bool, err string) {
	const space = " \t\v\f"
	for i := 0; ; {
		for i < len(line) && strings.IndexByte(space, line[i]) >= 0 {
			i++
		}
		if i == len(line) {
			return words, false, ""
		}
		if line[i] == '#' {
			return words, true, ""
		}
		var word []byte
		quoted := false
	letters:
		for ; i < len(line); i++ {
			switch c := line[i]; {
			case c == '\\':
				if i++; i == len(line) {
					return nil, false, "a backslash at the end of the line"
				}
				word = append(word, line[i])
			case c == '"':
				quoted = !quoted
			case !quoted && strings.IndexByte(space, c) >= 0:
				break letters
			default:
				word = append(word, c)
			}
		}
		if quoted {
			return nil, false, "a quote is not closed"
		}
		words = append(words, string(word))
	}
}
