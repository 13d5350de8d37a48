package e2e

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	login = "LOGIN"
	list  = `LIST "" "*"`
	open  = `SELECT "INBOX"`

	openSince = `SELECT "Box" (QRESYNC`
	fetch     = "UID FETCH 1:"
	search    = "UID SEARCH"
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
	"login, endless line":        {turn: flood(login, "* OK x"), code: 1, says: "line is over the limit"},
	"login, endless responses":   {turn: flood(login, "* OK x\r\n"), code: 1, says: "responses"},
	"login, forged tag":          {turn: on(login, func(v *visit, _ string) bool { v.say("zzz OK"); return true }), code: 1, says: "unknown tag"},
	"login, no such outcome":     {turn: on(login, func(v *visit, tag string) bool { v.say("%s PERHAPS", tag); return true }), code: 1, says: "PERHAPS"},
	"login, BYE":                 {turn: bye(login), code: 10, says: "BYE"},
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
	"list, refused":               {turn: on(list, func(v *visit, tag string) bool { v.say("%s NO not today", tag); return true }), code: 1, says: "not today", hint: "-"},
	"status, BYE":                 {turn: bye("STATUS"), code: 10, says: "BYE"},
	"select, BYE":                 {turn: bye(open), code: 10, says: "BYE"},
	"select, refused":             {turn: on(open, func(v *visit, tag string) bool { v.say("%s NO not today", tag); return true }), code: 1, says: "not today", hint: "-"},
	"select, endless":             {turn: flood(open, "* 5 EXISTS\r\n"), code: 1, says: "responses"},
	"select, EXISTS of 4 billion": {turn: opens("* 4294967295 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 4294967295] n"), code: 1, says: "4294967295 messages in one mailbox"},
	"select, EXISTS too large":    {turn: opens("* 99999999999999999999999 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 13] n"), code: 1},
	"select, no UIDVALIDITY":      {turn: opens("* 12 EXISTS\n* OK [UIDNEXT 13] n"), code: 1, says: "UIDVALIDITY"},
	"select, UIDVALIDITY 0":       {turn: opens("* 12 EXISTS\n* OK [UIDVALIDITY 0] v\n* OK [UIDNEXT 13] n"), code: 1, says: "UIDVALIDITY"},
	"select, empty":               {turn: opens("* 0 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 13] n"), code: 3, says: "will not delete"},
	"select, endless flags":       {turn: flood(open, "* FLAGS ("+strings.Repeat("x ", 1000)), code: 1, says: "over the limit"},
	"fetch, endless line":         {turn: flood(fetch, "* 1 FETCH (FLAGS ("), code: 1, errors: 2, says: "over the limit"},
	"fetch, endless, the same":    {turn: flood(fetch, "* 1 FETCH (UID 1 FLAGS ())\r\n"), code: 1, says: "more messages than there are", errors: 2},
	"fetch, endless, all new":     {turn: on(fetch, func(v *visit, _ string) bool { return v.many(1<<62, `* 1 FETCH (UID %d FLAGS ())`) }), code: 1, says: "more messages than there are", errors: 2},
	"fetch, endless keywords": {turn: on(fetch, func(v *visit, _ string) bool {
		return v.many(1<<62, `* 1 FETCH (UID 1 FLAGS (`+strings.Repeat("k", 5000)+`%d))`)
	}), code: 1, says: "keywords of more than", errors: 2},
	"fetch, BYE":             {turn: bye(fetch), code: 10, says: "BYE"},
	"fetch, cut":             {turn: on(fetch, func(v *visit, _ string) bool { v.say("* 1 FETCH (UID 1"); _ = v.conn.Close(); return true }), code: 1, errors: 2},
	"fetch, nothing":         {turn: fetches(""), code: 1, says: "only a part"},
	"fetch, UID 0":           {turn: fetches(fetched(0, 12)), code: 0},
	"fetch, UIDs decrease":   {turn: fetches(down(12)), code: 0},
	"fetch, UIDs twice":      {turn: fetches(fetched(1, 12) + "\n" + fetched(1, 12)), code: 0},
	"fetch, one UID for all": {turn: fetches(strings.Repeat("* 1 FETCH (UID 5 FLAGS ())\n", 12)), code: 1, says: "only a part"},
	"fetch, expunge of all":  {turn: fetches(fetched(1, 12) + strings.Repeat("\n* 1 EXPUNGE", 12)), code: 1},
	"fetch, expunge of more": {turn: fetches(fetched(1, 12) + strings.Repeat("\n* 9 EXPUNGE", 1200)), code: 1, says: "12 messages of 0"},
	"fetch, vanished of all": {turn: fetches(fetched(1, 12) + "\n* VANISHED 1:4294967295"), code: 1},
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

	"login, forged in advance": {turn: turn{greet: func(v *visit) bool {
		v.say("* OK ready")
		for i := range 100 {
			v.say("t%d OK [READ-WRITE] done", i)
		}
		return true
	}}, code: 1, says: "unknown tag"},
	"login, PREAUTH":             {turn: greet("* PREAUTH as whoever you like"), code: 0},
	"login, endless challenges":  {turn: flood(login, "+ go on\r\n"), code: 1, says: "responses"},
	"login, refused, escapes":    {turn: on(login, func(v *visit, tag string) bool { v.say("%s NO %s", tag, escapes); return true }), code: 12, says: "owned"},
	"login, refused, its secret": {turn: on(login, func(v *visit, tag string) bool { v.say("%s NO LOGIN me %s", tag, correct); return true }), code: 12, says: "***"},
	"list, refused, escapes":     {turn: on(list, func(v *visit, tag string) bool { v.say("%s NO [ALERT] %s", tag, escapes); return true }), code: 1, says: "owned", hint: "-"},
	"list, refused, long":        {turn: on(list, func(v *visit, tag string) bool { v.say("%s NO %s", tag, strings.Repeat("no ", 300_000)); return true }), code: 1, hint: "-"},
	"list, BYE, escapes":         {turn: on(list, func(v *visit, _ string) bool { v.say("* BYE %s", escapes); _ = v.conn.Close(); return true }), code: 10, says: "owned"},
	"status, 4 billion":          {turn: status("MESSAGES 4294967295 UIDNEXT 4294967295 UIDVALIDITY 7"), code: 0},
	"status, 2^64":               {turn: status("MESSAGES 18446744073709551616 UIDNEXT 99999999999999999999 UIDVALIDITY 7"), code: 1, says: "number below"},
	"status, negative":           {turn: status("MESSAGES -5 UIDNEXT -1 UIDVALIDITY 7"), code: 0},
	"status, nothing":            {turn: status(""), code: 0},
	"status, endless":            {turn: flood("STATUS", "* STATUS INBOX (MESSAGES 5)\r\n"), code: 1, says: "responses"},
	"select, UIDNEXT 0":          {turn: opens("* 12 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 0] n"), code: 0},
	"select, UIDNEXT too low":    {turn: opens("* 12 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 3] n"), code: 0},
	"select, another epoch":      {turn: opens("* 12 EXISTS\n* OK [UIDVALIDITY 8] v\n* OK [UIDNEXT 13] n"), code: 0},
	"select, flags with escapes": {turn: opens("* FLAGS (\x1b[2J a\x07b)\n* 12 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 13] n"), code: 1, says: "want flag"},
	"select, forged expunges":    {turn: opens("* 12 EXISTS\n* OK [UIDVALIDITY 7] v\n* OK [UIDNEXT 13] n" + strings.Repeat("\n* 1 EXPUNGE", 12)), code: 0},
	"fetch, keywords, escapes":   {turn: fetches(strings.ReplaceAll(fetched(1, 12), `\Seen`, `\Seen \x1b]0;owned\x07`)), code: 0},
	"fetch, UIDs of 4 billion":   {turn: fetches(fetched(4294967283, 12)), code: 3, says: "will not delete all 12"},
	"fetch, endless UID 0":       {turn: flood(fetch, "* 1 FETCH (UID 0 FLAGS ())\r\n"), code: 1, says: "responses", errors: 2},
	"fetch, deep nesting":        {turn: fetches("* 1 FETCH (UID 1 FLAGS () BODYSTRUCTURE " + strings.Repeat("(", 5000) + strings.Repeat(")", 5000) + ")"), code: 1, says: "nesting"},

	"vanished, all":          {before: qresync, turn: vanished("1:12").with(qresync.caps), code: 0},
	"vanished, 4 billion":    {before: qresync, turn: vanished("1:4294967295").with(qresync.caps), code: 0},
	"vanished, and UID 0":    {before: qresync, turn: vanished("0:5,*").with(qresync.caps), code: 0},
	"vanished, decreasing":   {before: qresync, turn: vanished("12:1,5,4,3,12:11").with(qresync.caps), code: 0},
	"vanished, endless line": {before: qresync, turn: flood(openSince, "* VANISHED (EARLIER) "+strings.Repeat("1,", 1000)).with(qresync.caps), code: 1, says: "over the limit"},
	"vanished, endless sets": {before: qresync, turn: on(openSince, func(v *visit, _ string) bool { return v.many(1<<62, "* VANISHED (EARLIER) %d0") }).with(qresync.caps), code: 1, says: "responses"},
	"vanished, many sets": {before: qresync, turn: on(openSince, func(v *visit, tag string) bool {
		var line strings.Builder
		for i := range 500 {
			fmt.Fprintf(&line, ",%%[1]d%03d", 2*i)
		}
		v.opened("Box")
		v.many(40_000, "* VANISHED (EARLIER) "+line.String()[1:])
		v.say("%s OK [READ-WRITE] open", tag)
		return true
	}).with(qresync.caps), code: 0},
	"vanished, out of order": {before: qresync, turn: on(openSince, func(v *visit, _ string) bool {
		odd := make([]string, 70_000)
		for i := range odd {
			odd[i] = strconv.Itoa(1_000_000 + 2*i)
		}
		v.say("* VANISHED (EARLIER) %s", strings.Join(odd, ","))
		return v.many(1<<62, "* VANISHED (EARLIER) %d0")
	}).with(qresync.caps), code: 1, says: "responses"},
	"changed, endless": {before: qresync, turn: on(openSince, func(v *visit, _ string) bool { return v.many(1<<62, "* 1 FETCH (UID %d FLAGS () MODSEQ (9))") }).with(qresync.caps), code: 1, says: "responses"},
	"changed, UID 0":   {before: qresync, turn: vanished("1", "* 1 FETCH (UID 0 FLAGS () MODSEQ (9))", "* 0 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (9))").with(qresync.caps), code: 0},

	"append, UID of 4 billion":    {local: text(99), turn: appended("%s OK [APPENDUID 7 4294967295] done"), code: 0, lost: true},
	"append, OK and not there":    {local: text(99), turn: appended("%s OK [APPENDUID 7 13] done"), code: 0, lost: true},
	"append, refused":             {local: text(99), turn: appended("%s NO not today"), code: 3, hint: "-", left: true},
	"append, BYE":                 {local: text(99), turn: appended("* BYE go away"), code: 10},
	"append, OK before it came":   {local: text(99), turn: uploads(func(v *visit, tag string) bool { v.say("%s OK [APPENDUID 7 13] done", tag); return true }), code: 1},
	"append, NO before it came":   {local: text(99), turn: uploads(func(v *visit, tag string) bool { v.say("%s NO not today", tag); return true }), code: 3, hint: "-", left: true},
	"append, endless invitations": {local: text(99), turn: uploads(func(v *visit, _ string) bool { return v.flood("+ go on\r\n") }), code: 1},
}

// escapes would do things to a terminal.
const escapes = "\x1b]0;owned\x07\x1b[2J\u202e\u009b31m\b\b\bx"

// qresync is a server that can do what QRESYNC needs (RFC 7162).
var qresync = turn{caps: "ENABLE CONDSTORE QRESYNC"}

// status answers STATUS of INBOX.
func status(items string) turn {
	return on(`STATUS "INBOX"`, func(v *visit, tag string) bool {
		v.say("* STATUS INBOX (%s)\r\n%s OK", items, tag)
		return true
	})
}

// vanished opens Box and says that some messages are gone, and more.
func vanished(uids string, more ...string) turn {
	return on(openSince, func(v *visit, tag string) bool {
		v.opened("Box")
		v.say("* VANISHED (EARLIER) %s", uids)
		for _, line := range more {
			v.say("%s", line)
		}
		v.say("%s OK [READ-WRITE] open", tag)
		return true
	})
}

// appended takes a message as it should, and then answers otherwise.
func appended(answer string) turn {
	return on("APPEND", func(v *visit, tag string) bool {
		if strings.HasPrefix(answer, "*") {
			v.say("%s", answer)
			_ = v.conn.Close()
			return true
		}
		v.say(answer, tag)
		return true
	})
}

// uploads answers to APPEND before the message has come.
func uploads(do func(v *visit, tag string) bool) turn {
	return turn{line: func(v *visit, line string) bool {
		tag, command, _ := strings.Cut(line, " ")
		return strings.HasPrefix(command, "APPEND") && do(v, tag)
	}}
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
