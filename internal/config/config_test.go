package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/mail"
)

const home = "/home/me"

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse([]byte(text), "config.toml", home)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAccount(t *testing.T) {
	t.Parallel()
	c := parse(t, `
[account.work]
remote = "imaps://me@imap.example.com"
local = "maildir:~/Mail/work"
password_command = "pass show mail/work"
mailboxes = ["*", "!Spam"]
layout = "maildir++"
names = "mutf7"
inbox = "."
info_separator = ";"
keep_deleted = "8w"
keep_deleted_size = "1.5 GB"
timeout = "2m"
compress = "on"
connections = 5
disable_extensions = ["compress=deflate"]
delete_to = "Trash"
expunge = ["both", "plain"]
delete_mailboxes = "all"
max_deletes = 100
retries = 0
after_sync = "notmuch new"
tls_ca = "~/ca.pem"
auth = "plain"
`)
	if len(c.Accounts) != 1 {
		t.Fatal(len(c.Accounts))
	}
	a := c.Accounts[0]
	m, d := a.Stores[mail.Remote].IMAP, a.Stores[mail.Local].Maildir
	if m.Host != "imap.example.com" || m.Port != 993 || m.TLS != "tls" || m.User != "me" || m.PasswordCommand != "pass show mail/work" || m.Timeout != 2*time.Minute || m.Compress != "on" ||
		m.Connections != 5 || m.Disable[0] != "COMPRESS=DEFLATE" || m.DeleteTo != "Trash" || m.CA != "/home/me/ca.pem" || m.Auth != "PLAIN" {
		t.Errorf("%+v", m)
	}
	if *d != (Maildir{"/home/me/Mail/work", "maildir++", "mutf7", ".", ';', 56 * 24 * time.Hour, 1_500_000_000}) {
		t.Errorf("%+v", d)
	}
	if !a.ExpungeLocal || !a.ExpungeRemote || !a.ExpungePlain || a.DeleteMailboxes != "all" || a.MaxDeletes != 100 || a.Retries != 0 || a.AfterSync != "notmuch new" || len(a.Mailboxes) != 2 {
		t.Errorf("%+v", a)
	}
}

func TestOrderAndDefaults(t *testing.T) {
	t.Parallel()
	c := parse(t, `
[account.zoe]
local = "~/Mail/zoe"
remote = "imap://127.0.0.1:1143"
user = "me@example.org"
tls = "none"
[account.adam]
local = "maildir:/srv/mail/"
remote = "imap://adam@[::1]"
`)
	if len(c.Accounts) != 2 || c.Accounts[0].Name != "zoe" || c.Accounts[1].Name != "adam" {
		t.Fatal("not in the order of the file")
	}
	m := c.Accounts[0].Stores[mail.Remote].IMAP
	if m.TLS != "none" || m.Port != 1143 || m.User != "me@example.org" || c.Accounts[0].DeleteMailboxes != "empty" {
		t.Errorf("%+v", m)
	}
	if s := c.Accounts[1].Stores; s[mail.Remote].IMAP.TLS != "starttls" || s[mail.Remote].String() != "imap://adam@[::1]" || s[mail.Local].String() != "maildir:/srv/mail" {
		t.Errorf("%v", s)
	}
}

// TestTwoServers: keys of the account are for both sides, those of a side's table win.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	c := parse(t, `
[account.a]
password_command = "echo both"
user = "all"
[account.a.local]
url = "imap://localhost"
tls = "none"
password_command = "echo local"
[account.a.remote]
url = "imaps://me@imap.example.com"
connections = 2
[account.b]
remote = {url = "imaps://x@h1", connections = 3}
local = "imap://y@h2"
tls = "none"
password_command = "echo p"
`)
	l, r := c.Accounts[0].Stores[mail.Local].IMAP, c.Accounts[0].Stores[mail.Remote].IMAP
	if l.User != "all" || l.TLS != "none" || l.PasswordCommand != "echo local" || r.User != "me" || r.TLS != "tls" || r.PasswordCommand != "echo both" || r.Connections != 2 || l.Connections != 0 {
		t.Errorf("%+v\n%+v", l, r)
	}
	if s := c.Accounts[1].Stores; s[mail.Local].IMAP.TLS != "none" || s[mail.Remote].IMAP.TLS != "tls" {
		t.Errorf("tls = none is for the side that it fits: %+v", s)
	}
}

// TestFaults: each is told with its line and its cure.
func TestFaults(t *testing.T) {
	t.Parallel()
	const good = "[account.a]\nremote = \"imaps://me@h\"\nlocal = \"maildir:~/Mail\"\n"
	for name, c := range map[string]struct{ text, want, hint string }{
		"unknown key":          {good + `pasword_command = "x"`, `config.toml:4: unknown key "pasword_command"`, `did you mean "password_command"?`},
		"unknown table":        {"[acount.x]", `config.toml:1: unknown key "acount"`, `did you mean "account"?`},
		"nothing like it":      {good + `zzzzzzzz = 1`, `config.toml:4: unknown key "zzzzzzzz"`, "known are remote, local"},
		"password":             {good + `password = "x"`, `config.toml:4: there is no key "password"`, "password_command"},
		"password in address":  {"[account.a]\nremote = \"imaps://me:pw@h\"\nlocal = \"~/M\"", `config.toml:2: "remote": the address has a password in it`, "addresses are"},
		"syntax":               {"[account.a]\nlocal = x", "config.toml:2: ", "quotes"},
		"key twice":            {good + "local = \"~/M\"", "config.toml:4: ", ""},
		"wrong type":           {good + "after_sync = 3", `config.toml:4: "after_sync" must be text, not a number`, `write after_sync = "..."`},
		"list":                 {good + `mailboxes = "*"`, `config.toml:4: "mailboxes" must be a list, not text`, `["...", "..."]`},
		"list of numbers":      {good + `mailboxes = [1]`, `config.toml:4: "mailboxes" must be a list of texts`, "quotes"},
		"number":               {good + `connections = "3"`, `config.toml:4: "connections" must be a whole number, not text`, "connections = 1"},
		"range":                {good + `connections = 1000`, `config.toml:4: "connections" must be from 1 to 64, not 1000`, ""},
		"duration":             {good + `timeout = "3"`, `config.toml:4: "timeout" is not a time: "3"`, `"90s"`},
		"duration range":       {good + `timeout = 9223372036854775807`, `config.toml:4: "timeout" must be from 1s to 1h0m0s`, ""},
		"compression":          {good + `compress = "yes"`, `config.toml:4: "compress" must be "auto", "on" or "off", not "yes"`, ""},
		"days":                 {good + `keep_deleted = "30"`, `config.toml:4: "keep_deleted" is not a number of days or weeks: "30"`, `"30d"`},
		"no days":              {good + `keep_deleted = "0d"`, `config.toml:4: "keep_deleted" is not a number of days or weeks: "0d"`, `the least is a day`},
		"size":                 {good + `keep_deleted_size = "1G"`, `config.toml:4: "keep_deleted_size" is not a size: "1G"`, `"500MB"`},
		"role":                 {good + `delete_to = "\\Sent"`, `config.toml:4: "delete_to" is not a role that deleted messages can go to: "\\Sent"`, `"trash"`},
		"word":                 {good + `layout = "nestd"`, `config.toml:4: "layout" must be "nested", "maildir++" or "flat", not "nestd"`, `did you mean "nested"?`},
		"expunge":              {good + `expunge = ["remote", "loca"]`, `config.toml:4: "expunge" must be`, `did you mean "local"?`},
		"no local":             {"[account.a]\nremote = \"imaps://me@h\"", `config.toml:1: the account has no "local"`, "maildir:~/Mail"},
		"relative":             {"[account.a]\nremote = \"imaps://me@h\"\nlocal = \"maildir:Mail\"", `config.toml:3: "local": Mail is not an absolute path`, "~"},
		"password, no scheme":  {"[account.a]\nremote = \"me:p@w@h\"\nlocal = \"~/M\"", `config.toml:2: "remote" is not an address of a store: "me:***@h"`, "imaps://"},
		"password, wrong":      {"[account.a]\nremote = \"imps://me:pw@h\"\nlocal = \"~/M\"", `config.toml:2: "remote" is not an address of a store: "imps://me:***@h"`, "imaps://"},
		"no scheme":            {"[account.a]\nremote = \"imap.example.com\"\nlocal = \"~/M\"", `config.toml:2: "remote" is not an address of a store: "imap.example.com"`, "imaps://"},
		"no user":              {"[account.a]\nremote = \"imaps://h\"\nlocal = \"~/M\"", `config.toml:2: no user is given for "remote"`, "user ="},
		"two users":            {good + `user = "other"`, `config.toml:4: the user is given twice: "other", and "me" in the address`, ""},
		"tls of imaps":         {good + `tls = "none"`, `config.toml:4: tls = "none" does not go with imaps:// in line 2`, "imap://"},
		"tls of imap":          {"[account.a]\nremote = \"imap://me@h\"\nlocal = \"~/M\"\ntls = \"tls\"", `config.toml:4: tls = "tls" does not go with imap:// in line 2`, "imaps://"},
		"path in address":      {"[account.a]\nremote = \"imaps://me@h/INBOX\"\nlocal = \"~/M\"", `config.toml:2: "remote": the address has more`, ""},
		"port":                 {"[account.a]\nremote = \"imaps://me@h:99999\"\nlocal = \"~/M\"", `config.toml:2: "remote": 99999 is not a port`, ""},
		"fits neither":         {"[account.a]\nremote = \"~/A\"\nlocal = \"~/B\"\nuser = \"x\"", `config.toml:4: "user" is for an IMAP account, and neither side is one`, "remove"},
		"fits not this one":    {"[account.a]\nremote = {url = \"imaps://me@h\", layout = \"flat\"}\nlocal = \"~/B\"", `config.toml:2: "layout" is for a Maildir, and "remote" is an IMAP account`, ""},
		"same place":           {"[account.a]\nremote = \"~/A\"\nlocal = \"maildir:/home/me/A\"", `config.toml:3: local and remote are the same place`, ""},
		"shared Maildir":       {good + "[account.b]\nremote = \"imaps://me@h2\"\nlocal = \"~/Mail\"", `config.toml:4: accounts "a" and "b" use the same Maildir`, "own"},
		"two secrets":          {good + "password_command = \"x\"\ntoken_command = \"y\"", `config.toml:5: password_command and token_command are both given`, ""},
		"certificate, no key":  {good + `tls_cert = "/c"`, "config.toml:2: tls_cert and tls_key are given together", ""},
		"separator":            {good + `info_separator = "::"`, `config.toml:4: "info_separator" must be ":", ";" or "!", not "::"`, "did you mean"},
		"name":                 {"[account.\"a/b\"]\nremote = \"imaps://me@h\"\nlocal = \"~/M\"", `config.toml:1: "a/b" is not a name for an account`, ""},
		"not a table":          {"account = 3", `config.toml:1: "account" must be a table`, ""},
		"account not a table":  {"account.a = 3", `config.toml:1: account "a" must be a table`, ""},
		"side without address": {"[account.a]\nremote = {user = \"x\"}\nlocal = \"~/M\"", `config.toml:2: the table "remote" has no "url"`, "url ="},
		"address not text":     {"[account.a]\nremote = 3\nlocal = \"~/M\"", `config.toml:2: "remote" must be text, not a number`, ""},
		"empty":                {good + `after_sync = ""`, `config.toml:4: "after_sync" is empty`, ""},
		"control character":    {good + `after_sync = "a\u001bb"`, `config.toml:4: "after_sync" has a control character`, ""},
		"empty pattern":        {good + `mailboxes = ["*", "!"]`, `config.toml:4: an empty pattern in "mailboxes"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(c.text), "config.toml", home)
			var all Errors
			if !errors.As(err, &all) || len(all) != 1 {
				t.Fatalf("not one fault: %v", err)
			}
			if !strings.HasPrefix(all[0].Error(), c.want) || !strings.Contains(all[0].Hint, c.hint) || c.hint == "" && strings.Contains(all[0].Hint, "did you mean") {
				t.Errorf("%v\nhint: %s\nwant %s\nhint: %s", all[0], all[0].Hint, c.want, c.hint)
			}
		})
	}
}

// TestDeleteTo: a role in any case, "trash" for the most usual one, and names of mailboxes.
func TestDeleteTo(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]mail.Box{"trash": `\Trash`, `\\trash`: `\Trash`, `\\Archive`: `\Archive`, "Trash": "Trash", "INBOX/Bin": "INBOX/Bin"} {
		c := parse(t, "[account.a]\nremote = \"imaps://me@h\"\nlocal = \"~/Mail\"\ndelete_to = \""+value+"\"\n")
		if got := c.Accounts[0].Stores[mail.Remote].IMAP.DeleteTo; got != want {
			t.Errorf("%s: %q", value, got)
		}
	}
}

// TestNoSecretInErrors: what may be a password is not repeated.
func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"imaps://me:hunter2@h", "imaps://me:hunter2@h:x y", "imaps://me:hunter2%zz@h", "imaps://hunter2:@h%"} {
		_, err := Parse([]byte("[account.a]\nremote = \""+address+"\"\nlocal = \"~/M\"\n"), "config.toml", home)
		if err == nil && !strings.Contains(address, ":@") || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
		if _, err := Address(address, home, "/"); err == nil || strings.Contains(err.Error()+mail.HintOf(err), "hunter2") && !strings.Contains(address, ":@") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	if _, err := Load(path, dir); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "~/config.toml") || !strings.Contains(mail.HintOf(err), "mailtwin help config") {
		t.Error(err, mail.HintOf(err))
	}
	if err := os.WriteFile(path, []byte("[account.a]\nremote = \"~/A\"\nlocal = \"~/B\"\nx = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, dir); err == nil || !strings.HasPrefix(err.Error(), "~/config.toml:4: ") {
		t.Error(err)
	}
	env := map[string]string{"HOME": "/home/me", "XDG_CONFIG_HOME": "relative"}
	if p := DefaultPath(func(k string) string { return env[k] }); p != "/home/me/.config/mailtwin/config.toml" {
		t.Error(p)
	}
	env["XDG_CONFIG_HOME"] = "/x"
	if p := DefaultPath(func(k string) string { return env[k] }); p != "/x/mailtwin/config.toml" {
		t.Error(p)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"imaps://me@h":         "imaps://me@h",
		"imaps://me@x.org@h":   "imaps://me%40x.org@h",
		"imap://me@H:993":      "imap://me@h:993",
		"~/Mail":               "maildir:/home/me/Mail",
		"./a/../b":             "maildir:/work/b",
		"maildir:b":            "maildir:/work/b",
		"/b/":                  "maildir:/b",
		".":                    "maildir:/work",
		"imaps://me@[::1]:994": "imaps://me@[::1]:994",
	} {
		s, err := Address(word, home, "/work")
		if err != nil || s.String() != want || !Is(word) {
			t.Errorf("%s: %v %v, want %s", word, s, err, want)
		}
	}
	for _, word := range []string{"work", "work/INBOX", "me@example.org", "INBOX"} {
		if Is(word) {
			t.Errorf("%s is no address", word)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"work", "home", "password_command", "local"}
	for word, want := range map[string]string{"okrw": "", "wor": "work", "Home": "home", "password_cmd": "password_command", "x": "", "remote": "", "": ""} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
