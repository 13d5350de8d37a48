package imap_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"mailtwin/internal/imap"
)

// play starts a client against a server that answers the commands in turn with canned responses.
func play(b *testing.B, answers ...[]byte) *imap.Client {
	b.Helper()
	client, server := net.Pipe()
	go func() {
		_, _ = server.Write([]byte("* OK [CAPABILITY IMAP4rev1 CONDSTORE QRESYNC] hi\r\n"))
		buf := make([]byte, 4096)
		for _, a := range answers {
			if _, err := server.Read(buf); err != nil {
				return
			}
			_, _ = io.Copy(server, bytes.NewReader(a))
		}
	}()
	c, err := imap.Dial(b.Context(), imap.Config{
		Address: "localhost:143", Security: imap.Plain,
		Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func BenchmarkFetchFlags(b *testing.B) {
	const n = 100_000
	var lines bytes.Buffer
	flags := []string{`\Seen`, "", `\Answered \Seen $Work`, `\Flagged`}
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&lines, "* %d FETCH (UID %d FLAGS (%s) MODSEQ (%d))\r\n", i, i+1000, flags[i%4], 100000+i)
	}
	lines.WriteString("t1 OK done\r\n")
	b.ReportAllocs()
	b.SetBytes(int64(lines.Len()))
	for b.Loop() {
		c := play(b, lines.Bytes())
		got := 0
		call := c.UIDFetch(imap.NumRange(1, 1<<32-1), imap.FetchItems{Flags: true, ModSeq: true}, imap.FetchOptions{},
			func(m *imap.Message) error { got++; return nil })
		if _, err := call.Wait(b.Context()); err != nil || got != n {
			b.Fatal(got, err)
		}
		_ = c.Close()
	}
}

func BenchmarkFetchBodies(b *testing.B) {
	const n = 10_000
	body := strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 156)
	var lines bytes.Buffer
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&lines, "* %d FETCH (UID %d FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" BODY[] {%d}\r\n%s)\r\n", i, i, len(body), body)
	}
	lines.WriteString("t1 OK done\r\n")
	b.ReportAllocs()
	b.SetBytes(int64(lines.Len()))
	for b.Loop() {
		c := play(b, lines.Bytes())
		total := int64(0)
		call := c.UIDFetch(imap.NumRange(1, 1<<32-1), imap.FetchItems{Flags: true, InternalDate: true, Body: true}, imap.FetchOptions{},
			func(m *imap.Message) error {
				k, err := io.Copy(io.Discard, m.Body)
				total += k
				return err
			})
		if _, err := call.Wait(b.Context()); err != nil || total != int64(n*len(body)) {
			b.Fatal(total, err)
		}
		_ = c.Close()
	}
}
