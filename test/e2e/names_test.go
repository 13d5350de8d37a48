package e2e

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// trap is a mailbox that any name but those of the good server leads to. Its messages try to take over a terminal.
const trap = "trap"

func trapped(n int) string {
	return fmt.Sprintf("From: \x1b]0;owned\x07 <\x9b31m@\u202e.org>\r\nMessage-ID: <trap%d@x>\r\nSubject: =?utf-8?B?G1syShtdMDtvd25lZAc=?= \x1b[2J\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nA trap.\r\n", n)
}

// named lists more mailboxes, in the server's spelling: atoms, quoted strings or literals. All of them lead to the trap.
func named(names ...string) turn { return delimited(`"/"`, names...) }

// delimited is named with another delimiter of levels.
func delimited(delimiter string, names ...string) turn {
	return turn{on: func(v *visit, tag, command string) bool {
		word, rest, _ := strings.Cut(command, " ")
		if strings.HasPrefix(command, `LIST "" ""`) {
			v.say("* LIST (\\Noselect) %s \"\"\r\n%s OK", delimiter, tag)
			return true
		}
		if strings.HasPrefix(command, list) {
			for _, n := range names {
				v.say(`* LIST () %s %s`, delimiter, n)
			}
			return false
		}
		if word != "STATUS" && word != "SELECT" && word != "EXAMINE" {
			return false
		}
		raw := quoted.FindString(rest)
		if _, ok := v.messages(strings.Trim(raw, `"`)); ok {
			return false
		}
		traps, _ := v.messages(trap)
		n := len(traps)
		if word == "STATUS" {
			v.say("* STATUS %s (MESSAGES %d UIDNEXT 100 UIDVALIDITY 7)\r\n%s OK", literally(strings.Trim(raw, `"`)), n, tag)
			return true
		}
		v.box = trap
		v.say("* %d EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT 100] n\r\n%s OK [READ-WRITE] open", n, tag)
		return true
	}}
}

func literally(name string) string { return fmt.Sprintf("{%d}\r\n%s", len(name), name) }

// TestHostileNames: a mailbox of whatever name comes to a folder in the Maildir, or is reported; never does one lead out of it, or
// into another mailbox.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	needProgram(t)
	for title, x := range map[string]struct {
		names []string
		delim string
		code  int
		boxes int // that arrive
		errs  int
	}{
		"parents":              {names: []string{`"../mailtwin-trap"`, `"a/../../../mailtwin-trap"`, `".."`, `"."`, `"../INBOX"`}, boxes: 5},
		"absolute":             {names: []string{`"/etc/mailtwin-trap"`, `"//mailtwin-trap"`}, code: 1, errs: 2},
		"another delimiter":    {delim: `"|"`, names: []string{`"../mailtwin-trap"`, `"/etc/mailtwin-trap"`, `"a/../../b|c"`, `"x/y|..|.."`}, boxes: 4},
		"no delimiter":         {delim: "NIL", names: []string{`"../mailtwin-trap"`, `"/etc/mailtwin-trap"`, `"a/../../b|c"`, `"x/y"`}, boxes: 4},
		"folders of a Maildir": {names: []string{`"cur"`, `"new"`, `"tmp"`, `"INBOX/cur"`, `"INBOX/new"`, `"Box/tmp"`, `".mailtwin"`, `"mailtwin.d"`}, boxes: 8},
		"control characters":   {names: []string{literally("a\x01\x1b[2Jb"), literally("bell\x07"), `"tab` + "\t" + `x"`, literally("line\nend"), literally("cr\rlf")}, boxes: 5},
		"NUL":                  {names: []string{literally("nul\x00x"), literally("\x00")}, code: 1, errs: 2},
		"terminal escapes":     {names: []string{`"&ABsAWw-2J"`, `"&AJs-31m"`, `"&IC4-gpj.exe"`, `"&ABs-]0;owned&AAc-"`}, boxes: 4},
		"modified UTF-7":       {names: []string{`"&AC4ALgAv-mailtwin-trap"`, `"&AC8-etc&AC8-mailtwin-trap"`, `"x&AC8-..&AC8-y"`, `"&"`, `"&-"`, `"&AAA-"`, `"&2D0-"`, `"&AGE-"`, `"a&ImIDkQ"`}, boxes: 6, code: 1, errs: 2},
		"percent":              {names: []string{`"%2E%2E%2Fmailtwin-trap"`, `"%"`, `"%2e%2e"`, `"%00"`, `"a%2Fb"`}, boxes: 5},
		"letter case":          {names: []string{`"box"`, `"BOX"`, `"inbox/x"`, `"Inbox/x"`}, boxes: 2, code: 1, errs: 1},
		"the same twice":       {names: []string{`"Twin"`, `"Twin"`}, boxes: 1},
		"INBOX again":          {names: []string{`"inbox"`, `"InBoX"`}},
		"normalisation":        {names: []string{`"&AOk-"`, `"e&AwE-"`}, boxes: 2},
		"very long":            {names: []string{`"` + strings.Repeat("x", 256) + `"`, `"` + strings.Repeat("y/", 4000) + `y"`, literally(strings.Repeat("z", 100_000))}, code: 1, errs: 3},
		"only a delimiter":     {names: []string{`"/"`, `""`, `"a//b"`, `"a/"`}, code: 1, errs: 3},
		"not UTF-8":            {names: []string{literally("\xff\xfe"), literally("\xc0\xae\xc0\xae/x")}, code: 1, errs: 2},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			m := misdeed{turn: delimited(cmp.Or(x.delim, `"/"`), x.names...), code: x.code, errors: x.errs, more: true, args: []string{"sync", "-v", "a"}}
			w, v, _ := suffer(t, m)
			if _, err := os.Stat("/etc/mailtwin-trap"); err == nil {
				t.Error("it wrote to /etc")
			}
			got := map[string]int{}
			for path, body := range contents(t, w.mail) {
				if body == lf(trapped(0)) {
					got[filepath.Dir(filepath.Dir(path))]++
				}
			}
			for dir, n := range got {
				if base := filepath.Base(dir); n != 1 || base == "INBOX" && filepath.Dir(dir) == w.mail || base == "Box" {
					t.Errorf("%d messages came to %q", n, dir)
				}
			}
			if len(got) != x.boxes {
				t.Errorf("%d mailboxes came, want %d: %.1500q", len(got), x.boxes, fmt.Sprint(got))
			}
			again := w.tryBounded("sync", "--json", "a")
			if _, end, _ := strings.Cut(again.out, `"event":"summary"`); !strings.Contains(end, `"copied_to_local":0,"copied_to_remote":0,`) || again.code != x.code {
				t.Errorf("the next sync does more: %v", again)
			}
			harmless(t, v.commands())
			for _, args := range [][]string{{"status"}, {"sync", "-n", "-v", "a"}, {"undo"}, {"sync", "--json", "a"}, {"status", "--json"}, {"verify", "a"}} {
				fitForTerminal(t, w.tryBounded(args...))
			}
		})
	}
}

// TestHostileSubjects: subjects and senders cannot take over a terminal, wherever they are shown.
func TestHostileSubjects(t *testing.T) {
	t.Parallel()
	needProgram(t)
	w, v, _ := suffer(t, misdeed{turn: named(`"Trap"`), more: true})
	v.mu.Lock()
	v.traps = nil
	v.mu.Unlock()
	shown := 0
	for _, args := range [][]string{{"sync", "-n", "a"}, {"sync", "-n", "-v", "a"}, {"sync", "-n", "--json", "a"}, {"sync", "-v", "a"}, {"status"}, {"undo"}, {"undo", "--json"}, {"undo", "a", "--restore"}} {
		r := w.tryBounded(args...)
		fitForTerminal(t, r)
		if strings.Contains(r.out, "owned") {
			shown++
		}
		if r.code != 0 {
			t.Errorf("%q: %v", args, r)
		}
	}
	if shown < 4 {
		t.Errorf("only %d commands showed the message: the test shows nothing", shown)
	}
}

// TestManyMailboxes: 100,000 of them are listed and left out, in bounded memory.
func TestManyMailboxes(t *testing.T) {
	t.Parallel()
	needProgram(t)
	for _, caps := range []string{"", "LIST-EXTENDED LIST-STATUS"} {
		suffer(t, misdeed{turn: turn{caps: caps, on: func(v *visit, tag, command string) bool {
			switch {
			case strings.HasPrefix(command, list):
				return v.many(100_000, `* LIST () "/" many%d`) && false
			case strings.HasPrefix(command, `STATUS "many`):
				v.say("%s NO not today", tag)
				return true
			}
			return false
		}}, config: `mailboxes = ["INBOX", "Box"]`, memory: 256 << 20})
	}
}
