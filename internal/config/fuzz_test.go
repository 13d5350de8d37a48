package config

import (
	"errors"
	"testing"

	"mailtwin/internal/mail"
)

// FuzzConfig: no file makes it panic; what it accepts is complete, what it refuses has a line that exists.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		"", "[account.a]\nremote = \"imaps://me@h\"\nlocal = \"maildir:~/Mail\"\nmailboxes = [\"*\", \"!Spam\"]\n",
		"[account.a]\nremote = {url = \"imap://me@h\", tls = \"none\"}\nlocal = \"~/Mail\"\ntimeout = 3\nexpunge = [\"plain\"]",
		"account.a.local.url = 'x'\n[account.a.remote]\nurl=3", "[[account]]\n", "account = [1, {a = 2}]", "a = 1979-05-27T07:32:00Z", "[account.\"\\u0000\"]", "x = \"\"\"\n\n\"\"\"\ny=",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text, "config.toml", "/home/me")
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("not of the kind that is promised: %v", err)
			}
			lines := 2
			for _, b := range text {
				if b == '\n' {
					lines++
				}
			}
			for _, e := range all {
				if e.Line < 0 || e.Line > lines || e.Text == "" {
					t.Fatalf("%+v of %d lines", e, lines)
				}
			}
			return
		}
		for _, a := range c.Accounts {
			for _, side := range mail.Sides {
				s := a.Stores[side]
				if (s.IMAP == nil) == (s.Maildir == nil) || s.String() == "" {
					t.Fatalf("account %q has no %s store", a.Name, side)
				}
				if m := s.IMAP; m != nil && (m.Host == "" || m.Port == 0 || m.TLS == "" || m.User == "" && m.Cert == "") {
					t.Fatalf("%+v", m)
				}
			}
			a.Mailboxes.Has("INBOX", "")
		}
	})
}
