package imap_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/imap/wire"
)

// TestEndlessResponses: responses that are each in order, but do not end, come to a limit.
func TestEndlessResponses(t *testing.T) {
	t.Parallel()
	for line, what := range map[string]string{
		"* OK still here":                    "number of responses",
		"* 5 EXISTS":                         "number of responses",
		"* OK [CAPABILITY A B]":              "number of responses",
		"* CAPABILITY A B":                   "number of capability lists",
		"* OK " + strings.Repeat("A ", 5000): "length of the responses",
		"+ go on":                            "number of responses",
		"* LIST () \"/\" x%d":                "number of mailboxes",
		"* LIST () \"/\" x":                  "number of mailboxes",
		"* LIST (\\Some%d) \"/\" xxxxxxxxxx": "names of mailboxes",
	} {
		for _, caps := range []string{"", "LIST-EXTENDED LIST-STATUS"} {
			limits := imap.Limits{Responses: 2000, Octets: 1 << 20, Mailboxes: 100, Names: 2000}
			if strings.HasPrefix(what, "names") {
				limits.Mailboxes = 1000
			}
			c := serve(t, imap.Config{Limits: limits}, "* OK [CAPABILITY IMAP4rev1 "+caps+"] hi\r\n", func(conn net.Conn) {
				for i := 0; ; i++ {
					text := line
					if strings.Contains(line, "%d") {
						text = fmt.Sprintf(line, i)
					}
					if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
						return
					}
				}
			})
			got := 0
			_, err := c.List("", "*", imap.ListOptions{Status: []string{"MESSAGES"}}, func(imap.ListItem) { got++ }).Wait(ctxOf(t))
			var le *wire.LimitError
			if !errors.As(err, &le) || !strings.Contains(err.Error(), what) || got > limits.Mailboxes {
				t.Errorf("%s, %s: %d mailboxes, %v", line, caps, got, err)
			}
		}
	}
}

// TestEndlessSets: numbers that are found by one SEARCH do not fill the memory, in however many responses they come.
func TestEndlessSets(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"* SEARCH %d0", "* ESEARCH (TAG \"t1\") UID ALL %d0"} {
		c := serve(t, imap.Config{Limits: imap.Limits{Numbers: 1000}}, "* OK [CAPABILITY IMAP4rev1 ESEARCH] hi\r\n", func(conn net.Conn) {
			for i := range 1001 {
				_, _ = fmt.Fprintf(conn, line+"\r\n", i+1)
			}
			_, _ = io.WriteString(conn, "t1 OK done\r\n")
		})
		got, err := c.UIDSearch("ALL", imap.SearchOptions{}).Wait(ctxOf(t))
		var le *wire.LimitError
		if !errors.As(err, &le) || got.All.Len() != 1000 {
			t.Error(line, got.All.Len(), err)
		}
	}
}

// TestResponsesBetweenCommands: the limit is for one command, not for the life of the connection.
func TestResponsesBetweenCommands(t *testing.T) {
	t.Parallel()
	transcript := ""
	for i := range 10 {
		transcript += fmt.Sprintf("C: t%d NOOP\nS: * 1 EXISTS\nS: * 2 EXISTS\nS: t%d OK\n", i+1, i+1)
	}
	s := imaptest.NewScript(t, "S: * OK hello\n"+transcript)
	c := dialTest(t, imap.Config{Address: "localhost:143", Security: imap.Plain, Dial: s.Dial, Limits: imap.Limits{Responses: 5}})
	for range 10 {
		wait(t, c.Noop())
	}
}
