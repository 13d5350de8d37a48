package mbsync

import (
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

// selection writes which mailboxes take part.
func (a *account) selection() {
	var list []string
	var from statement
	for _, c := range a.channels {
		remote := c.stores[1-c.local()]
		prefix := remotePath(remote) + c.boxes[1-c.local()]
		if c.patterns == nil {
			if prefix == remotePath(remote) {
				prefix = string(mail.Inbox)
			}
			list = append(list, a.decodePath(prefix))
			continue
		}
		if from.key == "" {
			from, _ = c.find("Pattern", "Patterns")
		}
		included := false // what is left out before anything was taken in means nothing here, and "all but" in mailtwin
		for _, p := range c.patterns {
			pattern, out := strings.CutPrefix(p, "!")
			if out && !included {
				continue
			}
			included = true
			if pattern != string(mail.Inbox) {
				pattern = prefix + pattern
			}
			if out {
				pattern = "!" + pattern
			}
			list = append(list, a.decodePath(pattern))
		}
	}
	seen := map[string]bool{}
	list = slices.DeleteFunc(list, func(p string) bool {
		again := seen[p] && !strings.HasPrefix(p, "!")
		seen[p] = true
		return again
	})
	switch {
	case len(list) == 0:
		a.note(a.first().statement, "the Patterns take no mailbox at all; write mailboxes = [...]")
	case !slices.Equal(list, []string{"*"}):
		a.set("mailboxes", quoteList(list), from)
	}
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
	for _, end := range []int{local, 1 - local} {
		if side := map[int]string{local: "in the Maildir", 1 - local: "on the server"}[end]; !e[end] && !s[end] {
			a.note(pickStatement(expunge, solo), "without Expunge mbsync only marks messages %s as deleted when they are gone on the other side; mailtwin removes them (many at once are held back)", side)
		}
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
		a.channelNotes(c, expunge, remove)
	}
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
func (a *account) channelNotes(c *channel, expunge, remove statement) {
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
		case s.is("Expunge") && ends(s.args) != ends(expunge.args), s.is("Remove") && ends(s.args) != ends(remove.args):
			a.note(s, "%s: the channels of this account differ here; mailtwin has one setting for an account, that of channel %q is taken", s.key, a.first().arg())
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
