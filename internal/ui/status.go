package ui

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailtwin/internal/engine"
	"mailtwin/internal/state"
)

// Status is what is known of an account without asking its stores. The JSON form is documented and stable.
type Status struct {
	Event     string          `json:"event"` // "status"
	Account   string          `json:"account"`
	Local     string          `json:"local"`
	Remote    string          `json:"remote"`
	Synced    bool            `json:"synced"`                // ever
	LastSync  *time.Time      `json:"last_change,omitempty"` // when a sync last changed something
	Unclean   bool            `json:"unfinished"`            // a sync is under way or was stopped
	Pending   int             `json:"pending"`               // effects that the next sync has to settle
	Suspect   string          `json:"deletions_held,omitempty"`
	Mailboxes []StatusBox     `json:"mailboxes"`
	Reports   []StatusReport  `json:"reports"`
	Summary   json.RawMessage `json:"summary,omitempty"` // of the last sync that changed something
}

// StatusBox is one mailbox.
type StatusBox struct {
	Mailbox  string         `json:"mailbox"`
	Messages int            `json:"messages"`
	Left     map[string]int `json:"left,omitempty"` // messages that only one side has, by reason
}

// StatusReport is something that was not done.
type StatusReport struct {
	Mailbox string `json:"mailbox,omitempty"`
	Kind    string `json:"kind"`
	Count   int    `json:"count,omitempty"`
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
}

// ReportOf converts a report.
func ReportOf(r state.Report) StatusReport {
	return StatusReport{string(r.Box), r.Kind, r.Count, r.Text, r.Hint}
}

// Status prints an account's status; now is for how long ago things were.
func (u *UI) Status(s Status, now time.Time) {
	s.Event = "status"
	if s.Mailboxes == nil {
		s.Mailboxes = []StatusBox{}
	}
	if s.Reports == nil {
		s.Reports = []StatusReport{}
	}
	if u.JSON {
		u.JSONLine(s)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", Clean(s.Account), s.since(now))
	fmt.Fprintf(&b, "  local   %s\n  remote  %s\n", Clean(s.Local), Clean(s.Remote))
	s.boxes(&b)
	if s.Unclean {
		fmt.Fprintf(&b, "  a sync is under way or was stopped; the next one goes on\n")
	}
	if s.Pending > 0 {
		fmt.Fprintf(&b, "  %s to be settled by the next sync\n", count(s.Pending, "operation is", "operations are"))
	}
	if s.Suspect != "" {
		fmt.Fprintf(&b, "  deletions are held back: %s\n", Clean(s.Suspect))
	}
	for _, r := range s.Reports {
		place := ""
		if r.Mailbox != "" {
			place = short(Clean(r.Mailbox), longestName) + ": "
		}
		fmt.Fprintf(&b, "  %s: %s%s\n", Clean(r.Kind), place, short(Clean(r.Text), longestText))
		if r.Hint != "" {
			fmt.Fprintf(&b, "    hint: %s\n", short(Clean(r.Hint), longestText))
		}
	}
	u.print(u.out, strings.TrimSuffix(b.String(), "\n"))
}

// since says when something last changed, and what.
func (s *Status) since(now time.Time) string {
	if !s.Synced {
		return "not synced yet"
	}
	if s.LastSync == nil {
		return "synced, nothing has changed yet"
	}
	text := fmt.Sprintf("last change %s, %s", s.LastSync.Local().Format("2006-01-02 15:04"), ago(*s.LastSync, now))
	var last engine.Summary
	if err := json.Unmarshal(s.Summary, &last); err == nil {
		if parts := work(last); len(parts) > 0 {
			text += " (" + strings.Join(parts, ", ") + ")"
		}
	}
	return text
}

// boxes prints the table of mailboxes and its sum.
func (s *Status) boxes(b *strings.Builder) {
	if len(s.Mailboxes) == 0 {
		return
	}
	name, total, digits := 0, 0, 0
	for _, m := range s.Mailboxes {
		name = max(name, width(short(Clean(m.Mailbox), longestName)))
		total += m.Messages
		digits = max(digits, len(number(m.Messages)))
	}
	for _, m := range s.Mailboxes {
		var notes []string
		for reason, n := range m.Left {
			notes = append(notes, number(n)+" "+reason)
		}
		slices.Sort(notes)
		line := fmt.Sprintf("  %s  %*s", pad(short(Clean(m.Mailbox), longestName), min(name, 40)), digits, number(m.Messages))
		if len(notes) > 0 {
			line += "  (" + strings.Join(notes, ", ") + ")"
		}
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(b, "  %s in %s\n", count(total, "message", "messages"), count(len(s.Mailboxes), "mailbox", "mailboxes"))
}
