// Package storetest is the suite of tests that every store passes: memory, Maildir, IMAP. It holds the contract of
// store.Store as tests; what a store may leave out is said in [Options]. Start with [Run].
package storetest

import (
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Message is one message as a User sees it.
type Message struct {
	Key   mail.Key
	Flags mail.Flags
	Date  int64 // internal date, seconds since 1970
	Data  []byte
}

// User acts on the mail of a store by other means than the store: plain file operations, another connection. Its methods
// are called from one goroutine at a time.
type User interface {
	// CreateBox makes a mailbox; no error if it exists.
	CreateBox(box mail.Box) error
	// Deliver adds a message in wire form; its Key is unused. Its flags have no keywords unless Options.UserKeywords.
	Deliver(box mail.Box, m Message) error
	// List returns all messages of a mailbox in any order, with the keys that the store uses; Data in any form that
	// mail.Digester takes for the same.
	List(box mail.Box) ([]Message, error)
	// Delete removes a message for good.
	Delete(box mail.Box, key mail.Key) error
	// SetFlags gives a message exactly these system flags; keywords stay as they are.
	SetFlags(box mail.Box, key mail.Key, flags mail.System) error
	// Move moves a message to another mailbox that exists.
	Move(box mail.Box, key mail.Key, to mail.Box) error
}

// Ager is a User who can make what was done so far old enough for the store to believe its own marks, where they rest on
// time stamps.
type Ager interface {
	Age() error
}

// Renumberer is a User who can give a mailbox another epoch: the same messages, and the old keys say nothing.
type Renumberer interface {
	Renumber(box mail.Box) error
}

// Reopener is a User who can open the same mail again as another process would. The store of before was closed; the suite
// calls Hello and Close of the new one.
type Reopener interface {
	Reopen() (store.Store, error)
}

// Options says how to make the stores under test, and what they support.
type Options struct {
	// New makes a store without messages, before Hello, and the user that goes with it. It is called for each test of
	// the suite, from several goroutines. The store must delete for good, or to where Boxes does not look.
	New func(t *testing.T) (store.Store, User)

	Marks        bool // Status.Mark is told, and equal to the mark of a view if nothing changed
	Delta        bool // a view since a mark is a Delta
	SomeDeltas   bool // a view since a mark may be a Delta without Delta, when nothing was removed
	Marker       bool // the store has a marker: Greeting.Root, Run and Empty
	Keywords     bool // messages can have keywords
	UserKeywords bool // User.List and User.Deliver know keywords
	Roles        bool // CreateBox keeps the role
	Streams      bool // bodies are not held in memory; then Run must not be called by a parallel test

	DropsFinalCR bool  // a CR at the very end of a message is lost (Dovecot)
	LastDate     int64 // later internal dates cannot be kept; 0: all can

	// BadName, if not nil, reports names of mailboxes that the store cannot hold: CreateBox then fails.
	BadName func(mail.Box) bool
}

// Run runs the suite as subtests of t.
func Run(t *testing.T, o Options) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !test.alone || !o.Streams {
				t.Parallel()
			}
			test.run(open(t, o))
		})
	}
}

var tests = []struct {
	name  string
	run   func(*fixture)
	alone bool
}{
	{"Large", testLarge, true}, // first and alone, since it measures memory
	{"Hello", testHello, false},
	{"Close", testClose, false},
	{"Marks/User", testMarksUser, false},
	{"Marks/Effects", testMarksEffects, false},
	{"View/Whole", testViewWhole, false},
	{"View/Empty", testViewEmpty, false},
	{"View/Break", testViewBreak, false},
	{"View/Gone", testViewGone, false},
	{"View/Foreign", testViewForeign, false},
	{"Delta/Differences", testDelta, false},
	{"Delta/OldMarks", testDeltaOld, false},
	{"Echo", testEcho, false},
	{"Epoch", testEpoch, false},
	{"Put/Content", testPutContent, false},
	{"Put/Flags", testPutFlags, false},
	{"Put/PassedOver", testPutPassedOver, false},
	{"Put/Batch", testPutBatch, false},
	{"Put/Twins", testPutTwins, false},
	{"Put/BodiesFail", testPutBodiesFail, false},
	{"Put/Short", testPutShort, false},
	{"Read/Fetch", testFetch, false},
	{"Read/Vanished", testReadVanished, false},
	{"Read/Stop", testReadStop, false},
	{"Read/Identify", testIdentify, false},
	{"Read/Traces", testTraces, false},
	{"SetFlags", testSetFlags, false},
	{"SetFlags/Unknown", testSetFlagsUnknown, false},
	{"SetFlags/Change", testChangeFlags, false},
	{"Delete", testDelete, false},
	{"Delete/Sample", testDeleteSample, false},
	{"Move", testMove, false},
	{"Move/Gone", testMoveGone, false},
	{"Copy", testCopy, false},
	{"Boxes/CreateDelete", testCreateDelete, false},
	{"Boxes/NotEmpty", testNotEmpty, false},
	{"Boxes/Rename", testRename, false},
	{"Boxes/RenameOnto", testRenameOnto, false},
	{"Boxes/RenameKeeps", testRenameKeeps, false},
	{"Boxes/RenameRefused", testRenameRefused, false},
	{"Boxes/Names", testNames, false},
	{"Settle/Put", testSettlePut, false},
	{"Settle/Twins", testSettleTwins, false},
	{"Settle/Taken", testSettleTaken, false},
	{"Settle/Move", testSettleMove, false},
	{"Settle/Named", testSettleNamed, false},
	{"Settle/Epoch", testSettleEpoch, false},
	{"Secure", testSecure, false},
	{"Cancelled", testCancelled, false},
	{"Cancelled/DuringPut", testCancelledPut, false},
	{"Concurrent", testConcurrent, false},
}
