package maildirstore

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"mailtwin/internal/imap/wire"
	"mailtwin/internal/mail"
)

const longHint = `give it a shorter name on the other side, or leave it out of mailboxes with "!" and its name`

// maxName is the longest file name that file systems take, in bytes.
const maxName = 255

// naming translates mailboxes to folders, relative to the root, and back. No mailbox leads out of the root: every component
// is escaped so that it is one plain file name.
type naming struct {
	layout string
	mutf7  bool
	inbox  string
}

// dir returns the folder of a mailbox; an error if the file system could not hold the name.
func (n naming) dir(box mail.Box) (string, error) {
	if box == mail.Inbox {
		return n.inbox, nil
	}
	parts := box.Components()
	for i, p := range parts {
		if p == "" {
			return "", fmt.Errorf("name mailbox %q: an empty component", box)
		}
		parts[i] = n.escape(p)
		if len(parts[i]) > maxName {
			return "", mail.WithHint(fmt.Errorf("name mailbox %q: a name of more than %d bytes", box, maxName), longHint)
		}
	}
	if n.layout == Nested {
		if n.inbox != "." && parts[0] == string(mail.Inbox) {
			parts[0] = n.inbox
		}
		return filepath.Join(parts...), nil
	}
	name := strings.Join(parts, ".")
	if n.layout == MaildirPP {
		name = "." + name
	}
	if len(name) > maxName {
		return "", mail.WithHint(fmt.Errorf("name mailbox %q: a name of more than %d bytes", box, maxName), longHint)
	}
	return name, nil
}

// reserved are names that mean something in a Maildir or to us.
func reserved(name string) bool {
	return name == "cur" || name == "new" || name == "tmp" || name == "mailtwin.d"
}

const hexDigits = "0123456789ABCDEF"

// escape writes a component as a file name. What is written with %XX comes back the same; "%" itself is always escaped, and so
// is what a file system that decomposes would not give back (not in NFC, perhaps because of what was escaped before it).
func (n naming) escape(c string) string {
	if n.mutf7 {
		c = wire.EncodeUTF7(c)
	}
	if name := n.escapeBytes(c, true); norm.NFC.IsNormalString(c) && norm.NFC.IsNormalString(name) {
		return name
	}
	return n.escapeBytes(c, false)
}

// escapeBytes escapes what must be, and all that is not ASCII unless plain.
func (n naming) escapeBytes(c string, plain bool) string {
	var b strings.Builder
	for i := range len(c) {
		ch := c[i]
		if ch < ' ' || ch == 0x7f || ch >= 0x80 && !plain || ch == '/' || ch == '%' || ch == '.' && (i == 0 || n.layout != Nested) || i == 0 && reserved(c) {
			b.WriteByte('%')
			b.WriteByte(hexDigits[ch>>4])
			b.WriteByte(hexDigits[ch&15])
		} else {
			b.WriteByte(ch)
		}
	}
	return b.String()
}

// unescape reads a file name as a component; names that others chose may have "%" without meaning.
func (n naming) unescape(name string) string {
	name = norm.NFC.String(name) // some file systems decompose
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '%' && i+2 < len(name) {
			if v, err := strconv.ParseUint(name[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		b.WriteByte(name[i])
	}
	s := b.String()
	if n.mutf7 {
		if decoded, err := wire.DecodeUTF7(s); err == nil {
			return decoded
		}
	}
	return s
}

// box returns the mailbox of a folder, given relative to the root; false if it cannot be one.
func (n naming) box(dir string) (mail.Box, bool) {
	if dir == n.inbox {
		return mail.Inbox, true
	}
	var parts []string
	switch n.layout {
	case Nested:
		parts = strings.Split(dir, string(filepath.Separator))
		if parts[0] == n.inbox {
			parts[0] = string(mail.Inbox)
		}
	case MaildirPP:
		name, ok := strings.CutPrefix(dir, ".")
		if !ok {
			return "", false
		}
		parts = strings.Split(name, ".")
	default:
		parts = strings.Split(dir, ".")
	}
	ok := true
	for i, p := range parts {
		parts[i] = n.unescape(p)
		ok = ok && p != "" && utf8.ValidString(parts[i])
	}
	return mail.JoinBox(parts), ok
}
