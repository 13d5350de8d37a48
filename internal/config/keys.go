package config

import (
	"fmt"
	"slices"
	"strings"
)

// The keys of an account and of its stores. Those of stores may stand in the account, for each side that they fit.
var (
	accountKeys = []string{"remote", "local", "mailboxes", "expunge", "delete_mailboxes", "max_deletes", "retries", "after_sync"}
	imapKeys    = []string{
		"user", "password_command", "token_command", "auth", "tls", "tls_ca", "tls_cert", "tls_key",
		"connections", "compress", "disable_extensions", "timeout", "delete_to",
	}
	maildirKeys = []string{"layout", "names", "inbox", "info_separator", "keep_deleted", "keep_deleted_size"}
)

// refused are keys that one may expect but that are not to be, and what to write instead.
var refused = map[string]string{
	"password":      `secrets do not belong in this file: password_command = "pass show mail/work" takes it from a password store`,
	"pass":          `secrets do not belong in this file: password_command = "pass show mail/work" takes it from a password store`,
	"password_file": `password_command = "cat FILE" does that`,
	"token":         `secrets do not belong in this file: token_command = "..." prints an access token`,
	"host":          `the host is part of the address: remote = "imaps://you@imap.example.com"`,
	"port":          `the port is part of the address: remote = "imaps://you@imap.example.com:993"`,
	"path":          `the path is part of the address: local = "maildir:~/Mail"`,
	"ssl":           `imaps:// is TLS, imap:// is STARTTLS; tls = "none" turns it off`,
}

// unknown reports the keys of a table that do not exist.
func (p *problems) unknown(n *node, where string, known []string) {
	for _, name := range n.names {
		if slices.Contains(known, name) {
			continue
		}
		hint := refused[name]
		verb := "unknown key"
		if hint != "" {
			verb = "there is no key"
		} else if near := Nearest(name, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		} else {
			hint = "known are " + strings.Join(known, ", ")
		}
		p.add(n.kids[name].line, hint, "%s %q%s", verb, name, where)
	}
}

// Nearest returns the candidate that differs least from a word, "" if none is near enough to be meant.
func Nearest(word string, candidates []string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with their neighbour (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
