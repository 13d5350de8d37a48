package mbsync

import (
	"fmt"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// config is a configuration that was read.
type config struct {
	file     string
	home     string
	state    string // where state files are by default
	base     string // what relative paths begin at
	globals  *section
	accounts map[string]*section
	stores   map[string]*store
	channels []*channel
	groups   []*section
}

// store is an IMAPStore or a MaildirStore.
type store struct {
	*section
	isIMAP  bool
	account *section // of an IMAPStore: where the settings of the connection are; it may be the section itself
	tree    tree     // of a MaildirStore
}

// channel is a Channel that pairs a server with a Maildir, or is left out with a reason.
type channel struct {
	*section
	stores   [2]*store // by end
	boxes    [2]string // by end: the mailbox, or what is before the names; "": none
	patterns []string  // nil: a single mailbox
	why      string    // why it cannot be taken over; "": it can
}

// local is the end that is the Maildir.
func (c *channel) local() int {
	if c.stores[near].isIMAP {
		return far
	}
	return near
}

// get returns a setting of the channel, or the global one.
func (cfg *config) get(c *channel, keys ...string) (statement, bool) {
	if s, ok := c.find(keys...); ok {
		return s, true
	}
	return cfg.globals.find(keys...)
}

// build makes a model of the sections. Its errors are of the file as a whole.
func (cfg *config) build(sections []*section) error {
	cfg.globals, cfg.accounts, cfg.stores = sections[0], map[string]*section{}, map[string]*store{}
	for _, s := range sections[1:] {
		switch {
		case s.is("IMAPAccount"):
			cfg.accounts[s.arg()] = s
		case s.is("IMAPStore"):
			st := &store{section: s, isIMAP: true, account: s}
			if at, ok := s.find("Account"); ok {
				if st.account = cfg.accounts[at.arg()]; st.account == nil {
					return cfg.fault(at, fmt.Sprintf("the store refers to an account %q, which does not come before it", at.arg()))
				}
			}
			cfg.stores[s.arg()] = st
		case s.is("MaildirStore"):
			cfg.stores[s.arg()] = &store{section: s, tree: cfg.tree(s)}
		case s.is("Channel"):
			c, err := cfg.channel(s)
			if err != nil {
				return err
			}
			cfg.channels = append(cfg.channels, c)
		case s.is("Group"):
			cfg.groups = append(cfg.groups, s)
		}
	}
	return nil
}

func (cfg *config) fault(s statement, text string) error {
	return mail.WithHint(fmt.Errorf("read %s:%d: %s", cfg.file, s.line, text), "does mbsync still accept the file? mbsync -l -a lists the mailboxes")
}

func (cfg *config) tree(s *section) tree {
	t := tree{style: strings.ToLower(s.value("SubFolders")), flatten: s.value("Flatten"), infoSep: ':'}
	if p := s.value("Path"); p != "" {
		t.path = cfg.expand(p)
	}
	inbox := s.value("Inbox")
	if inbox == "" {
		inbox = "~/Maildir"
	}
	t.inbox = strings.TrimRight(cfg.expand(inbox), "/")
	for _, v := range []string{cfg.globals.value("FieldDelimiter"), s.value("InfoDelimiter")} {
		if len(v) == 1 {
			t.infoSep = v[0]
		}
	}
	if t.flatten != "" {
		t.style = ""
	}
	return t
}

// expand makes a path absolute. A "/" at its end is kept: it says that names come below, not right after it.
func (cfg *config) expand(p string) string {
	switch {
	case p == "~" || strings.HasPrefix(p, "~/"):
		return cfg.home + p[1:]
	case strings.HasPrefix(p, "/"):
		return p
	}
	return strings.TrimSuffix(cfg.base, "/") + "/" + p
}

func (cfg *config) channel(s *section) (*channel, error) {
	c := &channel{section: s}
	for end, keys := range [2][]string{{"Far", "Master"}, {"Near", "Slave"}} {
		at, ok := s.find(keys...)
		if !ok {
			return nil, cfg.fault(s.statement, fmt.Sprintf("channel %q has no %s", s.arg(), keys[0]))
		}
		name, box, ok := strings.Cut(strings.TrimPrefix(at.arg(), ":"), ":")
		if !ok || !strings.HasPrefix(at.arg(), ":") {
			return nil, cfg.fault(at, "the mailbox must be written as :store:mailbox")
		}
		if c.stores[end] = cfg.stores[name]; c.stores[end] == nil {
			return nil, cfg.fault(at, fmt.Sprintf("there is no store %q before it", name))
		}
		c.boxes[end] = box
	}
	for _, b := range s.body {
		if b.is("Pattern", "Patterns") {
			c.patterns = append(c.patterns, b.args...)
		}
	}
	switch f, n := c.stores[far], c.stores[near]; {
	case f.isIMAP && n.isIMAP:
		c.why = "both its sides are servers, and state can only be taken over for a server and a Maildir"
	case !f.isIMAP && !n.isIMAP:
		c.why = "both its sides are Maildirs, and state can only be taken over for a server and a Maildir"
	}
	return c, nil
}

// names are the channels and groups.
func (cfg *config) names() (names []string) {
	for _, c := range cfg.channels {
		names = append(names, c.arg())
	}
	for _, g := range cfg.groups {
		names = append(names, g.arg())
	}
	return names
}

// pick returns the channels that were asked for, which are named alone, with mailboxes after a colon, or by a group.
func (cfg *config) pick(names []string) ([]*channel, error) {
	if len(names) == 0 {
		return cfg.channels, nil
	}
	var all []*channel
	for _, name := range names {
		members := []string{name}
		if i := slices.IndexFunc(cfg.groups, func(g *section) bool { return g.arg() == name }); i >= 0 {
			members = slices.Clone(cfg.groups[i].args[1:])
			for _, b := range cfg.groups[i].body {
				members = append(members, b.args...)
			}
		}
		for _, m := range members {
			chan1, boxes, some := strings.Cut(m, ":")
			i := slices.IndexFunc(cfg.channels, func(c *channel) bool { return c.arg() == chan1 })
			if i < 0 {
				return nil, mail.WithHint(fmt.Errorf("read %s: there is no channel or group %q", cfg.file, chan1), "there are: "+strings.Join(cfg.names(), ", ")+"; mailtwin import mbsync without a name takes all channels")
			}
			c := *cfg.channels[i]
			if some {
				c.patterns = strings.FieldsFunc(boxes, func(r rune) bool { return r == ',' || r == '\n' })
			}
			all = append(all, &c)
		}
	}
	return all, nil
}

// account is what becomes one account of mailtwin: the channels that connect one server with one Maildir tree.
type account struct {
	cfg      *config
	channels []*channel
	remote   *section // the connection
	root     string   // of the Maildir
	mutf7    bool     // names of mailboxes are in modified UTF-7
	layout   string
	inbox    string
	old      migrate.Old
}

func (a *account) first() *channel { return a.channels[0] }
func (a *account) tree() tree      { return a.first().stores[a.first().local()].tree }

// note adds a note about a statement.
func (a *account) note(s statement, format string, args ...any) {
	n := migrate.Note{File: a.cfg.file, Line: s.line, Text: fmt.Sprintf(format, args...)}
	if !slices.Contains(a.old.Notes, n) {
		a.old.Notes = append(a.old.Notes, n)
	}
}

// noteFile adds a note about a file.
func (a *account) noteFile(file, format string, args ...any) {
	a.old.Notes = append(a.old.Notes, migrate.Note{File: file, Text: fmt.Sprintf(format, args...)})
}
