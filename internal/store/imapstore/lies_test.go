package imapstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

const qresync = "ENABLE QRESYNC CONDSTORE ESEARCH"

// shown reads a view of "B" and describes it.
func shown(t *testing.T, s *Store, since mail.Mark) (string, mail.Head, mail.Mark) {
	t.Helper()
	v, err := s.View(t.Context(), "B", since)
	if err != nil {
		return err.Error(), mail.Head{}, ""
	}
	var parts []string
	entries := func(e mail.Entry, err error) bool {
		uid, _ := e.Key.UID()
		parts = append(parts, fmt.Sprintf("%d%v", uid, e.Flags))
		return err == nil
	}
	kind := "whole"
	switch v := v.(type) {
	case mail.Whole:
		v.All(entries)
	case mail.Delta:
		kind = "delta"
		v.Changed(entries)
		v.Gone(func(k mail.Key, err error) bool {
			uid, _ := k.UID()
			parts = append(parts, fmt.Sprintf("-%d", uid))
			return err == nil
		})
	}
	mark, err := v.At().End()
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(kind + " " + strings.Join(parts, " ")), v.At(), mark
}

var before = state{validity: 7, next: 10, modseq: 100, messages: 3}

func TestQresyncDelta(t *testing.T) {
	t.Parallel()
	s := scripted(t, qresync, `
		C: t3 SELECT "B" (QRESYNC (7 100))
		S: * 3 EXISTS
		S: * OK [UIDVALIDITY 7] v
		S: * OK [UIDNEXT 12] n
		S: * OK [HIGHESTMODSEQ 120] m
		S: * VANISHED (EARLIER) 2,5
		S: * 2 FETCH (UID 10 FLAGS (\Seen) MODSEQ (110))
		S: * 1 FETCH (UID 3 FLAGS (b \Flagged) MODSEQ (120))
		S: t3 OK [READ-WRITE] open`, nil)
	got, head, mark := shown(t, s, before.mark())
	if got != `delta 3(\Flagged b) 10(\Seen) -2 -5` || head.Total != 3 || head.Epoch != "7" {
		t.Errorf("%s, %+v", got, head)
	}
	if want := (state{7, 12, 120, 3}).mark(); mark != want {
		t.Errorf("mark %q, want %q", mark, want)
	}
}

// TestVanishedLies: what cannot be is not taken over, and Total shows what is wrong with the rest.
func TestVanishedLies(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"S: * VANISHED (EARLIER) 1:4294967295":                     "delta -1 -2 -3 -4 -5 -6 -7 -8 -9 -10 -11",
		"S: * VANISHED (EARLIER) 0:1":                              "delta -1",
		"S: * VANISHED (EARLIER) 5\nS: * 1 FETCH (UID 5 FLAGS ())": "delta -5",
		"S: * VANISHED (EARLIER) 400":                              "delta",
	} {
		s := scripted(t, qresync, opened("t3", 7, 12, 3, "S: * OK [HIGHESTMODSEQ 120] m", said), nil)
		if got, head, _ := shown(t, s, before.mark()); got != want || head.Total != 3 {
			t.Errorf("%s: %s, total %d; want %s", said, got, head.Total, want)
		}
	}
}

// TestNoDelta: an epoch or HIGHESTMODSEQ that does not follow on the mark, or a change without flags, means that only a
// whole view tells.
func TestNoDelta(t *testing.T) {
	t.Parallel()
	for name, select3 := range map[string]string{
		"epoch":                opened("t3", 8, 12, 1, "S: * OK [HIGHESTMODSEQ 120] m"),
		"HIGHESTMODSEQ":        opened("t3", 7, 12, 1, "S: * OK [HIGHESTMODSEQ 99] m"),
		"HIGHESTMODSEQ 0":      opened("t3", 7, 12, 1, "S: * OK [HIGHESTMODSEQ 0] m"),
		"no HIGHESTMODSEQ":     opened("t3", 7, 12, 1),
		"NOMODSEQ":             opened("t3", 7, 12, 1, "S: * OK [NOMODSEQ] m"),
		"change without flags": opened("t3", 7, 12, 1, "S: * OK [HIGHESTMODSEQ 120] m", "S: * 1 FETCH (UID 4 MODSEQ (119))"),
		"everything is gone":   opened("t3", 7, 4000000000, 1, "S: * OK [HIGHESTMODSEQ 120] m", "S: * VANISHED (EARLIER) 1:3999999999"),
	} {
		s := scripted(t, qresync, select3+`
			C: t4 UID FETCH 1:4294967295 (UID FLAGS)
			S: * 1 FETCH (UID 4 FLAGS (\Seen))
			S: t4 OK`, nil)
		got, head, mark := shown(t, s, before.mark())
		if got != `whole 4(\Seen)` || head.Total != 1 {
			t.Errorf("%s: %s, %+v", name, got, head)
		}
		none := strings.Contains(name, "no") || strings.Contains(name, "0") || name == "NOMODSEQ"
		if st, ok := parseMark(mark); !ok || (st.modseq == 0) != none || (st.mark() == "") != none {
			t.Errorf("%s: mark %q", name, mark)
		}
	}
}

// TestUIDNextFellBack: a server that was restored from a backup shows an older mailbox under the same UIDVALIDITY; what it lacks
// was not deleted (DESIGN.md section 4, rule 9). The view is of another epoch, and proves no mark.
func TestUIDNextFellBack(t *testing.T) {
	t.Parallel()
	list := `
		C: %s UID FETCH 1:4294967295 (UID FLAGS)
		S: * 1 FETCH (UID 4 FLAGS ())
		S: %s OK`
	for name, x := range map[string]struct{ caps, script string }{
		"QRESYNC": {qresync, opened("t3", 7, 9, 1, "S: * OK [HIGHESTMODSEQ 120] m") + fmt.Sprintf(list, "t4", "t4")},
		"bare":    {"", opened("t2", 7, 9, 1) + fmt.Sprintf(list, "t3", "t3")},
	} {
		s := scripted(t, x.caps, x.script, nil)
		old := before
		if name == "bare" {
			old.modseq = 0
		}
		got, head, mark := shown(t, s, old.seen())
		if got != "whole 4()" || head.Epoch == "7" || mark != "" {
			t.Errorf("%s: %s in the epoch %q, mark %q", name, got, head.Epoch, mark)
		}
	}
	again := opened("t2", 7, 12, 1) + fmt.Sprintf(list, "t3", "t3")
	s := scripted(t, "", again+opened("t4", 7, 9, 1)+fmt.Sprintf(list, "t5", "t5")+opened("t6", 7, 9, 1)+fmt.Sprintf(list, "t7", "t7"), nil)
	_, first, mark := shown(t, s, "")
	if mark == "" {
		t.Error("a server without CONDSTORE: the mark does not keep UIDNEXT")
	}
	_, second, _ := shown(t, s, "")
	_, third, _ := shown(t, s, "")
	if first.Epoch != "7" || second.Epoch == "7" || third.Epoch != "7" {
		t.Errorf("epochs %q, %q, %q", first.Epoch, second.Epoch, third.Epoch)
	}
}

// TestNoExists: a mailbox of which the server does not say how many messages it has is not an empty one (DESIGN.md section 4,
// rule 10).
func TestNoExists(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", "C: t2 SELECT \"B\"\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT 12] n\nS: t2 OK", nil)
	if got, _, _ := shown(t, s, ""); !strings.Contains(got, errNoCount.Error()) {
		t.Error(got)
	}
}

// TestBadMark: marks of nobody ask for nothing.
func TestBadMark(t *testing.T) {
	t.Parallel()
	for _, since := range []mail.Mark{"", "x", "imap1:7:10:100", "imap1:07:10:100:3", "imap1:7:10:100:-1"} {
		s := scripted(t, qresync, "C: t3 SELECT \"B\"\nS: * 0 EXISTS\nS: * OK [UIDVALIDITY 7] v\nS: t3 OK", nil)
		if got, _, mark := shown(t, s, since); got != "whole" || mark != "" {
			t.Errorf("%q: %s, mark %q", since, got, mark)
		}
	}
}

// TestCondstore: without QRESYNC a delta is possible while nothing was removed.
func TestCondstore(t *testing.T) {
	t.Parallel()
	changed := `
		C: t2 SELECT "B" (CONDSTORE)
		S: * %d EXISTS
		S: * OK [UIDVALIDITY 7] v
		S: * OK [UIDNEXT 12] n
		S: * OK [HIGHESTMODSEQ 120] m
		S: t2 OK [READ-WRITE] open
		C: t3 UID FETCH 1:4294967295 (UID FLAGS) (CHANGEDSINCE 100)
		S: * 2 FETCH (UID 5 FLAGS (\Seen) MODSEQ (115))
		S: * 4 FETCH (UID 11 FLAGS () MODSEQ (120))
		S: t3 OK
	`
	s := scripted(t, "CONDSTORE", fmt.Sprintf(changed, 4), nil)
	if got, head, _ := shown(t, s, before.mark()); got != `delta 5(\Seen) 11()` || head.Total != 4 {
		t.Errorf("%s, %+v", got, head)
	}
	s = scripted(t, "CONDSTORE", fmt.Sprintf(changed, 2)+`
		C: t4 UID FETCH 1:4294967295 (UID FLAGS)
		S: * 1 FETCH (UID 5 FLAGS (\Seen) MODSEQ (115))
		S: * 2 FETCH (UID 11 FLAGS () MODSEQ (120))
		S: t4 OK`, nil)
	if got, head, _ := shown(t, s, before.mark()); got != `whole 5(\Seen) 11()` || head.Total != 2 {
		t.Errorf("%s, %+v", got, head)
	}
}

// TestPartialList: what a list lacks is asked for, and is not gone.
func TestPartialList(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", opened("t2", 7, 12, 3)+`
		C: t3 UID FETCH 1:4294967295 (UID FLAGS)
		S: * 3 FETCH (UID 9 FLAGS ())
		S: * 1 FETCH (UID 4 FLAGS (\Seen))
		S: t3 OK
		C: t4 UID SEARCH ALL
		S: * SEARCH 4 6 9
		S: t4 OK
		C: t5 UID FETCH 6 (UID FLAGS)
		S: * 2 FETCH (UID 6 FLAGS (x))
		S: t5 OK`, nil)
	if got, _, _ := shown(t, s, ""); got != `whole 4(\Seen) 6(x) 9()` {
		t.Error(got)
	}
	s = scripted(t, "MESSAGELIMIT=1000", opened("t2", 7, 12, 3)+`
		C: t3 UID FETCH 1:4294967295 (UID FLAGS)
		S: * 3 FETCH (UID 9 FLAGS ())
		S: t3 OK [MESSAGELIMIT 1 9] that is all
		C: t4 UID SEARCH ALL
		S: * SEARCH 9
		S: t4 OK [MESSAGELIMIT 1 9] that is all`, nil)
	if got, _, _ := shown(t, s, ""); !strings.Contains(got, "part of the messages: 1 of 3") {
		t.Error(got)
	}
}

// TestPartLacks: what SEARCH finds and FETCH does not give is not gone, and what no command gives neither; a server that says that it
// shows only a part is taken at its word (DESIGN.md section 4, rule 10).
func TestPartLacks(t *testing.T) {
	t.Parallel()
	for _, found := range []string{"4 6 9", "9"} {
		s := scripted(t, "MESSAGELIMIT=1000", opened("t2", 7, 12, 3)+`
			C: t3 UID FETCH 1:4294967295 (UID FLAGS)
			S: * 3 FETCH (UID 9 FLAGS ())
			S: t3 OK
			C: t4 UID SEARCH ALL
			S: * SEARCH `+found+`
			S: t4 OK
			`+map[bool]string{true: "C: t5 UID FETCH 4,6 (UID FLAGS)\nS: t5 OK"}[found != "9"], nil)
		if got, _, _ := shown(t, s, ""); !strings.Contains(got, "part of the messages: 1 of 3") {
			t.Errorf("SEARCH %s: %s", found, got)
		}
		c, err := s.lease(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if !s.greeting(c, s.space).Caps.Partial {
			t.Error("MESSAGELIMIT is not told")
		}
		s.release(c, nil)
	}
}

func TestStorable(t *testing.T) {
	t.Parallel()
	all := mail.Flags{System: mail.AllSystem, Keywords: "a b"}
	for _, x := range []struct {
		permanent []string
		lacks     string
	}{
		{nil, "()"},
		{[]string{}, all.String()},
		{[]string{`\*`}, "()"},
		{[]string{`\Seen`}, `(\Answered \Deleted \Draft \Flagged a b)`},
		{[]string{`\seen`, `\ANSWERED`, `\Deleted`, `\Draft`, `\Flagged`, "A"}, "(b)"},
		{[]string{`\Seen`, `\*`}, `(\Answered \Deleted \Draft \Flagged)`},
		{[]string{`\Answered`, `\Flagged`, `\Draft`, `\Deleted`, `\Seen`, `\XOdd`, "", `\*`, `\*`}, "()"},
	} {
		if got := storable(x.permanent).Lacks(all).String(); got != x.lacks {
			t.Errorf("%q: lacks %s, want %s", x.permanent, got, x.lacks)
		}
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		st := state{rapid.Uint32().Draw(t, "v"), rapid.Uint32().Draw(t, "n"), rapid.Uint64().Draw(t, "m"), rapid.Uint32().Draw(t, "e")}
		back, ok := parseMark(st.seen())
		if known := st.validity != 0 && st.next != 0; ok != known || ok && back != st {
			t.Fatalf("%v became %v, %v", st, back, ok)
		}
		if mark := st.mark(); (mark != "") != (ok && st.modseq != 0) || mark != "" && mark != st.seen() {
			t.Fatalf("%v has the mark %q", st, mark)
		}
		v, n, ok := parseToken(token(st.validity, st.next))
		if ok != (st.validity != 0) || ok && (v != st.validity || n != st.next) {
			t.Fatalf("token of %v became %d, %d, %v", st, v, n, ok)
		}
		_, _ = parseMark(mail.Mark(rapid.String().Draw(t, "mark")))
	})
}

// TestNames: a name that a space takes comes back as it was.
func TestNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := space{Prefix: rapid.SampledFrom([]string{"", "INBOX.", "Mail/"}).Draw(t, "prefix"), Delim: rapid.SampledFrom([]byte{0, '.', '/'}).Draw(t, "delim")}
		box := mail.JoinBox(rapid.SliceOfN(rapid.StringMatching(`[a%/. ü]{0,3}|inbox|INBOX`), 1, 3).Draw(t, "parts"))
		name, err := p.name(box)
		if err != nil {
			return
		}
		if back, ours, err := p.box(name); !ours || err != nil || back != box {
			t.Fatalf("%q as %q became %q, %v, %v", box, name, back, ours, err)
		}
	})
	p := space{Prefix: "INBOX.", Delim: '.', Foreign: []string{"user.", "shared."}}
	for name, want := range map[string]string{
		"INBOX": "INBOX", "inbox": "INBOX", "INBOX.a.b": "a/b", "Inbox.a/b": "a%2Fb", "user.x": "-", "other": "-", "INBOX.": "-", "INBOX.a..b": "a//b error",
	} {
		box, ours, err := p.box(name)
		got := string(box)
		if !ours {
			got = "-"
		}
		if err != nil {
			got += " error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestSeenOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		uids := rapid.SliceOf(rapid.Uint32Range(1, 20)).Draw(t, "uids")
		var v seen
		last := map[uint32]string{}
		for i, uid := range uids {
			word := fmt.Sprintf("k%d", i)
			last[uid] = word
			v.add(message(uid, word))
		}
		v.order()
		if !slices.IsSorted(v.uids) || len(v.uids) != len(last) {
			t.Fatalf("%v became %v", uids, v.uids)
		}
		for e := range v.all(t.Context()) {
			if uid, _ := e.Key.UID(); e.Flags.Keywords != last[uid] {
				t.Fatalf("message %d has %v, want %s", uid, e.Flags, last[uid])
			}
		}
	})
}
