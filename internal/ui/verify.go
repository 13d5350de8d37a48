package ui

import (
	"fmt"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
)

type jsonVerified struct {
	Event        string `json:"event"` // "verified"
	Account      string `json:"account"`
	Equal        bool   `json:"equal"`
	Differences  int    `json:"differences"`
	Mailboxes    int    `json:"mailboxes"`
	Messages     int    `json:"messages"`
	HashedLocal  int    `json:"hashed_local"`
	HashedRemote int    `json:"hashed_remote"`
}

// Verified prints what verify found, each difference by name.
func (u *UI) Verified(account string, r engine.Report) {
	n := len(r.Findings)
	if u.JSON {
		for _, f := range r.Findings {
			u.JSONLine(jsonEvent{
				Event: "difference", Account: account, Mailbox: string(f.Box), Side: f.Side.String(), Key: key(f.Key), Kind: f.Kind, Text: f.Text,
			})
		}
		u.JSONLine(jsonVerified{"verified", account, n == 0, n, r.Mailboxes, r.Messages, r.Hashed[mail.Local], r.Hashed[mail.Remote]})
		return
	}
	for _, f := range r.Findings {
		u.Result("%s", u.finding(account, f))
	}
	read := ""
	if total := r.Hashed[mail.Local] + r.Hashed[mail.Remote]; total > 0 {
		read = fmt.Sprintf(", %s read and compared (%s local, %s remote)", count(total, "body", "bodies"), number(r.Hashed[mail.Local]), number(r.Hashed[mail.Remote]))
	}
	verdict := "equal"
	if n > 0 {
		verdict = count(n, "difference", "differences")
	}
	if u.Names {
		verdict = Clean(account) + ": " + verdict
	}
	u.Result("%s: %s in %s%s", verdict, count(r.Messages, "message", "messages"), count(r.Mailboxes, "mailbox", "mailboxes"), read)
}

// finding is one difference: "INBOX  local  content differs  1700.M1.host: why".
func (u *UI) finding(account string, f engine.Finding) string {
	text := fmt.Sprintf("%s  %s  %s", u.place(account, f.Box), f.Side, Clean(f.Kind))
	if k := key(f.Key); k != "" {
		text += "  " + k
	}
	if f.Text != "" {
		text += ": " + Clean(f.Text)
	}
	return text
}
