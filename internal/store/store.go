// Package store is the interface between the engine and the places where mail lives: an IMAP account, a Maildir tree, or
// memory in tests. The engine knows stores only by this interface; a store decides nothing, it says what is there and
// does what it is told. Start with [Store].
package store

import (
	"context"

	"mailtwin/internal/mail"
)

// Greeting is what a store says of itself.
type Greeting struct {
	Root  string // identity: "imap:host:port/user/namespace", or the id in a Maildir's marker; "" if a Maildir has no marker yet
	Run   int64  // run counter in the marker; -1 where a store has none
	Empty bool   // nothing there at all: no folder, or a tree without any mailbox (Maildir only; false if not known)
	Name  string // for people: "imap.example.com" or the path
	Hint  string // what the store wants to be told at the next Hello to save round trips; opaque
	Caps  Caps
}

// Caps says what a store can do.
type Caps struct {
	Keys      bool // effects return the new keys (UIDPLUS); else every Done needs Settle
	StableIDs bool // entries can have Ident.Stable
	Partial   bool // it may show only a part of a mailbox (MESSAGELIMIT): absence proves nothing
	Named     bool // a token names the message, so that Settle needs no identity
	NoExpunge bool // deleting only marks (no UIDPLUS and expunge not permitted)
}

// Status is one mailbox as the list shows it.
type Status struct {
	Box   mail.Box
	Mark  mail.Mark // equal to the mark of an earlier view: nothing changed since; "" if that cannot be known without opening it
	Epoch string    // as in a view; "" if that is known only once it is open
	Role  string    // SPECIAL-USE attribute (RFC 6154) such as `\Sent`, "" if none
	Total int       // messages; -1: unknown
	Err   error     // the mailbox cannot be synced (name collides, cannot be stored, not readable); all else is meaningless then
}

// Bodies hands out the messages of a batch: it calls each once for every message it can get, in any order, from one
// goroutine, and stops at each's first error. i is the index in the batch's intents. A message that vanished meanwhile is
// passed over. It may be called again, for what has to be sent once more. e has the flags and the internal date as fetched; they are newer than those of the intent.
type Bodies func(ctx context.Context, each func(i int, e mail.Entry, b mail.Body) error) error

// Store is one side. Methods may be called from several goroutines, on different mailboxes also at the same time;
// for one mailbox the engine runs one effect at a time. Effects are durable when they return. After an error of an effect
// nothing is known: see Settle. A cancelled context means that nothing further is written.
//
// Errors: [ErrUnreachable], [ErrLogin], [ErrGone], [ErrEpoch], [ErrRefused] and [ErrReadOnly] are told apart with
// errors.Is; hints are attached with mail.WithHint.
type Store interface {
	// Hello opens the store and must come first. hint is the last Greeting.Hint, or "".
	Hello(ctx context.Context, hint string) (Greeting, error)
	// SetRoot writes the marker (Maildir): id and run counter, atomically and durably; it creates the root folder if the
	// store is empty. Stores without a marker do nothing.
	SetRoot(ctx context.Context, id string, run int64) error
	// Boxes lists the mailboxes with their state, all that can be opened, each once, sorted by name.
	Boxes(ctx context.Context) ([]Status, error)

	// View shows a mailbox: a Delta since the mark if the store can, else Whole; Whole if since is "". It never changes
	// the mailbox. ErrGone if there is no such mailbox.
	View(ctx context.Context, box mail.Box, since mail.Mark) (mail.View, error)
	// Identify tells the identity of messages, in any order: Size, Date, Stable and MessageID, and if full also Digest
	// (which means to read them). A message that is not there any more is passed over. fn runs in the caller's time, one call at a time.
	Identify(ctx context.Context, box mail.Box, keys []mail.Key, full bool, fn func(mail.Key, mail.Ident) error) error
	// Fetch reads messages, in any order. The entry has Key, Flags, Stamp and Ident.Date. The body must be read before fn
	// returns. A message that is not there any more is passed over; so is one that is there and cannot be had, which an
	// [UnreadableError] names in the end.
	Fetch(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Entry, mail.Body) error) error

	// Prepare chooses what finds the effects again (a file name; UIDVALIDITY and UIDNEXT), one token for each entry. It has no effect.
	Prepare(ctx context.Context, box mail.Box, entries []mail.Entry) ([]mail.Token, error)
	// Put stores the messages that bodies hands out, with flags and internal date from the entry handed out. It returns one Done for
	// each intent; one that bodies passed over has neither Key nor Err. An error that concerns one message alone is in its Done.
	Put(ctx context.Context, box mail.Box, intents []mail.Intent, bodies Bodies) ([]mail.Done, error)
	// Move moves messages from one mailbox to others of this store, or copies them if keep; body, flags and date stay. Intents
	// have From.Box == from. A source that is not there any more has neither Key nor Err.
	Move(ctx context.Context, from mail.Box, intents []mail.Intent, keep bool) ([]mail.Done, error)
	// SetFlags adds and removes flags of messages. A message that is not there any more is passed over.
	SetFlags(ctx context.Context, box mail.Box, keys []mail.Key, add, del mail.Flags) (Changed, error)
	// Delete removes messages: to the attic, to trash, or for good, as the store is configured. It returns those that could only be
	// marked (see Caps.NoExpunge). The idents are what the engine knows: a store that can compare a sample with them first
	// returns ErrEpoch if one differs. A message that is not there any more is passed over.
	Delete(ctx context.Context, box mail.Box, entries []mail.Entry) (left []mail.Key, err error)

	// CreateBox creates a mailbox and subscribes to it; no error if it exists. role as in Status.
	CreateBox(ctx context.Context, box mail.Box, role string) error
	// DeleteBox removes a mailbox if it is empty (locally rmdir of its own folders, never recursive); ErrNotEmpty if it is not.
	DeleteBox(ctx context.Context, box mail.Box) error
	// RenameBox renames a mailbox and what is below it; keys, epochs and marks stay, and the parents of the new name are made where
	// that is needed. It never takes the place of another mailbox, and INBOX stays: an error then, and nothing is done. ErrGone if there
	// is no such mailbox. Where it takes several steps, stopped in between some of those below still have their old names.
	RenameBox(ctx context.Context, from, to mail.Box) error

	// Settle says what became of intents whose outcome is unknown: the key of each that took effect, "" for the others. It moves
	// and removes no message: keys of sources may be of another epoch by now. It
	// may wait, so that what is still running in a server is not taken for not done. Keys in taken (by box) belong to known pairs
	// and are no candidates. Void in another epoch: "".
	Settle(ctx context.Context, intents []mail.Intent, taken func(mail.Ref) bool) ([]mail.Done, error)
	// Close ends the session; safe to call at any time, also twice.
	Close() error
}

// FlagChanger is a store that sets flags faster on messages of which it is told what flags they have, since that is a part of their names.
type FlagChanger interface {
	// ChangeFlags is SetFlags, but that what it did is durable only once Changed.Secure has returned: more can be changed meanwhile. entries
	// have Key, Flags and Stamp as they are known; a message that has other flags by now keeps these, but for add and del.
	ChangeFlags(ctx context.Context, box mail.Box, entries []mail.Entry, add, del mail.Flags) (Changed, error)
}

// Changed is what came of a change of flags.
type Changed struct {
	Lacks   mail.Flags   // of those added, what the mailbox cannot hold
	Missing []mail.Key   // messages that are not there any more, as far as that was seen
	Secure  func() error // makes durable what was done; nil: it is
}

// Teller is a store that tells which messages a view is going to show as changed, many at a time, before it returns: what is known of
// them can be looked up meanwhile.
type Teller interface {
	// Tell has fn called from now on, from one goroutine for each view; nil: nothing. It must return at once and may keep the keys.
	Tell(fn func(box mail.Box, keys []mail.Key))
}

// Foreseer is a store that can tell in a view what Identify tells of the messages that arrived, in the same flight, where they may have
// been moved there.
type Foreseer interface {
	// Foresee is told how many mailboxes are going to be viewed, and what is known of those that changed since a mark. It changes nothing.
	Foresee(known map[mail.Box]Known, views int)
}

// Speller is a store that writes keywords as letters which mean something in one mailbox only.
type Speller interface {
	// SameLetters reports whether a message has just the letters that its keywords had in another mailbox, from which it was moved by
	// somebody who knows nothing of them. false if that is not known.
	SameLetters(ctx context.Context, from mail.Box, had mail.Flags, now mail.Ref) bool
}

// Tracer is a store that can tell a message by its whole header where it has no Message-ID, so that its body need not be read.
type Tracer interface {
	// Traces tells the identity of messages, as Identify does if not full, and mail.TraceDigest of each. It passes over what is not
	// there any more and what has a header that is too long.
	Traces(ctx context.Context, box mail.Box, keys []mail.Key, fn func(mail.Key, mail.Ident, mail.Hash) error) error
}

// Echoer is a store that can tell in few bytes whether mailboxes are just as our own effects left them, so that the next run need not
// look at these as news.
type Echoer interface {
	// Echo compares what changed in mailboxes with what is expected. For each it returns a mark of the mailbox as it is then if there is
	// nothing else: all changed messages are expected ones, with the flags that are expected, and there are as many as are
	// expected in all. "": there is more, or that cannot be told. An error leaves the marks that are there valid.
	Echo(ctx context.Context, list []Echo) ([]mail.Mark, error)
}

// Echo is what is expected of a mailbox since a mark.
type Echo struct {
	Box   mail.Box
	Since mail.Mark
	Want  *mail.Expected
}

// Known is what the base has of one side of a mailbox.
type Known struct {
	Count   int      // of messages
	Highest mail.Key // "" if there are none
}

// Creator is implemented by stores that make several mailboxes in less time than one after the other.
type Creator interface {
	// CreateBoxes does for each what CreateBox does, and tells what a view of it shows then. There is one answer for each.
	CreateBoxes(ctx context.Context, list []Creation) []Created
}

// Creation is a mailbox that is to be made.
type Creation struct {
	Box  mail.Box
	Role string // as in Status
}

// Created is a mailbox that was made.
type Created struct {
	Epoch string
	Total int
	Err   error
}

// Securer is implemented by stores whose messages can be lost by a power cut although they were seen (files that a mail
// reader wrote without syncing). The engine calls it before it commits a row that rests on such a message.
type Securer interface {
	// Secure makes the messages under these keys durable: content, names, and the removal of names that are gone. A key that is
	// not there any more is passed over.
	Secure(ctx context.Context, box mail.Box, keys []mail.Key) error
}

// Stamper is implemented by stores in which the content under a key can change (a mail reader that saves a draft again).
type Stamper interface {
	// Stamps tells the stamp of every message, in the byte order of keys, and when the content was last changed, seconds since
	// 1970. It reads no content.
	Stamps(ctx context.Context, box mail.Box, fn func(key mail.Key, stamp uint64, changed int64) error) error
}

// Counted is implemented by stores that can tell what crossed the wire.
type Counted interface {
	Counts() Counts
}

// Hinter is implemented by stores that learn during a session what they want to be told at the next.
type Hinter interface {
	// Hint returns what takes the place of Greeting.Hint, from then on.
	Hint() string
}

// Counts of a store's traffic since Hello.
type Counts struct {
	BytesIn, BytesOut, RoundTrips int64
}
