package offlineimap

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// errPython says that an expression is not one of the forms that are understood.
var errPython = errors.New("not one of the forms that are understood")

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokString
	tokNumber
	tokOp
)

type token struct {
	kind tokenKind
	text string // of a string: its value
}

func (t token) is(op string) bool { return t.kind == tokOp && t.text == op }

// maxExpression is how long an expression may be, in octets.
const maxExpression = 64 << 10

// lexPython cuts an expression into its tokens.
func lexPython(s string) (all []token, err error) {
	if len(s) > maxExpression || !utf8.ValidString(s) {
		return nil, errPython
	}
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case unicode.IsSpace(r) || r == '\\' && strings.HasPrefix(s, "\\\n"):
			s = s[size:]
		case r == '#':
			i := strings.IndexByte(s, '\n')
			if i < 0 {
				i = len(s)
			}
			s = s[i:]
		case r == '"' || r == '\'':
			var t token
			if t, s, err = lexString(s, false); err != nil {
				return nil, err
			}
			all = append(all, t)
		case r == '_' || unicode.IsLetter(r):
			i := strings.IndexFunc(s, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			if i < 0 {
				i = len(s)
			}
			word := s[:i]
			if s = s[i:]; s != "" && (s[0] == '"' || s[0] == '\'') {
				prefix := strings.ToLower(word)
				if prefix != "r" && prefix != "u" {
					return nil, errPython // bytes and formats
				}
				var t token
				if t, s, err = lexString(s, prefix == "r"); err != nil {
					return nil, err
				}
				all = append(all, t)
				continue
			}
			all = append(all, token{kind: tokName, text: word})
		case r >= '0' && r <= '9':
			i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
			if i < 0 {
				i = len(s)
			}
			all = append(all, token{kind: tokNumber, text: s[:i]})
			s = s[i:]
		default:
			op := s[:size]
			if strings.HasPrefix(s, "==") || strings.HasPrefix(s, "!=") {
				op = s[:2]
			} else if !strings.ContainsRune("()[]{},:.+-|", r) {
				return nil, errPython
			}
			all = append(all, token{kind: tokOp, text: op})
			s = s[len(op):]
		}
	}
	return append(all, token{}), nil
}

// lexString reads a string literal.
func lexString(s string, raw bool) (token, string, error) {
	quote := s[:1]
	if strings.HasPrefix(s, strings.Repeat(quote, 3)) {
		quote = s[:3]
	}
	var b strings.Builder
	for s = s[len(quote):]; ; {
		switch {
		case s == "" || len(quote) == 1 && s[0] == '\n':
			return token{}, "", errPython
		case strings.HasPrefix(s, quote):
			return token{kind: tokString, text: b.String()}, s[len(quote):], nil
		case s[0] != '\\' || len(s) < 2:
			b.WriteByte(s[0])
			s = s[1:]
		case raw:
			b.WriteString(s[:2])
			s = s[2:]
		default:
			n, ok := escape(&b, s)
			if !ok {
				return token{}, "", errPython
			}
			s = s[n:]
		}
	}
}

// escape reads an escape sequence and returns its length. A backslash before another letter stays, as in Python.
func escape(b *strings.Builder, s string) (n int, ok bool) {
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	switch c := s[1]; {
	case c == '\n':
	case strings.IndexByte(`\'"`, c) >= 0:
		b.WriteByte(c)
	case c == 'n':
		b.WriteByte('\n')
	case c == 't':
		b.WriteByte('\t')
	case c == 'r':
		b.WriteByte('\r')
	case digits > 0:
		if len(s) < 2+digits {
			return 0, false
		}
		v, err := strconv.ParseUint(s[2:2+digits], 16, 32)
		if err != nil || !utf8.ValidRune(rune(v)) {
			return 0, false
		}
		b.WriteRune(rune(v))
		return 2 + digits, true
	case c >= '0' && c <= '9' || strings.IndexByte("abfvN", c) >= 0:
		return 0, false // rare; "\1" here is mostly a mistake for r"\1"
	default:
		b.WriteByte('\\')
		b.WriteByte(c)
	}
	return 2, true
}
