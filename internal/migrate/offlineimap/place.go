package offlineimap

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mailtwin/internal/imap/wire"
	"mailtwin/internal/mail"
)

// place finds the layout of the Maildir and the folder of INBOX, as mailtwin wants them.
func (a *account) place(all []*folder) {
	dotted, inboxDir := 0, ""
	for _, f := range all {
		if f.box == mail.Inbox && f.why == "" || f.box == mail.Inbox && inboxDir == "" {
			inboxDir = f.dir
		}
		if strings.HasPrefix(f.name, ".") {
			dotted++
		}
		a.mutf7 = a.mutf7 || strings.Contains(f.name, "&")
	}
	a.mutf7 = a.mutf7 && !a.utf8 && !slices.ContainsFunc(all, func(f *folder) bool { return !isASCII(f.name) })
	switch {
	case a.sep == "." && dotted > 0 && (inboxDir == a.root || dotted == len(all)):
		a.layout, a.inbox = "maildir++", "."
		return
	case a.sep == ".":
		a.layout = "flat"
	default:
		a.layout = "nested"
	}
	a.inbox = string(mail.Inbox)
	switch {
	case inboxDir == "":
	case inboxDir == a.root:
		a.inbox = "."
	case filepath.Dir(inboxDir) == a.root:
		a.inbox = filepath.Base(inboxDir)
	}
}

// expected is the mailbox that mailtwin takes a folder for, "" if for none.
func (a *account) expected(dir string) mail.Box {
	rel, err := filepath.Rel(a.root, dir)
	if err != nil || strings.HasPrefix(rel, "..") && a.layout != "maildir++" {
		return ""
	}
	if rel == a.inbox {
		return mail.Inbox
	}
	var parts []string
	switch a.layout {
	case "nested":
		if parts = strings.Split(rel, "/"); parts[0] == a.inbox {
			parts[0] = string(mail.Inbox)
		}
	case "maildir++":
		name, ok := strings.CutPrefix(rel, ".")
		if !ok || strings.Contains(rel, "/") {
			return ""
		}
		parts = strings.Split(name, ".")
	default:
		parts = strings.Split(rel, ".")
	}
	for i, p := range parts {
		if p == "" {
			return ""
		}
		parts[i] = unescape(p)
		if decoded, err := wire.DecodeUTF7(parts[i]); err == nil && a.mutf7 {
			parts[i] = decoded
		}
	}
	return mail.JoinBox(parts)
}

// unescape reads %XX in a folder's name as mailtwin does.
func unescape(name string) string {
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
	return b.String()
}

// dirOf is the folder in which mailtwin looks for a mailbox.
func (a *account) dirOf(box mail.Box) string {
	if box == mail.Inbox {
		return filepath.Join(a.root, a.inbox)
	}
	parts := box.Components()
	for i, p := range parts {
		if a.mutf7 {
			p = wire.EncodeUTF7(p)
		}
		var b strings.Builder
		for j := range len(p) {
			switch c := p[j]; {
			case c < ' ', c == 0x7f, c == '%', c == '/', c == '.' && (j == 0 || a.layout != "nested"), j == 0 && (p == "cur" || p == "new" || p == "tmp"):
				b.WriteString("%" + strings.ToUpper(strconv.FormatUint(uint64(c)|0x100, 16)[1:]))
			default:
				b.WriteByte(c)
			}
		}
		parts[i] = b.String()
	}
	switch a.layout {
	case "nested":
		if parts[0] == string(mail.Inbox) && a.inbox != "." {
			parts[0] = a.inbox
		}
		return filepath.Join(a.root, filepath.Join(parts...))
	case "maildir++":
		return filepath.Join(a.root, "."+strings.Join(parts, "."))
	}
	return filepath.Join(a.root, strings.Join(parts, "."))
}
