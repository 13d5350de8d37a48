package imap

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// ErrTimeout says that nothing moved in either direction for Config.Timeout while an answer was due.
var ErrTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string   { return "the server did not answer in time" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// ErrClosed says that Close was called.
var ErrClosed = fmt.Errorf("connection was closed here: %w", net.ErrClosed)

// ErrNoAnswer says that the server reported success without the data that the command is for. An empty answer must not be
// taken for it: an empty SEARCH would mean that every message is gone.
var ErrNoAnswer = errors.New("the server sent no answer")

// ErrProtocol says that a server, or something between, does what is not in the protocol, so that nothing it says can be used.
var ErrProtocol = errors.New("the server breaks the protocol")

// ErrStartTLS says that the connection could not be made safe, for another reason than the network. Nothing but STARTTLS was sent.
var ErrStartTLS = errors.New("ask for STARTTLS")

// Error is a refusal by the server: NO or BAD of a command, or BYE.
type Error struct {
	Command string // the command's name; "" for a BYE that no command asked for
	Kind    string // NO, BAD or BYE
	Code    string // response code in upper case, without its arguments; "" if none
	Text    string // the server's words
	Hint    string // what this is known to mean with this wording; "" if nothing is known
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Command != "" {
		b.WriteString(e.Command + ": ")
	}
	b.WriteString("server said " + e.Kind)
	if e.Code != "" {
		b.WriteString(" [" + e.Code + "]")
	}
	if e.Text != "" {
		b.WriteString(": " + e.Text)
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

// Temporary says whether the same command may succeed later without anybody changing anything (RFC 5530, and the words of
// servers that throttle).
func (e *Error) Temporary() bool {
	switch e.Code {
	case "UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG":
		return true
	}
	return e.Kind == "BYE" || e.Throttled()
}

// Throttled says whether the server wants less to be asked of it, whatever the command: Exchange ("Request is throttled. Suggested Backoff
// Time: 299123 milliseconds"), Gmail ("Account exceeded command or bandwidth limits"), Yahoo ("[LIMIT] Rate limit hit"), and the like.
func (e *Error) Throttled() bool {
	if e.Code == "THROTTLED" || e.Backoff() > 0 {
		return true
	}
	for _, words := range []string{"throttled", "bandwidth limit", "rate limit", "too many requests", "too many simultaneous connections"} {
		if containsFold(e.Text, words) {
			return true
		}
	}
	return false
}

// Backoff returns how long the server asks to wait ("Suggested Backoff Time: 300000 milliseconds"), 0 if it does not, at
// most an hour.
func (e *Error) Backoff() time.Duration {
	const words = "suggested backoff time:"
	i := strings.Index(strings.ToLower(e.Text), words)
	if i < 0 {
		return 0
	}
	rest := strings.TrimSpace(e.Text[min(i+len(words), len(e.Text)):])
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	ms, err := strconv.ParseUint(rest[:end], 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(ms)*time.Millisecond, time.Hour)
}

func containsFold(s, lower string) bool { return strings.Contains(strings.ToLower(s), lower) }

// hint says what some refusals are known to mean.
func hint(code, text string) string {
	switch {
	case containsFold(text, "authenticated but not connected"):
		return "Exchange says this for a missing permission of the token, too many sessions, or a wrong password"
	case containsFold(text, "application-specific password"):
		return "the account needs an app password"
	case containsFold(text, "web login required"), code == "WEBALERT":
		return "log in once with a browser, or use an app password"
	case containsFold(text, "bandwidth limit"):
		return "the provider limits what may be transferred in a day, and lets the account in again within 24 hours"
	case code == "OVERQUOTA":
		return "the account is full"
	case code == "PRIVACYREQUIRED":
		return "the server wants TLS"
	}
	return ""
}

// AuthError says that the server refused to log the user in.
type AuthError struct {
	Mechanism string // of SASL, or LOGIN
	Err       *Error // what the server said
}

func (e *AuthError) Error() string { return "log in with " + e.Mechanism + ": " + e.Err.Error() }

// Unwrap returns the server's refusal.
func (e *AuthError) Unwrap() error { return e.Err }

// connError makes an error of the network one that tells timeouts apart.
func connError(err error) error {
	var ne net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || (errors.As(err, &ne) && ne.Timeout()) {
		return fmt.Errorf("talk to server: %w", ErrTimeout)
	}
	return fmt.Errorf("talk to server: %w", err)
}
