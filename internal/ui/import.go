package ui

import (
	"fmt"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// Import is what came of taking an account over from another tool.
type Import struct {
	Account string
	Tool    string
	DryRun  bool
	Backup  string // file; "": none was needed
	Config  string // file
	Section string // what was added to it, or in a dry run would be; "": nothing
	Result  migrate.Result
}

type jsonImportNote struct {
	Event   string `json:"event"` // "import_note"
	Account string `json:"account"`
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Text    string `json:"text"`
}

type jsonImportBox struct {
	Event   string `json:"event"` // "import_mailbox"
	Account string `json:"account"`
	migrate.Box
	MissingLocal  int `json:"missing_local"`
	MissingRemote int `json:"missing_remote"`
}

type jsonImport struct {
	Event         string `json:"event"` // "import"
	Account       string `json:"account"`
	Tool          string `json:"tool"`
	DryRun        bool   `json:"dry_run,omitempty"`
	Already       bool   `json:"already,omitempty"`
	Mailboxes     int    `json:"mailboxes"`
	Known         int    `json:"known"`
	Paired        int    `json:"paired"`
	Compared      int    `json:"compared"`
	Altered       int    `json:"altered"`
	Placeholders  int    `json:"placeholders"`
	MissingLocal  int    `json:"missing_local"`
	MissingRemote int    `json:"missing_remote"`
	Gone          int    `json:"gone"`
	Doubtful      int    `json:"doubtful"`
	Backup        string `json:"backup,omitempty"`
	Config        string `json:"config,omitempty"`
}

// ImportNotes prints what has no equal here, and what is wrong with the other tool's files.
func (u *UI) ImportNotes(account string, notes []migrate.Note) {
	for _, n := range notes {
		if u.JSON {
			u.JSONLine(jsonImportNote{Event: "import_note", Account: account, File: n.File, Line: n.Line, Text: n.Text})
			continue
		}
		at := Clean(n.File)
		if n.Line > 0 {
			at = fmt.Sprintf("%s:%d", at, n.Line)
		}
		if at != "" {
			at += ": "
		}
		u.Note("note: %s%s", at, short(Clean(n.Text), longestText))
	}
}

// ImportSection prints what is added to the configuration.
func (u *UI) ImportSection(path, section string, dryRun bool) {
	if u.JSON || u.Quiet {
		return
	}
	verb := "added to"
	if dryRun {
		verb = "would be added to"
	}
	lines := strings.Split(strings.TrimRight(section, "\n"), "\n")
	for i, l := range lines {
		lines[i] = "  " + Clean(l)
	}
	u.Result("%s %s:\n%s", verb, Clean(path), strings.Join(lines, "\n"))
}

// Imported prints what was taken over, mailbox by mailbox and in all.
func (u *UI) Imported(i Import) {
	all := i.Result.Sum()
	if u.JSON {
		for _, b := range i.Result.Boxes {
			u.JSONLine(jsonImportBox{Event: "import_mailbox", Account: i.Account, Box: b, MissingLocal: b.Missing[mail.Local], MissingRemote: b.Missing[mail.Remote]})
		}
		j := jsonImport{
			Event: "import", Account: i.Account, Tool: i.Tool, DryRun: i.DryRun, Already: i.Result.Already, Mailboxes: len(i.Result.Boxes),
			Known: all.Known, Paired: all.Paired, Compared: all.Compared, Altered: all.Altered, Placeholders: all.Stubs, MissingLocal: all.Missing[mail.Local], MissingRemote: all.Missing[mail.Remote],
			Gone: all.Gone, Doubtful: all.Doubtful, Backup: i.Backup,
		}
		if i.Section != "" {
			j.Config = i.Config
		}
		u.JSONLine(j)
		return
	}
	if i.Result.Already {
		u.Result("%s: what %s knew was taken over before; nothing to do", Clean(i.Account), i.Tool)
		return
	}
	if !u.Quiet {
		u.importedBoxes(i)
	}
	verb := "taken over"
	if i.DryRun {
		verb = "would be taken over"
	}
	u.Result("%s: %s of %s in %s %s, %s compared by content", Clean(i.Account), number(all.Paired), count(all.Known, "message", "messages"),
		count(len(i.Result.Boxes), "mailbox", "mailboxes"), verb, number(all.Compared))
	if n := untaken(i.Result.Boxes); n > 0 {
		u.Result("  of %s nothing was taken over; their messages are compared by content in the first sync", count(n, "mailbox", "mailboxes"))
	}
	if n := all.Altered; n > 0 {
		u.Result("  %s between both sides in spaces or line ends, as %s stored them; they are kept as they are", count(n, "message differs", "messages differ"), i.Tool)
	}
	if n := all.Stubs; n > 0 {
		u.Result("  %s of %s on one side; they are kept as they are", count(n, "message is a placeholder", "messages are placeholders"), i.Tool)
	}
	if rest := all.Doubtful; rest > 0 {
		u.Result("  %s compared by content in the first sync", count(rest, "message is", "messages are"))
	}
	for _, side := range mail.Sides {
		if n := all.Missing[side]; n > 0 {
			u.Result("  %s not on the %s side any more; the first sync finds those that were moved, and asks before anything is deleted", count(n, "message is", "messages are"), side)
		}
	}
	if i.Backup != "" {
		u.Result("  a backup of %s's files is in %s", i.Tool, Clean(i.Backup))
	}
}

func untaken(boxes []migrate.Box) (n int) {
	for _, b := range boxes {
		if b.Why != "" {
			n++
		}
	}
	return n
}

func (u *UI) importedBoxes(i Import) {
	wide := 0
	for _, b := range i.Result.Boxes {
		wide = max(wide, min(width(Clean(b.Name)), 40))
	}
	for _, b := range i.Result.Boxes {
		var parts []string
		if b.Why != "" {
			parts = append(parts, "not taken over: "+Clean(b.Why))
		} else {
			parts = append(parts, fmt.Sprintf("%s of %s", number(b.Paired), number(b.Known)))
		}
		for _, side := range mail.Sides {
			if n := b.Missing[side]; n > 0 {
				parts = append(parts, fmt.Sprintf("%s missing on the %s side", number(n), side))
			}
		}
		if b.Doubtful > 0 {
			parts = append(parts, number(b.Doubtful)+" in doubt")
		}
		if b.Gone > 0 {
			parts = append(parts, number(b.Gone)+" gone from both sides")
		}
		u.Result("  %s  %s", pad(Clean(b.Name), wide), strings.Join(parts, ", "))
	}
}
