package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// spoiler stands before the server and refuses to hand out the body of one UID, in whatever set it is asked for.
func spoiler(t *testing.T, uid int) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { spoil(c, uid) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return port(l.Addr().String())
}

var bodyFetch = regexp.MustCompile(`^(\w+) UID FETCH ([0-9:,]+) .*BODY\.PEEK\[\]`)

func spoil(client net.Conn, uid int) {
	server, err := net.Dial("tcp", dovecot.Addr)
	if err != nil {
		return
	}
	var mu sync.Mutex // of what goes to the client: refusals come between whole answers, since the program waits for those first
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			mu.Lock()
			_, _ = client.Write(buf[:n])
			mu.Unlock()
			if err != nil {
				_ = client.Close()
				return
			}
		}
	}()
	from := bufio.NewReader(client)
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			break
		}
		if m := bodyFetch.FindStringSubmatch(line); m != nil && holds(m[2], uid) {
			mu.Lock()
			_, _ = io.WriteString(client, m[1]+" NO [UNAVAILABLE] UID FETCH Server error while fetching messages\r\n")
			mu.Unlock()
			continue
		}
		_, _ = io.WriteString(server, line)
	}
	_ = server.Close()
	<-done
	_ = client.Close()
}

// holds reports whether a set of numbers holds one.
func holds(set string, n int) bool {
	for part := range strings.SplitSeq(set, ",") {
		lo, hi, ok := strings.Cut(part, ":")
		if !ok {
			hi = lo
		}
		a, _ := strconv.Atoi(lo)
		b, _ := strconv.Atoi(hi)
		if a <= n && n <= b {
			return true
		}
	}
	return false
}

// TestUnreadableMessage: a message that the server never hands out does not keep the others away; it is told, and shown by status.
func TestUnreadableMessage(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	const n, bad = 40, 17
	for i := range n {
		upload(t, c, "INBOX", text(i), day)
	}
	w.configure(fmt.Sprintf("[account.a]\nremote = \"imap://%s@127.0.0.1:%d\"\ntls = \"none\"\npassword_command = \"echo pass\"\nlocal = \"maildir:%s\"\n", w.user, spoiler(t, bad), w.mail))
	for i := range 2 {
		r := w.try("sync", "a")
		if r.code != 3 || i == 0 && (!strings.Contains(r.err+r.out, fmt.Sprintf("UID %d", bad)) || !strings.Contains(r.err+r.out, "hint: ")) {
			t.Fatalf("sync %d: %v", i, r)
		}
		if got := len(w.local()); got != n-1 {
			t.Fatalf("%d messages came", got)
		}
		if r := w.try("status", "a"); !strings.Contains(r.out, "refused") {
			t.Fatalf("status does not tell: %v", r)
		}
	}
	// The server is itself again, a day later.
	w.configure(fmt.Sprintf("[account.a]\nremote = \"imap://%s@127.0.0.1:%d\"\ntls = \"none\"\npassword_command = \"echo pass\"\nlocal = \"maildir:%s\"\n", w.user, dovecot.plain, w.mail))
	must(t, os.RemoveAll(filepath.Join(w.home, "state"))) // instead of waiting that long
	w.run("sync", "a")
	w.equal(n)
}
