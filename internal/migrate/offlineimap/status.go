package offlineimap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
)

// row is what OfflineIMAP believes of one message. There may be a million of them.
type row struct {
	uid   uint32
	flags mail.System
}

// flagLetters are the flags that OfflineIMAP carries both ways, in the order in which it writes them.
const flagLetters = "DFRST"

var flagBits = [...]mail.System{mail.Draft, mail.Flagged, mail.Answered, mail.Seen, mail.Deleted}

// flagsOf reads the flags of a status. Other letters are left out: "P" is of other programs, and those of keywords mean what the
// configuration says, on the way down only, so that neither says what both sides agreed on.
func flagsOf(letters string) (f mail.System) {
	for i, bit := range flagBits {
		if strings.IndexByte(letters, flagLetters[i]) >= 0 {
			f |= bit
		}
	}
	return f
}

func lettersOf(f mail.System) string {
	var b strings.Builder
	for i, bit := range flagBits {
		if f&bit != 0 {
			b.WriteByte(flagLetters[i])
		}
	}
	return b.String()
}

// The first lines of plain status files.
const (
	plainHead1 = "OFFLINEIMAP LocalStatus CACHE DATA - DO NOT MODIFY - FORMAT 1"
	plainHead2 = "OFFLINEIMAP LocalStatus CACHE DATA - DO NOT MODIFY - FORMAT 2"
)

// Limits that no real file comes near.
const (
	maxLine  = 64 << 10 // with Gmail's labels
	maxRows  = 50_000_000
	maxFlags = 64
)

// readPlain reads a status file as text; its errors say what is wrong in it. An empty file has no rows.
func readPlain(r io.Reader, yield func(row) bool) error {
	b := bufio.NewReaderSize(r, maxLine)
	format, n := 0, 0
	for {
		raw, err := b.ReadSlice('\n')
		n++
		switch {
		case errors.Is(err, io.EOF) && len(raw) == 0:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("line %d is cut off", n)
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("line %d is too long", n)
		case err != nil:
			return err
		}
		line := strings.TrimSpace(string(raw))
		if n == 1 {
			switch line {
			case plainHead1:
				format = 1
			case plainHead2:
				format = 2
			default:
				return errors.New("line 1 is not that of a status of OfflineIMAP in format 1 or 2")
			}
			continue
		}
		if n > maxRows {
			return errors.New("it has too many lines")
		}
		rec, ok := parsePlain(line, format)
		if !ok {
			return fmt.Errorf("line %d is no entry of OfflineIMAP", n)
		}
		if !yield(rec) {
			return nil
		}
	}
}

// parsePlain reads "uid:flags" or "uid|flags|mtime|labels".
func parsePlain(line string, format int) (rec row, ok bool) {
	sep, fields := ":", 2
	if format == 2 {
		sep, fields = "|", 4
	}
	words := strings.Split(line, sep)
	if len(words) != fields {
		return rec, false
	}
	if format == 2 {
		if _, err := strconv.ParseInt(words[2], 10, 64); err != nil {
			return rec, false
		}
	}
	uid, err := strconv.ParseUint(words[0], 10, 32)
	if err != nil || uid == 0 || !isFlags(words[1]) {
		return rec, false
	}
	return row{uint32(uid), flagsOf(words[1])}, true
}

// isFlags reports whether a text is letters only.
func isFlags(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return len(s) <= maxFlags
}

// readValidity reads a file of FolderValidity.
func readValidity(path string) (uint32, error) {
	f, err := openFile(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil || n == 0 || n == math.MaxUint32 {
		return 0, fmt.Errorf("%s is damaged: it should hold a number", path)
	}
	return uint32(n), nil
}

// openFile opens a file, but nothing that one could wait for, such as a pipe.
func openFile(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("open %s: this is no file", path)
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}
