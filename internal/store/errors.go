package store

import (
	"errors"
	"fmt"
	"time"

	"mailtwin/internal/mail"
)

// Errors that the engine tells apart with errors.Is. Stores wrap them: fmt.Errorf("open mailbox %q: %w: %w", ..., ErrGone, cause).
var (
	ErrUnreachable = errors.New("not reachable")                   // the whole account; exit code 10
	ErrLogin       = errors.New("login refused")                   // the whole account; exit code 12
	ErrGone        = errors.New("no such mailbox")                 // the mailbox
	ErrEpoch       = errors.New("the mailbox is not the one seen") // the mailbox: epoch changed, or a sample differs; look again in the next run
	ErrReadOnly    = errors.New("read-only")                       // the mailbox
	ErrNotEmpty    = errors.New("not empty")                       // the mailbox
	ErrRefused     = errors.New("refused")                         // one message, for good: too large, not accepted
	ErrSetup       = errors.New("not usable as configured")        // the whole account; exit code 2
)

// BusyError says that a server wants to be left alone for a while: it is an ErrUnreachable for now.
type BusyError struct {
	Wait time.Duration // that the server asks for; 0: it does not say
	Err  error         // its words
}

func (e *BusyError) Error() string { return e.Err.Error() }

// Unwrap returns the cause, and ErrUnreachable.
func (e *BusyError) Unwrap() []error { return []error{ErrUnreachable, e.Err} }

// UnreadableError names messages that are there but that their store does not hand out, as far as can be told for good. All others were
// handed out.
type UnreadableError struct {
	Keys map[mail.Key]error
}

func (e *UnreadableError) Error() string {
	for _, err := range e.Keys {
		return fmt.Sprintf("%d messages cannot be read: %v", len(e.Keys), err)
	}
	return "no message cannot be read"
}
