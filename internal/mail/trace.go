package mail

import (
	"bytes"
	"strings"
)

// MaxHeader is how much of a message TraceDigest has to see at most; a header that is longer counts as unknown.
const MaxHeader = 64 << 10

// TraceDigest returns the digest of the header that a message begins with, in the canonical form of [Digester], if the header is worth
// as much as a Message-ID: if a server on the way of the message left its trace in it with an id (RFC 5321 section 4.4). Else, and if
// the end of the header is not in start, it returns the zero hash. start may go on with the body.
func TraceDigest(start []byte) Hash {
	start = start[:min(len(start), MaxHeader)]
	size, traced := 0, false
	var field []byte // the Received field being read
	for line := range bytes.Lines(start) {
		size += len(line)
		if line[0] == ' ' || line[0] == '\t' {
			if field != nil {
				field = append(field, line...)
			}
			continue
		}
		traced = traced || hasID(field)
		field = nil
		if len(bytes.TrimRight(line, "\r\n")) == 0 && line[len(line)-1] == '\n' {
			if !traced {
				return Hash{}
			}
			d := NewDigester()
			_, _ = d.Write(start[:size])
			return d.Ident().Digest
		}
		if name, value, ok := bytes.Cut(line, []byte{':'}); ok && strings.EqualFold(string(bytes.TrimRight(name, " \t")), "received") {
			field = append([]byte{' '}, value...)
		}
	}
	return Hash{}
}

// hasID reports whether a Received field has an id clause.
func hasID(received []byte) bool {
	before, _, _ := bytes.Cut(received, []byte{';'}) // the date follows
	words := strings.Fields(string(before))
	for i, word := range words[:max(0, len(words)-1)] {
		if strings.EqualFold(word, "id") && !strings.HasPrefix(words[i+1], "(") {
			return true
		}
	}
	return false
}
