// Package migrate takes over what another synchroniser knew, OfflineIMAP or mbsync, and hands it back.
//
// Reading and writing of a tool's own files is in the packages below this one; they know formats and touch neither the
// network nor mailtwin's state. They return an Old for each account; this package checks it against both stores and
// imports what holds. It may not import engine: an import plans and changes nothing, it only fills the base.
package migrate

import (
	"errors"
	"iter"

	"mailtwin/internal/mail"
)

// ErrBusy says that the other tool is running: its state cannot be read or written then.
var ErrBusy = errors.New("is at work")

// Old is an account as another tool kept it in sync.
type Old struct {
	Tool     string // "offlineimap" or "mbsync"
	Name     string // the tool's name of it: account or channel; made fit for config.toml by the caller
	Settings []Setting
	Notes    []Note
	Folders  []Folder
	Letters  [26]string // keywords that the letters a to z in names of files stand for; "": none that is known
	Files    []string   // all files of the tool's configuration and state that concern the account, for the backup; absolute
}

// Setting is one line of an account's section in config.toml.
type Setting struct {
	Key     string // as in config.toml
	Value   string // in TOML's syntax, quotes included
	Comment string // where it comes from: "offlineimaprc:12 remotehost"; "" if nothing is to be said
}

// Note is something of the old configuration that has no equal or could not be translated, or state that is damaged.
type Note struct {
	File string
	Line int    // 0: the whole file
	Text string // what it is and what to write instead, as a sentence without a full stop
}

// Folder is one mailbox as the old tool knew it.
type Folder struct {
	Box      mail.Box // the remote mailbox's name, decoded to mailtwin's form
	Dir      string   // the local Maildir folder, which holds cur, new and tmp; absolute
	Place    string   // the folder that mailtwin keeps the mailbox in; "": not known
	Validity uint32   // the remote UIDVALIDITY that the state belongs to; 0: unknown
	// Distrust says why the state of this folder must not be believed (two folders share one status file, a torn file);
	// "": nothing is known against it. Its messages are paired by content then.
	Distrust string
	// Entries yields what the tool believed, each remote UID once, in any order. An error ends it.
	Entries iter.Seq2[Entry, error]
}

// Entry is one message that the old tool believed to be on both sides.
type Entry struct {
	UID   uint32     // remote
	File  string     // the local unique name (up to ":2,"); "": the tool's state names a file that is not there
	Flags mail.Flags // what both sides agreed on, as far as the tool keeps it
	Stub  bool       // one side has a placeholder in place of the message
}
