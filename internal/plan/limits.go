package plan

import "mailtwin/internal/mail"

// Limits are those of the guard (DESIGN.md section 4, rule 13). Zero fields mean the default.
type Limits struct {
	AllOf      int // all messages of a mailbox of at least this many are held back; default 10
	OverHalf   int // more than half of a mailbox and more than this many; default 100
	Account    int // more than this many in the account; default 5000
	MaxDeletes int // not 0: more than this many in a run, whatever the mailboxes hold
}

// Held is a group of deletions that the guard held back.
type Held struct {
	Box   mail.Box  // "" for the whole account
	Side  mail.Side // on which they would be deleted
	Count int
	Of    int
	Why   string // "all 40 messages of the mailbox", for people
	// Suspect: no deletion can be trusted at present, also none that was let through before.
	Suspect bool
	// Vanished: these are messages that were on both sides only in the state that was imported from another tool (case H6).
	Vanished bool
}

// DeleteBoxes says what it means when a mailbox is missing on one side that both had.
type DeleteBoxes uint8

// The policies of delete_mailboxes.
const (
	DeleteEmptyBoxes DeleteBoxes = iota // remove it on the other side if it is empty there in two runs
	DeleteNoBoxes
	DeleteAllBoxes // also with messages, through the guard
)

// Expunge says which messages with \Deleted are removed.
type Expunge uint8

// The policies of expunge.
const (
	ExpungeNone Expunge = iota
	ExpungeLocal
	ExpungeRemote
	ExpungeBoth
)
