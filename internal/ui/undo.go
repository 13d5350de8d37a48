package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Removed is a message that a sync removed and that can be brought back.
type Removed struct {
	Store         int // of the account; for the caller
	Side, Mailbox string
	ID            string
	At            time.Time // when it was removed; midnight UTC: only the day is known
	Date          time.Time // internal date
	Sent          time.Time // as its header says; zero: it does not
	From, Subject string
	Bytes         int64
	Key           string // after it was brought back: of the message in its mailbox; "": it was not
}

type jsonRemoved struct {
	Event   string `json:"event"` // "removed" or "restored"
	Account string `json:"account"`
	Mailbox string `json:"mailbox"`
	Side    string `json:"side"`
	ID      string `json:"id"`
	Removed string `json:"removed"`
	Date    string `json:"date"`
	From    string `json:"from"`
	Subject string `json:"subject"`
	Bytes   int64  `json:"bytes"`
	Key     string `json:"key,omitempty"`
}

type jsonUndo struct {
	Event    string `json:"event"` // "undo"
	Account  string `json:"account"`
	Found    int    `json:"found"`
	Restored int    `json:"restored"`
}

// Removed prints what an account can get back; given is how the user named the account.
func (u *UI) Removed(account, given string, list []Removed) {
	slices.SortStableFunc(list, func(a, b Removed) int { return b.At.Compare(a.At) })
	if u.JSON {
		u.jsonRemoved(account, "removed", list)
		u.JSONLine(jsonUndo{Event: "undo", Account: account, Found: len(list)})
		return
	}
	name := ""
	if u.Names {
		name = Clean(given) + ": "
	}
	if len(list) == 0 {
		u.Result("%snothing to bring back", name)
		return
	}
	two := slices.ContainsFunc(list, func(r Removed) bool { return r.Store != list[0].Store })
	box, from := 0, 0
	for _, r := range list {
		box, from = max(box, width(Clean(r.Mailbox))), max(from, width(Clean(r.From)))
	}
	box, from = min(box, 30), min(from, 28)
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s can be brought back\n", name, count(len(list), "removed message", "removed messages"))
	for _, r := range list {
		side := ""
		if two {
			side = pad(r.Side, 6) + "  "
		}
		fmt.Fprintf(&b, "  %s  %s  %s%s  %s  %s  %s\n", r.ID, pad(r.when(), 16), side, pad(fit(Clean(r.Mailbox), box), box), r.sent().Local().Format(time.DateOnly),
			pad(fit(Clean(r.From), from), from), fit(Clean(r.Subject), 60))
	}
	u.print(u.out, strings.TrimSuffix(b.String(), "\n"))
	u.Note("mailtwin undo %s ID... brings back single ones, mailtwin undo %s --restore all of them", Clean(given), Clean(given))
}

func (r *Removed) when() string {
	if r.At.Equal(r.At.Truncate(24 * time.Hour)) {
		return r.At.UTC().Format(time.DateOnly)
	}
	return r.At.Local().Format("2006-01-02 15:04")
}

func (r *Removed) sent() time.Time {
	if r.Sent.IsZero() {
		return r.Date
	}
	return r.Sent
}

// Restored prints what was brought back, and returns how many could not be. synced: a sync will see them.
func (u *UI) Restored(account string, list []Removed, synced bool) (missing int) {
	back := slices.DeleteFunc(slices.Clone(list), func(r Removed) bool { return r.Key == "" })
	missing = len(list) - len(back)
	if u.JSON {
		u.jsonRemoved(account, "restored", back)
		u.JSONLine(jsonUndo{Event: "undo", Account: account, Found: len(list), Restored: len(back)})
		return missing
	}
	name := ""
	if u.Names {
		name = Clean(account) + ": "
	}
	switch {
	case len(list) == 0:
		u.Result("%snothing to bring back", name)
	case len(back) == 0:
		u.Result("%snothing was brought back", name)
	default:
		next := ""
		if synced {
			next = "; the next sync copies what the other side lacks"
		}
		u.Result("%s%s brought back%s", name, count(len(back), "message", "messages"), next)
	}
	return missing
}

func (u *UI) jsonRemoved(account, event string, list []Removed) {
	for _, r := range list {
		u.JSONLine(jsonRemoved{
			Event: event, Account: account, Mailbox: r.Mailbox, Side: r.Side, ID: r.ID, Removed: r.At.Format(time.RFC3339), Date: r.sent().Format(time.RFC3339),
			From: r.From, Subject: r.Subject, Bytes: r.Bytes, Key: r.Key,
		})
	}
}
