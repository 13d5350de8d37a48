package ui

import (
	"fmt"
	"strings"
)

// Export is what came of handing an account to another tool.
type Export struct {
	Account, Tool string
	DryRun        bool
	Config, State string   // file and directory that were written, or would be
	Command       []string // that starts the other tool
	Boxes         []ExportedBox
}

// ExportedBox is what became of a mailbox. The JSON form is documented and stable.
type ExportedBox struct {
	Name    string `json:"mailbox"`
	Pairs   int    `json:"messages"`      // in the other tool's state
	Renamed int    `json:"renamed"`       // files that have another name now
	Missing int    `json:"missing"`       // files that were not found any more
	Why     string `json:"why,omitempty"` // not "": it was not handed over
}

type jsonExportBox struct {
	Event   string `json:"event"` // "export_mailbox"
	Account string `json:"account"`
	ExportedBox
}

type jsonExport struct {
	Event     string   `json:"event"` // "export"
	Account   string   `json:"account"`
	Tool      string   `json:"tool"`
	DryRun    bool     `json:"dry_run,omitempty"`
	Mailboxes int      `json:"mailboxes"`
	Left      int      `json:"left"` // mailboxes that were not handed over
	Messages  int      `json:"messages"`
	Renamed   int      `json:"renamed"`
	Missing   int      `json:"missing"`
	Config    string   `json:"config"`
	State     string   `json:"state"`
	Command   []string `json:"command"`
}

// Exported prints what was handed over, mailbox by mailbox and in all.
func (u *UI) Exported(e Export) {
	sum := jsonExport{
		Event: "export", Account: e.Account, Tool: e.Tool, DryRun: e.DryRun, Config: e.Config, State: e.State, Command: e.Command,
	}
	wide := 0
	for _, b := range e.Boxes {
		wide = max(wide, min(width(Clean(b.Name)), 40))
	}
	for _, b := range e.Boxes {
		sum.Messages, sum.Renamed, sum.Missing = sum.Messages+b.Pairs, sum.Renamed+b.Renamed, sum.Missing+b.Missing
		if sum.Mailboxes++; b.Why != "" {
			sum.Mailboxes--
			sum.Left++
		}
		switch {
		case u.JSON:
			u.JSONLine(jsonExportBox{Event: "export_mailbox", Account: e.Account, ExportedBox: b})
		case b.Why != "":
			u.Note("note: %s is not handed over: %s", Clean(b.Name), short(Clean(b.Why), longestText))
		case !u.Quiet:
			u.Result("  %s  %s", pad(Clean(b.Name), wide), exportedBox(b))
		}
	}
	if u.JSON {
		u.JSONLine(sum)
		return
	}
	verb := "handed over to"
	if e.DryRun {
		verb = "would be handed over to"
	}
	u.Result("%s: %s in %s %s %s", Clean(e.Account), count(sum.Messages, "message", "messages"), count(sum.Mailboxes, "mailbox", "mailboxes"), verb, e.Tool)
	if !e.DryRun && !u.Quiet {
		u.Result("  configuration: %s\n  state: %s\n  start it with: %s", Clean(e.Config), Clean(e.State), Clean(shellLine(e.Command)))
	}
}

func exportedBox(b ExportedBox) string {
	parts := []string{count(b.Pairs, "message", "messages")}
	if b.Renamed > 0 {
		parts = append(parts, fmt.Sprintf("%s named anew", count(b.Renamed, "file", "files")))
	}
	if b.Missing > 0 {
		parts = append(parts, fmt.Sprintf("%s not found any more", count(b.Missing, "file", "files")))
	}
	return strings.Join(parts, ", ")
}

// shellLine writes a command as it can be typed.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsFunc(w, func(c rune) bool {
			return c < 0x80 && !strings.ContainsRune("-_./:=@%+,", c) && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
		}) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}
