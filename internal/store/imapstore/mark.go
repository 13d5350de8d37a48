package imapstore

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
)

// state is what a server says of a mailbox as a whole. A mark is its encoding.
type state struct {
	validity uint32 // UIDVALIDITY
	next     uint32 // UIDNEXT
	modseq   uint64 // HIGHESTMODSEQ; 0: not known
	messages uint32 // EXISTS
}

const markKind = "imap1"

// mark encodes the state so that an equal one means that nothing changed. Without HIGHESTMODSEQ there is none: flags may change
// and nothing else tells of it.
func (st state) mark() mail.Mark {
	if st.modseq == 0 {
		return ""
	}
	return st.seen()
}

// seen encodes the state as a view's mark, which may lack HIGHESTMODSEQ: no mark of a list equals it then, and UIDNEXT tells the
// next view whether the mailbox fell back (rule 9).
func (st state) seen() mail.Mark {
	if st.validity == 0 || st.next == 0 {
		return ""
	}
	return mail.Mark(fmt.Sprintf("%s:%d:%d:%d:%d", markKind, st.validity, st.next, st.modseq, st.messages))
}

// parseMark decodes a mark; false if no state made it.
func parseMark(m mail.Mark) (state, bool) {
	parts := strings.Split(string(m), ":")
	if len(parts) != 5 || parts[0] != markKind {
		return state{}, false
	}
	var n [4]uint64
	for i, p := range parts[1:] {
		v, err := strconv.ParseUint(p, 10, 64)
		if err != nil || i != 2 && v > math.MaxUint32 {
			return state{}, false
		}
		n[i] = v
	}
	st := state{uint32(n[0]), uint32(n[1]), n[2], uint32(n[3])}
	return st, st.seen() == m // only what we wrote ourselves
}

// fellBack reports whether the mailbox is an older one than was seen, such as that of a backup.
func (st state) fellBack(validity, next uint32) bool {
	return st.validity == validity && st.next != 0 && st.next < next
}

// follows reports whether st can be a later state of the same mailbox than old, so that a difference makes sense.
func (st state) follows(old state) bool {
	return st.validity == old.validity && st.next >= old.next && st.modseq >= old.modseq && old.modseq > 0
}

// token encodes what finds new messages in a mailbox again: they are in this epoch and at or above UIDNEXT.
func token(validity, next uint32) mail.Token {
	return mail.Token(fmt.Sprintf("%d:%d", validity, next))
}

func parseToken(t mail.Token) (validity, next uint32, ok bool) {
	v, n, ok := strings.Cut(string(t), ":")
	if !ok {
		return 0, 0, false
	}
	a, err := strconv.ParseUint(v, 10, 32)
	if err != nil || a == 0 {
		return 0, 0, false
	}
	b, err := strconv.ParseUint(n, 10, 32)
	if err != nil {
		return 0, 0, false
	}
	return uint32(a), uint32(b), true
}

// mailboxID returns a server's id of a mailbox (RFC 8474 section 4.1); "" if it is none that the grammar permits. SELECT tells it: in
// answers to LIST, Cyrus 3.6 sends what happens to be in its memory.
func mailboxID(id string) string {
	other := func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	if len(id) > maxStable || strings.IndexFunc(id, other) >= 0 {
		return ""
	}
	return id
}

func epoch(validity uint32) string { return strconv.FormatUint(uint64(validity), 10) }

// storable reads PERMANENTFLAGS. A mailbox that says nothing holds everything (RFC 9051 section 6.3.2); some servers say only
// that any keyword can be made, and mean the system flags too.
func storable(permanent []string) mail.Storable {
	if permanent == nil {
		return mail.AnyFlags
	}
	st := mail.Storable{Flags: mail.ParseFlags(permanent), New: slices.Contains(permanent, `\*`)}
	if st.New && st.Flags.System == 0 {
		st.Flags.System = mail.AllSystem
	}
	return st
}
