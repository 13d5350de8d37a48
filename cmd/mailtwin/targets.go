package main

import (
	"fmt"
	"slices"
	"strings"

	"mailtwin/internal/config"
	"mailtwin/internal/mail"
)

// target is an account that a command works on.
type target struct {
	*config.Account
	only   []mail.Box // not empty: these mailboxes alone
	given  string     // how the user named it on the command line, for hints
	adHoc  bool       // not from a configuration
	server bool       // the server is meant, not the Maildir: dedupe and undo
	path   string     // not "": a Maildir without an account, and nothing else of it is set but the name
}

// targets finds the accounts that a command line names: NAME, NAME/MAILBOX, two addresses, or nothing for all.
func (a *app) targets(args []string) ([]*target, error) {
	if slices.ContainsFunc(args, config.Is) {
		t, err := a.adHoc(args)
		return []*target{t}, err
	}
	c, err := config.Load(a.configPath(), a.home())
	if err != nil {
		return nil, err
	}
	if len(c.Accounts) == 0 {
		return nil, usagef(`add one as "mailtwin help config" shows`, "%s has no account", c.Path)
	}
	var all []*target
	if len(args) == 0 {
		for _, account := range c.Accounts {
			all = append(all, &target{Account: account, given: account.Name})
		}
		return all, nil
	}
	for _, arg := range args {
		name, box, _ := strings.Cut(arg, "/")
		account, err := find(c, name)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(t *target) bool { return t.Account == account })
		switch {
		case i < 0 && box == "":
			all = append(all, &target{Account: account, given: account.Name})
		case i < 0:
			all = append(all, &target{Account: account, given: account.Name, only: []mail.Box{boxName(box)}})
		case box == "":
			all[i].only = nil
		case len(all[i].only) > 0 && !slices.Contains(all[i].only, boxName(box)):
			all[i].only = append(all[i].only, boxName(box))
		}
	}
	return all, nil
}

// boxName is a mailbox as the user typed it; INBOX in any case is INBOX.
func boxName(s string) mail.Box {
	s = strings.TrimSuffix(s, "/")
	head, rest, deeper := strings.Cut(s, "/")
	if strings.EqualFold(head, string(mail.Inbox)) {
		head = string(mail.Inbox)
	}
	if deeper {
		return mail.Box(head + "/" + rest)
	}
	return mail.Box(head)
}

func find(c *config.Config, name string) (*config.Account, error) {
	names := make([]string, len(c.Accounts))
	for i, account := range c.Accounts {
		if account.Name == name {
			return account, nil
		}
		names[i] = account.Name
	}
	hint := fmt.Sprintf("there are: %s; a folder is written with its path: ./%s", strings.Join(names, ", "), name)
	if near := config.Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return nil, usagef(hint, "no account %q in %s", name, c.Path)
}

// adHoc makes an account of two addresses. Which of two Maildirs, or of two servers, comes first makes no difference, so
// that the pair has one state.
func (a *app) adHoc(args []string) (*target, error) {
	if len(args) != 2 {
		return nil, usagef("for example: mailtwin sync imaps://you@imap.example.com ~/Mail", "two addresses are needed, not %d", len(args))
	}
	var s [2]config.Store
	for i, arg := range args {
		if !config.Is(arg) {
			return nil, usagef(fmt.Sprintf("a folder is written with its path: ./%s", arg), "%q is not an address, and accounts of the configuration cannot be mixed with addresses", arg)
		}
		var err error
		if s[i], err = config.Address(arg, a.home(), a.dir); err != nil {
			return nil, usage{err}
		}
	}
	swap := s[0].String() > s[1].String()
	if (s[0].IMAP == nil) != (s[1].IMAP == nil) {
		swap = s[0].IMAP != nil // the Maildir is the local side
	}
	if swap {
		s[0], s[1] = s[1], s[0]
	}
	if s[0].String() == s[1].String() {
		return nil, usagef("", "both addresses are the same place")
	}
	account := &config.Account{Name: adHocName(s), Stores: s, DeleteMailboxes: "empty", Retries: config.DefaultRetries}
	return &target{Account: account, given: args[0] + " " + args[1], adHoc: true}, nil
}
