package main

import (
	"slices"
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

// passingNames are how mail readers call, in one language or another, the mailboxes for what is about to go: trash, junk and drafts. Lower case.
var passingNames = []string{
	"trash", "bin", "deleted", "deleted items", "deleted messages", "junk", "junk email", "junk e-mail", "spam", "bulk", "bulk mail", "drafts",
	"papierkorb", "gelöschte elemente", "gelöschte objekte", "junk-e-mail", "entwürfe", "corbeille", "éléments supprimés", "courrier indésirable",
	"indésirables", "brouillons", "papelera", "elementos eliminados", "correo no deseado", "borradores", "cestino", "posta eliminata", "posta indesiderata", "bozze",
	"lixeira", "lixo", "itens excluídos", "lixo eletrônico", "rascunhos", "prullenbak", "prullenmand", "verwijderde items", "ongewenste e-mail", "concepten",
	"elementy usunięte", //nolint:misspell // it is Polish
	"kosz", "wiadomości-śmieci", "kopie robocze", "papperskorg", "papperskorgen", "skräppost", "utkast", "papirkurv", "slettet post", "kladder",
	"søppelpost", "roskakori", "poistetut", "roskaposti", "luonnokset", "корзина", "удаленные", "спам", "черновики", "koš", "odstraněná pošta", "koncepty",
}

// passing reports whether a mailbox is one in which a copy must not stay when there is another: what is there is about to go.
func passing(name mail.Box, role string) bool {
	switch strings.ToLower(role) {
	case `\trash`, `\junk`, `\drafts`:
		return true
	case "":
		last := name.Components()
		return slices.Contains(passingNames, strings.ToLower(last[len(last)-1]))
	}
	return false
}

// policy reads what the options say of the copy that stays.
func policy(o dedupeOptions, by dedupe.By, boxes []mail.Box, roles map[mail.Box]string) (dedupe.Policy, error) {
	p := dedupe.Policy{By: by, Across: o.across, Rank: make([]int, len(boxes))}
	for i, name := range boxes {
		p.Rank[i] = len(o.keep)
		if passing(name, roles[name]) {
			p.Rank[i]++
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
