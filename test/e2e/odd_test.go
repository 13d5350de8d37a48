package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// odd are messages that are easily damaged, in wire form.
var odd = map[string]string{
	"8-bit bytes":      "Message-ID: <a@x>\r\nSubject: \xe4\xff\x80\r\n\r\n\x01\x7f\x80\xfe\xff\r\n",
	"a line of 1 MB":   "Message-ID: <b@x>\r\n\r\n" + strings.Repeat("x", 1<<20) + "\r\nend\r\n",
	"no Message-ID":    "Subject: none\r\n\r\nhello\r\n",
	"no header":        "\r\njust a body\r\n",
	"no final newline": "Message-ID: <c@x>\r\n\r\nno newline at the end",
	"empty body":       "Message-ID: <d@x>\r\nSubject: empty\r\n\r\n",
	"header only":      "Message-ID: <e@x>\r\nSubject: header only\r\n",
	"dots and From":    "Message-ID: <f@x>\r\n\r\n.\r\n..\r\nFrom me\r\n>From you\r\n",
	"folded id":        "Message-ID:\r\n <g@x>\r\n\r\nfolded\r\n",
	"long header":      "X-Long: " + strings.Repeat("y", 200_000) + "\r\nMessage-ID: <h@x>\r\n\r\nbody\r\n",
	"trailing spaces":  "Message-ID: <i@x>\r\n\r\n  \t \r\n\r\n\r\n",
}

func TestOddMessages(t *testing.T) {
	t.Parallel()
	needServer(t)
	for _, direction := range []string{"down", "up"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.dial()
			n := 0
			for _, body := range odd {
				n++
				if direction == "down" {
					upload(t, c, "INBOX", body, day)
				} else {
					w.deliver("INBOX", fmt.Sprintf("1700000%03d.M1P1.host:2,S", n), lf(body), day)
				}
			}
			w.run("sync", "a")
			w.equal(len(odd))
			w.still()
			w.run("verify", "--full", "a")
			must(t, os.RemoveAll(filepath.Join(w.home, "state")))
			w.run("sync", "a")
			w.equal(len(odd))
		})
	}
}

// TestBareLineEnds: what a server gives with bare LF or CR arrives, stays stable, and both sides count as equal.
func TestBareLineEnds(t *testing.T) {
	t.Parallel()
	needServer(t)
	w := newWorld(t)
	c := w.dial()
	for i, body := range []string{"Message-ID: <1@x>\n\nbare lf\n", "Message-ID: <2@x>\r\n\r\na lone \r CR\r\n", "Message-ID: <3@x>\r\n\r\nmixed\nends\r\n\r\r\n", "Message-ID: <4@x>\r\n\r\ncr at the end\r"} {
		upload(t, c, "INBOX", body, day.Add(time.Duration(i)*time.Minute))
	}
	w.run("sync", "a")
	if l := w.local(); len(l) != 4 {
		t.Fatal(l)
	}
	w.still()
	w.run("verify", "--full", "a")
	must(t, os.RemoveAll(filepath.Join(w.home, "state")))
	if s := w.summary("a"); s.Copied_to_local+s.Copied_to_remote != 0 || s.Adopted != 4 {
		t.Fatalf("%+v", s)
	}
}

// peakLimit is what the program may use whatever the size of a message.
const peakLimit = 64 << 20

// TestLargeMessage sends 100 MB both ways.
func TestLargeMessage(t *testing.T) {
	t.Parallel()
	needServer(t)
	const size = 100 << 20
	line := strings.Repeat("0123456789abcdef", 4) + "\r\n"
	head := "Message-ID: <large%s@x>\r\nSubject: large\r\n\r\n"
	w := newWorld(t)
	c := w.dial()
	body := func(name string) io.Reader {
		h := fmt.Sprintf(head, name)
		return io.MultiReader(strings.NewReader(h), io.LimitReader(&repeat{text: line}, int64(size/len(line)*len(line))))
	}
	h := int64(len(fmt.Sprintf(head, "down")))
	cmd := c.Append("INBOX", h+int64(size/len(line)*len(line)), &imap.AppendOptions{Time: day})
	_, err := io.Copy(cmd, body("down"))
	must(t, err)
	must(t, cmd.Close())
	_, err = cmd.Wait()
	must(t, err)
	r := w.run("sync", "a")
	t.Logf("down: %d MB resident at most, %v", r.peak>>20, r.took)
	if r.peak > peakLimit {
		t.Errorf("down: %d MB resident", r.peak>>20)
	}
	path := w.deliver("INBOX", "1700000000.M1P1.host:2,S", "", day)
	f, err := os.Create(path)
	must(t, err)
	_, err = io.Copy(&unCR{f}, body("up"))
	must(t, err)
	must(t, f.Close())
	must(t, os.Chtimes(path, day, day))
	r = w.run("sync", "a")
	t.Logf("up: %d MB resident at most, %v", r.peak>>20, r.took)
	if r.peak > peakLimit {
		t.Errorf("up: %d MB resident", r.peak>>20)
	}
	w.equal(2)
	w.still()
}

// repeat yields a text without end.
type repeat struct {
	text string
	at   int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], r.text[r.at:])
		n += k
		r.at = (r.at + k) % len(r.text)
	}
	return n, nil
}

// unCR drops the CRs of CRLF text.
type unCR struct{ to io.Writer }

func (u *unCR) Write(p []byte) (int, error) {
	_, err := io.WriteString(u.to, strings.ReplaceAll(string(p), "\r", ""))
	return len(p), err
}
