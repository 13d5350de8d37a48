package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// past is a random history of two users with mailboxes that come, go and are renamed, and with syncs that are killed at an effect
// or lose their connection in each of the ways of TestCut.
type past struct {
	*user
	relay    *relay
	boxes    []string // that can be renamed and removed
	names    int
	careless bool // everything that was done is on both sides: messages may be moved and deleted
	stopped  int
}

// TestHistory plays random histories against a real server; the seed is printed, MAILTWIN_SEED repeats it.
func TestHistory(t *testing.T) {
	t.Parallel()
	needServer(t)
	first, histories, steps := uint64(1), 3, 24
	if long {
		first, histories, steps = uint64(time.Now().UnixNano()), 16, 60 //nolint:gosec // any number will do
	}
	if s, err := strconv.ParseUint(os.Getenv("MAILTWIN_SEED"), 10, 64); err == nil {
		first, histories = s, 1
	}
	for i := range histories {
		seed := first + uint64(i) //nolint:gosec // small
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			w, r := throughRelay(t)
			p := &past{user: &user{w: w, c: w.dial(), alive: map[int]string{}, done: map[string]int{}, story: map[int][]string{}}, relay: r}
			p.r = rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // no secret
			for _, box := range busyBoxes[1:] {
				_ = p.c.Create(box, nil).Wait() // it is there with -count=2
			}
			for range 40 {
				p.deliver()
			}
			for range steps {
				p.step()
			}
			p.settle()
			t.Logf("seed %d: %d messages, %v, %d syncs were stopped", seed, p.next, p.done, p.stopped)
			p.check()
			if l, r := localBoxes(t, w.mail), w.boxes(); !slices.Equal(l, r) {
				t.Errorf("mailboxes locally %q, remotely %q", l, r)
			}
			w.still()
		})
	}
}

// settle syncs undisturbed.
func (p *past) settle() {
	for range 3 { // an empty mailbox goes in the second run that misses it
		p.w.run("sync", "--quiet", "a")
	}
	p.careless = true
}

func (p *past) step() {
	switch what := p.r.IntN(12); {
	case what < 3:
		p.deliver()
	case what < 8:
		if !p.careless {
			p.settle()
		}
		for range 4 {
			p.act()
		}
	case what < 9:
		p.changeBoxes()
	case what < 10:
		if killed, _ := p.w.crashAt(1 + p.r.IntN(60)); killed {
			p.stopped++
		}
		p.careless = false
	default:
		p.relay.arm(faults[p.r.IntN(len(faults))], 1+p.r.IntN(25))
		p.w.try("sync", "--quiet", "a")
		if _, cut := p.relay.heal(); cut {
			p.stopped++
		}
		p.careless = false
	}
}

// changeBoxes makes, renames or removes a mailbox on one side. It is done when both sides are equal, so that each message of a mailbox
// that is renamed goes with it.
func (p *past) changeBoxes() {
	p.settle()
	side := p.r.IntN(2)
	if len(p.boxes) == 0 || p.r.IntN(3) == 0 {
		p.names++
		name := fmt.Sprintf("Box %d", p.names)
		p.boxes = append(p.boxes, name)
		p.make(side, name)
		for range 3 {
			p.put(side, name)
		}
		p.done["mailboxes"]++
		return
	}
	i := p.r.IntN(len(p.boxes))
	name := p.boxes[i]
	if empty := !slices.Contains(slices.Collect(maps.Values(p.alive)), name); empty {
		p.boxes = slices.Delete(p.boxes, i, i+1)
		p.unmake(side, name)
		p.done["removals"]++
		return
	}
	p.names++
	to := fmt.Sprintf("Renamed %d", p.names)
	if side == onServer {
		_ = p.c.Unselect().Wait() // it may have nothing selected
		must(p.w.t, p.c.Rename(name, to, nil).Wait())
	} else {
		must(p.w.t, os.Rename(filepath.Join(p.w.mail, name), filepath.Join(p.w.mail, to)))
	}
	p.boxes[i] = to
	for n, box := range p.alive {
		if box == name {
			p.alive[n] = to
			p.tell(n, "renamed with its mailbox to %s on side %d", to, side)
		}
	}
	p.done["renames"]++
}

func (p *past) make(side int, name string) {
	if side == onServer {
		must(p.w.t, p.c.Create(name, nil).Wait())
		return
	}
	for _, d := range []string{"cur", "new", "tmp"} {
		must(p.w.t, os.MkdirAll(filepath.Join(p.w.mail, name, d), 0o700))
	}
}

func (p *past) unmake(side int, name string) {
	if side == onServer {
		_ = p.c.Unselect().Wait() // it may have nothing selected
		must(p.w.t, p.c.Delete(name).Wait())
		return
	}
	must(p.w.t, os.RemoveAll(filepath.Join(p.w.mail, name)))
}

// put delivers a message to a mailbox of a side.
func (p *past) put(side int, box string) {
	n := p.next
	p.next++
	p.alive[n] = box
	p.tell(n, "put into %s on side %d", box, side)
	if side == onServer {
		upload(p.w.t, p.c, box, text(n), day)
		return
	}
	p.w.deliver(box, fmt.Sprintf("17000%05d.M1P1.host:2,", n), lf(text(n)), day)
}
