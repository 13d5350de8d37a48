package mail

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"strings"
)

// maxFoldedHeader bounds what is kept of one header field; a Message-ID longer than this counts by its beginning.
const maxFoldedHeader = 4096

// addedHeaders are the fields that older tools put into messages; they are no part of the content. Lower case.
var addedHeaders = []string{"x-tuid", "x-offlineimap"}

// AddedHeaders lists the names of the header fields that are no part of a message's content, for stores that must ask
// for them.
func AddedHeaders() []string { return []string{"X-TUID", "X-OfflineIMAP"} }

// Digester computes the identity of a message while its bytes stream by, in wire form or as lines with LF alone. The
// canonical content has every run of CR before LF taken as one LF, and lacks the header fields of AddedHeaders. The zero
// value is not usable; see NewDigester. Not safe for concurrent use. Write never fails.
type Digester struct {
	sum      hash.Hash
	out      []byte // canonical bytes on their way to sum
	size     int64  // canonical length with CRLF
	pending  int    // CRs seen that may belong to a line end
	inHeader bool
	line     []byte // the header line being read, up to maxFoldedHeader
	long     bool   // the line outgrew line and was judged by its beginning
	skipping bool   // in an added field
	inID     bool   // in the Message-ID field
	id       []byte
	haveID   bool
}

// NewDigester returns a Digester that has seen nothing yet.
func NewDigester() *Digester {
	return &Digester{sum: sha256.New(), out: make([]byte, 0, 8192), inHeader: true}
}

// Reset makes d as new, keeping its memory.
func (d *Digester) Reset() {
	d.sum.Reset()
	*d = Digester{sum: d.sum, out: d.out[:0], inHeader: true, line: d.line[:0], id: d.id[:0]}
}

// Write takes the next bytes of the message.
func (d *Digester) Write(p []byte) (int, error) {
	n := len(p)
	for d.inHeader && len(p) > 0 {
		p = d.header(p)
	}
	d.body(p)
	return n, nil
}

// body hashes p with its line ends made canonical.
func (d *Digester) body(p []byte) {
	for len(p) > 0 {
		lf := bytes.IndexByte(p, '\n')
		end := lf
		if lf < 0 {
			end = len(p)
		}
		text := end
		for text > 0 && p[text-1] == '\r' {
			text--
		}
		if text > 0 {
			d.flushCR()
			d.emit(p[:text])
		}
		if lf < 0 {
			d.pending += end - text // content or line end: the next bytes tell
			return
		}
		d.pending = 0
		d.emit(newline)
		d.size++ // the CR that wire form has before this LF
		p = p[lf+1:]
	}
}

var newline = []byte{'\n'}

// flushCR takes CRs that were held back as content, because no LF followed.
func (d *Digester) flushCR() {
	for ; d.pending > 0; d.pending-- {
		d.emit([]byte{'\r'})
	}
}

func (d *Digester) emit(p []byte) {
	d.size += int64(len(p))
	if len(d.out)+len(p) <= cap(d.out) {
		d.out = append(d.out, p...)
		return
	}
	d.sum.Write(d.out)
	d.out = d.out[:0]
	if len(p) >= cap(d.out)/2 {
		d.sum.Write(p)
		return
	}
	d.out = append(d.out, p...)
}

// header takes one header line, or a part of one, from p and returns the rest.
func (d *Digester) header(p []byte) []byte {
	end := bytes.IndexByte(p, '\n')
	part, rest := p, []byte(nil)
	if end >= 0 {
		part, rest = p[:end+1], p[end+1:]
	}
	if d.long {
		d.passLong(part, end >= 0)
		return rest
	}
	if room := maxFoldedHeader - len(d.line); len(part) > room {
		d.line = append(d.line, part[:room]...)
		d.startLine()
		d.long = true
		if !d.skipping {
			d.body(d.line)
		}
		d.line = d.line[:0]
		return p[room:]
	}
	d.line = append(d.line, part...)
	if end < 0 {
		return nil
	}
	d.startLine()
	if len(bytes.TrimRight(d.line, "\r\n")) == 0 {
		d.inHeader = false
		d.finishID()
	}
	if !d.skipping {
		d.body(d.line)
	}
	d.line = d.line[:0]
	return rest
}

// passLong hashes further parts of a line that was longer than is kept.
func (d *Digester) passLong(part []byte, ended bool) {
	if !d.skipping {
		d.body(part)
	}
	if ended {
		d.long = false
	}
}

// startLine decides what the header line in d.line belongs to.
func (d *Digester) startLine() {
	if len(d.line) > 0 && (d.line[0] == ' ' || d.line[0] == '\t') {
		if d.inID && len(d.id) < maxFoldedHeader {
			d.id = append(d.id, bytes.TrimRight(d.line, "\r\n")...)
		}
		return // a continuation shares its field's fate
	}
	d.skipping = false
	d.finishID()
	name, value, ok := bytes.Cut(d.line, []byte{':'})
	if !ok {
		return
	}
	field := strings.ToLower(string(bytes.TrimRight(name, " \t")))
	for _, added := range addedHeaders {
		d.skipping = d.skipping || field == added
	}
	if field == "message-id" && !d.haveID {
		d.inID = true
		d.id = append(d.id[:0], bytes.TrimRight(value, "\r\n")...)
	}
}

func (d *Digester) finishID() {
	if d.inID {
		d.inID, d.haveID = false, true
	}
}

// Ident returns the identity of what was written: MessageID, Digest and Size. Call it once, at the end.
func (d *Digester) Ident() Ident {
	if d.inHeader {
		if !d.long && len(d.line) > 0 {
			d.startLine()
			if !d.skipping {
				d.body(d.line)
			}
		}
		d.finishID()
	}
	d.flushCR()
	d.sum.Write(d.out)
	d.out = d.out[:0]
	var sum [sha256.Size]byte
	d.sum.Sum(sum[:0])
	id := Ident{Digest: shorten(sum), Size: d.size}
	if d.haveID {
		id.MessageID = HashMessageID(string(d.id))
	}
	return id
}
