package imap

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"mailtwin/internal/imap/wire"
)

// Security says how the connection is protected.
type Security uint8

// The kinds of protection.
const (
	TLS      Security = iota // from the first octet (RFC 8314)
	StartTLS                 // after STARTTLS, before anything else counts (RFC 9051 section 6.2.1)
	Plain                    // not at all
)

// DefaultTimeout is the idle deadline when Config.Timeout is 0.
const DefaultTimeout = 60 * time.Second

// Limits bound what a server can make the client keep.
type Limits = wire.Limits

// NumSet is a set of UIDs or message sequence numbers.
type NumSet = wire.NumSet

// NumSetOf returns the set of the given numbers.
func NumSetOf(nums ...uint32) NumSet { return wire.NumSetOf(nums...) }

// NumRange returns the set of the numbers from lo to hi. Use 4294967295 for "and all above": it stands for * without its
// meaning of "the last message, whichever that is".
func NumRange(lo, hi uint32) NumSet { return wire.NumRange(lo, hi) }

// Config says where and how to connect.
type Config struct {
	Address    string        // host:port
	ServerName string        // the name that the certificate must bear; default: the host of Address
	Security   Security      // default: TLS
	TLS        *tls.Config   // extra roots, client certificate; MinVersion is raised to TLS 1.2; may be nil
	Timeout    time.Duration // idle deadline, moved by each octet in either direction; default 60 s
	Limits     Limits        // zero fields: defaults
	// Trace is called with each line, 'C' from the client and 'S' from the server, without its end, bodies and secrets. It
	// may be called from several goroutines at once. Nil: no trace.
	Trace func(dir byte, line []byte)
	// Dial opens the connection; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Stats counts what went over the wire.
type Stats struct {
	BytesIn, BytesOut int64 // octets, encryption included
	RoundTrips        int64 // times that somebody waited after something had been sent
}
