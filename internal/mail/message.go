package mail

import "io"

// Entry is one message as a store shows it.
type Entry struct {
	Key   Key
	Flags Flags
	Stamp uint64 // changes when the content under the key may have changed (Maildir: of size, mtime and inode); 0: cannot change, or not looked at
	Ident Ident  // as far as the view told it; zero fields are unknown

	Identified bool // Ident is what Identify tells: what is zero but for the digest it does not have
	Rough      bool // but its Size counts the header lines of older tools too, if there are any
}

// Body is a message's content in wire form: lines end with CRLF as the store has them, exactly Size bytes.
type Body struct {
	Size   int64
	Reader io.Reader
}

// Pair is one message on both sides. All pairs of a mailbox are its base. A pair that lacks one key is a half pair: the
// side without the key is to get the message (or to be searched for it), for the reason in Left.
type Pair struct {
	ID       int64 // of the row; 0: not stored yet
	Box      Box
	Keys     [2]Key   // by Side
	Flags    Flags    // what both agreed on
	Lacks    [2]Flags // flags in Flags that this side cannot hold: their absence there is no change
	Ident    Ident    // Digest is that of the copy that was read
	Stamp    uint64   // of the local file, see Entry
	Allowed  bool     // the user let its deletion through, so the guard does not count it
	Verified bool     // both copies are known to have the digest; else a digest comes before a deletion that rests on the pair
	Left     Left     // why a key is missing, or what else is to be reported
}

// Left says why a pair is incomplete or not as it should be.
type Left uint8

// Reasons. Only pairs with LeftNone and LeftAltered have both keys.
const (
	LeftNone       Left = iota
	LeftRefused         // the lacking side refused the message
	LeftRenumbered      // the lacking side changed its epoch; it is searched for the message before it is copied
	LeftDeleting        // deleted on the lacking side; the other only marked it (no UIDPLUS), delete pending
	LeftAltered         // both have it by Message-ID or another tool's word, with different content: neither copied nor merged
	LeftExpunged        // marked \Deleted on both sides and removed from the lacking one only, as expunge says
	LeftReplaced        // an older version of a message that was edited on the lacking side; to be removed
	LeftVanished        // another tool's state had it on both sides, and the lacking one had it no more when that state was imported
)

func (l Left) String() string {
	switch l {
	case LeftNone:
		return ""
	case LeftRefused:
		return "refused"
	case LeftRenumbered:
		return "renumbered"
	case LeftDeleting:
		return "delete pending"
	case LeftAltered:
		return "altered"
	case LeftExpunged:
		return "expunged"
	case LeftReplaced:
		return "replaced"
	case LeftVanished:
		return "vanished"
	}
	return "unknown"
}

// IntentKind tells effects apart.
type IntentKind uint8

// The kinds.
const (
	IntentPut    IntentKind = iota // the body comes from the other side
	IntentMove                     // inside Side
	IntentCopy                     // inside Side, the source stays
	IntentRename                   // of the mailbox From.Box to Box; no message is named
)

// Intent is a row written durably before an effect, so that a crash in the middle can be settled by asking Side.
type Intent struct {
	ID    int64
	Side  Side // whose store carries the effect out
	Kind  IntentKind
	From  Ref   // the source: on the other side for IntentPut, on Side else
	Box   Box   // where the message goes
	Entry Entry // flags and identity as far as known; its Key is unused
	Token Token // from Store.Prepare
	Pair  int64 // the half pair or moved pair that gets the new key; 0: a new pair
	Late  int64 // 0, or when (seconds since 1970) the effect was given up and repeated: a twin may still turn up
}

// Done is the outcome of one intent: the new key, or why there is none. With neither, ask Store.Settle.
type Done struct {
	Box   Box // from Store.Settle: where the message is, if a user took it elsewhere meanwhile; "": in Intent.Box
	Key   Key
	Stamp uint64 // see Entry; 0 where the store has none
	Lacks Flags  // flags of the entry that the mailbox cannot hold
	Err   error
}
