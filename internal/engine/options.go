// Package engine carries out a sync: View, Plan, Guard, Apply, Commit. It knows the two sides only as store.Store, plans
// with package plan and keeps what both agreed on in package state. Start with [Sync]; [Verify] proves the result.
//
// Promise: stop it anywhere, by a crash, a lost connection or a cancelled context, and the next Sync finishes the work with
// nothing lost and nothing doubled.
package engine

import (
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// Options say what to sync and how. Stores, State and Select are needed; the zero value of all else is the default.
type Options struct {
	Account string
	Stores  [2]store.Store // by mail.Side; not greeted yet: Sync calls Hello
	State   *state.DB      // in a dry run: opened read-only
	// Select says whether a mailbox is kept in sync; role is its SPECIAL-USE attribute or "". A mailbox that is not selected is
	// out of scope: nothing of it is looked at or changed. nil: all.
	Select func(box mail.Box, role string) bool
	Only   []mail.Box // not empty: look at these alone, in this run; moves from and to others are not recognised

	DryRun       bool
	AllowDeletes bool                   // let held-back deletions through
	CopyBack     bool                   // what had vanished on one side when another tool's state was imported is copied back to it
	Confirm      func([]plan.Held) bool // asked when deletions would be held back, on a terminal; nil: no
	Limits       plan.Limits            // of the guard; zero: defaults
	DeleteBoxes  plan.DeleteBoxes       // what a missing mailbox means
	Expunge      plan.Expunge           // which side's \Deleted messages are removed
	Workers      int                    // mailboxes at a time; 0: 4
	Retries      int                    // how often a server that was lost on the way is tried again in vain; 0: never
	RetryPause   time.Duration          // before the first of them, then twice as long each time; 0: a second
	Events       func(Event)            // may be nil; called from several goroutines, must return quickly
	Now          func() time.Time       // nil: time.Now
	NewID        func() string          // nil: random; ids of new markers

	packFrom   int          // tests: how much news of pairs a mailbox keeps as it is, see plan.Box; 0: 8192, negative: none
	echoFrom   int          // tests: see echoFrom; 0: that
	deltaChunk int          // tests: see deltaChunk; 0: that
	crash      func() error // tests: called before and after each commit; an error stops the run there
}

// Summary is what a sync did, or in a dry run would do. The JSON form is documented and stable.
type Summary struct {
	Event          string  `json:"event"` // "summary"
	Account        string  `json:"account"`
	DryRun         bool    `json:"dry_run,omitempty"`
	CopiedToLocal  int     `json:"copied_to_local"`
	CopiedToRemote int     `json:"copied_to_remote"`
	MovedLocal     int     `json:"moved_local"`
	MovedRemote    int     `json:"moved_remote"`
	RenamedLocal   int     `json:"renamed_local"` // mailboxes
	RenamedRemote  int     `json:"renamed_remote"`
	FlaggedLocal   int     `json:"flagged_local"`
	FlaggedRemote  int     `json:"flagged_remote"`
	DeletedLocal   int     `json:"deleted_local"`
	DeletedRemote  int     `json:"deleted_remote"`
	Adopted        int     `json:"adopted"`
	HeldBack       int     `json:"held_back"`
	Left           int     `json:"left"` // refused, delete pending, altered, mailboxes kept
	Errors         int     `json:"errors"`
	Mailboxes      int     `json:"mailboxes"`
	Messages       int     `json:"messages"`
	BytesDown      int64   `json:"bytes_down"`
	BytesUp        int64   `json:"bytes_up"`
	RoundTrips     int64   `json:"round_trips"`
	Seconds        float64 `json:"seconds"`
}

// Changed reports whether anything was changed on either side.
func (s Summary) Changed() bool {
	return s.CopiedToLocal+s.CopiedToRemote+s.MovedLocal+s.MovedRemote+s.RenamedLocal+s.RenamedRemote+s.FlaggedLocal+s.FlaggedRemote+s.DeletedLocal+s.DeletedRemote > 0
}

// Result is the outcome of a sync that ran to its end.
type Result struct {
	Summary Summary
	Reports []state.Report // held back, left and failed, as status shows them
	Errors  []error        // of single mailboxes; the others were synced
	Plan    []Planned      // in a dry run: every operation
}

// Planned is one operation of a dry run, for people.
type Planned struct {
	Side mail.Side // that would be changed
	Verb string    // "copy", "move", "flag", "delete", "adopt", "create mailbox", "rename mailbox", "remove mailbox"
	Box  mail.Box
	To   mail.Box // of a move, and of a renamed mailbox
	Key  mail.Key
	// Of deletions, as far as known; from the side that still has the message.
	Date          time.Time
	From, Subject string
	Flags         string // "+\Seen -work"
	Held          bool
}

// EventKind tells events apart.
type EventKind uint8

// The kinds. Counts are cumulative for a mailbox within its phase.
const (
	EventPhase    EventKind = iota // Phase begins
	EventProgress                  // Done of Total in Box (Bytes so far); Total 0: not known yet
	EventBoxDone                   // Box is through with Phase
	EventHeld                      // deletions were held back: Count and Text
	EventNote                      // something worth a line in verbose output: Text
	EventWait                      // nothing is being done for a while: Text says why
	EventError                     // a mailbox failed: Err
	EventOp                        // one operation was carried out: Verb, Side, Box, Count
)

// Event tells of a running sync.
type Event struct {
	Kind        EventKind
	Account     string
	Phase       Phase
	Box, To     mail.Box
	Side        mail.Side // that is changed
	Verb        string
	Done, Total int
	Bytes       int64
	Count       int
	Text        string
	Err         error
}

// Phase is a part of a sync; phases follow one another in this order, but for flags of a mailbox that are set while others are viewed.
type Phase uint8

// The phases.
const (
	PhaseConnect Phase = iota
	PhaseRecover
	PhaseView
	PhasePlan
	PhaseMailboxes
	PhaseCopy
	PhaseMove
	PhaseFlags
	PhaseDelete
	PhaseCommit
	phaseCount
)

var phaseNames = [phaseCount]string{"connect", "recover", "view", "plan", "mailboxes", "copy", "move", "flags", "delete", "commit"}

func (p Phase) String() string {
	if p >= phaseCount {
		return "unknown"
	}
	return phaseNames[p]
}
