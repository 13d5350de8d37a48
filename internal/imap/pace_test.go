package imap

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// dripping gives some octets after a pause, again and again.
type dripping struct {
	octets int
	pause  time.Duration
}

func (d dripping) Read(b []byte) (int, error) {
	time.Sleep(d.pause)
	return min(d.octets, len(b)), nil
}

// TestPace: a response that trickles ends, though no pause in it is long. A slow line, the rest between two responses, and what the
// client takes to use what came are no reason.
func TestPace(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		drip    dripping
		of      int           // octets of a response; 0: it never ends
		between time.Duration // what the client does after each read
		slow    bool
	}{
		"one octet a second":        {drip: dripping{1, time.Second}, slow: true},
		"100 octets in 30 seconds":  {drip: dripping{100, 30 * time.Second}, slow: true},
		"20 octets a second":        {drip: dripping{20, time.Second}},
		"10 kB in 50 seconds":       {drip: dripping{10000, 50 * time.Second}},
		"a busy client":             {drip: dripping{2000, time.Millisecond}, between: time.Hour},
		"responses with long rests": {drip: dripping{20, time.Hour}, of: 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pace{src: x.drip, timeout: time.Minute}
				begun := time.Now()
				var err error
				for n := 0; err == nil && n < 5000; n++ {
					if x.of > 0 && n*x.drip.octets%x.of == 0 {
						p.begin(0)
					}
					_, err = p.Read(make([]byte, 4096))
					time.Sleep(x.between)
				}
				if errors.Is(err, ErrSlow) != x.slow || err != nil && !x.slow || x.slow && time.Since(begun) > 10*time.Minute {
					t.Errorf("after %v: %v", time.Since(begun), err)
				}
			})
		})
	}
}
