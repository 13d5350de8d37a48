package imapstore

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// slowLink is a way to a server that takes some time and carries so much a second, all connections together.
type slowLink struct {
	trip time.Duration
	rate int // octets a second, in each direction; 0: all

	mu   sync.Mutex
	free [2]time.Time
}

// pass passes on what comes, as the link allows.
func (l *slowLink) pass(to io.Writer, from io.Reader, d int) {
	type piece struct {
		due  time.Time
		data []byte
	}
	queue := make(chan piece, 1<<10)
	var wg sync.WaitGroup
	wg.Go(func() {
		for p := range queue {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.data)
		}
	})
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		if n > 0 {
			l.mu.Lock()
			due := time.Now()
			if l.rate > 0 {
				if l.free[d].After(due) {
					due = l.free[d]
				}
				due = due.Add(time.Duration(n) * time.Second / time.Duration(l.rate))
				l.free[d] = due
			}
			l.mu.Unlock()
			if wait := time.Until(due) - 30*time.Millisecond; wait > 0 { // as much as a router keeps
				time.Sleep(wait)
			}
			queue <- piece{due.Add(l.trip / 2), buf[:n]}
		}
		if err != nil {
			break
		}
	}
	close(queue)
	wg.Wait()
}

func (l *slowLink) dial(ctx context.Context, network, address string) (net.Conn, error) {
	server, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	go func() {
		l.pass(server, far, 0)
		_ = server.Close()
	}()
	go func() {
		l.pass(far, server, 1)
		_ = far.Close()
	}()
	return near, nil
}

// over returns a store behind a link, and what tells how often COMPRESS was asked for.
func over(t *testing.T, user string, l *slowLink, c Compress) (*Store, func() int) {
	t.Helper()
	d, _ := imaptest.Shared(t)
	cfg := config(d, user)
	cfg.Compress, cfg.Connections = c, 2
	if l != nil {
		cfg.Client.Dial = l.dial
	}
	var mu sync.Mutex
	asked := 0
	cfg.Client.Trace = func(dir byte, line []byte) {
		mu.Lock()
		defer mu.Unlock()
		if dir == 'C' && strings.HasSuffix(string(line), " COMPRESS DEFLATE") {
			asked++
		}
	}
	s := New(cfg)
	t.Cleanup(func() { _ = s.Close() })
	return s, func() int {
		mu.Lock()
		defer mu.Unlock()
		return asked
	}
}

// deliver uploads messages of some 8 kB.
func deliver(t *testing.T, user string, n int) {
	t.Helper()
	d, _ := imaptest.Shared(t)
	r := newReader(t, config(d, user))
	a := r.c.Append("INBOX")
	for i := range n {
		text := fmt.Sprintf("Message-ID: <%d@x>\r\n\r\n%s", i, strings.Repeat(fmt.Sprintf("%x and so on\r\n", i*i*7919), 400))
		if err := a.Add(t.Context(), imap.AppendMessage{Size: int64(len(text)), Body: strings.NewReader(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := wait(a.Finish()); err != nil {
		t.Fatal(err)
	}
}

// pull fetches all messages, in batches as the engine does, and returns the hint for the next session.
func pull(t *testing.T, s *Store, hint string, n int) string {
	t.Helper()
	if _, err := s.Hello(t.Context(), hint); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Boxes(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[mail.Key]bool{}
	for from := 0; from < n; from += 300 {
		var keys []mail.Key
		for i := from; i < min(n, from+300); i++ {
			keys = append(keys, mail.UIDKey(uint32(i+1)))
		}
		err := s.Fetch(t.Context(), "INBOX", keys, func(e mail.Entry, b mail.Body) error {
			if got[e.Key] {
				t.Errorf("message %s twice", e.Key)
			}
			got[e.Key] = true
			_, err := io.Copy(io.Discard, b.Reader)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != n {
		t.Errorf("%d messages of %d", len(got), n)
	}
	return s.Hint()
}

// TestCompressAuto: a slow link is compressed once it was measured, in the next session at once and without a round trip more; a fast
// one never.
func TestCompressAuto(t *testing.T) {
	t.Parallel()
	const n = 600
	_, user := imaptest.Shared(t)
	deliver(t, user, n)
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		l := &slowLink{trip: 40 * time.Millisecond, rate: 500_000}
		s, asked := over(t, user, l, CompressAuto)
		hint := pull(t, s, "", n)
		in := s.Counts().BytesIn
		if asked() != 1 || in > n*8000*2/3 {
			t.Errorf("asked %d times, %d octets", asked(), in)
		}
		s, asked = over(t, user, l, CompressAuto)
		if again := pull(t, s, hint, n); asked() != 1 || s.Counts().BytesIn > in/2 || again == "" {
			t.Errorf("asked %d times, %d octets after %d", asked(), s.Counts().BytesIn, in)
		}
		trips := func(hint string) int64 {
			s, _ := over(t, user, l, CompressAuto)
			if _, err := s.Hello(t.Context(), hint); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Boxes(t.Context()); err != nil {
				t.Fatal(err)
			}
			return s.Counts().RoundTrips
		}
		without, _ := over(t, user, l, CompressOff)
		if _, err := without.Hello(t.Context(), hint); err != nil {
			t.Fatal(err)
		}
		if _, err := without.Boxes(t.Context()); err != nil {
			t.Fatal(err)
		}
		if with := trips(hint); with != without.Counts().RoundTrips {
			t.Errorf("%d round trips, %d without", with, without.Counts().RoundTrips)
		}
		// After a week it is measured again.
		s, asked = over(t, user, &slowLink{trip: 40 * time.Millisecond}, CompressAuto)
		s.cfg.Now = func() time.Time { return time.Now().AddDate(0, 0, 8) }
		if pull(t, s, hint, n); asked() != 0 {
			t.Errorf("asked %d times on a fast link, %s", asked(), s.Hint())
		}
	})
	for name, l := range map[string]*slowLink{"near": nil, "far and fast": {trip: 40 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, asked := over(t, user, l, CompressAuto)
			hint := pull(t, s, "", n)
			s, again := over(t, user, l, CompressAuto)
			if pull(t, s, hint, n); asked()+again() != 0 {
				t.Errorf("compressed %d and %d times, %s", asked(), again(), hint)
			}
		})
	}
	t.Run("on and off", func(t *testing.T) {
		t.Parallel()
		s, asked := over(t, user, nil, CompressOn)
		if pull(t, s, "", n); asked() != 1 || s.Counts().BytesIn > n*4000 {
			t.Errorf("on: asked %d times, %d octets", asked(), s.Counts().BytesIn)
		}
		s, asked = over(t, user, &slowLink{trip: 40 * time.Millisecond, rate: 4_000_000}, CompressOff)
		if pull(t, s, fmt.Sprintf(`{"Caps":["COMPRESS=DEFLATE"],"Link":{"Rates":[64,64],"Day":%d}}`, time.Now().Unix()/86400), n); asked() != 0 {
			t.Errorf("off: asked %d times", asked())
		}
	})
}

// TestCompressAutoUp: uploads over a slow link are compressed from the second batch on.
func TestCompressAutoUp(t *testing.T) {
	t.Parallel()
	_, user := imaptest.Shared(t)
	s, asked := over(t, user, &slowLink{trip: 40 * time.Millisecond, rate: 500_000}, CompressAuto)
	if _, err := s.Hello(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	const n = 60
	text := strings.Repeat("all work and no play\r\n", 400)
	for range 2 {
		intents := make([]mail.Intent, n)
		for i := range intents {
			intents[i] = mail.Intent{Box: "INBOX", Kind: mail.IntentPut}
		}
		_, err := s.Put(t.Context(), "INBOX", intents, store.Bodies(func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
			for i := range n {
				if err := each(i, mail.Entry{}, mail.Body{Size: int64(len(text)), Reader: strings.NewReader(text)}); err != nil {
					return err
				}
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	if out := s.Counts().BytesOut; asked() != 1 || out > int64(n*len(text)*11/10) {
		t.Errorf("asked %d times, %d octets", asked(), out)
	}
}

// TestFlightGoesOn: where nothing is known of the link, some messages come first and some more behind them. The rest is asked for before
// these are here, unless the link turns out to be slow: then it is asked for compressed.
func TestFlightGoesOn(t *testing.T) {
	t.Parallel()
	keys := make([]mail.Key, 200)
	for i := range keys {
		keys[i] = mail.UIDKey(uint32(i + 1))
	}
	const first = "C~ t3 UID FETCH 1:32 .*\nC~ t4 UID FETCH 33:128 .*\nS: * 1 FETCH (UID 1 FLAGS () INTERNALDATE \"28-Nov-2026 12:00:00 +0000\" BODY[] \"body\")\nS: t3 OK\n"
	for name, x := range map[string]struct {
		rate int // kB a second
		rest string
	}{
		"fast": {10_000, first + "C~ t5 UID FETCH 129:200 .*\nS: t4 OK\nS: t5 OK\n"},
		"slow": {100, first + "S: t4 OK\nC: t5 COMPRESS DEFLATE\nS: t5 NO not now\nC~ t6 UID FETCH 129:200 .*\nS: t6 OK\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, deflate, opened("t2", 1, 201, 200)+x.rest, nil)
			measure := func(octets int64, busy time.Duration) {
				s.link.mu.Lock()
				defer s.link.mu.Unlock()
				s.link.rtt, s.link.speed[down] = 40*time.Millisecond, speed{octets: octets, busy: busy}
			}
			measure(0, 0)
			err := s.Fetch(t.Context(), "INBOX", keys, func(_ mail.Entry, b mail.Body) error {
				measure(int64(x.rate)*10_000, 10*time.Second)
				_, err := io.Copy(io.Discard, b.Reader)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLinkPays: the rule by its figures.
func TestLinkPays(t *testing.T) {
	t.Parallel()
	const day = 20_000
	now := time.Unix(day*86400+5, 0)
	for _, x := range []struct {
		rtt      time.Duration
		earlier  int // kB a second
		day      int64
		octets   int64 // in this session
		busy     time.Duration
		messages int
		pays     bool
	}{
		{40 * time.Millisecond, 125, day, 0, 0, 5, true},                           // 1 Mbit/s
		{40 * time.Millisecond, 125, day, 0, 0, 1, false},                          // not worth a round trip
		{9 * time.Millisecond, 125, day, 0, 0, 500, false},                         // near
		{40 * time.Millisecond, 0, 0, 0, 0, 500, false},                            // not known
		{40 * time.Millisecond, 12_500, day, 0, 0, 500, false},                     // 100 Mbit/s
		{40 * time.Millisecond, 1250, day, 0, 0, 30, true},                         // 10 Mbit/s
		{40 * time.Millisecond, 1250, day, 0, 0, 15, false},                        //
		{40 * time.Millisecond, 1250, day - 7, 0, 0, 500, false},                   // long ago
		{40 * time.Millisecond, 1250, day + 1, 0, 0, 500, false},                   // by a clock that was wrong
		{40 * time.Millisecond, 1250, day, 5 << 20, time.Second, 500, false},       // faster now
		{40 * time.Millisecond, 12_500, day, 1 << 20, 2 * time.Second, 500, true},  // slower now
		{40 * time.Millisecond, 12_500, day, 100_000, 2 * time.Second, 500, false}, // too little to say so
		{40 * time.Millisecond, 0, 0, 8 << 20, 10 * time.Millisecond, 500, false},  // what came at once was under way before
	} {
		var l link
		l.begin(measured{Rates: [2]int{x.earlier, 0}, Day: x.day}, now)
		l.trip(time.Second)
		l.trip(x.rtt)
		l.speed[down].add(x.octets, x.busy)
		if got := l.pays(down, x.messages); got != x.pays {
			t.Errorf("%+v: %v", x, got)
		}
		if l.pays(up, x.messages) {
			t.Errorf("%+v: uploads are not known of", x)
		}
	}
	var l link
	l.begin(measured{Rates: [2]int{1250, 0}, Day: day - 2}, now)
	if got := l.measured(now); got != (measured{Rates: [2]int{1024, 0}, Day: day - 2}) {
		t.Errorf("%+v", got)
	}
	l.speed[down].add(1<<20, 2*time.Second)
	if got := l.measured(now); got != (measured{Rates: [2]int{512, 0}, Day: day}) {
		t.Errorf("%+v", got)
	}
}
