package imapstore

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// bodyOf is the answer of a server with a message.
func bodyOf(uid int) string {
	return fmt.Sprintf(`S- "* %d FETCH (UID %d FLAGS () INTERNALDATE \"09-Sep-2001 01:46:40 +0000\" BODY[] {2}\r\nhi)\r\n"`+"\n", uid, uid)
}

// TestUnreadable: a message that the server does not hand out is named, and does not keep the others away.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	const no = " NO [UNAVAILABLE] UID FETCH Server error\n"
	s := scripted(t, "", opened("t2", 7, 12, 5)+
		"C~ t3 UID FETCH 1:5 .*\n"+bodyOf(1)+"S: t3"+no+ // 2 to 5 are left
		"C~ t4 UID FETCH 2:3 .*\n"+bodyOf(2)+"S: t4"+no+
		"C~ t5 UID FETCH 3 .*\nS: t5"+no+ // after a pause
		"C~ t6 UID FETCH 4:5 .*\n"+bodyOf(4)+bodyOf(5)+"S: t6 OK\n", nil)
	var got []mail.Key
	err := s.Fetch(t.Context(), "B", key(1, 2, 3, 4, 5), func(e mail.Entry, b mail.Body) error {
		got = append(got, e.Key)
		_, err := io.Copy(io.Discard, b.Reader)
		return err
	})
	var u *store.UnreadableError
	if !errors.As(err, &u) || len(u.Keys) != 1 || u.Keys[mail.UIDKey(3)] == nil || len(got) != 4 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestUnreadableAll: a server that refuses everything refuses, and there is no search without end for what is readable.
func TestUnreadableAll(t *testing.T) {
	t.Parallel()
	script := opened("t2", 7, 200, 150)
	for tag := 3; tag < 30; tag++ {
		script += fmt.Sprintf("C~ t%d (UID FETCH|LOGOUT|SELECT).*\nS? \"t%d NO [CANNOT] no\\r\\n\"\n", tag, tag)
	}
	s := scripted(t, "", script, nil)
	var keys []mail.Key
	for uid := range uint32(150) {
		keys = append(keys, mail.UIDKey(uid+1))
	}
	err := s.Fetch(t.Context(), "B", keys, func(mail.Entry, mail.Body) error { return nil })
	var u *store.UnreadableError
	if err == nil || errors.As(err, &u) || errors.Is(err, store.ErrUnreachable) {
		t.Error(err)
	}
}

// TestGoneMeanwhile: a NO for messages that are gone is no fault of the others (RFC 2180 section 4.1.2).
func TestGoneMeanwhile(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", opened("t2", 7, 12, 5)+"C~ t3 UID FETCH 1:2 .*\n"+bodyOf(1)+bodyOf(2)+"S: t3 NO Some of the requested messages no longer exist.\n", nil)
	n := 0
	err := s.Fetch(t.Context(), "B", key(1, 2), func(_ mail.Entry, b mail.Body) error {
		n++
		_, err := io.Copy(io.Discard, b.Reader)
		return err
	})
	if err != nil || n != 2 {
		t.Errorf("%d messages, %v", n, err)
	}
}

// TestAsksToWait: what a server asks for is obeyed. If it is long, nothing more is asked of it, and the error says when to try again.
func TestAsksToWait(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 14, 0, 0, 0, time.Local)
	for answer, want := range map[string]struct {
		wait time.Duration
		hint string
	}{
		"NO Request is throttled. Suggested Backoff Time: 299000 milliseconds":   {299 * time.Second, "sync again after 14:04:59"},
		"NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)": {time.Hour, "within 24 hours"},
		"BAD Request is throttled. Suggested Backoff Time: 3600000 milliseconds": {time.Hour, "sync again after 15:00:00"},
		"BYE": {time.Hour, "within 24 hours"},
	} {
		said := "S: t2 " + answer
		if answer == "BYE" {
			said = "S: * BYE Account exceeded command or bandwidth limits. abc\nCLOSE"
		}
		s := scripted(t, "", "C~ t2 STATUS \"B\" .*\n"+said, func(c *Config) { c.Now = func() time.Time { return now } })
		_, err := s.Prepare(t.Context(), "B", entries(1, 2))
		var busy *store.BusyError
		if !errors.As(err, &busy) || busy.Wait != want.wait || !errors.Is(err, store.ErrUnreachable) || !strings.Contains(mail.HintOf(err), want.hint) {
			t.Errorf("%s: %v, hint %q", answer, err, mail.HintOf(err))
		}
	}
}

// TestThrottledUpload: that the server has enough for now is no fault of a message.
func TestThrottledUpload(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"NO [LIMIT] Rate limit hit", "NO [OVERQUOTA] Account exceeded command or bandwidth limits.", "NO [INUSE] in use"} {
		s := scripted(t, "LITERAL+", "C~ t2 APPEND \"B\" .*\nL: 4\nC: \nS: t2 "+answer, nil)
		_, err := s.Put(t.Context(), "B", []mail.Intent{{Box: "B"}}, bodies(t, "body"))
		if err == nil || errors.Is(err, store.ErrRefused) {
			t.Errorf("%s: %v", answer, err)
		}
	}
	for _, answer := range []string{"NO [OVERQUOTA] Quota exceeded", "NO [TOOBIG] too big", "NO [LIMIT] message too large", "BAD no"} {
		s := scripted(t, "LITERAL+", "C~ t2 APPEND \"B\" .*\nL: 4\nC: \nS: t2 "+answer, nil)
		done, err := s.Put(t.Context(), "B", []mail.Intent{{Box: "B"}}, bodies(t, "body"))
		if err != nil || !errors.Is(done[0].Err, store.ErrRefused) {
			t.Errorf("%s: %+v, %v", answer, done, err)
		}
	}
}
