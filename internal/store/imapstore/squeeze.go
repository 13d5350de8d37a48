package imapstore

import (
	"context"
	"math/bits"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Compress says when connections are compressed (RFC 4978).
type Compress uint8

// The settings.
const (
	CompressAuto Compress = iota // where the link was measured to be slow
	CompressOn                   // wherever the server offers it
	CompressOff
)

const deflate = "COMPRESS=DEFLATE"

// When it pays. Compressed, a server sends 4 to 6 MB of mail a second for each core that it has to spare, whatever the link could
// carry, and half to a quarter of that is on the wire. See docs/compression.md for what was measured.
const (
	slowRate  = 2 << 20               // octets a second; a link that carries more is not compressed
	slowTrip  = 10 * time.Millisecond // a round trip; servers that are nearer are on a fast link
	usualSize = 8000                  // octets of a message
	worth     = 4                     // round trips that a transfer must take for compression to be worth one
	probe     = 32                    // messages that are fetched first where nothing is known of the link
	bridge    = 96                    // messages that are under way while that is judged
)

// direction is that of a transfer.
type direction int

const (
	down direction = iota
	up
)

// link is what is known of the way to the server.
type link struct {
	mu      sync.Mutex
	rtt     time.Duration // the least that a command took; 0: not known
	speed   [2]speed
	day     int64 // when an earlier session measured the speed, since 1970
	reading int   // connections that wait for what they fetch
	since   time.Time
}

// speed is how fast a direction is.
type speed struct {
	octets  int64
	busy    time.Duration // it took
	earlier int           // kB a second, in the last session that measured it; 0: not known
}

// What is little says nothing.
const (
	leastOctets = 256 << 10
	leastBusy   = 500 * time.Millisecond
	plenty      = 4 << 20
)

// rate is in kB a second; 0: not known.
func (s *speed) rate() int {
	if s.octets < leastOctets || s.busy < leastBusy && s.octets < plenty {
		return s.earlier
	}
	return max(1, int(float64(s.octets)/1000/max(s.busy.Seconds(), 0.001)))
}

func (s *speed) add(octets int64, busy time.Duration) {
	s.octets, s.busy = s.octets+octets, s.busy+busy
	if s.octets > 4*plenty { // the link may change
		s.octets, s.busy = s.octets/2, s.busy/2
	}
}

// measured is what a session remembers of the link: kB a second down and up, 0 for what is not known, and when that was found.
type measured struct {
	Rates [2]int
	Day   int64
}

// validDays is how long a measurement counts. Compressed connections measure nothing, so it must come to an end.
const validDays = 7

// begin begins a session with what an earlier one found.
func (l *link) begin(m measured, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rtt, l.day = 0, now.Unix()/86400
	if m.Day > l.day || m.Day+validDays <= l.day {
		m.Rates, m.Day = [2]int{}, l.day
	}
	l.day = m.Day
	for d := range l.speed {
		l.speed[d] = speed{earlier: m.Rates[d]}
	}
}

// trip notes how long a command took that costs the server little.
func (l *link) trip(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rtt == 0 || d < l.rtt {
		l.rtt = max(d, 1)
	}
}

// known reports whether enough is known of a direction to say whether compression pays.
func (l *link) known(d direction) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rtt < slowTrip || l.speed[d].rate() > 0
}

// measured is what is worth remembering, in powers of two so that it does not change in each session.
func (l *link) measured(now time.Time) measured {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := measured{Day: l.day}
	for d := range l.speed {
		rate := l.speed[d].rate()
		if rate > 0 {
			m.Rates[d] = 1 << (bits.Len(uint(rate)) - 1) //nolint:gosec // positive
		}
		if rate != l.speed[d].earlier { // found in this session
			m.Day = now.Unix() / 86400
		}
	}
	if m.Rates == [2]int{} {
		m.Day = 0
	}
	return m
}

// warmUp is how many round trips TCP takes to find out what a link carries.
const warmUp = 10

// linkConn measures what a link carries while its connection fetches. The time counts in which a connection waits for more, once if
// several do: what the disk here takes says nothing of the link. What it took to begin does not count.
type linkConn struct {
	net.Conn
	link     *link
	bulk     atomic.Bool // bodies are being fetched
	squeezed atomic.Bool // it is compressed, or the server did not want to
	begun    time.Time   // of the reader: the first of them came
	acker    acker
}

func (s *Store) dialer(c *linkConn) func(context.Context, string, string) (net.Conn, error) {
	open := s.cfg.Client.Dial
	if open == nil {
		open = (&net.Dialer{Timeout: s.cfg.Client.Timeout}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := open(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c.Conn, c.link, c.acker = conn, &s.link, newAcker(conn)
		if s.cfg.Reached != nil {
			s.cfg.Reached(s.lifetime())
		}
		return c, nil
	}
}

// Read implements net.Conn.
func (c *linkConn) Read(p []byte) (int, error) {
	if c.bulk.Load() && !c.squeezed.Load() {
		return c.measure(p)
	}
	n, err := c.Conn.Read(p)
	c.acker.ack()
	return n, err
}

// measure is Read for what is fetched in bulk.
func (c *linkConn) measure(p []byte) (int, error) {
	if c.begun.IsZero() {
		c.begun = time.Now()
	}
	counts := c.link.wait(c.begun)
	n, err := c.Conn.Read(p)
	c.link.got(n, counts)
	return n, err
}

// wait notes that a connection waits, and returns whether that counts.
func (l *link) wait(begun time.Time) bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(begun) < min(warmUp*l.rtt, 2*time.Second) {
		return false
	}
	if l.reading == 0 {
		l.since = now
	}
	l.reading++
	return true
}

func (l *link) got(n int, counts bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var busy time.Duration
	if counts {
		busy, l.since = now.Sub(l.since), now
		l.reading--
	} else if l.reading == 0 {
		return
	}
	l.speed[down].add(int64(n), busy)
}

// sent notes how long an upload took, up to its answer. What a server takes to store messages counts as well, but it costs a server
// next to nothing to take compressed ones.
func (l *link) sent(octets int64, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.speed[up].add(octets, max(took-l.rtt, 0))
}

// squeezes reports whether a connection is to be compressed as soon as it is logged in, which costs no round trip. login is how long
// that took: one round trip, and more.
func (s *Store) squeezes(c *conn, login time.Duration) bool {
	if s.cfg.Compress == CompressOff || !c.has(deflate) {
		return false
	}
	if s.cfg.Compress == CompressOn {
		return true
	}
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	rate := s.link.speed[down].rate()
	return login >= slowTrip && rate > 0 && rate < slowRate/1000
}

// pays reports whether compressing a connection is worth the round trip that it takes, for so many messages.
func (l *link) pays(d direction, messages int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	rate := l.speed[d].rate()
	if l.rtt < slowTrip || rate == 0 || rate >= slowRate/1000 {
		return false
	}
	takes := time.Duration(messages) * usualSize * time.Second / time.Duration(rate*1000)
	return takes >= worth*l.rtt
}

// squeeze compresses a connection that is about to transfer many messages, if that pays.
func (s *Store) squeeze(ctx context.Context, c *conn, d direction, messages int) error {
	if s.cfg.Compress != CompressAuto || c.wire.squeezed.Load() || !s.link.pays(d, messages) || !c.has(deflate) {
		return nil
	}
	c.wire.squeezed.Store(true)
	_, err := c.client.Compress().Wait(ctx)
	return ifBroken(err)
}

// first returns how many of the messages are to be fetched by themselves, so that the link is measured before the rest, and the rest
// can be compressed; 0: none. Only until the link is known.
func (s *Store) first(c *conn, messages int) int {
	if s.cfg.Compress != CompressAuto || c.wire.squeezed.Load() || c.probed || messages < 3*probe || !c.has(deflate) {
		return 0
	}
	if s.link.known(down) {
		return 0
	}
	c.probed = true
	return probe
}
