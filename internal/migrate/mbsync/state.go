package mbsync

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
)

// record is an entry of a state file. There may be a million of them.
type record struct {
	uid   [2]uint32 // by end: far, near; 0: no message there
	flags uint8     // a bit for each of flagLetters
	is    uint8     // status bits
}

// The two ends of a channel.
const (
	far  = 0
	near = 1
)

// status bits of a record.
const (
	isDead    uint8 = 1 << iota // the journal killed it
	isPending                   // it awaits propagation
	isExpired                   // removed from the near end because of MaxMessages, or about to be
	isSkipped
	isDummyFar // the message on that end is a placeholder
	isDummyNear
)

// flagLetters are mbsync's flags in the order of its bits, which is that since 1.4.
const flagLetters = "DFPRST"

var flagNames = [...]mail.Flags{{System: mail.Draft}, {System: mail.Flagged}, {Keywords: "$Forwarded"}, {System: mail.Answered}, {System: mail.Seen}, {System: mail.Deleted}}

// flagsOf translates mbsync's bits.
func flagsOf(bits uint8) (f mail.Flags) {
	for i, n := range flagNames {
		if bits&(1<<i) != 0 {
			f.System |= n.System
			f.Keywords += n.Keywords
		}
	}
	return f
}

// lettersOf writes flags as a state file has them; what mbsync does not know is left out.
func lettersOf(f mail.Flags) string {
	var b strings.Builder
	for i, n := range flagNames {
		if f.And(n).Equal(n) {
			b.WriteByte(flagLetters[i])
		}
	}
	return b.String()
}

// state is a state file in memory.
type state struct {
	validity [2]uint32 // by end; 0: not said
	records  []record
}

// Limits that no real file comes near.
const (
	maxLine    = 128 // mbsync's own, with the line end
	maxRecords = 50_000_000
)

// badUID is what versions before 1.3 wrote for a message that they had skipped, and all for a UIDVALIDITY that is not known.
const badUID = math.MaxUint32

// lines reads lines of at most maxLine bytes, each of which must have an end.
type lines struct {
	r *bufio.Reader
	n int // of the last line
}

var (
	errTorn = errors.New("the last line is cut off")
	errLong = errors.New("a line is too long")
)

func newLines(r io.Reader) *lines { return &lines{r: bufio.NewReaderSize(r, 4096)} }

// next returns a line without its end; io.EOF after the last one.
func (l *lines) next() (string, error) {
	raw, err := l.r.ReadSlice('\n')
	l.n++
	switch {
	case errors.Is(err, io.EOF) && len(raw) == 0:
		return "", io.EOF
	case errors.Is(err, io.EOF):
		return "", errTorn
	case errors.Is(err, bufio.ErrBufferFull) || err == nil && len(raw) > maxLine:
		return "", errLong
	case err != nil:
		return "", err
	}
	return string(raw[:len(raw)-1]), nil
}

// damage is an error that says what is wrong with a file and where.
func (l *lines) damage(format string, args ...any) error {
	return fmt.Errorf("line %d: %w", l.n, fmt.Errorf(format, args...))
}

// readState reads a state file. Its errors say what is wrong in it.
func readState(r io.Reader) (*state, error) {
	l := newLines(r)
	s := &state{}
	if err := s.readHeader(l); err != nil {
		return nil, err
	}
	for {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			return s, nil
		}
		if err != nil {
			return nil, l.damage("%w", err)
		}
		rec, ok := parseRecord(line)
		if !ok {
			return nil, l.damage("this is no entry of mbsync")
		}
		if len(s.records) == maxRecords {
			return nil, l.damage("too many entries")
		}
		s.records = append(s.records, rec)
	}
}

func (s *state) readHeader(l *lines) error {
	for {
		line, err := l.next()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("it ends in its header")
		case err != nil:
			return l.damage("%w", err)
		case line == "":
			return nil
		case l.n == 1 && line[0] >= '0' && line[0] <= '9': // before 1.1
			return s.oldHeader(l, line)
		}
		key, value, _ := strings.Cut(line, " ")
		n, ok := number(value)
		if !ok {
			return l.damage("this is no header of mbsync")
		}
		switch key {
		case "FarUidValidity", "MasterUidValidity":
			s.validity[far] = n
		case "NearUidValidity", "SlaveUidValidity":
			s.validity[near] = n
		case "MaxPulledUid", "MaxPushedUid", "MaxExpiredFarUid", "MaxExpiredMasterUid", "MaxExpiredSlaveUid":
		default:
			return l.damage("an unknown header")
		}
	}
}

// oldHeader reads "validity:max validity:expired:max".
func (s *state) oldHeader(l *lines, line string) error {
	words := strings.Fields(line)
	if len(words) != 2 || strings.Count(words[far], ":") != 1 || strings.Count(words[near], ":") != 2 {
		return l.damage("this is no header of mbsync")
	}
	for end, word := range words {
		for i, part := range strings.Split(word, ":") {
			n, ok := number(part)
			if !ok {
				return l.damage("this is no header of mbsync")
			}
			if i == 0 {
				s.validity[end] = n
			}
		}
	}
	return nil
}

func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

// parseRecord reads "far near flags".
func parseRecord(line string) (rec record, ok bool) {
	words := strings.Split(strings.TrimSuffix(line, " "), " ") // an entry without flags ends with a space
	if len(words) != 2 && len(words) != 3 {
		return rec, false
	}
	for end := range rec.uid {
		if rec.uid[end], ok = number(words[end]); !ok {
			return rec, false
		}
		if rec.uid[end] == badUID {
			rec.uid[end] = 0
			rec.is |= isSkipped
		}
	}
	if len(words) == 2 {
		return rec, true
	}
	flags := words[2]
	switch {
	case strings.HasPrefix(flags, "<"):
		rec.is |= isDummyFar
		flags = flags[1:]
	case strings.HasPrefix(flags, ">"):
		rec.is |= isDummyNear
		flags = flags[1:]
	}
	switch {
	case strings.HasPrefix(flags, "~"), strings.HasPrefix(flags, "X"):
		rec.is |= isExpired
		flags = flags[1:]
	case strings.HasPrefix(flags, "^"):
		rec.is |= isSkipped
		flags = flags[1:]
	}
	for i := range len(flags) {
		bit := strings.IndexByte(flagLetters, flags[i])
		if bit < 0 {
			return rec, false
		}
		rec.flags |= 1 << bit
	}
	return rec, true
}
