package main

import (
	"strings"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
)

// fits reports what was asked for that cannot be done with what was named.
func fits(o dedupeOptions, targets []*target) error {
	if len(targets) == 0 {
		return usagef("mailtwin dedupe ~/Mail, or mailtwin dedupe ACCOUNT; see mailtwin help dedupe", "name a Maildir or an account")
	}
	for _, t := range targets {
		if o.server && t.path != "" {
			return usagef("leave it out, or name an account or imaps://...", "--server: %s is a folder", t.given)
		}
	}
	if o.across && len(targets) > 1 {
		return usagef("name one, or the folder that all are in; of an account, several mailboxes can be named", "--across looks through one Maildir or account at a time")
	}
	return nil
}

// dedupeFlags are the flags that make the same choice again, and what they were for.
func dedupeFlags(o dedupeOptions, t *target) []string {
	var args []string
	if o.by != "content" {
		args = append(args, "--by "+o.by)
	}
	if o.across {
		args = append(args, "--across")
	}
	if len(o.keep) > 0 {
		args = append(args, "--keep "+strings.Join(o.keep, ","))
	}
	if o.server {
		args = append(args, "--server")
	}
	if len(t.only) == 0 {
		return append(args, t.given)
	}
	for _, box := range t.only {
		args = append(args, t.given+"/"+string(box))
	}
	return args
}

// policy reads what the options say of the copy that stays.
func policy(o dedupeOptions, by dedupe.By, boxes []mail.Box) (dedupe.Policy, error) {
	p := dedupe.Policy{By: by, Across: o.across, Rank: make([]int, len(boxes))}
	for i, name := range boxes {
		p.Rank[i] = len(o.keep)
		switch last := name.Components(); strings.ToLower(last[len(last)-1]) {
		case "trash", "junk", "spam", "deleted", "deleted items", "deleted messages", "bin":
			p.Rank[i]++ // what is there is about to go
		}
	}
	for rank, k := range o.keep {
		switch k {
		case "newest":
			p.Keep = dedupe.KeepNewest
			continue
		case "oldest":
			p.Keep = dedupe.KeepOldest
			continue
		case "largest":
			p.Keep = dedupe.KeepLargest
			continue
		}
		there := false
		for i, name := range boxes {
			if name == boxName(k) {
				p.Rank[i], there = rank, true
			}
		}
		if !there {
			return p, usagef("newest, oldest, largest or the names of mailboxes", "--keep: there is no mailbox %q", k)
		}
	}
	return p, nil
}
