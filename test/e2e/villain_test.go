package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtwin/internal/imap/imaptest"
)

// villain is a small IMAP server that keeps to the rules until it is given an evil turn. It has a few mailboxes with a few
// messages; all that a client can change is that it can upload more.
type villain struct {
	t        testing.TB
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	boxes map[string][]string // messages by mailbox; the UID is the index and one
	turn  turn
	open  map[net.Conn]bool
	turns int
	seen  []string // every line that a client sent
	traps []string // see trap
}

// turn is what a villain does otherwise than a server should.
type turn struct {
	greet func(*visit) bool                        // instead of the greeting; false: end the connection
	on    func(v *visit, tag, command string) bool // before a command is answered; true: nothing more is to be said
	line  func(v *visit, line string) bool         // before the literals of a command are read; true: nothing more is to be said
	caps  string                                   // more capabilities
}

// visit is one connection to a villain.
type visit struct {
	*villain
	conn net.Conn
	r    *bufio.Reader
	turn turn
	box  string

	modseq int
}

func newVillain(t testing.TB, boxes map[string][]string) *villain {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	v := &villain{t: t, listener: l, boxes: boxes, open: map[net.Conn]bool{}}
	v.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			v.mu.Lock()
			v.open[conn] = true
			s := &visit{villain: v, conn: conn, r: bufio.NewReaderSize(conn, 1<<20), turn: v.turn, modseq: v.turns}
			v.mu.Unlock()
			v.wg.Go(s.serve)
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		v.takeTurn(turn{})
		v.wg.Wait()
	})
	return v
}

func (v *villain) port() int { return port(v.listener.Addr().String()) }

// takeTurn changes what the server does on connections from now on, and ends those that there are.
func (v *villain) takeTurn(t turn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.turn, v.seen = t, nil
	v.turns++
	for c := range v.open {
		_ = c.Close()
	}
	v.open = map[net.Conn]bool{}
}

// commands returns what clients sent in this turn.
func (v *villain) commands() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.seen)
}

// say sends lines; what it cannot send shows at the next read.
func (s *visit) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.conn, format+"\r\n", args...)
}

// flood sends a text again and again until the client has gone.
func (s *visit) flood(text string) bool {
	chunk := []byte(strings.Repeat(text, 1+(64<<10)/len(text)))
	for {
		if _, err := s.conn.Write(chunk); err != nil {
			return true
		}
	}
}

// drip sends an octet at a time, forever.
func (s *visit) drip(text string) bool {
	for {
		for i := range len(text) {
			if _, err := s.conn.Write([]byte{text[i]}); err != nil {
				return true
			}
			time.Sleep(500 * time.Millisecond)
		}
	}
}

// hang says nothing any more until the client has gone.
func (s *visit) hang() bool {
	_, _ = io.Copy(io.Discard, s.r)
	return true
}

func (s *visit) startTLS() bool {
	conn := tls.Server(s.conn, &tls.Config{Certificates: []tls.Certificate{imaptest.Certificate().Cert}, MinVersion: tls.VersionTLS12})
	if conn.Handshake() != nil {
		return false
	}
	s.conn, s.r = conn, bufio.NewReaderSize(conn, 1<<20)
	return true
}

func (s *visit) serve() {
	defer func() { _ = s.conn.Close() }()
	if s.turn.greet != nil {
		if !s.turn.greet(s) {
			return
		}
	} else {
		s.say("* OK ready")
	}
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		if s.turn.line != nil && s.turn.line(s, line) {
			s.note(line)
			continue
		}
		if line, err = s.literals(line); err != nil {
			return
		}
		tag, command, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		s.note(line)
		if s.turn.on != nil && s.turn.on(s, tag, command) {
			continue
		}
		if !s.obey(tag, command) {
			return
		}
	}
}

func (v *villain) note(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen = append(v.seen, line)
}

// messages returns what is in a mailbox.
func (v *villain) messages(name string) (all []string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if name == trap {
		return slices.Clone(v.traps), true
	}
	all, ok = v.boxes[name]
	return slices.Clone(all), ok
}

// add puts a message into a mailbox and returns its UID.
func (v *villain) add(name, text string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.boxes[name] = append(v.boxes[name], text)
	return len(v.boxes[name])
}

var octets = regexp.MustCompile(`\{(\d+)\}$`)

// literals reads the literals of a command and puts them in as quoted strings.
func (s *visit) literals(line string) (string, error) {
	for {
		m := octets.FindStringSubmatch(line)
		if m == nil {
			return line, nil
		}
		s.say("+ go on")
		n, _ := strconv.Atoi(m[1])
		text := make([]byte, n)
		if _, err := io.ReadFull(s.r, text); err != nil {
			return "", err
		}
		rest, err := s.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimSuffix(line, m[0]) + `"` + string(text) + `"` + strings.TrimRight(rest, "\r\n")
	}
}

var quoted = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

// obey answers a command as a server should.
func (s *visit) obey(tag, command string) bool {
	word, rest, _ := strings.Cut(command, " ")
	name := ""
	if m := quoted.FindStringSubmatch(rest); m != nil {
		name = m[1]
	}
	switch word = strings.ToUpper(word); word {
	case "CAPABILITY":
		s.say("* CAPABILITY IMAP4rev1 %s", s.turn.caps)
	case "ENABLE":
		s.say("* ENABLED %s", rest)
	case "LIST":
		s.list(strings.HasPrefix(rest, `"" ""`))
	case "STATUS":
		all, ok := s.messages(name)
		if !ok {
			s.say("%s NO [NONEXISTENT] no such mailbox", tag)
			return true
		}
		s.say(`* STATUS "%s" (MESSAGES %d UIDNEXT %d UIDVALIDITY 7%s)`, name, len(all), len(all)+1, s.modSeq(" HIGHESTMODSEQ %d"))
	case "SELECT", "EXAMINE":
		if _, ok := s.messages(name); !ok {
			s.say("%s NO [NONEXISTENT] no such mailbox", tag)
			return true
		}
		s.opened(name)
		s.say("%s OK [READ-WRITE] open", tag)
		return true
	case "APPEND":
		_, text, _ := strings.Cut(rest, `"From: `)
		s.say("%s OK [APPENDUID 7 %d] done", tag, s.add(name, "From: "+strings.TrimSuffix(text, `"`)))
		return true
	case "UID":
		s.uid(rest)
	case "LOGIN", "AUTHENTICATE", "NOOP", "CREATE", "SUBSCRIBE", "UNSUBSCRIBE", "UNSELECT", "CLOSE", "ID":
	case "LOGOUT":
		s.say("* BYE good night\r\n%s OK done", tag)
		return false
	default:
		s.say("%s BAD what?", tag)
		return true
	}
	s.say("%s OK done", tag)
	return true
}

func (s *visit) list(root bool) {
	if root {
		s.say(`* LIST (\Noselect) "/" ""`)
		return
	}
	s.mu.Lock()
	names := slices.Sorted(maps.Keys(s.boxes))
	s.mu.Unlock()
	for _, name := range names {
		s.say(`* LIST () "/" "%s"`, name)
	}
}

// opened says what there is to say of a mailbox that is opened.
func (s *visit) opened(name string) {
	s.box = name
	all, _ := s.messages(name)
	n := len(all)
	s.say("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* %d EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT %d] n%s", n, n+1,
		s.modSeq("\r\n* OK [HIGHESTMODSEQ %d] m"))
}

// modSeq formats the mailboxes' HIGHESTMODSEQ, if the server has one: it is another in each turn, as if flags had changed.
func (s *visit) modSeq(format string) string {
	if !strings.Contains(s.turn.caps, "CONDSTORE") {
		return ""
	}
	return fmt.Sprintf(format, s.modseq)
}

// uid does UID FETCH and UID SEARCH.
func (s *visit) uid(rest string) {
	word, args, _ := strings.Cut(rest, " ")
	set, items, _ := strings.Cut(args, " ")
	all, _ := s.messages(s.box)
	switch strings.ToUpper(word) {
	case "SEARCH":
		var text strings.Builder
		for i := range all {
			fmt.Fprintf(&text, " %d", i+1)
		}
		s.say("* SEARCH%s", text.String())
	case "FETCH":
		for i, body := range all {
			if inSet(set, i+1) {
				s.say("%s", answer(i+1, i+1, body, items))
			}
		}
	}
}

// answer is a FETCH response.
func answer(seq, uid int, body, items string) string {
	text := fmt.Sprintf(`* %d FETCH (UID %d FLAGS (\Seen) RFC822.SIZE %d INTERNALDATE "01-Mar-2024 12:00:00 +0000"`, seq, uid, len(body))
	switch {
	case strings.Contains(items, "HEADER.FIELDS"):
		field := regexp.MustCompile(`(?m)^Message-ID:.*$`).FindString(body)
		field = strings.TrimRight(field, "\r") + "\r\n\r\n"
		section := items[strings.Index(items, "HEADER.FIELDS"):]
		section = section[:strings.Index(section, "]")]
		text += fmt.Sprintf(" BODY[%s] {%d}\r\n%s", section, len(field), field)
	case strings.Contains(items, "BODY.PEEK[]"):
		text += fmt.Sprintf(" BODY[] {%d}\r\n%s", len(body), body)
	}
	return text + ")"
}

func inSet(set string, n int) bool {
	for part := range strings.SplitSeq(set, ",") {
		lo, hi, ok := strings.Cut(part, ":")
		a, _ := strconv.Atoi(lo)
		b := a
		if ok {
			b, _ = strconv.Atoi(hi)
		}
		if n >= min(a, b) && n <= max(a, b) {
			return true
		}
	}
	return false
}

// many sends lines with a number that counts up, until there are enough or the client has gone.
func (s *visit) many(n int, format string) bool {
	w := bufio.NewWriterSize(s.conn, 64<<10)
	for i := range n {
		if _, err := fmt.Fprintf(w, format+"\r\n", i+1); err != nil {
			return true
		}
	}
	_ = w.Flush()
	return true
}
