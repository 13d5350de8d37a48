package mail

import "encoding/binary"

// Key names a message inside one mailbox of one store: an IMAP UID as 4 bytes, big-endian (see [UIDKey]), or a Maildir
// unique name (the file name up to ":2,"). It is opaque to the engine and ordered by bytes. "" means: none.
type Key string

// UIDKey makes the key of an IMAP UID.
func UIDKey(uid uint32) Key {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uid)
	return Key(b[:])
}

// UID returns the IMAP UID that a key stands for; false if it is not the key of a UID.
func (k Key) UID() (uint32, bool) {
	if len(k) != 4 {
		return 0, false
	}
	return uint32(k[0])<<24 | uint32(k[1])<<16 | uint32(k[2])<<8 | uint32(k[3]), true
}

// Mark says how far a mailbox of a store was surely seen. Only the store that made it understands it. "" means: never
// seen, or not to be relied on; two equal marks that are not "" mean that nothing changed in between.
type Mark string

// Token finds an open effect again after a crash. Only the store that made it understands it.
type Token string

// Ref names a message of one store.
type Ref struct {
	Box Box
	Key Key
}
