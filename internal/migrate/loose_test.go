package migrate

import (
	"bytes"
	"fmt"
	"testing"
)

// TestLoose: what OfflineIMAP does to messages does not count, and everything else does.
func TestLoose(t *testing.T) {
	t.Parallel()
	of := func(text string) string {
		whole, single := newLoose(), newLoose()
		_, _ = whole.Write([]byte(text))
		for i := range len(text) {
			_, _ = single.Write([]byte{text[i]})
		}
		if whole.hash() != single.hash() {
			t.Errorf("%q: it depends on how it is written", text)
		}
		return fmt.Sprintf("%x", whole.hash())
	}
	for name, c := range map[string][2]string{
		"line ends":         {"Subject: x\r\n\r\nbody\r\n", "Subject: x\n\nbody\n"},
		"a bare CR":         {"Subject: x\r\n\r\none\rtwo\r\n", "Subject: x\n\none\ntwo\n"},
		"space put in":      {"Subject:x\r\nX-Empty:\r\n\r\nbody\r\n", "Subject: x\nX-Empty: \n\nbody\n"},
		"mbox line dropped": {"From me@x Mon Jan  1\r\nSubject: x\r\n\r\nbody\r\n", "Subject: x\n\nbody\n"},
		"boundary added":    {"\r\n\r\n--XX\r\n\r\nhi\r\n", "\n\n--XX\n\nhi\n\n--XX--\n"},
		"empty line put in": {"Subject: x\r\nno header\r\nX-More: y\r\n\r\nbody\r\n", "Subject: x\n\nno header\nX-More: y\n\nbody\n"},
		"header torn":       {"Subject: a\x0cb\v c\r\n\r\nbody\r\n", "Subject: a\nb\n c\n\nbody\n"},
		"added fields":      {"X-OfflineIMAP: 1-2\r\nSubject: x\r\n\r\nbody\r\n", "Subject: x\nx-tuid: abc\n\nbody"},
		"long":              {"\r\n" + string(bytes.Repeat([]byte("long \r"), 9000)), "\n" + string(bytes.Repeat([]byte("long\n"), 9000))},
	} {
		if of(c[0]) != of(c[1]) {
			t.Errorf("%s: not the same", name)
		}
	}
	for name, c := range map[string][2]string{
		"body":           {"Subject: x\n\nbody\n", "Subject: x\n\nbodz\n"},
		"letter case":    {"Subject: x\n", "Subject: X\n"},
		"cut off":        {"Subject: x\n\none\ntwo\n", "Subject: x\n\none\n"},
		"emptied":        {"Subject: x\n", ""},
		"NUL":            {"Subject: x\n\n", "Subject: x\n\n\x00\x00"},
		"From in it":     {"Subject: x\n\nFrom here\n", "Subject: x\n\n"},
		"like a field":   {"X-TUIDs: 1\n", ""},
		"longer than it": {"X-OfflineIMAPx: 1\n", ""},
	} {
		if of(c[0]) == of(c[1]) {
			t.Errorf("%s: the same", name)
		}
	}
}
