// Package imaptest has servers for tests of IMAP clients: one that plays a script, and a private Dovecot.
package imaptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Script is a server that plays a transcript to one connection. Each line of the transcript is a step:
//
//	S: text     sends the line
//	S- "text"   sends a Go string as it is
//	S? "text"   the same, or the client has closed and that ends the transcript
//	C: text     the client must send this line
//	C~ regexp   the client must send a line that matches wholly
//	L: n        the client must send n octets, the rest of a literal
//	TLS         TLS begins
//	TLS?        TLS begins, or the client refuses and that ends the transcript
//	CLOSE       closes the connection
//
// After the last step the server takes what the client still sends until it closes. Empty lines are left out.
type Script struct {
	t     testing.TB
	steps []string
	used  atomic.Bool
	done  chan struct{}
}

// NewScript returns a server for the transcript. The test fails when the client strays from it, or when it does not get to
// its end.
func NewScript(t testing.TB, transcript string) *Script {
	t.Helper()
	s := &Script{t: t, done: make(chan struct{})}
	for step := range strings.SplitSeq(transcript, "\n") {
		if step = strings.TrimLeft(step, " \t"); step != "" {
			s.steps = append(s.steps, step)
		}
	}
	t.Cleanup(func() {
		if !s.used.Load() {
			return
		}
		select {
		case <-s.done:
		case <-time.After(10 * time.Second):
			t.Error("script: the client left the connection open")
		}
	})
	return s
}

// Dial is a Dial function for one connection to the server.
func (s *Script) Dial(context.Context, string, string) (net.Conn, error) {
	if s.used.Swap(true) {
		return nil, fmt.Errorf("script: a second connection")
	}
	client, server := net.Pipe()
	go s.play(server)
	return client, nil
}

func (s *Script) play(conn net.Conn) {
	defer close(s.done)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // a pipe can
	p := &player{conn: conn, r: bufio.NewReader(conn)}
	for i, step := range s.steps {
		ended, err := p.step(step)
		if err != nil {
			s.t.Errorf("script, step %d, %.200s: %v", i+1, step, err)
			return
		}
		if ended {
			return
		}
	}
	_, _ = io.Copy(io.Discard, p.r) // until the client closes
}

type player struct {
	conn net.Conn
	r    *bufio.Reader
}

func (p *player) step(step string) (ended bool, err error) {
	kind, arg, _ := strings.Cut(step, " ")
	switch kind {
	case "S:":
		_, err = io.WriteString(p.conn, arg+"\r\n")
	case "S-", "S?":
		var text string
		if text, err = strconv.Unquote(arg); err == nil {
			_, err = io.WriteString(p.conn, text)
			if kind == "S?" && err != nil {
				return true, nil
			}
		}
	case "C:":
		return false, p.expect(regexp.QuoteMeta(arg))
	case "C~":
		return false, p.expect(arg)
	case "L:":
		var n int64
		if n, err = strconv.ParseInt(arg, 10, 64); err == nil {
			_, err = io.CopyN(io.Discard, p.r, n)
		}
	case "TLS", "TLS?":
		conn := tls.Server(p.conn, &tls.Config{Certificates: []tls.Certificate{Certificate().Cert}})
		if err = conn.Handshake(); err == nil {
			p.conn, p.r = conn, bufio.NewReader(conn)
		} else if kind == "TLS?" {
			return true, nil
		}
	case "CLOSE":
		return true, nil
	default:
		err = fmt.Errorf("not a step")
	}
	return false, err
}

func (p *player) expect(pattern string) error {
	line, err := p.r.ReadString('\n')
	if err != nil {
		return fmt.Errorf("got %q: %w", line, err)
	}
	line = strings.TrimSuffix(line, "\r\n")
	if !regexp.MustCompile("^(?:" + pattern + ")$").MatchString(line) {
		return fmt.Errorf("got %.300q", line)
	}
	return nil
}
