package imap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/wire"
)

// serve returns a client of a server that greets and runs fn once the client has sent something.
func serve(t testing.TB, cfg imap.Config, greeting string, fn func(conn net.Conn)) *imap.Client {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = server.Close() }()
		_, _ = io.WriteString(server, greeting)
		_, _ = server.Read(make([]byte, 1))
		go func() { _, _ = io.Copy(io.Discard, server) }()
		fn(server)
	}()
	cfg.Address, cfg.Security = "localhost:143", imap.Plain
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return client, nil }
	c := dialTest(t, cfg)
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return c
}

func TestHostileServers(t *testing.T) {
	t.Parallel()
	repeat := func(first, again string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = io.WriteString(conn, first)
			chunk := bytes.Repeat([]byte(again), 1+64<<10/len(again))
			for {
				if _, err := conn.Write(chunk); err != nil {
					return
				}
			}
		}
	}
	for name, fn := range map[string]func(net.Conn){
		"endless line":         repeat("* OK ", "x"),
		"endless tag":          repeat("", "x"),
		"endless list":         repeat("* LIST (", "a "),
		"endless flags":        repeat("* 1 FETCH (FLAGS (", "\\Seen "),
		"endless nesting":      repeat("* X ", "("),
		"endless fetch":        repeat("* 1 FETCH (", "A B "),
		"endless vanished":     repeat("* VANISHED ", "1,"),
		"endless search":       repeat("* SEARCH", " 5"),
		"endless strings":      repeat("* ID (", "{100000}\r\n"+strings.Repeat("y", 100_000)+" "),
		"endless namespaces":   repeat("* NAMESPACE (", `("a" "b")`),
		"endless capabilities": repeat("* CAPABILITY", " ABC"),
		"huge literal":         repeat("* LIST () \"/\" {999999999}\r\n", "x"),
		"huge body":            repeat("* 1 FETCH (UID 1 BODY[] {9999999999}\r\n", "x"),
		"huge number":          repeat("* 1 FETCH (UID 1 BODY[] {99999999999999999999999}\r\n", "x"),
		"huge unknown":         repeat("* X {99999999999}\r\n", "x"),
		"wrong tag":            repeat("zzz OK done\r\n", "x"),
		"own tag twice":        repeat("t1 OK\r\nt1 OK\r\n", "x"),
		"neither OK nor NO":    repeat("t1 PERHAPS\r\n", "x"),
		"garbage":              repeat("", "\x00\xff()\"{\\ "),
		"bye":                  func(conn net.Conn) { _, _ = io.WriteString(conn, "* BYE\r\n") },
		"half a tagged line":   func(conn net.Conn) { _, _ = io.WriteString(conn, "t1 OK don") },
		"half a literal":       func(conn net.Conn) { _, _ = io.WriteString(conn, "* 1 FETCH (UID 1 BODY[] {9}\r\nabc") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, imap.Config{}, "* OK [CAPABILITY IMAP4rev1] hi\r\n", fn)
			call := c.UIDFetch(imap.NumSetOf(1), bodyItems(), imap.FetchOptions{}, func(m *imap.Message) error {
				_, err := io.Copy(io.Discard, m.Body)
				return err
			})
			later := c.Noop()
			_, err := call.Wait(ctxOf(t))
			_, err2 := later.Wait(ctxOf(t))
			if err2 == nil || c.Err() == nil || (err == nil && name != "own tag twice") {
				t.Error("the connection goes on:", err, err2)
			}
			if strings.HasPrefix(name, "huge") || strings.HasPrefix(name, "endless") {
				var le *wire.LimitError
				if !errors.As(err, &le) {
					t.Error(err)
				}
			}
		})
	}
}

func TestMemoryIsBounded(t *testing.T) { // not parallel: it measures memory
	body := bytes.Repeat([]byte("x"), 1<<20)
	c := serve(t, imap.Config{}, "* OK [CAPABILITY IMAP4rev1] hi\r\n", func(conn net.Conn) {
		for uid := 1; uid <= 2; uid++ { // the second has its UID after the body
			if uid == 1 {
				_, _ = fmt.Fprintf(conn, "* 1 FETCH (UID 1 FLAGS () BODY[] {%d}\r\n", 64<<20)
			} else {
				_, _ = fmt.Fprintf(conn, "* 2 FETCH (FLAGS () BODY[] {%d}\r\n", 64<<20)
			}
			for range 64 {
				_, _ = conn.Write(body)
			}
			_, _ = fmt.Fprintf(conn, " UID %d)\r\n", uid)
		}
		_, _ = io.WriteString(conn, "t1 OK\r\n")
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	total := int64(0)
	wait(t, c.UIDFetch(imap.NumRange(1, 2), bodyItems(), imap.FetchOptions{}, func(m *imap.Message) error {
		n, err := io.Copy(io.Discard, m.Body)
		total += n
		return err
	}))
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; total != 128<<20 || used > 2<<20 {
		t.Errorf("%d octets of bodies took %d octets of memory", total, used)
	}
}

// TestIdleDeadline: the deadline moves with each octet, and holds only while an answer is due.
func TestIdleDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := serve(t, imap.Config{Timeout: 10 * time.Second}, "* OK hi\r\n", func(conn net.Conn) {
			for _, b := range []byte("* OK slow\r\nt1 OK\r\n") {
				time.Sleep(time.Second) // much slower in all than the timeout
				_, _ = conn.Write([]byte{b})
			}
			<-t.Context().Done()
		})
		time.Sleep(time.Minute) // nothing is due yet
		wait(t, c.Noop())
		start := time.Now()
		_, err := c.Noop().Wait(ctxOf(t))
		if !errors.Is(err, imap.ErrTimeout) || time.Since(start) != 10*time.Second {
			t.Error(err, time.Since(start))
		}
	})
}

// TestSlowDrip: an octet now and then moves the idle deadline, and yet a response that never ends is not waited for for ever,
// wherever it is: in a line, in a body, before STARTTLS, in a body that nobody reads.
func TestSlowDrip(t *testing.T) {
	t.Parallel()
	drip := func(conn net.Conn) {
		for {
			if _, err := conn.Write([]byte{'x'}); err != nil {
				return
			}
			time.Sleep(9 * time.Second)
		}
	}
	for name, begin := range map[string]string{
		"tagged": "t1 OK ", "untagged": "* OK ", "tag": "", "body": "* 1 FETCH (UID 1 BODY[] {100000}\r\n", "late UID": "* 1 FETCH (BODY[] {100000}\r\n",
		"unknown": "* 9 FETCH (UID 9 BODY[] {100000}\r\n", "list": "* LIST (", "many lines": "* OK\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := serve(t, imap.Config{Timeout: 10 * time.Second}, "* OK hi\r\n", func(conn net.Conn) {
					_, _ = io.WriteString(conn, begin)
					drip(conn)
				})
				start := time.Now()
				_, err := c.UIDFetch(imap.NumSetOf(1), bodyItems(), imap.FetchOptions{}, func(m *imap.Message) error {
					_, err := io.Copy(io.Discard, m.Body)
					return err
				}).Wait(t.Context())
				if !errors.Is(err, imap.ErrSlow) || time.Since(start) > 2*time.Minute {
					t.Error(err, time.Since(start))
				}
			})
		})
	}
	for _, sec := range []imap.Security{imap.Plain, imap.StartTLS, imap.TLS} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				switch sec {
				case imap.TLS: // a ServerHello of 16 kB
					_, _ = server.Read(make([]byte, 4096))
					_, _ = io.WriteString(server, "\x16\x03\x03\x40\x00\x02\x00\x3f\xf0")
				case imap.StartTLS:
					_, _ = io.WriteString(server, "* OK hi\r\n")
					_, _ = server.Read(make([]byte, 4096))
					_, _ = io.WriteString(server, "s0 OK ")
				default:
					_, _ = io.WriteString(server, "* OK ")
				}
				drip(server)
			}()
			start := time.Now()
			_, err := imap.Dial(t.Context(), imap.Config{
				Address: "localhost:143", Security: sec, Timeout: 10 * time.Second,
				Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
			})
			if !errors.Is(err, imap.ErrSlow) || time.Since(start) > 2*time.Minute {
				t.Error(sec, err, time.Since(start))
			}
			_ = server.Close()
			<-done
		})
	}
}

func TestContextEndsEverything(t *testing.T) {
	t.Parallel()
	c := serve(t, imap.Config{}, "* OK hi\r\n", func(net.Conn) { <-t.Context().Done() })
	other := c.Noop()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	_, err := c.Noop().Wait(ctx)
	_, err2 := other.Wait(ctxOf(t))
	_, err3 := c.Noop().Wait(ctxOf(t))
	if !errors.Is(err, why) || !errors.Is(err2, why) || !errors.Is(err3, why) {
		t.Error(err, err2, err3)
	}
	if err := c.Append("x").Add(ctxOf(t), imap.AppendMessage{Body: strings.NewReader("")}); !errors.Is(err, why) {
		t.Error(err)
	}
}

func TestDialEnds(t *testing.T) {
	t.Parallel()
	for _, sec := range []imap.Security{imap.Plain, imap.TLS} {
		for _, timeout := range []time.Duration{5 * time.Second, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := imap.Dial(ctx, imap.Config{
					Address: "localhost:143", Security: sec, Timeout: timeout,
					Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
				})
				if timeout == time.Hour && !errors.Is(err, context.DeadlineExceeded) || timeout != time.Hour && !errors.Is(err, imap.ErrTimeout) {
					t.Error(sec, timeout, err)
				}
				_ = server.Close()
			})
		}
	}
}

func TestCallbackIsOverAfterWait(t *testing.T) {
	t.Parallel()
	c := serve(t, imap.Config{}, "* OK hi\r\n", func(conn net.Conn) {
		_, _ = io.WriteString(conn, "* 1 FETCH (UID 1 FLAGS () BODY[] {100}\r\nabc")
		<-t.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	running := false // the race detector watches
	_, err := c.UIDFetch(imap.NumSetOf(1), bodyItems(), imap.FetchOptions{}, func(m *imap.Message) error {
		running = true
		cancel()
		_, err := io.Copy(io.Discard, m.Body)
		time.Sleep(20 * time.Millisecond)
		running = false
		return err
	}).Wait(ctx)
	if running || !errors.Is(err, context.Canceled) {
		t.Error(running, err)
	}
}

// writes counts the writes of a connection.
type writes struct {
	net.Conn
	n chan string
}

func (w *writes) Write(p []byte) (int, error) {
	w.n <- string(p)
	return w.Conn.Write(p)
}

func TestPipelinedCommandsLeaveTogether(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	go func() {
		_, _ = io.WriteString(server, "* OK hi\r\n")
		buf := make([]byte, 4096)
		_, _ = server.Read(buf)
		_, _ = io.WriteString(server, "t1 OK\r\nt2 OK\r\nt3 OK\r\n")
	}()
	w := &writes{client, make(chan string, 10)}
	c := dialTest(t, imap.Config{
		Address: "localhost:143", Security: imap.Plain, Dial: func(context.Context, string, string) (net.Conn, error) { return w, nil },
	})
	calls := []*imap.Call[imap.Status]{c.Noop(), c.Create("a", `\Sent`), c.Delete("b")}
	for _, call := range calls {
		wait(t, call)
	}
	if got := <-w.n; got != "t1 NOOP\r\nt2 CREATE \"a\"\r\nt3 DELETE \"b\"\r\n" || len(w.n) != 0 || c.Stats().RoundTrips != 1 {
		t.Errorf("%q, %d more, %+v", got, len(w.n), c.Stats())
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\nt1 OK\r\n* LIST () \"/\" a\r\nt2 OK [COPYUID 1 1 1] x\r\nt3 OK\r\n"))
	f.Add([]byte("* 1 FETCH (BODY[] {3}\r\nabc UID 1)\r\n* STATUS a (MESSAGES 1)\r\n* VANISHED (EARLIER) 1:5\r\nt1 NO [MODIFIED 1]\r\n+ \r\n"))
	f.Add([]byte("* ESEARCH (TAG \"t4\") UID ALL 1:3\r\n* ENABLED UTF8=ACCEPT\r\n* ID (\"a\" NIL)\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n* BYE x\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		client, server := net.Pipe()
		go func() {
			_, _ = io.WriteString(server, "* OK [CAPABILITY IMAP4rev1 LIST-EXTENDED LIST-STATUS CONDSTORE MOVE ESEARCH] hi\r\n")
			go func() { _, _ = io.Copy(io.Discard, server) }()
			_, _ = server.Write(in)
			_ = server.Close()
		}()
		c, err := imap.Dial(t.Context(), imap.Config{
			Address: "localhost:143", Security: imap.Plain, Limits: imap.Limits{Line: 1 << 14, String: 1 << 12, Body: 1 << 16, List: 100, Numbers: 100},
			Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c.OnUnsolicited(func(imap.Unsolicited) {})
		a := c.UIDFetch(imap.NumRange(1, 9), bodyItems(), imap.FetchOptions{}, func(m *imap.Message) error {
			if m.UID < 1 || m.UID > 9 {
				t.Error("a message that nobody asked for:", m.UID)
			}
			if !m.HasBody {
				return nil
			}
			if n, err := io.Copy(io.Discard, m.Body); err == nil && n != m.BodySize {
				t.Error("a short body was not noticed")
			}
			return nil
		})
		b := c.List("", "*", imap.ListOptions{Status: []string{"MESSAGES"}}, func(imap.ListItem) {})
		m := c.UIDMove(imap.NumRange(1, 9), "x")
		s := c.UIDSearch("ALL", imap.SearchOptions{})
		sel := c.Select("a", imap.SelectOptions{OnFetch: func(imap.Message) {}, OnVanished: func(imap.NumSet, bool) {}})
		e, i, n := c.Enable("UTF8=ACCEPT"), c.ID(nil), c.Namespace()
		for _, wait := range []func() error{
			func() error { _, err := a.Wait(ctx); return err }, func() error { _, err := b.Wait(ctx); return err },
			func() error { _, err := m.Wait(ctx); return err }, func() error { _, err := s.Wait(ctx); return err },
			func() error { _, err := sel.Wait(ctx); return err }, func() error { _, err := e.Wait(ctx); return err },
			func() error { _, err := i.Wait(ctx); return err }, func() error { _, err := n.Wait(ctx); return err },
		} {
			_ = wait()
		}
		if ctx.Err() != nil {
			t.Error("the client hangs")
		}
		_ = c.Close()
		<-c.Done()
	})
}

func TestSpoolFails(t *testing.T) { // not parallel: it changes the environment
	t.Setenv("TMPDIR", t.TempDir()+"/missing")
	c := scripted(t, "", `
		C: t1 UID FETCH 1:2 (UID FLAGS BODY.PEEK[])
		S: * 1 FETCH (BODY[] {70000}
		S- "`+strings.Repeat("x", 70000)+` FLAGS () UID 1)\r\n"
		S: * 2 FETCH (UID 2 FLAGS () BODY[] "x")
		S: t1 OK
		C: t2 NOOP
		S: t2 OK`)
	_, err := c.UIDFetch(imap.NumRange(1, 2), bodyItems(), imap.FetchOptions{}, func(m *imap.Message) error {
		t.Error("called for", m.UID)
		return nil
	}).Wait(ctxOf(t))
	if err == nil {
		t.Error("a body that could not be kept is not missed")
	}
	wait(t, c.Noop())
}
