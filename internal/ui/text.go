package ui

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailtwin/internal/mail"
)

// Clean makes text from elsewhere fit for a terminal: control characters and those that reorder or hide text become "?", line
// ends and tabs one space. What is left cannot move the cursor, clear the screen or pretend to be ours.
func Clean(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	space := false
	for i, c := range s {
		switch {
		case c == '\t' || c == '\n' || c == '\r':
			if !space {
				b.WriteByte(' ')
			}
			space = true
			continue
		case c == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"), unfit(c):
			b.WriteByte('?')
		default:
			b.WriteRune(c)
		}
		space = false
	}
	return b.String()
}

// unfit reports whether a character does more than to be read.
func unfit(c rune) bool {
	return unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == '\u2028' || c == '\u2029' || c >= 0xE0000 && c <= 0xE007F
}

// What of a text from elsewhere is shown, in characters.
const (
	longestName = 200
	longestText = 1000
)

// short leaves out the middle of a text that is too long: names come first, and why something failed last.
func short(s string, most int) string {
	if len(s) <= most {
		return s
	}
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most*2/3]) + " … " + string(r[len(r)-most/3:])
}

// number writes 1234567 as 1,234,567.
func number(n int) string {
	s := strconv.Itoa(n)
	digits, sign := strings.TrimPrefix(s, "-"), ""
	if len(digits) < len(s) {
		sign = "-"
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// count writes a number with its noun: "1 mailbox", "41 mailboxes".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// bytes writes a size: "512 B", "4.2 MB".
func bytes(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		f /= 1000
		if f < 999.5 || unit == "TB" {
			if f < 9.95 {
				return fmt.Sprintf("%.1f %s", f, unit)
			}
			return fmt.Sprintf("%.0f %s", f, unit)
		}
	}
	return ""
}

// seconds writes how long something took: "0.4 s", "3 min 20 s".
func seconds(s float64) string {
	switch {
	case s < 0.095:
		return fmt.Sprintf("%.2f s", s)
	case s < 59.95:
		return fmt.Sprintf("%.1f s", s)
	case s < 3599.5:
		d := int(s + 0.5)
		return fmt.Sprintf("%d min %d s", d/60, d%60)
	}
	d := int(s/60 + 0.5)
	return fmt.Sprintf("%d h %d min", d/60, d%60)
}

// left writes about how long something will take.
func left(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s left", int(d.Seconds())+1)
	}
	return strings.TrimSuffix(seconds(d.Round(time.Second).Seconds()), " 0 s") + " left"
}

// ago writes how long before now something was.
func ago(then, now time.Time) string {
	d := now.Sub(then)
	switch {
	case d < 0:
		return "in the future"
	case d < time.Minute:
		return "less than a minute ago"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute", "minutes") + " ago"
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour", "hours") + " ago"
	}
	return count(int(d/(24*time.Hour)), "day", "days") + " ago"
}

// key writes a message's key as its store's users know it.
func key(k mail.Key) string {
	if uid, ok := k.UID(); ok {
		return "UID " + strconv.FormatUint(uint64(uid), 10)
	}
	return Clean(string(k))
}

// width is about how many columns a text takes; wide characters count as two.
func width(s string) int {
	n := 0
	for _, c := range s {
		n += runeWidth(c)
	}
	return n
}

func runeWidth(c rune) int {
	switch {
	case unicode.Is(unicode.Mn, c), unicode.Is(unicode.Me, c), unicode.Is(unicode.Cf, c):
		return 0
	case c >= 0x1100 && c <= 0x115F, c >= 0x2E80 && c <= 0xA4CF, c >= 0xAC00 && c <= 0xD7A3, c >= 0xF900 && c <= 0xFAFF,
		c >= 0xFE30 && c <= 0xFE6F, c >= 0xFF00 && c <= 0xFF60, c >= 0xFFE0 && c <= 0xFFE6, c >= 0x1F300 && c <= 0x1FAFF, c >= 0x20000 && c <= 0x3FFFD:
		return 2
	}
	return 1
}

// fit cuts a text to a number of columns.
func fit(s string, columns int) string {
	if width(s) <= columns {
		return s
	}
	var b strings.Builder
	n := 0
	for _, c := range s {
		if n+runeWidth(c) > columns-1 {
			break
		}
		n += runeWidth(c)
		b.WriteRune(c)
	}
	return b.String() + "…"
}

// pad fills a text up to a number of columns.
func pad(s string, columns int) string {
	if n := columns - width(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}
