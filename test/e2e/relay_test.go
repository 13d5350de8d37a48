package e2e

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fault is how a relay cuts the connections.
type fault struct {
	name    string
	forward bool          // the command reaches the server
	delay   time.Duration // after the client was cut; else before, and the server's answer is waited for
	only    string        // not empty: only commands with this in their first line count
}

// relay stands between the program and the server, and cuts all connections at a chosen command. Then it lets nobody in until it
// is healed.
type relay struct {
	t        testing.TB
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex
	fault    fault
	left     int // commands up to the cut; 0: none
	commands []string
	bodies   int // whole messages that the server sent since arm
	cut      bool
	open     map[net.Conn]bool // from the program
	late     sync.WaitGroup    // commands that the server has not executed yet
}

func startRelay(t testing.TB) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{t: t, listener: l, open: map[net.Conn]bool{}}
	r.wg.Go(r.accept)
	t.Cleanup(func() {
		_ = l.Close()
		r.hangUp()
		r.wg.Wait()
	})
	return r
}

func (r *relay) port() int { return port(r.listener.Addr().String()) }

// arm chooses the command, counted from now on, at which to cut.
func (r *relay) arm(f fault, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault, r.left, r.commands, r.bodies = f, n, nil, 0
}

// sent returns how many whole messages the server has sent since arm.
func (r *relay) sent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bodies
}

// heal lets everybody in again, and returns what was sent since arm.
func (r *relay) heal() (commands []string, cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	commands, cut = r.commands, r.cut
	r.left, r.cut, r.commands = 0, false, nil
	return commands, cut
}

func (r *relay) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		refuse := r.cut
		if !refuse {
			r.open[c] = true
		}
		r.mu.Unlock()
		if refuse {
			_ = c.Close()
			continue
		}
		r.wg.Go(func() { r.serve(c) })
	}
}

// hangUp cuts the program off.
func (r *relay) hangUp() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		_ = c.Close()
	}
	r.open = map[net.Conn]bool{}
}

// serve passes one connection on, until it ends or is cut.
func (r *relay) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", dovecot.Addr)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer func() { _ = server.Close() }()
	var answers sync.WaitGroup
	tags := make(chan string, 1)
	done := make(chan struct{})
	answers.Go(func() { r.pass(client, server, tags, done) })
	from := bufio.NewReader(client)
	for {
		command, err := readCommand(from)
		if err != nil {
			break
		}
		f, now := r.count(command)
		if !now {
			if _, err := server.Write(command); err != nil {
				break
			}
			continue
		}
		r.doCut(f, command, server, tags, done)
		break
	}
	_ = server.Close()
	answers.Wait()
}

// doCut cuts all connections at a command.
func (r *relay) doCut(f fault, command []byte, server net.Conn, tags chan string, done chan struct{}) {
	defer r.late.Done()
	tag, _, _ := bytes.Cut(command, []byte(" "))
	if f.delay > 0 || !f.forward {
		r.hangUp()
		time.Sleep(f.delay)
	}
	if !f.forward {
		return
	}
	tags <- string(tag)
	if _, err := server.Write(command); err != nil {
		r.t.Errorf("forward %.40q: %v", command, err)
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		r.t.Errorf("the server does not answer %.40q", command)
	}
	if f.delay == 0 {
		r.hangUp()
	}
}

// count counts a command and says whether it is the one at which to cut. The commands of a relay that is cut go nowhere.
func (r *relay) count(command []byte) (f fault, now bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line, _, _ := bytes.Cut(command, []byte("\r\n"))
	r.commands = append(r.commands, string(line))
	if r.left == 0 || !bytes.Contains(line, []byte(r.fault.only)) {
		return f, false
	}
	if r.left--; r.left > 0 {
		return f, false
	}
	r.cut = true
	r.late.Add(1)
	return r.fault, true
}

var literal = regexp.MustCompile(`\{(\d+)\+\}\r\n$`)

// readCommand reads a command with its literals, which must be non-synchronising.
func readCommand(from *bufio.Reader) (all []byte, err error) {
	for {
		line, err := from.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		all = append(all, line...)
		m := literal.FindSubmatch(line)
		if m == nil {
			return all, nil
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			return nil, err
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(from, body); err != nil {
			return nil, err
		}
		all = append(all, body...)
	}
}

// pass passes the server's answers on. Once it is told a tag, it keeps them to itself, and closes done when the server has answered the
// command with that tag, or hung up.
func (r *relay) pass(client, server net.Conn, tags <-chan string, done chan<- struct{}) {
	from := bufio.NewReader(server)
	tag := ""
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			_ = client.Close()
			if tag != "-" {
				close(done)
			}
			return
		}
		if tag == "" {
			select {
			case tag = <-tags:
			default:
				if strings.Contains(line, "BODY[]") {
					r.mu.Lock()
					r.bodies++
					r.mu.Unlock()
				}
				_, _ = client.Write([]byte(line)) // it may be gone
				continue
			}
		}
		if len(line) > len(tag) && line[:len(tag)+1] == tag+" " {
			close(done)
			tag = "-"
		}
	}
}
