package migrate

import (
	"bytes"
	"crypto/sha256"
	"hash"

	"mailtwin/internal/mail"
)

// loose hashes what of a message is left when it went through a mail library and back, as with OfflineIMAP: it puts spaces into
// header lines, turns other characters than LF into line ends, drops a first line of mbox, adds the last boundary and an empty line where
// they lack. So white space does not count, nor do lines that begin with "--", nor what older tools add.
type loose struct {
	sum   hash.Hash
	out   []byte
	begin []byte // of the line, until it is decided what becomes of it
	open  bool   // it is decided
	skip  bool   // the line does not count
	later bool   // there was a line before
}

func newLoose() *loose { return &loose{sum: sha256.New(), out: make([]byte, 0, 8192)} }

// reset makes l as new, keeping its memory.
func (l *loose) reset() {
	l.sum.Reset()
	*l = loose{sum: l.sum, out: l.out[:0], begin: l.begin[:0]}
}

// lineBegin is as much of a line as is needed to decide.
const lineBegin = len("x-offlineimap:")

func (l *loose) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n' || c == '\r' || c == '\v' || c == '\f':
			l.end()
		case l.open:
			l.emit(c)
		default:
			if l.begin = append(l.begin, c); len(l.begin) == lineBegin {
				l.decide()
			}
		}
	}
	return len(p), nil
}

func (l *loose) decide() {
	l.open, l.skip = true, bytes.HasPrefix(l.begin, []byte("--")) || !l.later && bytes.HasPrefix(l.begin, []byte("From "))
	for _, added := range mail.AddedHeaders() {
		if n := len(added); len(l.begin) > n && l.begin[n] == ':' && bytes.EqualFold(l.begin[:n], []byte(added)) {
			l.skip = true
		}
	}
	for _, c := range l.begin {
		l.emit(c)
	}
	l.begin = l.begin[:0]
}

func (l *loose) end() {
	if len(l.begin) > 0 {
		l.decide()
	}
	l.later = l.later || l.open
	l.open = false
}

func (l *loose) emit(c byte) {
	if l.skip || c == ' ' || c == '\t' {
		return
	}
	if l.out = append(l.out, c); len(l.out) == cap(l.out) {
		l.flush()
	}
}

func (l *loose) flush() {
	l.sum.Write(l.out)
	l.out = l.out[:0]
}

// hash returns the hash of all that was written. Call it once, at the end.
func (l *loose) hash() (h [sha256.Size]byte) {
	l.end()
	l.flush()
	l.sum.Sum(h[:0])
	return h
}
