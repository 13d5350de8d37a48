package imap_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/imap/wire"
)

func squeezed(t *testing.T, sec imap.Security, trace func(byte, []byte)) *imap.Client {
	t.Helper()
	d, user := imaptest.Shared(t)
	addr := d.Addr
	if sec == imap.TLS {
		addr = d.TLSAddr
	}
	c := dialTest(t, imap.Config{Address: addr, Security: sec, Trace: trace})
	if err := c.Authenticate(ctxOf(t), imap.Credentials{User: user, Password: password}); err != nil {
		t.Fatal(err)
	}
	if !c.Has("COMPRESS=DEFLATE") {
		t.Fatal("no COMPRESS: ", c.Caps())
	}
	return c
}

// listening returns a client that is logged in, of a server that does what fn does.
func listening(t *testing.T, fn func(conn net.Conn)) *imap.Client {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = server.Close() }()
		_, _ = io.WriteString(server, "* PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi\r\n")
		fn(server)
	}()
	t.Cleanup(func() { <-done })
	return dialTest(t, imap.Config{Address: "localhost:143", Security: imap.Plain, Timeout: 5 * time.Second, Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }})
}

// TestCompressDovecot: behind what is still under way, with and without TLS; the trace is in plain text, and the counts are those of
// the wire.
func TestCompressDovecot(t *testing.T) {
	t.Parallel()
	for _, sec := range []imap.Security{imap.Plain, imap.StartTLS, imap.TLS} {
		t.Run(fmt.Sprint(sec), func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var trace bytes.Buffer
			c := squeezed(t, sec, func(dir byte, line []byte) {
				mu.Lock()
				defer mu.Unlock()
				_, _ = fmt.Fprintf(&trace, "%c %s\n", dir, line)
			})
			enable, list := c.Enable("QRESYNC"), c.List("", "*", imap.ListOptions{}, func(imap.ListItem) {})
			on := c.Compress()
			noop := make(chan error)
			go func() { // must wait for the answer
				_, err := c.Noop().Wait(ctxOf(t))
				noop <- err
			}()
			wait(t, on)
			wait(t, enable)
			wait(t, list)
			if err := <-noop; err != nil || !c.Compressed() {
				t.Fatal(err)
			}
			if _, err := c.Compress().Wait(ctxOf(t)); err == nil {
				t.Error("it was turned on twice")
			}
			before := c.Stats()
			big := "Subject: big\r\n\r\n" + strings.Repeat("all work and no play makes jack a dull boy\r\n", 40_000)
			bodies := []string{message(1), big, message(2)}
			upload(t, c, "INBOX", bodies...)
			wait(t, c.Select("INBOX", imap.SelectOptions{}))
			got, read := fetchAll(t, c, imap.NumRange(1, 3), bodyItems(), imap.FetchOptions{})
			if len(got) != 3 || read[0] != bodies[0] || read[1] != bodies[1] || read[2] != bodies[2] {
				t.Error("the messages are not those that were sent")
			}
			after := c.Stats()
			if in, out := after.BytesIn-before.BytesIn, after.BytesOut-before.BytesOut; in > 60_000 || out > 60_000 || in < 1000 || out < 1000 {
				t.Errorf("%d octets in, %d out, for %d", in, out, len(big))
			}
			wait(t, c.Logout())
			mu.Lock()
			defer mu.Unlock()
			for _, line := range []string{"COMPRESS DEFLATE\n", "SELECT \"INBOX\"\n", "S * BYE", "S * 3 EXISTS"} {
				if !strings.Contains(trace.String(), line) {
					t.Errorf("the trace lacks %q", line)
				}
			}
		})
	}
}

// TestCompressRefused: it goes on without.
func TestCompressRefused(t *testing.T) {
	t.Parallel()
	c := scripted(t, "COMPRESS=DEFLATE", `
		C: t1 COMPRESS DEFLATE
		S: t1 NO [COMPRESSIONACTIVE] no
		C: t2 COMPRESS DEFLATE
		S: t2 BAD what
		C: t3 NOOP
		S: t3 OK`)
	for range 2 {
		var e *imap.Error
		if _, err := c.Compress().Wait(ctxOf(t)); !errors.As(err, &e) || c.Compressed() {
			t.Error(err)
		}
	}
	wait(t, c.Noop())
}

// TestCompressBehindItsAnswer: what comes in one piece with the answer belongs to the stream, also octet by octet, with empty blocks
// between, and from a server that flushes as zlib's partial flush does.
func TestCompressBehindItsAnswer(t *testing.T) {
	t.Parallel()
	octets, err := hex.DecodeString("d252f0f756284a4d4ca9e4e50208" + "a0122310c7cfdf3f4021393fb72027b5243585970b20")
	if err != nil {
		t.Fatal(err)
	}
	first := slices.Concat([]byte("t1 OK now\r\n"), []byte{0, 0, 0, 0xff, 0xff, 0, 0, 0, 0xff, 0xff}, octets[:14])
	for _, piece := range []int{1, 3, 1000} {
		c := listening(t, func(conn net.Conn) {
			buf := make([]byte, 4096)
			for _, say := range [][]byte{first, octets[14:]} {
				_, _ = conn.Read(buf) // a command
				for part := range slices.Chunk(say, piece) {
					_, _ = conn.Write(part)
				}
			}
			_, _ = conn.Read(buf)
		})
		wait(t, c.Compress())
		wait(t, c.Noop())
	}
}

// TestCompressNothingBehind: not an octet follows the command before its answer, whoever else has something to say.
func TestCompressNothingBehind(t *testing.T) {
	t.Parallel()
	c := listening(t, func(conn net.Conn) {
		buf := make([]byte, 4096)
		n, _ := conn.Read(buf)
		if s := string(buf[:n]); s != "t1 COMPRESS DEFLATE\r\n" {
			t.Errorf("%q", s)
		}
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := conn.Read(buf); err == nil {
			t.Errorf("%q came before the answer", buf[:n])
		}
		_ = conn.SetReadDeadline(time.Time{})
		_, _ = io.WriteString(conn, "t1 OK\r\n")
		plain := make([]byte, len("t2 NOOP\r\n"))
		if _, err := io.ReadFull(flate.NewReader(conn), plain); err != nil || string(plain) != "t2 NOOP\r\n" {
			t.Errorf("%q, %v", plain, err)
		}
	})
	on := c.Compress()
	go func() { _, _ = c.Noop().Wait(t.Context()) }() // the server hangs up
	wait(t, on)
	<-c.Done()
}

// bomb serves a compressed stream that what writes.
func bomb(t *testing.T, cfg imap.Config, write func(w *flate.Writer, raw net.Conn)) *imap.Client {
	c := serve(t, cfg, "* PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi\r\n", func(conn net.Conn) {
		_, _ = io.WriteString(conn, "t1 OK\r\n")
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		w, _ := flate.NewWriter(conn, 9)
		write(w, conn)
	})
	wait(t, c.Compress())
	return c
}

// TestCompressBombs: a small stream that unpacks to much meets the limits that a large one meets, and one that unpacks to nothing has
// its own.
func TestCompressBombs(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]struct {
		write func(w *flate.Writer, raw net.Conn) error
		what  string
	}{
		"one line": {func(w *flate.Writer, _ net.Conn) error {
			_, _ = io.WriteString(w, "* OK ")
			return repeat(w, strings.Repeat("a", 1<<16))
		}, "line"},
		"responses": {func(w *flate.Writer, _ net.Conn) error { return repeat(w, strings.Repeat("* OK still here\r\n", 1000)) }, "number of responses"},
		"a literal": {func(w *flate.Writer, _ net.Conn) error {
			_, err := io.WriteString(w, "* 1 FETCH (BODY[] {99999999999}\r\n")
			return errors.Join(err, w.Flush())
		}, "literal"},
		"empty blocks": {func(_ *flate.Writer, raw net.Conn) error {
			for {
				if _, err := raw.Write(bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 1000)); err != nil {
					return err
				}
			}
		}, "without content"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := bomb(t, imap.Config{Limits: imap.Limits{Responses: 100_000}}, func(w *flate.Writer, raw net.Conn) { _ = b.write(w, raw) })
			_, err := c.Noop().Wait(ctxOf(t))
			var le *wire.LimitError
			if !errors.As(err, &le) || !strings.Contains(err.Error(), b.what) {
				t.Error(err)
			}
		})
	}
}

func repeat(w *flate.Writer, text string) error {
	for {
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
}

// TestCompressTrickle: a server that sends empty blocks, octet by octet, does not hold the client for ever.
func TestCompressTrickle(t *testing.T) {
	t.Parallel()
	c := bomb(t, imap.Config{Timeout: 100 * time.Millisecond}, func(_ *flate.Writer, raw net.Conn) {
		for {
			for _, b := range []byte{0, 0, 0, 0xff, 0xff} {
				if _, err := raw.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}
	})
	if _, err := c.Noop().Wait(ctxOf(t)); !errors.Is(err, imap.ErrSlow) {
		t.Error(err)
	}
}

// TestCompressSilence: a server that says nothing is waited for as long as without, and what came long ago is not held against it.
func TestCompressSilence(t *testing.T) {
	t.Parallel()
	c := bomb(t, imap.Config{Timeout: 200 * time.Millisecond}, func(w *flate.Writer, _ net.Conn) {
		_, _ = io.WriteString(w, "* 3 EXISTS\r\n")
		_ = w.Flush()
		time.Sleep(1500 * time.Millisecond) // longer than all patience: nobody waits
		_, _ = io.WriteString(w, "t2 OK\r\n")
		_ = w.Flush()
		time.Sleep(time.Second)
	})
	time.Sleep(1450 * time.Millisecond)
	wait(t, c.Noop())
	if _, err := c.Noop().Wait(ctxOf(t)); !errors.Is(err, imap.ErrTimeout) {
		t.Error(err)
	}
}

// TestCompressCorrupt: what is not compressed, though it should be, ends the connection.
func TestCompressCorrupt(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	c := bomb(t, imap.Config{}, func(_ *flate.Writer, raw net.Conn) {
		_, _ = io.WriteString(raw, "t2 OK this is not compressed\r\n")
		<-ended // a server that hangs up is another matter
	})
	_, err := c.Noop().Wait(ctxOf(t))
	close(ended)
	if !errors.Is(err, imap.ErrProtocol) {
		t.Error(err)
	}
}
