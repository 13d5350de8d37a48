package store

import "errors"

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
