package mail

import (
	"crypto/sha256"
	"strings"
)

// Hash is the first half of a SHA-256. The zero value means: unknown or absent.
type Hash [16]byte

// IsZero reports whether the hash is unknown.
func (h Hash) IsZero() bool { return h == Hash{} }

// Ident says which message it is, independent of mailbox, key and flags. Zero fields are unknown.
type Ident struct {
	MessageID Hash   // of the Message-ID, see HashMessageID; zero also when the message has none
	Digest    Hash   // of the content in canonical form, see Digester
	Size      int64  // length of the canonical content in wire form (CRLF, without the header lines of older tools)
	Date      int64  // internal date, seconds since 1970
	Stable    string // the store's own stable id (EMAILID of RFC 8474, X-GM-MSGID), with its kind as prefix
}

// HashMessageID hashes the value of a Message-ID header field, folding and surrounding space removed. The empty value
// has the zero hash. Only half of the bytes are used: a Message-ID nominates, digests decide, and the state is kept small.
func HashMessageID(value string) Hash {
	value = strings.Join(strings.Fields(value), " ")
	if value == "" {
		return Hash{}
	}
	h := shorten(sha256.Sum256([]byte(value)))
	clear(h[len(h)/2:])
	return h
}

func shorten(sum [sha256.Size]byte) Hash { return Hash(sum[:len(Hash{})]) }

// Merge fills the unknown fields of i from j.
func (i Ident) Merge(j Ident) Ident {
	if i.MessageID.IsZero() {
		i.MessageID = j.MessageID
	}
	if i.Digest.IsZero() {
		i.Digest = j.Digest
	}
	if i.Size == 0 {
		i.Size = j.Size
	}
	if i.Date == 0 {
		i.Date = j.Date
	}
	if i.Stable == "" {
		i.Stable = j.Stable
	}
	return i
}
