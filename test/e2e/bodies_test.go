package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// bodies lets one message arrive in INBOX, and answers as the test wishes when its body is asked for.
func bodies(do func(v *visit, tag string) bool) turn {
	return turn{on: func(v *visit, tag, command string) bool {
		switch {
		case strings.HasPrefix(command, open):
			v.box = "INBOX"
			v.say("* 13 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT 14] n\r\n%s OK [READ-WRITE] open", tag)
			return true
		case v.box == "INBOX" && strings.HasPrefix(command, fetch):
			v.say("%s\r\n%s OK", strings.ReplaceAll(fetched(1, 13), "\n", "\r\n"), tag)
			return true
		case v.box == "INBOX" && strings.Contains(command, "BODY.PEEK[]"):
			return do(v, tag)
		}
		return false
	}}
}

// body is the answer with a body that is said to have a length.
func body(text string, said int) string {
	return fmt.Sprintf("* 13 FETCH (UID 13 FLAGS () INTERNALDATE \"01-Mar-2024 12:00:00 +0000\" BODY[] {%d}\r\n%s)\r\n", said, text)
}

// TestHostileBodies: a message whose body is not what was said never comes to be in the Maildir, and those that are there stay.
func TestHostileBodies(t *testing.T) {
	t.Parallel()
	needProgram(t)
	const n = 13
	m := text(n)
	send := func(text string) turn {
		return bodies(func(v *visit, tag string) bool {
			v.say("%s%s OK", text, tag)
			return true
		})
	}
	for title, x := range map[string]misdeed{
		"longer than said": {turn: send(body(m+strings.Repeat("and more of it\r\n", 10), len(m))), code: 0, more: true},
		"huge": {turn: bodies(func(v *visit, _ string) bool {
			v.say("%s", strings.TrimSuffix(body("", 4000000000), ")\r\n"))
			return v.hang()
		}), code: 1, says: "over the limit"},
		"large and cut": {turn: bodies(func(v *visit, _ string) bool {
			v.say("%s", strings.TrimSuffix(body(strings.Repeat("x", 1<<20), 1900000000), ")\r\n"))
			_ = v.conn.Close()
			return true
		}), code: 10},
		"again and again":  {turn: bodies(func(v *visit, _ string) bool { return v.flood(body(m, len(m))) }), code: 1, says: "twice", more: true},
		"of other UIDs":    {turn: send(strings.ReplaceAll(body(m, len(m)), "UID 13", "UID 5")), code: 3, says: "did not come"},
		"of UID 0":         {turn: send(strings.ReplaceAll(body(m, len(m)), "UID 13", "UID 0")), code: 3, says: "did not come"},
		"NIL":              {turn: send("* 13 FETCH (UID 13 FLAGS () BODY[] NIL)\r\n"), code: 3, says: "did not come"},
		"none":             {turn: send(""), code: 3, says: "did not come"},
		"empty":            {turn: send(body("", 0)), code: 0, more: true},
		"odd date":         {turn: send(strings.ReplaceAll(body(m, len(m)), "01-Mar-2024 12:00:00 +0000", "99-Foo-0000 99:99:99 +9999")), code: 0, more: true},
		"BYE":              {turn: bodies(func(v *visit, _ string) bool { v.say("* BYE go away"); _ = v.conn.Close(); return true }), code: 10, says: "BYE"},
		"refused":          {turn: bodies(func(v *visit, tag string) bool { v.say("%s NO not today", tag); return true }), code: 3, says: "not today", hint: "once a day", more: true},
		"NUL in it":        {turn: send(body("Message-ID: <nul@x>\r\n\r\n\x00\x00\r\n", len("Message-ID: <nul@x>\r\n\r\n\x00\x00\r\n"))), code: 0, more: true},
		"negative literal": {turn: send(strings.ReplaceAll(body(m, 1), "{1}", "{-1}")), code: 1},
		"nested":           {turn: send("* 13 FETCH (UID 13 BODYSTRUCTURE " + strings.Repeat("(", 5000) + strings.Repeat(")", 5000) + ")\r\n"), code: 1, says: "nesting"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			w, v, _ := suffer(t, x)
			for path, got := range contents(t, w.mail) {
				if strings.Contains(got, "<13@") && got != lf(m) {
					t.Errorf("%s has a message that is not whole: %q", path, got)
				}
			}
			if x.more {
				return
			}
			v.add("INBOX", m)
			v.takeTurn(x.goodTurn())
			w.run("sync", "a")
			if n := len(w.local()); n != 25 {
				t.Errorf("%d messages after all", n)
			}
		})
	}
}

const onTLS = "tls = \"starttls\"\ntls_ca = \"CA\""

// TestHostileSTARTTLS: nothing that came in the clear counts, and no password goes out in the clear.
func TestHostileSTARTTLS(t *testing.T) {
	t.Parallel()
	needProgram(t)
	for title, x := range map[string]misdeed{
		"injected with the OK": {turn: on("STARTTLS", func(v *visit, tag string) bool {
			v.say("%s OK go on\r\nt1 OK done\r\n* LIST () \"/\" evil", tag)
			return v.startTLS()
		}), code: 1, says: "before TLS", hint: "the password was not sent"},
		"refused":           {turn: on("STARTTLS", func(v *visit, tag string) bool { v.say("%s NO not today", tag); return true }), code: 1, says: "not today"},
		"unknown":           {turn: on("STARTTLS", func(v *visit, tag string) bool { v.say("%s BAD what", tag); return true }), code: 1, says: "STARTTLS"},
		"PREAUTH":           {turn: greet("* PREAUTH come in"), code: 1, says: "PREAUTH"},
		"endless before it": {turn: flood("STARTTLS", "* OK x\r\n"), code: 1, says: "STARTTLS"},
		"endless line":      {turn: flood("STARTTLS", "x"), code: 1, says: "over the limit"},
		"garbage instead": {turn: on("STARTTLS", func(v *visit, tag string) bool {
			v.say("%s OK go on", tag)
			_, _ = v.r.ReadByte() // TLS has begun
			return v.flood("garbage")
		}), code: 10, hint: "does not speak TLS"},
		"data before the OK": {turn: on("STARTTLS", func(v *visit, tag string) bool {
			v.say("* CAPABILITY IMAP4rev1 AUTH=LOGIN\r\n* LIST () \"/\" evil\r\n%s OK", tag)
			return v.startTLS()
		}), code: 0},
		"capabilities say none": {turn: greet("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi").with(""), code: 1, says: "STARTTLS"},
	} {
		x.config = onTLS
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			_, v, _ := suffer(t, x)
			for _, c := range v.commands() {
				if strings.Contains(c, correct) && x.code != 0 {
					t.Errorf("the password went out: %q", c)
				}
			}
		})
	}
}
