package mbsync

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// mbsync before 1.5 takes the names of mailboxes as the server writes them, in modified UTF-7 (RFC 3501 section 5.1.3),
// to disk and into its configuration; from 1.5 on they are UTF-8 there.

var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

// decodeUTF7 returns the UTF-8 of a name; false if it is not modified UTF-7 or would not come back the same.
func decodeUTF7(s string) (string, bool) {
	var b strings.Builder
	for rest := s; rest != ""; {
		i := strings.IndexByte(rest, '&')
		if i < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:i])
		shifted, after, ok := strings.Cut(rest[i+1:], "-")
		if !ok {
			return "", false
		}
		if rest = after; shifted == "" {
			b.WriteByte('&')
			continue
		}
		raw, err := utf7Base64.DecodeString(shifted)
		if err != nil || len(raw)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(raw)/2)
		for i := range units {
			units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
		}
		b.WriteString(string(utf16.Decode(units)))
	}
	decoded := b.String()
	return decoded, utf8.ValidString(decoded) && encodeUTF7(decoded) == s
}

// encodeUTF7 returns a name in modified UTF-7.
func encodeUTF7(s string) string {
	var b strings.Builder
	var units []uint16
	flush := func() {
		if len(units) == 0 {
			return
		}
		raw := make([]byte, 0, 2*len(units))
		for _, u := range units {
			raw = append(raw, byte(u>>8), byte(u))
		}
		b.WriteString("&" + utf7Base64.EncodeToString(raw) + "-")
		units = units[:0]
	}
	for _, r := range s {
		switch {
		case r == '&':
			flush()
			b.WriteString("&-")
		case r >= ' ' && r <= '~':
			flush()
			b.WriteRune(r)
		default:
			units = utf16.AppendRune(units, r)
		}
	}
	flush()
	return b.String()
}

// hasShift reports whether a name decodes to one with other letters than ASCII.
func hasShift(s string) bool {
	decoded, ok := decodeUTF7(s)
	return ok && !isASCII(decoded)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
