package mbsync

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// pair is one pair of mailboxes of a channel.
type pair struct {
	c     *channel
	name  [2]string // by end, as mbsync names the mailbox
	dir   string    // the Maildir folder
	state string    // the state file
	gone  bool      // the folder is not on disk
}

// local and remote are the names on the two sides.
func (p *pair) local() string  { return p.name[p.c.local()] }
func (p *pair) remote() string { return p.name[1-p.c.local()] }

// pairs lists the pairs of mailboxes of the account that are on disk, or named one by one.
func (a *account) pairs() ([]*pair, error) {
	boxes, err := a.tree().list()
	if err != nil {
		return nil, fmt.Errorf("list the mailboxes of the MaildirStore %q: %w", a.first().stores[a.first().local()].arg(), err)
	}
	var pairs []*pair
	seen := map[string]bool{}
	for _, c := range a.channels {
		if c.patterns == nil {
			p := &pair{c: c, name: c.boxes}
			for end, n := range p.name {
				if n == "" {
					p.name[end] = string(mail.Inbox)
				}
			}
			pairs = append(pairs, p)
			continue
		}
		end := c.local()
		for _, box := range boxes {
			rest, ok := strings.CutPrefix(box, c.boxes[end])
			if !ok || rest == "" || !c.selects(rest) || rest == string(mail.Inbox) && !c.hasInbox() {
				continue
			}
			p := &pair{c: c}
			for e := range p.name {
				p.name[e] = c.boxes[e] + rest
			}
			pairs = append(pairs, p)
		}
	}
	kept := pairs[:0]
	for _, p := range pairs {
		for e, s := range p.c.stores {
			if p.name[e] == s.value("MapInbox") {
				p.name[e] = string(mail.Inbox)
			}
		}
		p.dir = a.tree().dir(p.local())
		p.state = a.cfg.statePath(p)
		p.gone = p.dir == "" || !isMaildir(p.dir)
		if key := p.dir + "\x00" + p.remote(); !seen[key] {
			seen[key] = true
			kept = append(kept, p)
		}
	}
	return kept, nil
}

// find looks for folders that are not where the configuration says: they may be where mailtwin keeps them, because the user was told to
// rename them.
func (a *account) find(pairs []*pair) {
	used := map[string]bool{}
	for _, p := range pairs {
		used[p.dir] = used[p.dir] || !p.gone
	}
	for _, p := range pairs {
		if !p.gone {
			continue
		}
		if dir := a.dirOf(a.box(p)); isMaildir(dir) && !used[dir] {
			used[dir] = true
			p.dir, p.gone = dir, false
			p.state = a.cfg.statePath(p)
			continue
		}
		a.note(p.c.statement, "the mailbox %q of channel %q is not on disk; it is fetched anew", p.local(), p.c.arg())
	}
}

// hasInbox reports whether wildcards include INBOX: it is not below the Path of a server's store.
func (c *channel) hasInbox() bool {
	return remotePath(c.stores[1-c.local()]) == "" || slices.ContainsFunc(c.patterns, func(p string) bool { return strings.HasPrefix(p, "INBOX") })
}

// selects reports whether the patterns take a mailbox; the last one that fits decides.
func (c *channel) selects(box string) bool {
	for _, p := range slices.Backward(c.patterns) {
		pattern, out := strings.CutPrefix(p, "!")
		if match(pattern, box) {
			return !out
		}
	}
	return false
}

// match compares a name with a pattern: "*" is anything, "%" anything without "/".
func match(pattern, name string) bool {
	possible := make([]bool, len(name)+1) // where in name the pattern so far can end
	possible[0] = true
	for i := range len(pattern) {
		next := make([]bool, len(name)+1)
		open := false
		for j := range next {
			switch c := pattern[i]; {
			case c == '*' || c == '%':
				open = open && (c == '*' || name[j-1] != '/') || possible[j]
				next[j] = open
			case j > 0:
				next[j] = possible[j-1] && name[j-1] == c
			}
		}
		possible = next
	}
	return possible[len(name)]
}

// statePath is where the state of a pair is.
func (cfg *config) statePath(p *pair) string {
	var clean [2]string
	for e, s := range p.c.stores {
		name := p.name[e]
		if delim := s.value("Flatten"); delim != "" {
			name = strings.ReplaceAll(name, "/", delim)
		}
		clean[e] = strings.ReplaceAll(name, "/", "!")
	}
	own := p.c.value("SyncState")
	switch {
	case own == "*" || own == "" && cfg.globals.value("SyncState") == "*":
		return filepath.Join(p.dir, stateFile)
	case own != "":
		return cfg.expand(own) + clean[near]
	}
	d := ":"
	if v := cfg.globals.value("FieldDelimiter"); len(v) == 1 {
		d = v
	}
	return cfg.state + d + p.c.stores[far].arg() + d + clean[far] + "_" + d + p.c.stores[near].arg() + d + clean[near]
}

// detectNames finds out whether mailboxes are named in modified UTF-7, which mbsync did before version 1.5.
func (a *account) detectNames(pairs []*pair) {
	shifted := false
	for _, p := range pairs {
		for _, n := range p.name {
			if !isASCII(n) {
				a.mutf7 = false
				return
			}
			shifted = shifted || hasShift(n)
		}
	}
	a.mutf7 = shifted
}

// decode returns a name in UTF-8.
func (a *account) decode(name string) string {
	if a.mutf7 {
		if s, ok := decodeUTF7(name); ok {
			return s
		}
	}
	return name
}

// box is the mailbox of a pair as mailtwin names it.
func (a *account) box(p *pair) mail.Box {
	name := p.remote()
	s := p.c.stores[1-p.c.local()]
	if name != string(mail.Inbox) {
		if delim := s.value("Flatten"); delim != "" {
			name = strings.ReplaceAll(name, "/", delim)
		}
		name = remotePath(s) + name
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = a.decode(parts[i])
	}
	return mail.JoinBox(parts)
}

// remotePath is what an IMAPStore puts before the names of its mailboxes, with "/" for the delimiter; "" where it is what the
// server calls its personal namespace, which mailtwin leaves out as well.
func remotePath(s *store) string {
	path := s.value("Path")
	if strings.EqualFold(strings.TrimRight(path, "./"), "INBOX") {
		return ""
	}
	if d := s.value("PathDelimiter"); len(d) == 1 {
		path = strings.ReplaceAll(path, d, "/")
	}
	return path
}

// folder reads what is known of one pair.
func (a *account) folder(p *pair, shared bool) error {
	f := migrate.Folder{Box: a.box(p), Dir: p.dir, Place: a.dirOf(a.box(p))}
	src := &source{dir: p.dir, state: p.state, local: p.c.local(), infoSep: a.tree().infoSep}
	a.old.Files = append(a.old.Files, src.files()...)
	k, err := src.load()
	var damage *distrust
	switch {
	case errors.As(err, &damage):
		f.Distrust = damage.Error()
	case err != nil:
		return err
	default:
		f.Validity = k.s.validity[1-src.local]
	}
	if want := a.expected(p.dir); f.Distrust == "" && want != f.Box {
		f.Distrust = fmt.Sprintf("its folder %s is where mailtwin looks for the mailbox %q; move it to %s first", p.dir, want, a.dirOf(f.Box))
		if want == "" {
			f.Distrust = fmt.Sprintf("its folder %s is not in the Maildir %s or is named in a way that mailtwin does not use; move it to %s first", p.dir, a.root, a.dirOf(f.Box))
		}
	}
	if !utf8.ValidString(string(f.Box)) {
		a.noteFile(p.dir, "the mailbox's name is not UTF-8; it is left out")
		return nil
	}
	if shared {
		f.Distrust = fmt.Sprintf("another mailbox has the same state file %s", p.state)
	}
	f.Entries = func(func(migrate.Entry, error) bool) {}
	if f.Distrust == "" {
		a.counted(p, k)
		f.Entries = src.entries
	}
	a.old.Folders = append(a.old.Folders, f)
	return nil
}

// counted tells what of the state does not become entries.
func (a *account) counted(p *pair, k *known) {
	box := a.box(p)
	if k.torn {
		a.noteFile(p.state+".journal", "the journal of mailbox %q is cut off in its last line; what stands before it is used", box)
	}
	if k.placeholders > 0 {
		a.noteFile(p.state, "mailbox %q: %d messages are only placeholders on one side because of MaxSize; before the import remove MaxSize from the isyncrc, flag them and run mbsync with Upgrade (ReNew in 1.4), or they stay placeholders", box, k.placeholders)
	}
	if k.expired > 0 {
		a.noteFile(p.state, "mailbox %q: %d messages were removed from the Maildir because of MaxMessages and stay on the server; mailtwin fetches them", box, k.expired)
	}
	if k.single > 0 {
		a.noteFile(p.state, "mailbox %q: %d messages are on one side only, deleted on the other or not copied; those that are still there are copied", box, k.single)
	}
	if k.twice > 0 {
		a.noteFile(p.dir, "mailbox %q: %d messages share their UID with another file, as copies of files do; they are paired by content", box, k.twice)
	}
}

// lostStates tells of state files that belong to no folder on disk: it was renamed or removed.
func (a *account) lostStates(pairs []*pair) {
	known := map[string]bool{}
	for _, p := range pairs {
		known[p.state] = true
	}
	for _, c := range a.channels {
		if own := c.value("SyncState"); own != "" || a.cfg.globals.value("SyncState") == "*" {
			continue
		}
		list, err := os.ReadDir(filepath.Dir(a.cfg.state + "x"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		begin := filepath.Base(a.cfg.state + "x:" + c.stores[far].arg() + ":")[1:]
		for _, e := range list {
			path := filepath.Join(filepath.Dir(a.cfg.state+"x"), e.Name())
			_, local, _ := strings.Cut(e.Name(), "_:"+c.stores[near].arg()+":")
			if !strings.HasPrefix(e.Name(), begin) || local == "" || known[path] || known[strings.TrimSuffix(path, filepath.Ext(path))] {
				continue
			}
			if c.patterns == nil || !c.selects(strings.TrimPrefix(strings.ReplaceAll(local, "!", "/"), c.boxes[near])) {
				continue
			}
			known[path] = true
			a.old.Files = append(a.old.Files, path)
			a.noteFile(path, "this is the state of a mailbox whose folder is not on disk; it was renamed or removed, and nothing is deleted on the server because of it")
		}
	}
}
