package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// frail is a way to the server on which no connection lasts: each is cut after so many bytes in a direction.
type frail struct {
	listener net.Listener
	down, up int64 // bytes; 0: no end

	mu     sync.Mutex
	cuts   int
	passed [2]int64 // down, up
}

func startFrail(t *testing.T, down, up int64) *frail {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &frail{listener: l, down: down, up: up}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return f
}

func (f *frail) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", dovecot.Addr)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var wg sync.WaitGroup
	relay := func(to, from net.Conn, most int64, passed *int64) {
		var src io.Reader = from
		if most > 0 {
			src = io.LimitReader(from, most)
		}
		n, _ := io.Copy(to, src)
		_ = client.Close()
		_ = server.Close()
		f.mu.Lock()
		defer f.mu.Unlock()
		*passed += n
		if most > 0 && n == most {
			f.cuts++
		}
	}
	wg.Go(func() { relay(client, server, f.down, &f.passed[0]) })
	relay(server, client, f.up, &f.passed[1])
	wg.Wait()
}

func (w *world) through(f *frail, more string) {
	w.configure(fmt.Sprintf("[account.a]\nremote = \"imap://%s@127.0.0.1:%d\"\ntls = \"none\"\npassword_command = \"echo pass\"\nlocal = \"maildir:%s\"\n%s\n",
		w.user, port(f.listener.Addr().String()), w.mail, more))
}

// letterOf is a message of some 3 kB.
func letterOf(i int) string {
	all := text(i)
	for k := range 160 {
		all += fmt.Sprintf("%x\r\n", sum([]byte(fmt.Sprint(i, k))))
	}
	return all
}

// TestResume: one sync goes on where it was cut off, as often as that happens, does nothing twice, and ends as if nothing had been.
func TestResume(t *testing.T) {
	t.Parallel()
	needServer(t)
	const n = 300
	for name, c := range map[string]struct{ down, up int64 }{
		"pull": {down: 150_000}, "push": {up: 250_000}, "pull compressed": {down: 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := startFrail(t, c.down, c.up)
			more := ""
			if strings.HasSuffix(name, "compressed") {
				more = "compress = \"on\""
			}
			w.through(f, more)
			total := int64(0)
			cl := w.dial()
			for i := range n {
				total += int64(len(letterOf(i)))
				if c.down > 0 {
					upload(t, cl, "INBOX", letterOf(i), day)
				} else {
					w.deliver("INBOX", fmt.Sprintf("1700000%03d.M1P1.host:2,S", i), lf(letterOf(i)), day)
				}
			}
			begun := time.Now()
			s := w.summary("a")
			f.mu.Lock()
			t.Logf("%d cuts, %d bytes down, %d up, of %d, in %v", f.cuts, f.passed[0], f.passed[1], total, time.Since(begun))
			if f.cuts < 3 {
				t.Errorf("cut %d times only", f.cuts)
			}
			if f.passed[0]+f.passed[1] > 3*total { // what the server had not read yet when the connection broke is sent again
				t.Error("much was done twice")
			}
			f.mu.Unlock()
			if s.Copied_to_local+s.Copied_to_remote != n {
				t.Errorf("%+v", s)
			}
			w.equal(n)
			w.still()
		})
	}
}

// TestResumeInVain: a server that does not come back is given up, with one error.
func TestResumeInVain(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	upload(t, w.dial(), "INBOX", text(1)+strings.Repeat("a line of some length\r\n", 20_000), day)
	f := startFrail(t, 100_000, 0)
	w.through(f, "retries = 2")
	r := w.try("sync", "a")
	if r.code != 10 || strings.Count(r.err, "mailtwin: ") != 1 || !strings.Contains(r.err, "\nhint: ") || f.cuts < 3 || strings.Count(r.out+r.err, "going on in") != 2 {
		t.Errorf("%v after %d cuts", r, f.cuts)
	}
}
