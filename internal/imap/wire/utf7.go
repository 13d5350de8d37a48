package wire

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// utf7Base64 is the alphabet of modified UTF-7 (RFC 3501 section 5.1.3): "," instead of "/", no padding.
var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding).Strict()

var errUTF7 = errors.New("decode mailbox name: not modified UTF-7")

// EncodeUTF7 returns s, which is UTF-8, in modified UTF-7. Octets that are not UTF-8 become U+FFFD.
func EncodeUTF7(s string) string {
	if isPlainUTF7(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexFunc(s, func(r rune) bool { return !isPlainRune(r) })
		if i < 0 {
			i = len(s)
		}
		b.WriteString(strings.ReplaceAll(s[:i], "&", "&-"))
		s = s[i:]
		j := strings.IndexFunc(s, isPlainRune)
		if j < 0 {
			j = len(s)
		}
		if j > 0 {
			units := utf16.Encode([]rune(s[:j]))
			raw := make([]byte, 0, 2*len(units))
			for _, u := range units {
				raw = append(raw, byte(u>>8), byte(u))
			}
			b.WriteByte('&')
			b.WriteString(utf7Base64.EncodeToString(raw))
			b.WriteByte('-')
		}
		s = s[j:]
	}
	return b.String()
}

func isPlainRune(r rune) bool { return r >= ' ' && r <= '~' }

func isPlainUTF7(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '&' {
			return false
		}
	}
	return true
}

// DecodeUTF7 returns the UTF-8 of s, which is modified UTF-7. It refuses anything that EncodeUTF7 would not write back
// octet by octet, because such a name could not be selected again.
func DecodeUTF7(s string) (string, error) {
	if isPlainUTF7(s) {
		return s, nil
	}
	var b strings.Builder
	for rest := s; rest != ""; {
		i := strings.IndexByte(rest, '&')
		if i < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:i])
		j := strings.IndexByte(rest[i:], '-')
		if j < 0 {
			return "", errUTF7
		}
		if err := decodeShift(&b, rest[i+1:i+j]); err != nil {
			return "", err
		}
		rest = rest[i+j+1:]
	}
	out := b.String()
	if !utf8.ValidString(out) || EncodeUTF7(out) != s {
		return "", errUTF7
	}
	return out, nil
}

// decodeShift writes what stands between & and -.
func decodeShift(b *strings.Builder, shifted string) error {
	if shifted == "" {
		b.WriteByte('&')
		return nil
	}
	raw, err := utf7Base64.DecodeString(shifted)
	if err != nil || len(raw)%2 != 0 {
		return errUTF7
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	for _, r := range utf16.Decode(units) {
		b.WriteRune(r)
	}
	return nil
}
