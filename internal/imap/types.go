package imap

import (
	"io"
	"time"
)

// Status is what a status response carries (RFC 9051 section 7.1).
type Status struct {
	Code string // response code in upper case; "" if none
	Args string // what follows the code inside the brackets
	Text string // the human-readable rest
}

// Namespace is one namespace (RFC 2342).
type Namespace struct {
	Prefix string
	Delim  byte // 0: none
}

// Namespaces are the answer to NAMESPACE.
type Namespaces struct {
	Personal, Other, Shared []Namespace
}

// ListOptions say what LIST is to return besides names. Each is sent only when the server offers it, so look at the items.
type ListOptions struct {
	Status     []string // items of STATUS for each mailbox (LIST-STATUS, RFC 5819)
	SpecialUse bool     // roles among the attributes (RFC 6154)
	Subscribed bool     // \Subscribed among the attributes (LIST-EXTENDED, RFC 5258)
	Children   bool     // \HasChildren or \HasNoChildren among the attributes
}

// ListItem is one mailbox that LIST named.
type ListItem struct {
	Name   string // decoded, UTF-8; INBOX is always spelled so
	Raw    string // as the server wrote it
	Bad    bool   // Raw could not be decoded; Name == Raw, which the other methods take as it is
	Delim  byte   // 0: no hierarchy
	Attrs  []string
	Status *StatusData // nil unless asked for and given
}

// StatusHas is the set of items a STATUS response had.
type StatusHas uint16

// The items of STATUS.
const (
	HasMessages StatusHas = 1 << iota
	HasUIDNext
	HasUIDValidity
	HasHighestModSeq
	HasMailboxID
	HasSize
	HasUnseen
	HasRecent
)

// StatusData is what STATUS said of a mailbox (RFC 9051 section 6.3.11).
type StatusData struct {
	Mailbox                        string
	Messages, UIDNext, UIDValidity uint32
	Unseen, Recent                 uint32
	HighestModSeq                  uint64 // RFC 7162; 0: the mailbox keeps none
	Size                           int64  // octets, RFC 8438
	MailboxID                      string // RFC 8474
	Has                            StatusHas
}

// QResync is what the client knows of a mailbox (RFC 7162 section 3.2.5).
type QResync struct {
	UIDValidity uint32
	ModSeq      uint64
	Known       NumSet // known UIDs; empty: all
}

// SelectOptions say how to open a mailbox.
type SelectOptions struct {
	ReadOnly   bool     // EXAMINE
	Condstore  bool     // (CONDSTORE); not sent with QResync
	QResync    *QResync // needs ENABLE QRESYNC before
	OnFetch    func(Message)
	OnVanished func(uids NumSet, earlier bool)
	// OnOpen is called when the command has succeeded, before anything that the server says after that; nil: nobody asks. It must not wait.
	OnOpen func(Selected)
}

// Selected is what the server said when it opened a mailbox.
type Selected struct {
	UIDValidity, UIDNext  uint32
	HighestModSeq         uint64 // 0: absent or NOMODSEQ
	Exists                uint32
	HasExists             bool     // the server said so, as it must
	Flags, PermanentFlags []string // PermanentFlags nil: the server did not say, which means all; empty: none
	ReadOnly              bool
	MailboxID             string // RFC 8474
	UIDNotSticky          bool   // UIDs will not last (RFC 4315)
}

// FetchItems say what to fetch. UID always comes with it.
type FetchItems struct {
	Flags, InternalDate, Size bool
	ModSeq                    bool     // left out unless the server has CONDSTORE
	EmailID                   bool     // left out unless the server has OBJECTID
	GmailMsgID                bool     // left out unless the server has X-GM-EXT-1
	Body                      bool     // BODY.PEEK[]
	Header                    []string // BODY.PEEK[HEADER.FIELDS (...)], into memory
	HeaderTo                  int      // BODY.PEEK[HEADER]<0.n> in its place: the first n octets of all fields
}

// FetchOptions narrow a FETCH (RFC 7162 sections 3.1.4.1 and 3.2.6).
type FetchOptions struct {
	ChangedSince uint64 // 0: not sent
	Vanished     bool   // report UIDs expunged since then; needs QRESYNC enabled and ChangedSince
	// OnVanished receives the VANISHED (EARLIER) responses; nil: they go to the handler of OnUnsolicited.
	OnVanished func(uids NumSet, earlier bool)
}

// Message is what one FETCH response said of a message. Flags may be kept but not changed; the rest of what Message points
// to is valid during the callback only.
type Message struct {
	UID, Seq     uint32 // Seq 0: not said
	HasFlags     bool
	Flags        []string
	InternalDate time.Time // zero: not said or not understood; in UTC
	Size         int64     // RFC822.SIZE, which some servers get wrong
	HasSize      bool
	ModSeq       uint64
	EmailID      string    // RFC 8474
	GmailMsgID   string    // X-GM-MSGID, decimal
	Header       []byte    // the fields asked for, and the empty line; HeaderTo may cut it off
	Body         io.Reader // nil when HasBody is false
	BodySize     int64     // octets that Body will give
	HasBody      bool      // false: not asked for, or the server has no body (NIL)
}

// StoreMode says what STORE does with the flags.
type StoreMode uint8

// The modes of STORE.
const (
	Add StoreMode = iota
	Remove
	Replace
)

// StoreOptions say what STORE is to do (RFC 9051 section 6.4.6).
type StoreOptions struct {
	Mode           StoreMode
	Flags          []string
	Silent         bool   // do not report the flags back
	UnchangedSince uint64 // RFC 7162 section 3.1.3; 0: not sent
}

// StoreResult is the answer to STORE.
type StoreResult struct {
	Modified NumSet    // UIDs left alone because they changed after UnchangedSince
	Messages []Message // what was reported back: flags, mod-sequences
	Status   Status
}

// CopyResult is the answer to COPY or MOVE (COPYUID, RFC 4315).
type CopyResult struct {
	UIDValidity uint32   // of the target
	Src, Dst    []uint32 // UIDs that belong together, in the server's order
	Has         bool     // false: the server did not say, or said nonsense
	Status      Status
}

// AppendMessage is one message to upload.
type AppendMessage struct {
	Flags  []string
	Date   time.Time // zero: the server's present time
	Size   int64     // octets that Body has
	Body   io.Reader
	Binary bool // send as literal8, which may hold NUL, when the server has BINARY (RFC 3516)
}

// AppendResult is the answer to APPEND (APPENDUID, RFC 4315).
type AppendResult struct {
	UIDValidity uint32
	UIDs        []uint32 // in the order of the messages
	Has         bool     // false: the server did not say, or said nonsense
	Status      Status
}

// SearchOptions say what SEARCH is to return: ALL, COUNT, MIN, MAX (RFC 4731); none means ALL. Without ESEARCH everything
// is worked out from the list of UIDs.
type SearchOptions struct {
	Return []string
	Most   int // messages that are of use; if there are more, none is kept and SearchResult.Over is set; 0: all are
}

// SearchResult is the answer to SEARCH.
type SearchResult struct {
	All             NumSet
	Count, Min, Max uint32
	ModSeq          uint64
	Over            bool   // see SearchOptions.Most
	Status          Status // a MESSAGELIMIT code (RFC 9738) means that not all were searched
}

// UnsolicitedKind says what an Unsolicited is.
type UnsolicitedKind uint8

// The kinds of unsolicited data.
const (
	UnsolicitedExists   UnsolicitedKind = iota // Num messages are in the mailbox
	UnsolicitedExpunge                         // the message with the sequence number Num is gone
	UnsolicitedVanished                        // the messages UIDs are gone; Earlier: before now
	UnsolicitedFetch                           // Message changed; without a body
	UnsolicitedBye                             // the server will close the connection; Text says why
	UnsolicitedAlert                           // Text must be shown to the user
)

// Unsolicited is what the server said without being asked (RFC 9051 section 5.2).
type Unsolicited struct {
	Kind    UnsolicitedKind
	Num     uint32
	UIDs    NumSet
	Earlier bool
	Message *Message // valid during the callback
	Code    string
	Text    string
}
