package ui

import (
	"fmt"
	"slices"
	"strings"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
)

// plan prints what a sync would do: counts for each mailbox and each deletion, or every operation.
func (u *UI) plan(account string, ops []engine.Planned) {
	if u.JSON {
		for _, p := range ops {
			u.jsonPlanned(account, p)
		}
		return
	}
	if u.Quiet || len(ops) == 0 {
		return
	}
	byBox := map[mail.Box][]engine.Planned{}
	widest := 0
	for _, p := range ops {
		byBox[p.Box] = append(byBox[p.Box], p)
		widest = max(widest, width(u.place(account, p.Box)))
	}
	boxes := make([]mail.Box, 0, len(byBox))
	for b := range byBox {
		boxes = append(boxes, b)
	}
	slices.Sort(boxes)
	var text strings.Builder
	for _, b := range boxes {
		fmt.Fprintf(&text, "%s  %s\n", pad(u.place(account, b), min(widest, 40)), counts(byBox[b]))
		for _, p := range byBox[b] {
			if u.Verbose || p.Verb == "delete" {
				fmt.Fprintf(&text, "  %s\n", operation(p))
			}
		}
	}
	u.print(u.out, strings.TrimSuffix(text.String(), "\n"))
}

// counts says how many operations of each kind there are: "2 to copy to local, 1 to delete on remote".
func counts(ops []engine.Planned) string {
	var order []string
	n := map[string]int{}
	for _, p := range ops {
		w := planned(p)
		if n[w] == 0 {
			order = append(order, w)
		}
		n[w]++
	}
	parts := make([]string, len(order))
	for i, w := range order {
		parts[i] = number(n[w]) + " " + w
		if strings.Contains(w, "mailbox") {
			parts[i] = w
		}
	}
	return strings.Join(parts, ", ")
}

func planned(p engine.Planned) string {
	switch p.Verb {
	case "copy":
		return "to copy to " + p.Side.String()
	case "move":
		return "to move to " + short(Clean(string(p.To)), longestName) + " on " + p.Side.String()
	case "flag":
		return "to flag on " + p.Side.String()
	case "delete":
		if p.Held {
			return "held back from deletion on " + p.Side.String()
		}
		return "to delete on " + p.Side.String()
	case "adopt":
		return "already on both sides"
	case "rename mailbox":
		return "rename mailbox on " + p.Side.String() + " to " + short(Clean(string(p.To)), longestName)
	}
	return Clean(p.Verb) + " on " + p.Side.String()
}

// operation is one operation in words; deletions say which message it is.
func operation(p engine.Planned) string {
	parts := []string{p.Verb}
	if p.Verb != "adopt" {
		parts[0] = p.Verb + " on " + p.Side.String()
	}
	if p.Verb == "copy" {
		parts[0] = "copy to " + p.Side.String()
	}
	if p.Held {
		parts[0] = "held back: " + parts[0]
	}
	if p.Verb != "delete" || p.Subject == "" && p.From == "" {
		if k := key(p.Key); k != "" {
			parts = append(parts, k)
		}
	}
	if !p.Date.IsZero() {
		parts = append(parts, p.Date.Format("2006-01-02 15:04"))
	}
	for _, s := range []string{p.From, p.Subject, p.Flags} {
		if s != "" {
			parts = append(parts, fit(Clean(s), 60))
		}
	}
	if p.To != "" {
		parts = append(parts, "to "+short(Clean(string(p.To)), longestName))
	}
	return strings.Join(parts, "  ")
}
