package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// user works on both sides of an account and knows what must exist. Each message is moved and deleted on one side only, so that it is
// clear where it belongs in the end: numbers say on which (owner), and where it is delivered (born). Flags change on both.
type user struct {
	w     *world
	c     *imapclient.Client
	r     *rand.Rand
	next  int
	alive map[int]string // its mailbox
	done  map[string]int
	story map[int][]string // what was done with each message, and when
}

const onServer = 1

func born(n int) int  { return n % 2 }
func owner(n int) int { return n / 2 % 2 }

var busyBoxes = []string{"INBOX", "Work", "Work/Deep"}

// deliver brings a message to the side where it is born.
func (u *user) deliver() {
	n, box := u.next, busyBoxes[u.r.IntN(len(busyBoxes))]
	u.next++
	u.tell(n, "delivered to %s", box)
	u.alive[n] = box
	if born(n) == onServer {
		upload(u.w.t, u.c, box, text(n), day)
		return
	}
	dir := filepath.Join(u.w.mail, box)
	for _, d := range []string{"cur", "new", "tmp"} {
		must(u.w.t, os.MkdirAll(filepath.Join(dir, d), 0o700))
	}
	name := fmt.Sprintf("17000%05d.M1P1.host", n)
	must(u.w.t, os.WriteFile(filepath.Join(dir, "tmp", name), []byte(lf(text(n))), 0o600))
	must(u.w.t, os.Chtimes(filepath.Join(dir, "tmp", name), day, day))
	must(u.w.t, os.Rename(filepath.Join(dir, "tmp", name), filepath.Join(dir, "new", name)))
}

// tell notes what is being done with a message.
func (u *user) tell(n int, format string, args ...any) {
	u.story[n] = append(u.story[n], time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// act does something with a message that is in a mailbox of a side. A file may be renamed by a sync meanwhile: then nothing happens.
func (u *user) act() {
	side, box := u.r.IntN(2), busyBoxes[u.r.IntN(len(busyBoxes))]
	at, here := map[int]imap.UID{}, map[int]string{}
	var all []int
	if side == onServer {
		at = uids(u.w.t, u.c, box)
		all = slices.Sorted(maps.Keys(at))
	} else {
		here = u.w.paths(box)
		all = slices.Sorted(maps.Keys(here))
	}
	all = slices.DeleteFunc(all, func(n int) bool { return u.alive[n] != box }) // on its way to or from here
	if len(all) == 0 {
		return
	}
	n := all[u.r.IntN(len(all))]
	what, to := u.r.IntN(10), busyBoxes[u.r.IntN(len(busyBoxes))]
	switch {
	case what < 4 || owner(n) != side || to == box:
		u.flag(at[n], here[n])
		u.done["flags"]++
	case what < 8:
		if u.move(at[n], here[n], to) {
			u.alive[n] = to
			u.tell(n, "moved from %s to %s, %s", box, to, filepath.Base(here[n]))
			u.done["moves"]++
		}
	case len(all) > 12: // else the guard might hold it back
		if u.remove(at[n], here[n]) {
			delete(u.alive, n)
			u.tell(n, "deleted from %s, %s", box, filepath.Base(here[n]))
			u.done["deletions"]++
		}
	}
}

func (u *user) flag(uid imap.UID, path string) {
	if uid != 0 {
		op := []imap.StoreFlagsOp{imap.StoreFlagsAdd, imap.StoreFlagsDel}[u.r.IntN(2)]
		store(u.w.t, u.c, imap.UIDSetNum(uid), op, []imap.Flag{imap.FlagSeen, imap.FlagFlagged, imap.FlagAnswered, "$Forwarded"}[u.r.IntN(4)])
		return
	}
	name, _, _ := strings.Cut(filepath.Base(path), ":2,")
	_ = os.Rename(path, filepath.Join(filepath.Dir(filepath.Dir(path)), "cur", name+":2,"+[]string{"", "S", "FS", "RS", "DF"}[u.r.IntN(5)])) // see act
}

func (u *user) move(uid imap.UID, path, to string) bool {
	if uid != 0 {
		_, err := u.c.Move(imap.UIDSetNum(uid), to).Wait()
		must(u.w.t, err)
		return true
	}
	name := filepath.Base(path)
	if !strings.Contains(name, ":2,") {
		name += ":2,"
	}
	return os.Rename(path, filepath.Join(u.w.mail, to, "cur", name)) == nil
}

func (u *user) remove(uid imap.UID, path string) bool {
	if uid != 0 {
		expunge(u.w.t, u.c, imap.UIDSetNum(uid))
		return true
	}
	return os.Remove(path) == nil
}

// check compares both sides with what must exist.
func (u *user) check() {
	u.w.t.Helper()
	u.w.equal(-1)
	there := map[string][]string{}
	for _, m := range u.w.local() {
		there[fmt.Sprintf("%x", m.sum)] = append(there[fmt.Sprintf("%x", m.sum)], m.box)
	}
	for n := range u.next {
		key := fmt.Sprintf("%x", sum([]byte(text(n))))
		var want []string
		if box := u.alive[n]; box != "" {
			want = []string{box}
		}
		if !slices.Equal(there[key], want) {
			u.w.t.Errorf("message %d, born on side %d, moved and deleted on side %d: is in %q, belongs into %q:\n%s", n, born(n), owner(n), there[key], want,
				strings.Join(u.story[n], "\n"))
		}
		delete(there, key)
	}
	if len(there) > 0 {
		u.w.t.Errorf("messages that nobody delivered: %v", there)
	}
}

// TestBusy changes both sides at random while syncs run all the time; then both sides are equal, and nothing is lost or doubled.
func TestBusy(t *testing.T) {
	t.Parallel()
	needServer(t)
	span := 10 * time.Second
	if long {
		span = time.Minute
	}
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	if s, err := strconv.ParseUint(os.Getenv("MAILTWIN_SEED"), 10, 64); err == nil {
		seed = s
	}
	w := newWorld(t)
	u := &user{w: w, c: w.dial(), alive: map[int]string{}, done: map[string]int{}, story: map[int][]string{}}
	u.r = rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // no secret
	for _, box := range busyBoxes[1:] {
		must(t, u.c.Create(box, nil).Wait())
	}
	for range 90 {
		u.deliver()
	}
	ctx, stop := context.WithCancel(context.Background())
	syncs := make(chan []string, 1)
	go func() { syncs <- w.syncUntil(ctx) }()
	for begun := time.Now(); time.Since(begun) < span; time.Sleep(time.Duration(u.r.IntN(8)) * time.Millisecond) {
		if len(u.alive) < 150 && u.r.IntN(4) == 0 {
			u.deliver()
		}
		u.act()
	}
	stop()
	told := <-syncs
	t.Logf("seed %d: %d messages, %v, %d syncs", seed, u.next, u.done, len(told))
	for _, s := range told {
		if s != "" {
			t.Log(s)
		}
	}
	w.run("sync", "a")
	w.run("sync", "a")
	u.check()
	w.still()
}

// syncUntil syncs until the context ends, and returns what each run said.
func (w *world) syncUntil(ctx context.Context) (told []string) {
	for ctx.Err() == nil {
		out, err := w.command(context.Background(), "sync", "--quiet", "a").CombinedOutput()
		text := string(out)
		if err != nil {
			text = fmt.Sprintf("%v: %s", err, out)
		}
		told = append(told, text)
	}
	return told
}
