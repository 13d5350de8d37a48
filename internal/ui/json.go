package ui

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/state"
)

// The objects that --json prints, one a line. docs/json.md describes them; what is there stays.

type jsonEvent struct {
	Event   string `json:"event"`
	Account string `json:"account,omitempty"`
	Phase   string `json:"phase,omitempty"`
	Mailbox string `json:"mailbox,omitempty"`
	To      string `json:"to,omitempty"`
	Side    string `json:"side,omitempty"`
	Verb    string `json:"verb,omitempty"`
	Key     string `json:"key,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Done    *int   `json:"done,omitempty"`
	Total   *int   `json:"total,omitempty"`
	Bytes   *int64 `json:"bytes,omitempty"`
	Count   int    `json:"count,omitempty"`
	Date    string `json:"date,omitempty"`
	From    string `json:"from,omitempty"`
	Subject string `json:"subject,omitempty"`
	Flags   string `json:"flags,omitempty"`
	Held    bool   `json:"held,omitempty"`
	Text    string `json:"text,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// JSONLine prints a value as one line. What is not valid UTF-8 is replaced.
func (u *UI) JSONLine(v any) {
	line, err := json.Marshal(v)
	if err != nil { // cannot happen with our types
		line = []byte(`{"event":"error","text":"encode result"}`)
	}
	u.print(u.out, jsonPlain(string(line)))
}

// jsonPlain escapes what JSON permits as it is and a terminal might act on.
func jsonPlain(line string) string {
	if strings.IndexFunc(line, unfit) < 0 {
		return line
	}
	var b strings.Builder
	for _, c := range line {
		switch {
		case !unfit(c):
			b.WriteRune(c)
		case c > 0xFFFF:
			hi, lo := utf16.EncodeRune(c)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

// jsonEvent prints an event; those that come again as a report are left out.
func (u *UI) jsonEvent(e engine.Event) {
	j := jsonEvent{Account: e.Account, Phase: e.Phase.String(), Mailbox: string(e.Box)}
	switch e.Kind {
	case engine.EventPhase:
		j.Event = "phase"
	case engine.EventProgress:
		j.Event, j.Side, j.Verb, j.Done, j.Total, j.Bytes = "progress", e.Side.String(), e.Verb, &e.Done, &e.Total, &e.Bytes
		if e.Total == 0 && e.Done > 0 { // not known yet
			j.Total = nil
		}
	case engine.EventOp:
		j.Event, j.Side, j.Verb, j.Count, j.To = "op", e.Side.String(), e.Verb, e.Count, string(e.To)
	case engine.EventNote, engine.EventWait:
		j.Event, j.Phase, j.Text = "note", "", e.Text
	case engine.EventError:
		j.Event, j.Phase, j.Text, j.Hint = "error", "", e.Err.Error(), mail.HintOf(e.Err)
	default:
		return
	}
	u.JSONLine(j)
}

func (u *UI) jsonReport(account string, r state.Report) {
	event := "left"
	if r.Kind == kindHeld {
		event = "held_back"
	}
	u.JSONLine(jsonEvent{Event: event, Account: account, Mailbox: string(r.Box), Kind: r.Kind, Count: r.Count, Text: r.Text, Hint: r.Hint})
}

func (u *UI) jsonPlanned(account string, p engine.Planned) {
	j := jsonEvent{
		Event: "plan", Account: account, Mailbox: string(p.Box), To: string(p.To), Side: p.Side.String(), Verb: p.Verb, Key: key(p.Key),
		From: p.From, Subject: p.Subject, Flags: p.Flags, Held: p.Held,
	}
	if p.Verb == "adopt" {
		j.Side = ""
	}
	if !p.Date.IsZero() {
		j.Date = p.Date.Format(time.RFC3339)
	}
	u.JSONLine(j)
}

// JSONError prints an error that is not of a single mailbox.
func (u *UI) JSONError(account string, err error) {
	u.JSONLine(jsonEvent{Event: "error", Account: account, Text: err.Error(), Hint: mail.HintOf(err)})
}
