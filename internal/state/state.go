package state

import (
	"errors"
	"time"

	"mailtwin/internal/mail"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrLocked  = errors.New("locked by another run")
	ErrNewer   = errors.New("written by a newer version of mailtwin")
	ErrDamaged = errors.New("state database is damaged")
)

// Account is what is known of the account as a whole.
type Account struct {
	Roots        [2]string // identities of the stores, by Side
	Hints        [2]string // what the stores want to be told at the next greeting
	Run, NextRun int64     // counter of the last finished run; NextRun > Run during and after a run that did not finish
	HoldDeletes  string    // not "": no deletion can be trusted, and why
	LastSync     time.Time // of the last run that changed something
	Summary      string    // of that run, JSON
	Imported     string    `json:",omitempty"` // the tool whose state filled the base; "" for none
}

// Box is what is known of a mailbox.
type Box struct {
	Name      mail.Box
	ID        [2]string // the store's own id of the mailbox, which stays when it is renamed; "" for none
	Epoch     [2]string
	Mark      [2]mail.Mark
	Known     [2]bool      // it existed on this side at the end of the last run
	EmptyRuns int          // runs in a row in which it was missing on one side and empty on the other
	WholeAt   [2]time.Time // last whole view
	StampsAt  time.Time    // last look for edited messages
	Role      string       // SPECIAL-USE attribute, "" for none
}

// Report is something that the user should know until it is settled: held back, refused, failed.
type Report struct {
	Box   mail.Box // "" for the whole account
	Kind  string
	Count int
	Text  string
	Hint  string
}
