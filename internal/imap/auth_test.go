package imap_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
)

func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestXOAUTH2Refused(t *testing.T) {
	t.Parallel()
	c := scripted(t, "SASL-IR AUTH=XOAUTH2", `
		C: t1 AUTHENTICATE XOAUTH2 `+b64("user=me\x01auth=Bearer tok\x01\x01")+`
		S: + `+b64(`{"status":"400"}`)+`
		C: 
		S: t1 NO [AUTHENTICATIONFAILED] Invalid credentials`)
	err := c.Authenticate(ctxOf(t), imap.Credentials{User: "me", Token: secret("tok")})
	var ae *imap.AuthError
	if !errors.As(err, &ae) || ae.Mechanism != "XOAUTH2" {
		t.Error(err)
	}
}

func TestOAuthBearerWithoutInitialResponse(t *testing.T) {
	t.Parallel()
	c := scripted(t, "AUTH=OAUTHBEARER AUTH=XOAUTH2", `
		C: t1 AUTHENTICATE OAUTHBEARER
		S: + 
		C: `+b64("n,a=m=3De,\x01host=localhost\x01port=143\x01auth=Bearer tok\x01\x01")+`
		S: t1 OK [CAPABILITY IMAP4rev1 IDLE] in`)
	if err := c.Authenticate(ctxOf(t), imap.Credentials{User: "m=e", Token: secret("tok")}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Caps(), []string{"IMAP4REV1", "IDLE"}) {
		t.Error(c.Caps())
	}
}

func TestExternalSendsEmptyResponse(t *testing.T) {
	t.Parallel()
	c := scripted(t, "SASL-IR AUTH=EXTERNAL", `
		C: t1 AUTHENTICATE EXTERNAL =
		S: t1 OK in
		C: t2 CAPABILITY
		S: * CAPABILITY IMAP4rev1 QRESYNC
		S: t2 OK`)
	if err := c.Authenticate(ctxOf(t), imap.Credentials{Mechanism: "external"}); err != nil {
		t.Fatal(err)
	}
	if !c.Has("CONDSTORE") {
		t.Error("QRESYNC implies CONDSTORE")
	}
}

func TestLoginCommand(t *testing.T) {
	t.Parallel()
	s := imaptest.NewScript(t, `
			S: * OK hi
			C: t1 CAPABILITY
			S: * CAPABILITY IMAP4rev1
			S: t1 OK
			C: t2 LOGIN "me" {9}
			S: + go on
			C: pä"sword
			S: t2 NO pä"sword is wrong
			C: t3 LOGIN "me" "hunter2"
			S: * CAPABILITY IMAP4rev1 PROXY
			S: t3 OK in
			C: t4 CAPABILITY
			S: * CAPABILITY IMAP4rev1 MOVE
			S: t4 OK`)
	var trace strings.Builder
	c := dialTest(t, imap.Config{
		Address: "localhost:143", Security: imap.Plain, Dial: s.Dial,
		Trace: func(dir byte, line []byte) { trace.WriteString(string(dir) + string(line) + "\n") },
	})
	err := c.Authenticate(ctxOf(t), imap.Credentials{User: "me", Password: secret(`pä"sword`)})
	var ae *imap.AuthError
	if !errors.As(err, &ae) || strings.Contains(err.Error(), "sword") {
		t.Error(err)
	}
	if err := c.Authenticate(ctxOf(t), imap.Credentials{User: "me", Password: secret("hunter2")}); err != nil {
		t.Fatal(err)
	}
	if !c.Has("MOVE") || c.Has("PROXY") {
		t.Error(c.Caps())
	}
	if got := trace.String(); strings.Contains(got, "sword") || strings.Contains(got, "hunter") || !strings.Contains(got, `Ct2 LOGIN "me" "***"`) {
		t.Error(got)
	}
}

// TestSecretsInAnswers: whatever a server makes of what it was sent, no error shows the secret, and each is still what it is.
func TestSecretsInAnswers(t *testing.T) {
	t.Parallel()
	const password = `horse"batt\staple`
	quoted := `"horse\"batt\\staple"`
	for name, answer := range map[string]string{
		"NO":         `S: t1 NO LOGIN me ` + password,
		"NO, quoted": `S: t1 NO LOGIN me ` + quoted,
		"base64":     `S: t1 NO AUTHENTICATE ` + b64(password),
		"BYE":        "S: * BYE " + password + "\nCLOSE",
		"tag":        "S: " + quoted + " OK",
		"outcome":    "S: t1 " + quoted,
		"syntax":     "S: * 1 FETCH " + quoted + "\nS: t1 NO",
		"echo":       `S: t1 LOGIN "me" ` + quoted,
		"code":       "S: t1 NO [" + b64(password) + "] x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := scripted(t, "", `C: t1 LOGIN "me" `+quoted+"\n"+answer)
			err := c.Authenticate(ctxOf(t), imap.Credentials{User: "me", Password: secret(password)})
			for _, e := range []error{err, c.Err()} {
				if text := fmt.Sprint(e); strings.Contains(text, "horse") || strings.Contains(text, "staple") || strings.Contains(text, b64(password)) {
					t.Error(e)
				}
			}
			if err == nil {
				t.Error("logged in")
			}
		})
	}
}

func TestSCRAMServerMustProve(t *testing.T) {
	t.Parallel()
	c := scripted(t, "SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN", `
		C~ t1 AUTHENTICATE SCRAM-SHA-256 [A-Za-z0-9+/=]+
		S: t1 OK [CAPABILITY IMAP4rev1] trust me`)
	if err := c.Authenticate(ctxOf(t), imap.Credentials{User: "me", Password: secret("pw")}); err == nil {
		t.Error("a server that does not know the password was believed")
	}
	if c.Err() == nil {
		t.Error("the connection goes on")
	}
}

func TestBadChallengeIsCancelled(t *testing.T) {
	t.Parallel()
	c := scripted(t, "AUTH=CRAM-MD5", `
		C: t1 AUTHENTICATE CRAM-MD5
		S: + !!not base64!!
		C: *
		S: t1 BAD cancelled
		C: t2 AUTHENTICATE PLAIN
		S: + `+b64("PLAIN has no challenge")+`
		C: *
		S: t2 BAD cancelled`)
	for _, m := range []string{"CRAM-MD5", "PLAIN"} {
		err := c.Authenticate(ctxOf(t), imap.Credentials{Mechanism: m, User: "me", Password: secret("pwd")})
		var ae *imap.AuthError
		if err == nil || errors.As(err, &ae) {
			t.Error(err)
		}
	}
}

func TestNoMechanism(t *testing.T) {
	t.Parallel()
	c := scripted(t, "LOGINDISABLED AUTH=GSSAPI", "")
	err := c.Authenticate(ctxOf(t), imap.Credentials{User: "me", Password: secret("pw")})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestAssumedCaps(t *testing.T) {
	t.Parallel()
	c := scripted(t, "SASL-IR AUTH=PLAIN", `
		C: t1 AUTHENTICATE PLAIN `+b64("\x00me\x00pwd")+`
		S: t1 OK in
		C: t2 CAPABILITY
		C: t3 UID MOVE 1 "x"
		S: * CAPABILITY IMAP4rev1
		S: t2 OK
		S: t3 BAD what`)
	c.AssumeCaps([]string{"IMAP4rev1", "Move"})
	if !c.Has("MOVE") {
		t.Error("not assumed")
	}
	if err := c.Authenticate(ctxOf(t), imap.Credentials{User: "me", Password: secret("pwd")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UIDMove(imap.NumSetOf(1), "x").Wait(ctxOf(t)); err == nil || c.Has("MOVE") {
		t.Error(err, c.Caps())
	}
}

func startTLS(t *testing.T, transcript string) (*imap.Client, error) {
	t.Helper()
	s := imaptest.NewScript(t, transcript)
	c, err := imap.Dial(ctxOf(t), imap.Config{
		Address: "localhost:143", Security: imap.StartTLS, Dial: s.Dial, TLS: &tls.Config{RootCAs: imaptest.Certificate().Roots},
	})
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func TestStartTLSForgetsWhatCameBefore(t *testing.T) {
	t.Parallel()
	c, err := startTLS(t, `
		S: * OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN MOVE] hi
		C: s0 STARTTLS
		S: * CAPABILITY IMAP4rev1 QRESYNC
		S: s0 OK go
		TLS
		C: t1 CAPABILITY
		S: * CAPABILITY IMAP4rev1 LOGINDISABLED
		S: t1 OK`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Has("MOVE") || c.Has("QRESYNC") || len(c.Caps()) != 0 {
		t.Error(c.Caps())
	}
	if err := c.Authenticate(ctxOf(t), imap.Credentials{User: "me", Password: secret("pw")}); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
}

func TestStartTLSRefusals(t *testing.T) {
	t.Parallel()
	for name, transcript := range map[string]string{
		"preauth":   "S: * PREAUTH [CAPABILITY IMAP4rev1] come in",
		"injection": "S: * OK hi\nC: s0 STARTTLS\nS- \"s0 OK go\\r\\n* OK [CAPABILITY X] injected\\r\\n\"\nTLS?",
		"no":        "S: * OK hi\nC: s0 STARTTLS\nS: s0 NO we have none",
		"bye":       "S: * BYE [ALERT] too many",
		"other tag": "S: * OK hi\nC: s0 STARTTLS\nS: t1 OK go",
		"http":      "S: HTTP/1.1 400 Bad Request",
		"pop":       "S: +OK ready",
		"silence":   "CLOSE",
		"star":      "S: * HELLO",
		"plain":     "S: * OK hi\nC: s0 STARTTLS\nS: s0 OK go\nL: 5\nS: * OK no TLS after all\nCLOSE",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c, err := startTLS(t, transcript); err == nil {
				t.Error("connected", c.Caps())
			} else {
				t.Log(err)
			}
		})
	}
}

func TestPreAuth(t *testing.T) {
	t.Parallel()
	s := imaptest.NewScript(t, `
		S: * PREAUTH [CAPABILITY IMAP4rev2] hi
		C: t1 NOOP
		S: t1 OK`)
	c := dialTest(t, imap.Config{Address: "localhost:143", Security: imap.Plain, Dial: s.Dial})
	if err := c.Authenticate(ctxOf(t), imap.Credentials{}); err != nil || !c.PreAuth() || !c.Has("uidplus") || c.Has("CONDSTORE") {
		t.Error(err, c.Caps())
	}
	wait(t, c.Noop())
}
