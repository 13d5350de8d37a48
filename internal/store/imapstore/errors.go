package imapstore

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/wire"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// maxBackoff is how long a server that throttles is waited for in the middle of the work, without a word. Who waits longer is told.
const maxBackoff = 10 * time.Second

var (
	errNoHello  = errors.New("the store was not opened")
	errNoEpoch  = errors.New("the server tells no UIDVALIDITY")
	errNoCount  = errors.New("the server does not tell how many messages there are")
	errNoUIDs   = errors.New("the server does not keep UIDs")
	errLies     = errors.New("the server tells what cannot be")
	errPartial  = errors.New("the server shows only a part of the messages")
	errReadOnly = fmt.Errorf("%w by configuration", store.ErrReadOnly)
)

// own is an error of the caller's function. It says nothing of the connection.
type own struct{ error }

func (o own) Unwrap() error { return o.error }

// decided are the errors that need no further translation.
var decided = []error{
	store.ErrUnreachable, store.ErrLogin, store.ErrGone, store.ErrEpoch, store.ErrReadOnly, store.ErrNotEmpty,
	store.ErrRefused, store.ErrSetup, errNoHello, errNoEpoch, errNoUIDs, errNoCount, errClosed,
	errNoName, errPart, errLevels, errControl, errNUL, errDelim, errExists, errInbox, errPartial, errLies,
}

// refusal returns the server's NO or BAD in an error, nil if it has none.
func refusal(err error) *imap.Error {
	var e *imap.Error
	if errors.As(err, &e) && e.Kind != "BYE" {
		return e
	}
	return nil
}

// broken reports whether a connection cannot be used after an error: all that is neither a refusal nor ours.
func broken(err error) bool {
	var o own
	if err == nil || errors.As(err, &o) || refusal(err) != nil {
		return false
	}
	for _, d := range decided {
		if errors.Is(err, d) {
			return false
		}
	}
	return true
}

// fault translates an error of the client for the engine.
func (s *Store) fault(ctx context.Context, err error) error {
	var o own
	var auth *imap.AuthError
	var said *imap.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		if errors.Is(err, ctx.Err()) {
			return err
		}
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	case errors.As(err, &o):
		return o.error
	case errors.As(err, &auth) && auth.Err.Temporary() && asks(auth.Err) == 0:
		return mail.WithHint(fmt.Errorf("%w: %w", store.ErrUnreachable, err), "the server lets nobody else in for now; if other programs are connected to the account, close some, or set connections = 1")
	case errors.As(err, &said) && said.Throttled():
		return mail.WithHint(&store.BusyError{Wait: asks(said), Err: err}, s.busyHint(said))
	case errors.As(err, &auth):
		return mail.WithHint(fmt.Errorf("%w: %w", store.ErrLogin, err), loginHint(auth))
	case errors.Is(err, imap.ErrStartTLS):
		return mail.WithHint(err, "the password was not sent; with imaps:// the connection is safe from its start, if the server offers that")
	case incredible(err):
		return mail.WithHint(err, "the next sync goes on where this one stopped; if this stays, tell it to those who run the server")
	case !broken(err):
		return err
	}
	return mail.WithHint(fmt.Errorf("%w: %w", store.ErrUnreachable, err), s.networkHint(err))
}

// incredible reports whether a server, or something between, said what cannot be, or what has no end.
func incredible(err error) bool {
	var syntax *wire.SyntaxError
	var limit *wire.LimitError
	for _, e := range []error{imap.ErrProtocol, imap.ErrNoAnswer, errLies, errNoEpoch, errNoCount, errPartial} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.As(err, &syntax) || errors.As(err, &limit)
}

// asks returns how long a server wants to be left alone, 0 if it does not say. Who has used up what may be transferred in a day is not
// let in again within minutes.
func asks(e *imap.Error) time.Duration {
	if e.Throttled() && strings.Contains(strings.ToLower(e.Text), "bandwidth limit") {
		return max(e.Backoff(), time.Hour)
	}
	return e.Backoff()
}

// busyHint says when to try again.
func (s *Store) busyHint(e *imap.Error) string {
	const less = "; fewer connections (connections = 1) may be less of a burden"
	if wait := e.Backoff(); wait > 0 {
		return fmt.Sprintf("the server asks to be left alone for %v: sync again after %s%s", wait.Round(time.Second), s.cfg.Now().Add(wait).Format("15:04:05"), less)
	}
	if e.Hint != "" {
		return "sync again later, it goes on where it stopped: " + e.Hint
	}
	return "the server asks to be left alone for a while: sync again in a few minutes, it goes on where it stopped" + less
}

func loginHint(e *imap.AuthError) string {
	if e.Err != nil && e.Err.Hint != "" {
		return e.Err.Hint
	}
	return "check user name and password; many providers want an app password instead of the usual one"
}

// networkHint says what may help when the server cannot be reached.
func (s *Store) networkHint(err error) string {
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		dns     *net.DNSError
	)
	switch {
	case errors.As(err, &name):
		return fmt.Sprintf("the certificate is not for %s: check the host name", s.host)
	case errors.As(err, &unknown):
		return "no authority known here signed the server's certificate: check the host, or add the authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired, or this computer's clock is wrong"
	case errors.As(err, &record):
		return "the server does not speak TLS on this port: 993 is for TLS, 143 for STARTTLS"
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("there is no host %s: check its name", s.host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: check host and port; IMAP over TLS is port 993"
	case errors.Is(err, imap.ErrTimeout), errors.Is(err, imap.ErrSlow), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was lost; the next run goes on where this one stopped"
	}
	return ""
}

// read runs fn on a connection, which must not change anything. If the connection turns out to be broken it runs fn once
// more on a new one, and once more when a server that throttles has had its pause.
func (s *Store) read(ctx context.Context, box mail.Box, fn func(*conn) error) error {
	for try := 0; ; try++ {
		c, err := s.lease(ctx, box)
		if err != nil {
			return s.fault(ctx, err)
		}
		err = fn(c)
		s.release(c, err)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || try > 0 || !s.again(ctx, err) {
			return s.fault(ctx, err)
		}
	}
}

// again reports whether a read that failed is worth another try, after waiting as long as it takes.
func (s *Store) again(ctx context.Context, err error) bool {
	var auth *imap.AuthError
	if errors.As(err, &auth) && !auth.Err.Temporary() {
		return false
	}
	var e *imap.Error
	if errors.As(err, &e) && e.Temporary() {
		wait := cmp.Or(asks(e), time.Second)
		return wait <= maxBackoff && pause(ctx, wait) == nil
	}
	return broken(err)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
