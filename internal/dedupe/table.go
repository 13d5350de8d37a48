package dedupe

import (
	"bytes"
	"errors"
	"slices"
)

// Bits of a message.
const (
	Cur     = 1 << iota // its file is in cur, else in new
	HasKey              // Key is known
	HasSum              // Sum is known
	Bare                // nothing to tell it by: in no group
	Known               // the state database knows both of its copies, here and on the server
	Deleted             // has the flag \Deleted
	Gone                // was not there any more, or cannot be read: in no group
)

// Message is one message, without pointers and as small as can be: there may be hundreds of thousands.
type Message struct {
	Stamp uint64   // changes when the content may have changed: of device, inode, size and mtime
	Key   uint64   // what copies have in common and is cheap to know: of the header, of the Message-ID, or the size, by By
	Sum   [16]byte // of the content
	Size  int64    // bytes as stored
	Date  int64    // internal date, seconds since 1970
	name  uint32
	Box   uint16
	len   uint8
	Bits  uint8
}

const (
	perChunk  = 4096
	nameChunk = 1 << 18
)

// Table holds messages in little memory: it grows in chunks, and nothing in it is a pointer.
type Table struct {
	chunks [][]Message
	names  [][]byte
	n      int
}

var errTooMany = errors.New("too many messages or names too long for one run")

// Len returns the number of messages.
func (t *Table) Len() int { return t.n }

// At returns message i, for reading and changing. Different messages may be changed from several goroutines.
func (t *Table) At(i uint32) *Message { return &t.chunks[i/perChunk][i%perChunk] }

// Add takes a message with the name of its file.
func (t *Table) Add(m Message, name []byte) error {
	if len(name) > 255 || t.n >= 1<<31 || len(t.names) >= 1<<14 {
		return errTooMany
	}
	if t.n%perChunk == 0 {
		t.chunks = append(t.chunks, make([]Message, 0, perChunk))
	}
	m.name, m.len = t.store(name), uint8(len(name)) //nolint:gosec // at most 255
	c := &t.chunks[len(t.chunks)-1]
	*c = append(*c, m)
	t.n++
	return nil
}

// Truncate takes away all messages but the first n. Their names stay in memory.
func (t *Table) Truncate(n int) {
	for len(t.chunks) > 0 && t.n > n {
		c := &t.chunks[len(t.chunks)-1]
		drop := min(len(*c), t.n-n)
		*c = (*c)[:len(*c)-drop]
		t.n -= drop
		if len(*c) == 0 {
			t.chunks = t.chunks[:len(t.chunks)-1]
		}
	}
}

func (t *Table) store(name []byte) uint32 {
	last := len(t.names) - 1
	if last < 0 || len(t.names[last])+len(name) > nameChunk {
		t.names = append(t.names, make([]byte, 0, nameChunk))
		last++
	}
	at := len(t.names[last])
	t.names[last] = append(t.names[last], name...)
	return uint32(last*nameChunk + at) //nolint:gosec // at most 1<<32
}

// Name returns the name of a message's file; it must not be changed.
func (t *Table) Name(m *Message) []byte {
	at := int(m.name) % nameChunk
	return t.names[int(m.name)/nameChunk][at : at+int(m.len)]
}

// Rename gives a message another name.
func (t *Table) Rename(m *Message, name []byte) error {
	if len(name) > 255 || len(t.names) >= 1<<14 {
		return errTooMany
	}
	m.name, m.len = t.store(name), uint8(len(name)) //nolint:gosec // at most 255
	return nil
}

// Unique returns the part of a file name that stays when flags change.
func Unique(name []byte) []byte {
	for _, sep := range []string{":2,", ";2,", "!2,"} {
		if i := bytes.LastIndex(name, []byte(sep)); i > 0 {
			return name[:i]
		}
	}
	return name
}

// Index returns the numbers of all messages that fn accepts, sorted by less.
func (t *Table) Index(fn func(*Message) bool, compare func(a, b *Message) int) []uint32 {
	n := 0
	for _, c := range t.chunks {
		for i := range c {
			if fn(&c[i]) {
				n++
			}
		}
	}
	list := make([]uint32, 0, n)
	for k, c := range t.chunks {
		for i := range c {
			if fn(&c[i]) {
				list = append(list, uint32(k*perChunk+i)) //nolint:gosec // at most 1<<31
			}
		}
	}
	if compare != nil {
		slices.SortFunc(list, func(a, b uint32) int { return compare(t.At(a), t.At(b)) })
	}
	return list
}
