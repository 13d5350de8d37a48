package imap_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"mailtwin/internal/imap"
)

func TestAnswersOutOfOrder(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", `
		C: t1 STATUS "a" (MESSAGES)
		C: t2 STATUS "B" (MESSAGES)
		C: t3 NOOP
		S: * STATUS b (MESSAGES 2)
		S: t3 OK
		S: t2 OK
		S: * STATUS a (MESSAGES 1)
		S: t1 OK`)
	a, b, n := c.Status("a", "MESSAGES"), c.Status("B", "MESSAGES"), c.Noop()
	wait(t, n)
	if wait(t, a).Messages != 1 || wait(t, b).Messages != 2 {
		t.Error("mixed up")
	}
	if rt := c.Stats().RoundTrips; rt != 1 {
		t.Error(rt, "round trips")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", `
		C: t1 NOOP
		S: t1 NO Request is throttled. Suggested Backoff Time: 92415 milliseconds
		C: t2 NOOP
		S: t2 BAD User is authenticated but not connected.
		C: t3 NOOP
		S: t3 NO [UNAVAILABLE] UID FETCH Server error
		C: t4 NOOP
		S: * OK [ALERT] look here
		S: * BYE [UNAVAILABLE] going down
		CLOSE`)
	var alert string
	c.OnUnsolicited(func(u imap.Unsolicited) {
		if u.Kind == imap.UnsolicitedAlert {
			alert = u.Text
		}
	})
	refusal := func() *imap.Error {
		_, err := c.Noop().Wait(ctxOf(t))
		var e *imap.Error
		if !errors.As(err, &e) {
			t.Fatal(err)
		}
		return e
	}
	if e := refusal(); e.Backoff() != 92415*time.Millisecond || !e.Temporary() || e.Kind != "NO" {
		t.Errorf("%+v", e)
	}
	if e := refusal(); e.Hint == "" || e.Kind != "BAD" {
		t.Errorf("%+v", e)
	}
	if e := refusal(); !e.Temporary() || e.Code != "UNAVAILABLE" {
		t.Errorf("%+v", e)
	}
	_, err := c.Noop().Wait(ctxOf(t))
	var e *imap.Error
	if !errors.As(err, &e) || e.Kind != "BYE" || !errors.Is(err, io.ErrUnexpectedEOF) || alert != "look here" {
		t.Error(err, alert)
	}
	if _, err := c.Noop().Wait(ctxOf(t)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("a command after the end:", err)
	}
}

func TestLogoutWithoutOK(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", `
		C: t1 LOGOUT
		S: * BYE bye
		CLOSE`)
	wait(t, c.Logout())
}
