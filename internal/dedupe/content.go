package dedupe

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"
	"strings"

	"mailtwin/internal/mail"
)

// ignored are the header fields that transport and tools add to a message on its way. Lower case.
var ignored = map[string]bool{}

// ignoredNames are the same as people write them.
var ignoredNames = []string{
	"Received", "X-Received", "Received-SPF", "Return-Path", "Delivered-To", "Delivery-Date", "Envelope-To", "X-Original-To",
	"X-Envelope-From", "X-Envelope-To", "Authentication-Results", "ARC-Seal", "ARC-Message-Signature",
	"ARC-Authentication-Results", "X-Spam-Status", "X-Spam-Score", "X-Spam-Level", "X-Spam-Flag", "X-Spam-Checker-Version",
	"Status", "X-Status", "X-Keywords", "Lines", "Content-Length", "X-UID", "X-UIDL", "X-IMAP", "X-IMAPbase", "X-TUID",
	"X-OfflineIMAP", "X-Mozilla-Status", "X-Mozilla-Status2", "X-Mozilla-Keys", "X-Evolution", "X-Evolution-Source",
	"X-Gmail-Labels", "X-Folder", "X-Getmail-Retrieved-From-Mailbox", "X-Getmail-Filter-Classifier",
	"X-Fetchmail-Warning",
}

func init() {
	for _, n := range ignoredNames {
		ignored[strings.ToLower(n)] = true
	}
}

// Ignored lists the header fields that do not count when contents are compared.
func Ignored() []string { return slices.Clone(ignoredNames) }

// maxLine bounds what is kept of one header line; a longer one is judged by its beginning.
const maxLine = 4096

// Facts are what is known of a message after its header was read, and after all of it.
type Facts struct {
	Head   uint64    // of the header without the ignored fields
	ID     mail.Hash // see mail.HashMessageID; zero: it has none
	Sum    [16]byte  // of that header and the body, with every line end taken as LF
	Exact  [16]byte  // of every byte; only if asked for
	Bare   bool      // there is nothing to tell it by: no Message-ID and nothing but white space in the body
	Length int64     // bytes read
}

// Hasher computes the facts of a message while its bytes stream by. The zero value is not usable; see NewHasher. Not safe for
// concurrent use. Write never fails.
type Hasher struct {
	sum      hash.Hash
	exact    hash.Hash // nil: not asked for
	head     uint64
	length   int64
	crs      int // seen, and not yet known to be part of a line end
	inHeader bool
	line     []byte // header line being read
	long     bool   // the line outgrew maxLine; the rest shares its fate
	skipping bool   // in an ignored field
	inID     bool
	haveID   bool
	id       []byte
	text     bool // the body has more than white space
	begun    bool // the first line was seen
	name     [64]byte
}

// NewHasher returns a Hasher that has seen nothing yet; exact asks for Facts.Exact.
func NewHasher(exact bool) *Hasher {
	h := &Hasher{sum: sha256.New(), inHeader: true}
	if exact {
		h.exact = sha256.New()
	}
	return h
}

// Reset makes h as new, keeping its memory.
func (h *Hasher) Reset() {
	h.sum.Reset()
	if h.exact != nil {
		h.exact.Reset()
	}
	*h = Hasher{sum: h.sum, exact: h.exact, inHeader: true, line: h.line[:0], id: h.id[:0]}
}

// Header reports whether the end of the header was not seen yet.
func (h *Hasher) Header() bool { return h.inHeader }

// Write takes the next bytes of the message.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	h.length += int64(n)
	if h.exact != nil {
		h.exact.Write(p)
	}
	for h.inHeader && len(p) > 0 {
		p = h.headerPart(p)
	}
	if len(p) > 0 {
		h.text = h.text || len(bytes.TrimLeft(p, " \t\r\n")) > 0
		h.content(p)
	}
	return n, nil
}

// content hashes p with every run of CR before LF taken as one LF.
func (h *Hasher) content(p []byte) {
	if h.crs == 0 && bytes.IndexByte(p, '\r') < 0 {
		h.sum.Write(p)
		return
	}
	for len(p) > 0 {
		if p[0] == '\r' {
			h.crs++
			p = p[1:]
			continue
		}
		if p[0] != '\n' {
			h.flush()
		}
		h.crs = 0
		n := bytes.IndexByte(p, '\r')
		if n < 0 {
			n = len(p)
		}
		h.sum.Write(p[:n])
		p = p[n:]
	}
}

// flush takes CRs that no LF followed as content.
func (h *Hasher) flush() {
	for ; h.crs > 0; h.crs-- {
		h.sum.Write([]byte{'\r'})
	}
}

// headerPart takes one header line, or a part of one, and returns the rest.
func (h *Hasher) headerPart(p []byte) []byte {
	end := bytes.IndexByte(p, '\n')
	part, rest := p, []byte(nil)
	if end >= 0 {
		part, rest = p[:end+1], p[end+1:]
	}
	switch {
	case h.long:
		h.keep(part)
		h.long = end < 0
		return rest
	case len(h.line) == 0 && end >= 0 && len(part) <= maxLine:
		h.headerLine(part)
		return rest
	case len(h.line)+len(part) > maxLine:
		n := maxLine - len(h.line)
		h.line = append(h.line, part[:n]...)
		h.startLine(h.line)
		h.keep(h.line)
		h.line, h.long = h.line[:0], true
		return p[n:]
	}
	h.line = append(h.line, part...)
	if end >= 0 {
		h.headerLine(h.line)
		h.line = h.line[:0]
	}
	return rest
}

// headerLine takes a whole line.
func (h *Hasher) headerLine(line []byte) {
	if len(bytes.TrimRight(line, "\r\n")) == 0 {
		h.endHeader()
		h.sum.Write([]byte{'\n'})
		return
	}
	h.startLine(line)
	h.keep(line)
}

// keep hashes header bytes unless their field is ignored.
func (h *Hasher) keep(p []byte) {
	if !h.skipping {
		h.content(p)
	}
}

// startLine decides what a header line belongs to.
func (h *Hasher) startLine(line []byte) {
	if line[0] == ' ' || line[0] == '\t' {
		if h.inID && len(h.id) < maxLine {
			h.id = append(h.id, bytes.TrimRight(line, "\r\n")...)
		}
		h.begun = true
		return // a continuation shares its field's fate
	}
	h.flush()
	h.skipping, h.haveID = false, h.haveID || h.inID
	h.inID = false
	if first := !h.begun; first && IsEnvelope(line) {
		h.begun, h.skipping = true, true
		return
	}
	h.begun = true
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return
	}
	name := bytes.TrimRight(line[:colon], " \t")
	if len(name) > len(h.name) {
		return
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		h.name[i] = c
	}
	lower := h.name[:len(name)]
	h.skipping = ignored[string(lower)]
	if string(lower) == "message-id" && !h.haveID {
		h.inID = true
		h.id = append(h.id[:0], bytes.TrimRight(line[colon+1:], "\r\n")...)
	}
}

// endHeader ends the header and takes its sum.
func (h *Hasher) endHeader() {
	h.inHeader, h.haveID = false, h.haveID || h.inID
	h.flush()
	var sum [sha256.Size]byte
	h.head = binary.LittleEndian.Uint64(h.sum.Sum(sum[:0]))
}

// Facts returns what is known of the bytes written. It may be called after the header, and again at the end; the Sums are
// meaningful at the end only, and nothing may be written after that.
func (h *Hasher) Facts(end bool) Facts {
	if end && h.inHeader {
		if len(h.line) > 0 {
			h.startLine(h.line)
			h.keep(h.line)
		}
		h.endHeader()
	}
	f := Facts{Head: h.head, Length: h.length}
	if h.haveID {
		f.ID = mail.HashMessageID(string(h.id))
	}
	if !end {
		return f
	}
	h.flush()
	var sum [sha256.Size]byte
	copy(f.Sum[:], h.sum.Sum(sum[:0]))
	if h.exact != nil {
		copy(f.Exact[:], h.exact.Sum(sum[:0]))
	}
	f.Bare = f.ID.IsZero() && !h.text
	return f
}

// IsEnvelope reports whether the first line of a message is none of its header, but what mbox files have in front of each (RFC 4155). It
// does not count either.
func IsEnvelope(line []byte) bool { return bytes.HasPrefix(line, []byte("From ")) }

// Ignores reports whether a header field does not count.
func Ignores(name string) bool { return ignored[strings.ToLower(name)] }
