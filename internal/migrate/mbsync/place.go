package mbsync

import (
	"path/filepath"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
)

// place finds the root of the Maildir, its layout and the folder of INBOX, as mailtwin wants them.
func (a *account) place(pairs []*pair) {
	t := a.tree()
	switch {
	case t.style == "maildir++":
		a.root, a.layout, a.inbox = t.inbox, "maildir++", "."
		return
	case t.flatten == ".":
		a.layout = "flat"
	default:
		a.layout = "nested"
	}
	onlyInbox, inboxDir := true, ""
	for _, p := range pairs {
		if a.box(p) == mail.Inbox {
			inboxDir = p.dir
		} else {
			onlyInbox = false
		}
	}
	if inboxDir == "" && len(pairs) == 0 {
		inboxDir = t.inbox
	}
	if onlyInbox && inboxDir != "" && !a.hasPatterns() || t.path == "" {
		a.root, a.inbox = t.inbox, "."
		if inboxDir != "" {
			a.root = inboxDir
		}
		return
	}
	a.root = filepath.Clean(filepath.Dir(t.path + "x"))
	if a.layout == "nested" {
		a.root = filepath.Join(a.root, a.commonDir())
	}
	a.inbox = string(mail.Inbox)
	if inboxDir == "" {
		inboxDir = t.inbox
	}
	switch {
	case inboxDir == a.root:
		a.inbox = "."
	case filepath.Dir(inboxDir) == a.root:
		a.inbox = filepath.Base(inboxDir)
	}
}

func (a *account) hasPatterns() bool {
	for _, c := range a.channels {
		if c.patterns != nil {
			return true
		}
	}
	return false
}

// commonDir is the directory below the store's Path that all channels have in common: where one MaildirStore serves several
// accounts, each has a directory in it.
func (a *account) commonDir() string {
	t := a.tree()
	common, found := "", false
	for _, c := range a.channels {
		box := c.boxes[c.local()]
		if box == "" || box == string(mail.Inbox) {
			if c.patterns != nil {
				return ""
			}
			rel, err := filepath.Rel(filepath.Clean(t.path), t.inbox)
			if err != nil || strings.HasPrefix(rel, "..") {
				continue // it is elsewhere in any case
			}
			box = rel
		}
		dir := ""
		if i := strings.LastIndexByte(box, '/'); i >= 0 {
			dir = box[:i+1]
		}
		if !found {
			common, found = dir, true
		}
		for !strings.HasPrefix(dir, common) {
			common = common[:strings.LastIndexByte(strings.TrimSuffix(common, "/"), '/')+1]
		}
	}
	return common
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
		parts[i] = a.decode(unescape(p))
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
			p = encodeUTF7(p)
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
