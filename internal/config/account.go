package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"mailtwin/internal/mail"
)

// isName reports whether an account can be called so: letters, digits and some marks, which cannot come first.
func isName(name string) bool {
	for i, c := range name {
		if !unicode.IsLetter(c) && !unicode.IsNumber(c) && c != '_' && (i == 0 || !strings.ContainsRune(".@+-", c)) {
			return false
		}
	}
	return name != "" && utf8.ValidString(name)
}

// accountReader reads one table [account.NAME].
type accountReader struct {
	*problems
	table *node
	home  string
	kinds [2]kind
	sides [2]*node // the tables of the sides; nil where only the address is given
	urls  [2]*node // the addresses
}

type kind uint8

const (
	kindNone kind = iota
	kindIMAP
	kindMaildir
)

func (k kind) String() string {
	return [...]string{"nothing", "an IMAP account", "a Maildir"}[k]
}

// keysOf are the keys of a kind of store.
func keysOf(k kind) []string {
	if k == kindIMAP {
		return imapKeys
	}
	return maildirKeys
}

// readAccount returns nil when the account cannot be used.
func readAccount(p *problems, name string, n *node, home string) *Account {
	if !isName(name) {
		p.add(n.line, "use letters, digits, and . _ - + @ inside", "%q is not a name for an account", name)
	}
	if n.kids == nil {
		p.add(n.line, fmt.Sprintf("write [account.%s] and the keys below it", name), "account %q must be a table", name)
		return nil
	}
	r := &accountReader{problems: p, table: n, home: home}
	p.unknown(n, "", slices.Concat(accountKeys, imapKeys, maildirKeys))
	a := &Account{Name: name}
	for _, side := range mail.Sides {
		r.address(side)
	}
	for _, side := range mail.Sides {
		a.Stores[side] = r.store(side)
	}
	if a.Stores[mail.Local].String() == a.Stores[mail.Remote].String() && r.kinds[0] != kindNone {
		p.add(r.urls[mail.Local].line, "", "local and remote are the same place")
	}
	r.misplaced()
	r.rest(a)
	return a
}

// address finds the address of a side, which stands alone or as url in a table.
func (r *accountReader) address(side mail.Side) {
	key := side.String()
	n := r.table.kids[key]
	switch {
	case n == nil:
		example := `remote = "imaps://you@imap.example.com"`
		if side == mail.Local {
			example = `local = "maildir:~/Mail"`
		}
		r.add(r.table.line, "for example "+example, "the account has no %q", key)
		return
	case n.kids == nil:
		r.urls[side] = n
	default:
		r.sides[side] = n
		if r.urls[side] = n.kids["url"]; r.urls[side] == nil {
			r.add(n.line, fmt.Sprintf(`for example %s = {url = "imaps://imap.example.com"}`, key), "the table %q has no %q", key, "url")
			return
		}
	}
	if text, ok := r.text(r.urls[side], key); ok {
		r.kinds[side] = kindOf(text)
	}
	if n.kids != nil {
		r.wrongKind(side, n)
		r.unknown(n, fmt.Sprintf(" in %q", key), slices.Concat([]string{"url"}, imapKeys, maildirKeys))
	}
}

// wrongKind reports keys in a side's table that are for the other kind of store.
func (r *accountReader) wrongKind(side mail.Side, n *node) {
	k := r.kinds[side]
	if k == kindNone {
		return
	}
	for _, name := range n.names {
		if other := kindIMAP + kindMaildir - k; slices.Contains(keysOf(other), name) {
			r.add(n.kids[name].line, "remove it", "%q is for %s, and %q is %s", name, other, side.String(), k)
		}
	}
}

// find returns the value of a store's key: that in the side's table, else that in the account.
func (r *accountReader) find(side mail.Side, key string) *node {
	if t := r.sides[side]; t != nil && t.kids[key] != nil {
		return t.kids[key]
	}
	return r.table.kids[key]
}

// misplaced reports keys of stores in the account that fit neither side.
func (r *accountReader) misplaced() {
	for _, key := range r.table.names {
		for _, k := range []kind{kindIMAP, kindMaildir} {
			if !slices.Contains(keysOf(k), key) || r.kinds[0] == kindNone || r.kinds[1] == kindNone {
				continue
			}
			if r.kinds[0] != k && r.kinds[1] != k {
				r.add(r.table.kids[key].line, "remove the line", "%q is for %s, and neither side is one", key, k)
			}
		}
	}
}

// rest reads what concerns the account as a whole.
func (r *accountReader) rest(a *Account) {
	a.DeleteMailboxes = r.oneOf(r.table.kids["delete_mailboxes"], "delete_mailboxes", "empty", "never", "all")
	if a.DeleteMailboxes == "" {
		a.DeleteMailboxes = "empty"
	}
	a.Retries = DefaultRetries
	if n := r.table.kids["retries"]; n != nil {
		a.Retries = r.number(n, "retries", 0, 100)
	}
	a.MaxDeletes = r.number(r.table.kids["max_deletes"], "max_deletes", 0, 1<<31-1)
	a.AfterSync, _ = r.text(r.table.kids["after_sync"], "after_sync")
	r.expunge(a, r.table.kids["expunge"])
	n := r.table.kids["mailboxes"]
	for _, pattern := range r.list(n, "mailboxes") {
		if strings.TrimLeft(pattern, "!") == "" {
			r.add(n.line, `"*" is all mailboxes, "!Spam" leaves one out`, "an empty pattern in %q", "mailboxes")
			continue
		}
		a.Mailboxes = append(a.Mailboxes, pattern)
	}
}

func (r *accountReader) expunge(a *Account, n *node) {
	if n == nil {
		return
	}
	words := []string{}
	if _, isList := n.value.([]any); isList {
		words = r.list(n, "expunge")
	} else if text, ok := r.text(n, "expunge"); ok {
		words = append(words, text)
	}
	for _, w := range words {
		switch r.word(n, "expunge", w, "none", "local", "remote", "both", "plain") {
		case "local":
			a.ExpungeLocal = true
		case "remote":
			a.ExpungeRemote = true
		case "both":
			a.ExpungeLocal, a.ExpungeRemote = true, true
		case "plain":
			a.ExpungePlain = true
		}
	}
}
