package ui

import (
	"fmt"
	"strings"
	"time"

	"mailtwin/internal/mail"
)

// Double is a message that is there more than once, or the one of them that stays.
type Double struct {
	Mailbox       string
	File          string
	Date          time.Time
	Bytes         int64
	From, Subject string
	Differs       []string // in what it is not like the one that stays
}

// DoubleBox is what was found in a mailbox.
type DoubleBox struct {
	Mailbox  string
	Messages int
	Copies   int
	Bytes    int64
}

// Doubles is the result of looking for duplicates in one account or Maildir.
type Doubles struct {
	Account          string // or path
	By               string
	Boxes            []DoubleBox
	Messages, Groups int
	Copies, Read     int
	Bytes            int64 // of the copies
	Deleted          bool  // removing them was asked for
	Removed, Flagged int
	RemovedBytes     int64
	Held, Skipped    int
	Attic            string
	Seconds          float64
}

type jsonDouble struct {
	Mailbox string   `json:"mailbox"`
	File    string   `json:"file"`
	Date    string   `json:"date"`
	Bytes   int64    `json:"bytes"`
	Differs []string `json:"differs,omitempty"`
}

type jsonDoubles struct {
	Event   string       `json:"event"` // "duplicate"
	Account string       `json:"account"`
	From    string       `json:"from"`
	Subject string       `json:"subject"`
	Stays   jsonDouble   `json:"stays"`
	Copies  []jsonDouble `json:"copies"`
}

type jsonDeduped struct {
	Event    string  `json:"event"` // "dedupe"
	Account  string  `json:"account"`
	By       string  `json:"by"`
	Mailbox  int     `json:"mailboxes"`
	Messages int     `json:"messages"`
	Groups   int     `json:"groups"`
	Copies   int     `json:"copies"`
	Bytes    int64   `json:"bytes"`
	Read     int     `json:"read"`
	Removed  int     `json:"removed"`
	Freed    int64   `json:"removed_bytes"`
	Flagged  int     `json:"flagged"`
	Held     int     `json:"held_back"`
	Skipped  int     `json:"skipped"`
	Attic    string  `json:"attic"`
	Seconds  float64 `json:"seconds"`
}

func (d *Double) json() jsonDouble {
	return jsonDouble{Mailbox: d.Mailbox, File: d.File, Date: d.Date.Format(time.RFC3339), Bytes: d.Bytes, Differs: d.Differs}
}

// Duplicate prints one message that is there several times; the first of the group stays.
func (u *UI) Duplicate(account string, group []Double) {
	if u.JSON {
		j := jsonDoubles{Event: "duplicate", Account: account, From: group[0].From, Subject: group[0].Subject, Stays: group[0].json()}
		for i := range group[1:] {
			j.Copies = append(j.Copies, group[i+1].json())
		}
		u.JSONLine(j)
		return
	}
	first := group[0]
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s  %s", first.Date.Local().Format(time.DateOnly), pad(fit(Clean(first.From), 28), 28), pad(fit(Clean(first.Subject), 40), 40), bytes(first.Bytes))
	for i, d := range group {
		word := "copy "
		if i == 0 {
			word = "stays"
		}
		fmt.Fprintf(&b, "\n  %s  %s  %s", word, Clean(d.Mailbox), Clean(d.File))
		if len(d.Differs) > 0 {
			fmt.Fprintf(&b, "  (differs in %s)", fit(Clean(strings.Join(d.Differs, ", ")), 60))
		}
	}
	u.print(u.out, b.String())
}

// Deduped prints what was found, and what was done about it.
func (u *UI) Deduped(d Doubles) {
	if u.JSON {
		u.JSONLine(jsonDeduped{
			Event: "dedupe", Account: d.Account, By: d.By, Mailbox: len(d.Boxes), Messages: d.Messages, Groups: d.Groups, Copies: d.Copies, Bytes: d.Bytes, Read: d.Read,
			Removed: d.Removed, Freed: d.RemovedBytes, Flagged: d.Flagged, Held: d.Held, Skipped: d.Skipped, Attic: d.Attic, Seconds: d.Seconds,
		})
		return
	}
	name := ""
	if u.Names {
		name = Clean(d.Account) + ": "
	}
	of := fmt.Sprintf("%s in %s", count(d.Messages, "message", "messages"), count(len(d.Boxes), "mailbox", "mailboxes"))
	if d.Copies == 0 {
		u.Result("%sno duplicates among %s, %s", name, of, seconds(d.Seconds))
		return
	}
	if len(d.Boxes) > 1 {
		for _, b := range d.Boxes {
			if b.Copies > 0 {
				u.Result("%s  %s of %s, %s", u.place(d.Account, mail.Box(b.Mailbox)), count(b.Copies, "duplicate", "duplicates"), number(b.Messages), bytes(b.Bytes))
			}
		}
	}
	text := fmt.Sprintf("%s%s among %s, %s", name, count(d.Copies, "duplicate", "duplicates"), of, bytes(d.Bytes))
	if !d.Deleted {
		u.Result("%s; nothing was removed, %s", text, seconds(d.Seconds))
		return
	}
	parts := []string{fmt.Sprintf("%s removed (%s)", number(d.Removed), bytes(d.RemovedBytes))}
	for _, p := range []struct {
		n    int
		text string
	}{{d.Flagged, "got flags of their copies"}, {d.Held, "held back"}, {d.Skipped, "left as they are"}} {
		if p.n > 0 {
			parts = append(parts, number(p.n)+" "+p.text)
		}
	}
	u.Result("%s; %s, %s", text, strings.Join(parts, ", "), seconds(d.Seconds))
}
