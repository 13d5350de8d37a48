package e2e

import (
	"fmt"
	"strings"
	"time"
)

const (
	login  = "LOGIN"
	list   = `LIST "" "*"`
	open   = `SELECT "INBOX"`
	fetch  = "UID FETCH 1:"
	search = "UID SEARCH"
)

func greet(text string) turn {
	return turn{greet: func(v *visit) bool {
		v.say("%s", text)
		return true
	}}
}

func flood(at, text string) turn {
	return on(at, func(v *visit, _ string) bool { return v.flood(text) })
}

// opens answers SELECT of INBOX with some lines, and the rest as usual.
func opens(lines string) turn {
	return on(open, func(v *visit, tag string) bool {
		v.box = "INBOX"
		v.say("%s\r\n%s OK [READ-WRITE] open", strings.ReplaceAll(lines, "\n", "\r\n"), tag)
		return true
	})
}

// fetches answers the first list of messages of INBOX with some lines.
func fetches(lines string) turn {
	return on(fetch, func(v *visit, tag string) bool {
		if v.box != "INBOX" {
			return false
		}
		v.say("%s\r\n%s OK done", strings.ReplaceAll(lines, "\n", "\r\n"), tag)
		return true
	})
}

func bye(at string) turn {
	return on(at, func(v *visit, _ string) bool {
		v.say("* BYE go away")
		_ = v.conn.Close()
		return true
	})
}

var misdeeds = map[string]misdeed{
	"greeting, endless line":     {turn: turn{greet: func(v *visit) bool { return v.flood("* OK x") }}, code: 1, says: "line is over the limit"},
	"greeting, BYE":              {turn: greet("* BYE no"), code: 10, says: "BYE"},
	"greeting, not IMAP":         {turn: greet("HTTP/1.1 200 OK"), code: 1, says: "does not speak IMAP"},
	"greeting, none":             {turn: turn{greet: (*visit).hang}, code: 10, says: "in time"},
	"greeting, slow drip":        {turn: turn{greet: func(v *visit) bool { return v.drip("* OK xxxxxxx", 300*time.Millisecond) }}, code: 10, says: "slow"},
	"login, endless line":        {turn: flood(login, "* OK x"), code: 1, says: "line is over the limit"},
	"login, endless responses":   {turn: flood(login, "* OK x\r\n"), code: 1, says: "responses"},
	"login, forged tag":          {turn: on(login, func(v *visit, _ string) bool { v.say("zzz OK"); return true }), code: 10, says: "unknown tag"},
	"login, no such outcome":     {turn: on(login, func(v *visit, tag string) bool { v.say("%s PERHAPS", tag); return true }), code: 10, says: "PERHAPS"},
	"login, BYE":                 {turn: bye(login), code: 10, says: "BYE"},
	"login, slow drip":           {turn: on(login, func(v *visit, _ string) bool { return v.drip("* OK xxxxxxx", 300*time.Millisecond) }), code: 10, says: "slow"},
	"login, no answer":           {turn: on(login, func(v *visit, _ string) bool { return v.hang() }), code: 10, says: "in time"},
	"capabilities, endless":      {turn: flood("CAPABILITY", "* CAPABILITY "+strings.Repeat("A ", 5000)+"\r\n"), code: 1, says: "capability lists"},
	"capabilities, none":         {turn: on("CAPABILITY", func(v *visit, tag string) bool { v.say("* CAPABILITY\r\n%s OK", tag); return true }), code: 0},
	"capabilities, all are lies": {turn: turn{}.with("ENABLE QRESYNC CONDSTORE LIST-EXTENDED LIST-STATUS ESEARCH UIDPLUS MOVE NAMESPACE OBJECTID UTF8=ACCEPT MULTIAPPEND LITERAL+ COMPRESS=DEFLATE UNSELECT"), code: 0},
	"list, endless line":         {turn: flood(list, `* LIST () "/" x`), code: 1, says: "over the limit"},
	"list, endless":              {turn: on(list, func(v *visit, _ string) bool { return v.many(1<<62, `* LIST () "/" x%d`) }), code: 1, says: "mailboxes"},
	"list, endless, the same":    {turn: flood(list, "* LIST () \"/\" x\r\n"), code: 1, says: "mailboxes"},
	"list, endless, long names": {turn: on(list, func(v *visit, _ string) bool {
		return v.many(1<<62, `* LIST () "/" `+strings.Repeat("x", 100_000)+`%d`)
	}), code: 1, says: "mailboxes"},
	"list, huge literal":          {turn: flood(list, "* LIST () \"/\" {999999999}\r\n"), code: 1, says: "over the limit"},
	"list, deep nesting":          {turn: flood(list, "* LIST () \"/\" x ((((("), code: 1, says: "over the limit"},
	"list, BYE":                   {turn: bye(list), code: 10, says: "BYE"},
	"list, no mailboxes":          {turn: on(list, func(v *visit, tag string) bool { v.say("%s OK", tag); return true }), code: 3, errors: 2},
	"list, refused":               {turn: on(list, func(v *visit, tag string) bool { v.say("%s NO not today", tag); return true }), code: 1, says: "not today"},
	"status, BYE":                 {turn: bye("STATUS"), code: 10, says: "BYE"},
	"select, BYE":                 {turn: bye(open), code: 10, says: "BYE"},
	"select, refused":             {turn: on(open, func(v *visit, tag string) bool { v.say("%s NO not today", tag); return true }), code: 1, says: "not today"},
	"select, endless":             {turn: flood(open, "* 5 EXISTS\r\n"), code: 1, says: "responses"},
	"select, EXISTS of 4 billion": {turn: opens("* 4294967295 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 4294967295] n"), code: 1, says: "4294967295"},
	"select, EXISTS too large":    {turn: opens("* 99999999999999999999999 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 13] n"), code: 1},
	"select, no UIDVALIDITY":      {turn: opens("* 12 EXISTS\n* OK [UIDNEXT 13] n"), code: 1, says: "UIDVALIDITY"},
	"select, UIDVALIDITY 0":       {turn: opens("* 12 EXISTS\n* OK [UIDVALIDITY 0] v\n* OK [UIDNEXT 13] n"), code: 1, says: "UIDVALIDITY"},
	"select, empty":               {turn: opens("* 0 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 13] n"), code: 3, says: "will not delete"},
	"select, endless flags":       {turn: flood(open, "* FLAGS ("+strings.Repeat("x ", 1000)), code: 1, says: "over the limit"},
	"fetch, endless line":         {turn: flood(fetch, "* 1 FETCH (FLAGS ("), code: 1, errors: 2, says: "over the limit"},
	"fetch, endless, the same":    {turn: flood(fetch, "* 1 FETCH (UID 1 FLAGS ())\r\n"), code: 1, says: "more messages than there are", errors: 2},
	"fetch, endless, all new":     {turn: on(fetch, func(v *visit, _ string) bool { return v.many(1<<62, `* 1 FETCH (UID %d FLAGS ())`) }), code: 1, says: "more messages than there are", errors: 2},
	"fetch, endless keywords":     {turn: on(fetch, func(v *visit, _ string) bool { return v.many(1<<62, `* 1 FETCH (UID 1 FLAGS (k%d))`) }), code: 1, says: "what cannot be", errors: 2},
	"fetch, endless, others":      {turn: flood(fetch, "* 1 FETCH (FLAGS ())\r\n"), code: 1, says: "number of responses", errors: 2},
	"fetch, BYE":                  {turn: bye(fetch), code: 10, says: "BYE"},
	"fetch, cut":                  {turn: on(fetch, func(v *visit, _ string) bool { v.say("* 1 FETCH (UID 1"); _ = v.conn.Close(); return true }), code: 1, errors: 2},
	"fetch, slow drip":            {turn: on(fetch, func(v *visit, _ string) bool { return v.drip("* 1 FETCH (UID 1 FLAGS ())\r\n", 300*time.Millisecond) }), code: 10, says: "slow"},
	"fetch, nothing":              {turn: fetches(""), code: 1, says: "only a part"},
	"fetch, UID 0":                {turn: fetches(fetched(0, 12)), code: 0},
	"fetch, UIDs decrease":        {turn: fetches(down(12)), code: 0},
	"fetch, UIDs twice":           {turn: fetches(fetched(1, 12) + "\n" + fetched(1, 12)), code: 0},
	"fetch, one UID for all":      {turn: fetches(strings.Repeat("* 1 FETCH (UID 5 FLAGS ())\n", 12)), code: 1, says: "only a part"},
	"fetch, expunge of all":       {turn: fetches(fetched(1, 12) + strings.Repeat("\n* 1 EXPUNGE", 12)), code: 1},
	"fetch, expunge of more":      {turn: fetches(fetched(1, 12) + strings.Repeat("\n* 9 EXPUNGE", 1200)), code: 1},
	"fetch, vanished of all":      {turn: fetches(fetched(1, 12) + "\n* VANISHED 1:4294967295"), code: 1},
	"search lies too": {turn: turn{on: func(v *visit, tag, command string) bool {
		if v.box != "INBOX" || !strings.HasPrefix(command, "UID ") {
			return false
		}
		if strings.HasPrefix(command, search) {
			v.say("* SEARCH")
		}
		v.say("%s OK", tag)
		return true
	}}, code: 1, says: "only a part"},
}

// fetched are answers to FETCH for n messages from a UID.
func fetched(from, n int) string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf(`* %d FETCH (UID %d FLAGS (\Seen))`, i+1, from+i))
	}
	return strings.Join(lines, "\n")
}

func down(n int) string {
	lines := strings.Split(fetched(1, n), "\n")
	for i := range n / 2 {
		lines[i], lines[n-1-i] = lines[n-1-i], lines[i]
	}
	return strings.Join(lines, "\n")
}
