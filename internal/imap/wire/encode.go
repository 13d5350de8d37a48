package wire

import (
	"errors"
	"strings"
)

// Quotable says whether s may be sent as a quoted string: no CR, LF or NUL, no octets above 127 unless utf8 was enabled.
// What is not quotable goes as a literal.
func Quotable(s string, utf8 bool) bool {
	for i := range len(s) {
		if c := s[i]; c == 0 || c == '\r' || c == '\n' || (c >= 0x7f && !utf8) {
			return false
		}
	}
	return len(s) <= 1000 // long lines upset servers
}

// AppendQuoted appends s, which is Quotable, as a quoted string.
func AppendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// IsAtom says whether s may be sent as an atom (RFC 9051 section 9, ATOM-CHAR).
func IsAtom(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return s != "" && !strings.EqualFold(s, "NIL")
}

var errFlag = errors.New("encode flags: a flag holds characters that flags cannot have")

// AppendFlags appends a list of flags in parentheses. It refuses flags that would break the command.
func AppendFlags(b []byte, flags []string) ([]byte, error) {
	b = append(b, '(')
	for i, f := range flags {
		if !validFlag(f) {
			return nil, errFlag
		}
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, f...)
	}
	return append(b, ')'), nil
}

// validFlag is lenient with ], which servers hand out in keywords.
func validFlag(f string) bool {
	f = strings.TrimPrefix(f, `\`)
	for i := range len(f) {
		if c := f[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\`, c) >= 0 {
			return false
		}
	}
	return f != ""
}
