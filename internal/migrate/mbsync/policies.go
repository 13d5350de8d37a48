package mbsync

import (
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

// selection writes which mailboxes take part. Channels with wildcards come first: what they leave out may be another channel's.
func (a *account) selection() {
	var wild, single []string
	var from statement
	wildChannels := 0
	for _, c := range a.channels {
		list := a.selected(c)
		if !slices.ContainsFunc(list, func(p string) bool { return strings.ContainsAny(p, "*%!") }) {
			single = append(single, list...)
			continue
		}
		wildChannels++
		wild = append(wild, list...)
		if from.key == "" {
			from, _ = c.find("Pattern", "Patterns")
		}
	}
	single = slices.DeleteFunc(single, func(p string) bool { return slices.Equal(wild, []string{"*"}) })
	list := append(wild, single...)
	seen := map[string]bool{}
	list = slices.DeleteFunc(list, func(p string) bool {
		again := seen[p] && !strings.HasPrefix(p, "!")
		seen[p] = true
		return again
	})
	if wildChannels > 1 {
		a.note(from, "Patterns: several channels with wildcards are one account now; in mailboxes the last entry that fits wins, so check it")
	}
	switch {
	case len(list) == 0:
		a.note(a.first().statement, "the Patterns take no mailbox at all; write mailboxes = [...]")
	case !slices.Equal(list, []string{"*"}):
		a.set("mailboxes", quoteList(list), from)
	}
}

// selected are the mailboxes that a channel takes, as mailtwin writes them.
func (a *account) selected(c *channel) (list []string) {
	path := remotePath(c.stores[1-c.local()])
	prefix := path + c.boxes[1-c.local()]
	if c.patterns == nil {
		if prefix == path {
			return []string{string(mail.Inbox)}
		}
		return []string{a.decodePath(prefix)}
	}
	for _, p := range c.patterns {
		pattern, out := strings.CutPrefix(p, "!")
		if out && len(list) == 0 {
			continue // before anything is taken in this means nothing here, and "all but" in mailtwin
		}
		if pattern != string(mail.Inbox) || prefix != path {
			pattern = prefix + pattern
		}
		if pattern = a.decodePath(pattern); out {
			pattern = "!" + pattern
		}
		list = append(list, pattern)
	}
	return list
}

func (a *account) decodePath(name string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = a.decode(parts[i])
	}
	return strings.Join(parts, "/")
}

// ends reads the arguments of Create, Remove and Expunge: which ends they name.
func ends(args []string) (e [2]bool) {
	for _, w := range args {
		switch strings.ToLower(w) {
		case "both":
			e = [2]bool{true, true}
		case "far", "master":
			e[far] = true
		case "near", "slave":
			e[near] = true
		}
	}
	return e
}

// policies translates what a channel does with messages and mailboxes.
func (a *account) policies() {
	c := a.first()
	local := c.local()
	expunge, _ := a.cfg.get(c, "Expunge")
	e := ends(expunge.args)
	switch {
	case e[local] && e[1-local]:
		a.set("expunge", `"both"`, expunge)
	case e[local]:
		a.set("expunge", `"local"`, expunge)
	case e[1-local]:
		a.set("expunge", `"remote"`, expunge)
	}
	solo, ok := a.cfg.get(c, "ExpungeSolo")
	s := ends(solo.args)
	if !ok {
		solo = c.statement
	}
	var marked []string
	for end, side := range map[int]string{local: "in the Maildir", 1 - local: "on the server"} {
		if !e[end] && !s[end] {
			marked = append(marked, side)
		}
	}
	if slices.Sort(marked); len(marked) > 0 {
		a.note(pickStatement(expunge, solo), "without Expunge mbsync only marks messages %s as deleted when they are gone on the other side; mailtwin removes them (many at once are held back)", strings.Join(marked, " and "))
	}
	remove, _ := a.cfg.get(c, "Remove")
	if r := ends(remove.args); !r[far] && !r[near] {
		a.set("delete_mailboxes", `"never"`, remove)
	} else if r[far] != r[near] {
		a.note(remove, "Remove: mailtwin removes empty mailboxes on both sides or on none; delete_mailboxes = \"never\" is none")
	}
	create, _ := a.cfg.get(c, "Create")
	if r := ends(create.args); !r[far] || !r[near] {
		a.note(pickStatement(create, c.statement), "Create: mailtwin makes missing mailboxes on both sides; mailboxes = [...] leaves out what is not wanted")
	}
	for _, c := range a.channels {
		a.channelNotes(c)
	}
}

// effective reads Expunge or Remove of a channel: whether it is on for the Maildir, and for the server.
func (a *account) effective(c *channel, key string) [2]bool {
	s, _ := a.cfg.get(c, key)
	e := ends(s.args)
	return [2]bool{e[c.local()], e[1-c.local()]}
}

// pickStatement is the first one that is there.
func pickStatement(list ...statement) statement {
	for _, s := range list {
		if s.key != "" {
			return s
		}
	}
	return statement{}
}

// channelNotes tells what of a channel has no equal.
func (a *account) channelNotes(c *channel) {
	for _, key := range []string{"Expunge", "Remove"} {
		if a.effective(c, key) != a.effective(a.first(), key) {
			s, _ := c.find(key)
			a.note(pickStatement(s, c.statement), "%s: the channels of this account differ here, and mailtwin has one setting for an account; that of channel %q is taken", key, a.first().arg())
		}
	}
	if s, ok := a.cfg.get(c, "Sync"); ok && !twoWay(s.args) {
		a.note(s, "Sync: mailtwin always syncs both ways, new messages, flags and deletions; leave a mailbox out with mailboxes = [...], or keep mbsync for it")
	}
	if s, ok := a.cfg.get(c, "MaxMessages"); ok && s.arg() != "0" {
		a.note(s, "MaxMessages: mailtwin keeps all messages of a mailbox, and fetches those that are not in the Maildir")
	}
	for _, s := range c.body {
		switch {
		case s.is("MaxSize") && s.arg() != "0":
			a.note(s, "MaxSize: mailtwin copies messages of any size")
		case !s.is("Far", "Near", "Master", "Slave", "Pattern", "Patterns", "MaxSize", "MaxMessages", "ExpireUnread", "ExpireSide", "Sync", "Create", "Remove", "Expunge", "ExpungeSolo", "CopyArrivalDate", "SyncState"):
			a.note(s, "%s: this option is not known", s.key)
		}
	}
}

// twoWay reports whether Sync carries arrivals, deletions and flags both ways. Placeholders and retries do not count.
func twoWay(args []string) bool {
	types := []string{"new", "gone", "flags"}
	canonical := strings.NewReplacer("delete", "gone", "renew", "upgrade")
	var words []string
	var compound [2]map[string]bool // by direction: pull, push
	compound[0], compound[1] = map[string]bool{}, map[string]bool{}
	for _, w := range args {
		w = canonical.Replace(strings.ToLower(w))
		switch {
		case w == "all" || w == "full":
			return true
		case strings.HasPrefix(w, "pull") && w != "pull":
			compound[0][w[4:]] = true
		case strings.HasPrefix(w, "push") && w != "push":
			compound[1][w[4:]] = true
		default:
			words = append(words, w)
		}
	}
	has := func(w string) bool { return slices.Contains(words, w) }
	anyType := slices.ContainsFunc(words, func(w string) bool { return w != "pull" && w != "push" && w != "none" && w != "noop" && w != "old" })
	single := len(compound[0])+len(compound[1]) > 0
	for d, direction := range []string{"pull", "push"} {
		for _, t := range types {
			var on bool
			if single {
				on = compound[d][t] || has(direction) || has(t) || compound[d]["full"] || compound[d]["all"]
			} else {
				on = (has(t) || !anyType && (has("pull") || has("push"))) && (has(direction) || !has("pull") && !has("push"))
			}
			if !on {
				return false
			}
		}
	}
	return true
}
