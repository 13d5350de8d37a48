package ui

import (
	gobytes "bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/state"
)

func noEnv(string) string { return "" }

// screen is a UI whose outputs are in memory.
func screen(style Style) (u *UI, out, err *gobytes.Buffer) {
	out, err = &gobytes.Buffer{}, &gobytes.Buffer{}
	return New(out, err, style, noEnv), out, err
}

func TestError(t *testing.T) {
	t.Parallel()
	u, out, errs := screen(Style{})
	u.Error(mail.WithHint(errors.New("open \x1b[31mmailbox"), "do\nthis"))
	u.Error(errors.New("plain"))
	if want := "mailtwin: open ?[31mmailbox\nhint: do this\nmailtwin: plain\n"; errs.String() != want || out.Len() > 0 {
		t.Errorf("%q", errs.String())
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	res := engine.Result{
		Summary: engine.Summary{Event: "summary", Account: "work", CopiedToLocal: 1, HeldBack: 12, Mailboxes: 2, Seconds: 0.4},
		Reports: []state.Report{
			{Box: "INBOX", Kind: "held back", Count: 12, Text: "will not delete all 12", Hint: "mailtwin sync --allow-deletes work/INBOX"},
			{Box: "Sent", Kind: "refused", Count: 1, Text: "too large"},
			{Box: "Sent", Kind: "error", Count: 1, Text: "told before"},
		},
	}
	for _, c := range []struct {
		style    Style
		out, err string
	}{
		{Style{}, "1 new, 12 deletions held back, 2 mailboxes, 0.4 s\n", "mailtwin: INBOX: will not delete all 12\nhint: mailtwin sync --allow-deletes work/INBOX\nmailtwin: Sent: too large\n"},
		{Style{Quiet: true}, "", "mailtwin: INBOX: will not delete all 12\nhint: mailtwin sync --allow-deletes work/INBOX\n"},
		{Style{Names: true}, "work: 1 new, 12 deletions held back, 2 mailboxes, 0.4 s\n", "mailtwin: work/INBOX: will not delete all 12\nhint: mailtwin sync --allow-deletes work/INBOX\nmailtwin: work/Sent: too large\n"},
	} {
		u, out, errs := screen(c.style)
		u.Outcome("work", res)
		if out.String() != c.out || errs.String() != c.err {
			t.Errorf("%+v:\n%s\n%s", c.style, out.String(), errs.String())
		}
	}
}

// TestJSON: the names of the fields are promised.
func TestJSON(t *testing.T) {
	t.Parallel()
	u, out, _ := screen(Style{JSON: true})
	p := u.Follow()
	defer p.Close()
	p.Event(engine.Event{Kind: engine.EventPhase, Account: "a", Phase: engine.PhaseCopy})
	p.Event(engine.Event{Kind: engine.EventProgress, Account: "a", Phase: engine.PhaseCopy, Box: "INBOX", Side: mail.Remote, Verb: "copy", Done: 2, Total: 2, Bytes: 30})
	p.Event(engine.Event{Kind: engine.EventProgress, Account: "a", Phase: engine.PhaseCopy, Box: "INBOX", Side: mail.Remote, Verb: "copy", Done: 2, Total: 2, Bytes: 30})
	p.Event(engine.Event{Kind: engine.EventError, Account: "a", Box: "INBOX", Err: mail.WithHint(errors.New("bad"), "cure")})
	p.Event(engine.Event{Kind: engine.EventNote, Account: "a", Box: "INBOX", Text: "\"\x1b\xff"})
	u.Outcome("a", engine.Result{
		Summary: engine.Summary{Event: "summary", Account: "a"},
		Reports: []state.Report{{Box: "INBOX", Kind: "held back", Count: 1, Text: "t", Hint: "h"}, {Kind: "refused", Text: "t"}},
	})
	want := strings.Join([]string{
		`{"event":"phase","account":"a","phase":"copy"}`,
		`{"event":"progress","account":"a","phase":"copy","mailbox":"INBOX","side":"remote","verb":"copy","done":2,"total":2,"bytes":30}`,
		`{"event":"error","account":"a","mailbox":"INBOX","text":"bad","hint":"cure"}`,
		`{"event":"note","account":"a","mailbox":"INBOX","text":"\"\u001b\ufffd"}`,
		`{"event":"held_back","account":"a","mailbox":"INBOX","kind":"held back","count":1,"text":"t","hint":"h"}`,
		`{"event":"left","account":"a","kind":"refused","text":"t"}`,
		`{"event":"summary","account":"a","copied_to_local":0,"copied_to_remote":0,"moved_local":0,"moved_remote":0,"renamed_local":0,"renamed_remote":0,"flagged_local":0,"flagged_remote":0,"deleted_local":0,"deleted_remote":0,"adopted":0,"held_back":0,"left":0,"errors":0,"mailboxes":0,"messages":0,"bytes_down":0,"bytes_up":0,"round_trips":0,"seconds":0}`,
	}, "\n") + "\n"
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

// TestJSONTotal: a total that is not known is left out, not given as less than what is done.
func TestJSONTotal(t *testing.T) {
	t.Parallel()
	u, out, _ := screen(Style{JSON: true})
	u.jsonEvent(engine.Event{Kind: engine.EventProgress, Account: "a", Phase: engine.PhaseFlags, Box: "INBOX", Verb: "flag", Done: 1000})
	u.jsonEvent(engine.Event{Kind: engine.EventProgress, Account: "a", Phase: engine.PhaseFlags, Box: "INBOX", Verb: "flag"})
	want := `{"event":"progress","account":"a","phase":"flags","mailbox":"INBOX","side":"local","verb":"flag","done":1000,"bytes":0}
{"event":"progress","account":"a","phase":"flags","mailbox":"INBOX","side":"local","verb":"flag","done":0,"total":0,"bytes":0}
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	ops := []engine.Planned{
		{Side: mail.Local, Verb: "create mailbox", Box: "New"},
		{Side: mail.Local, Verb: "copy", Box: "New", Key: mail.UIDKey(7)},
		{Side: mail.Remote, Verb: "copy", Box: "INBOX", Key: "17.host"},
		{Side: mail.Remote, Verb: "copy", Box: "INBOX", Key: "18.host"},
		{Side: mail.Remote, Verb: "delete", Box: "INBOX", Key: mail.UIDKey(9), Date: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), From: "Ann\x1b <a@example.org>", Subject: "Hello"},
		{Side: mail.Local, Verb: "flag", Box: "INBOX", Key: "19.host", Flags: `+\Seen`},
		{Verb: "adopt", Box: "INBOX", Key: "20.host"},
		{Side: mail.Remote, Verb: "move", Box: "INBOX", To: "Work", Key: mail.UIDKey(3)},
		{Side: mail.Local, Verb: "rename mailbox", Box: "Old", To: "Older"},
	}
	u, out, _ := screen(Style{})
	u.plan("a", ops)
	want := `INBOX  2 to copy to remote, 1 to delete on remote, 1 to flag on local, 1 already on both sides, 1 to move to Work on remote
  delete on remote  2026-03-02 10:00  Ann? <a@example.org>  Hello
New    create mailbox on local, 1 to copy to local
Old    rename mailbox on local to Older
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	u, out, _ = screen(Style{Verbose: true})
	u.plan("a", ops)
	for _, line := range []string{"copy to local  UID 7", "copy to remote  17.host", `flag on local  19.host  +\Seen`, "adopt  20.host", "move on remote  UID 3  to Work", "create mailbox on local", "rename mailbox on local  to Older"} {
		if !strings.Contains(out.String(), "  "+line+"\n") {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}

func TestAskDeletes(t *testing.T) {
	t.Parallel()
	held := []plan.Held{{Box: "INBOX", Side: mail.Remote, Count: 812, Of: 900, Why: "812 of 900 messages of the mailbox"}}
	for answer, want := range map[string]bool{"y\n": true, "Yes\n": true, "n\n": false, "\n": false, "": false, "yikes\n": false} {
		u, _, errs := screen(Style{})
		if got := u.AskDeletes(t.Context(), strings.NewReader(answer), "a", held); got != want {
			t.Errorf("%q: %v", answer, got)
		}
		if want := "delete 812 messages in INBOX on the remote side (812 of 900 messages of the mailbox)? [y/N] "; errs.String() != want {
			t.Errorf("%q", errs.String())
		}
	}
}

// TestProgressOnTerminal: the lines are below all else, fit into the width, and are gone in the end.
func TestProgressOnTerminal(t *testing.T) {
	t.Parallel()
	u, out, errs := screen(Style{})
	u.width = func() int { return 40 }
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	p := &Progress{ui: u, now: func() time.Time { return now }, busy: map[busyKey]*busyBox{}, phases: map[string]engine.Phase{}, stop: make(chan struct{}), done: make(chan struct{})}
	close(p.done)
	u.live = p
	e := engine.Event{Kind: engine.EventProgress, Account: "a", Phase: engine.PhaseCopy, Box: "INBOX", Side: mail.Local, Verb: "copy", Total: 1000}
	p.Event(engine.Event{Kind: engine.EventPhase, Account: "a", Phase: engine.PhaseCopy})
	p.Event(e)
	now = now.Add(10 * time.Second)
	e.Done, e.Bytes = 500, 20_000_000
	p.Event(e)
	if got, want := p.lines(now), []string{"INBOX  copy to local  500 of 1,000, 20 MB, 2.0 MB/s, 11 s left"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	u.mu.Lock()
	p.show()
	u.mu.Unlock()
	u.Note("hello")
	u.Result("result")
	p.Close()
	p.Close()
	line := "INBOX  copy to local  500 of 1,000, 20…\n"
	hide := "\x1b[1A\r\x1b[J"
	if want := line + hide + "hello\n" + line + hide + line + hide; errs.String() != want {
		t.Errorf("%q\nwant\n%q", errs.String(), want)
	}
	if out.String() != "result\n" {
		t.Errorf("%q", out.String())
	}
	if strings.Contains(errs.String(), "\x1b[2m") {
		t.Error("colour although none was wanted")
	}
}

// TestProgressElsewhere: a line now and then, none when quiet.
func TestProgressElsewhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		style Style
		want  int
	}{{Style{}, 2}, {Style{Quiet: true}, 0}, {Style{Verbose: true}, 3}} {
		u, out, errs := screen(c.style)
		p := u.Follow()
		now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
		p.now = func() time.Time { return now }
		for done := 0; done <= 12; done++ {
			p.Event(engine.Event{Kind: engine.EventProgress, Account: "a", Phase: engine.PhaseCopy, Box: "INBOX", Side: mail.Local, Verb: "copy", Done: done, Total: 12})
			now = now.Add(time.Second)
		}
		p.Close()
		if n := strings.Count(errs.String(), "\n"); n != c.want || out.Len() > 0 {
			t.Errorf("%+v: %d lines\n%s", c.style, n, errs.String())
		}
	}
}

func TestColor(t *testing.T) {
	t.Parallel()
	u, _, errs := screen(Style{})
	u.color = true
	u.Error(errors.New("x"))
	if want := "\x1b[31;1mmailtwin:\x1b[0m x\n"; errs.String() != want {
		t.Errorf("%q", errs.String())
	}
	if New(io.Discard, io.Discard, Style{}, noEnv).color {
		t.Error("colour where there is no terminal")
	}
}

func TestStatusText(t *testing.T) {
	t.Parallel()
	u, out, _ := screen(Style{})
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	last := now.Add(-3 * time.Hour)
	u.Status(Status{
		Account: "work", Local: "maildir:/m", Remote: "imaps://me@h", Synced: true, LastSync: &last, Unclean: true, Pending: 2, Suspect: "an older copy",
		Mailboxes: []StatusBox{{Mailbox: "INBOX", Messages: 1234, Left: map[string]int{"refused": 1}}, {Mailbox: "Sent", Messages: 5}},
		Reports:   []StatusReport{{Mailbox: "INBOX", Kind: "held back", Text: "will not", Hint: "do"}},
		Summary:   json.RawMessage(`{"copied_to_local":3}`),
	}, now)
	want := "work: last change " + last.Local().Format("2006-01-02 15:04") + `, 3 hours ago (3 new)
  local   maildir:/m
  remote  imaps://me@h
  INBOX  1,234  (1 refused)
  Sent       5
  1,239 messages in 2 mailboxes
  a sync is under way or was stopped; the next one goes on
  2 operations are to be settled by the next sync
  deletions are held back: an older copy
  held back: INBOX: will not
    hint: do
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}
