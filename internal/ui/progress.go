package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
)

const (
	redrawEvery = 100 * time.Millisecond
	lineEvery   = 5 * time.Second // per mailbox, where there is no terminal
	jsonEvery   = time.Second     // per mailbox
	mostLines   = 8               // busy mailboxes that are shown
)

// Progress follows running syncs. On a terminal it keeps one line for each busy mailbox below all else; elsewhere it prints
// a line now and then. Its methods are safe on nil.
type Progress struct {
	ui  *UI
	now func() time.Time

	mu     sync.Mutex
	busy   map[busyKey]*busyBox
	phases map[string]engine.Phase // by account

	drawn int    // lines on the screen; guarded by ui.mu
	seen  string // these lines; guarded by ui.mu
	ended sync.Once
	stop  chan struct{}
	done  chan struct{}
}

type busyKey struct {
	account string
	box     mail.Box
}

// busyBox is one mailbox that something is being done in.
type busyBox struct {
	last    engine.Event
	since   time.Time // of the present work in it
	first   engine.Event
	printed time.Time
	over    bool
}

// Follow starts to show progress; Close ends it.
func (u *UI) Follow() *Progress {
	p := &Progress{ui: u, now: time.Now, busy: map[busyKey]*busyBox{}, phases: map[string]engine.Phase{}, stop: make(chan struct{}), done: make(chan struct{})}
	if u.Quiet || !u.Terminal() {
		close(p.done)
		return p
	}
	u.mu.Lock()
	u.live = p
	u.mu.Unlock()
	go p.redraw()
	return p
}

// Close takes the progress off the screen.
func (p *Progress) Close() {
	if p == nil {
		return
	}
	p.ended.Do(func() { close(p.stop) })
	<-p.done
	p.ui.mu.Lock()
	defer p.ui.mu.Unlock()
	if p.ui.live == p {
		p.hide()
		p.ui.live = nil
	}
}

func (p *Progress) redraw() {
	defer close(p.done)
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.ui.mu.Lock()
			if p.text() != p.seen || p.drawn == 0 {
				p.hide()
				p.show()
			}
			p.ui.mu.Unlock()
		}
	}
}

// note takes note of what an engine tells, and says whether it is worth a line where there is no terminal, and what line.
func (p *Progress) note(e engine.Event) (due bool, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := busyKey{e.Account, e.Box}
	switch e.Kind {
	case engine.EventPhase:
		p.drop(e.Account)
		p.phases[e.Account] = e.Phase
	case engine.EventProgress:
		return p.advance(k, e)
	case engine.EventBoxDone, engine.EventError:
		delete(p.busy, k)
	}
	return false, ""
}

// advance notes progress in a mailbox.
func (p *Progress) advance(k busyKey, e engine.Event) (due bool, line string) {
	now := p.now()
	b := p.busy[k]
	if b == nil || b.last.Phase != e.Phase || b.last.Side != e.Side || b.last.Verb != e.Verb || e.Done < b.last.Done {
		b = &busyBox{since: now, first: e, printed: now}
		p.busy[k] = b
	}
	ends := !b.over && e.Total > 0 && e.Done >= e.Total
	b.last, b.over = e, b.over || ends
	every := lineEvery
	if p.ui.JSON {
		every = jsonEvery
	}
	last := ends && (p.ui.JSON || p.ui.Verbose) // worth a line whenever it comes
	if !last && now.Sub(b.printed) < every {
		return false, ""
	}
	b.printed = now
	return true, p.line(k, b, now)
}

// line is one mailbox: "INBOX  copy to local  1,234 of 10,000, 45 MB, 3.2 MB/s, 12 s left".
func (p *Progress) line(k busyKey, b *busyBox, now time.Time) string {
	e := b.last
	var parts []string
	if e.Total > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s", number(e.Done), number(e.Total)))
	} else {
		parts = append(parts, number(e.Done))
	}
	if e.Bytes > 0 {
		parts = append(parts, bytes(e.Bytes))
	}
	if took := now.Sub(b.since); took > time.Second {
		if more := e.Bytes - b.first.Bytes; more > 0 {
			parts = append(parts, bytes(int64(float64(more)/took.Seconds()))+"/s")
		}
		if did := e.Done - b.first.Done; did > 0 && e.Total > e.Done {
			parts = append(parts, left(time.Duration(float64(took)*float64(e.Total-e.Done)/float64(did))))
		}
	}
	return fmt.Sprintf("%s  %s  %s", p.ui.place(k.account, k.box), doing(e), strings.Join(parts, ", "))
}

// doing says what is being done and where.
func doing(e engine.Event) string {
	verb := e.Verb
	if verb == "" {
		verb = e.Phase.String()
	}
	switch e.Phase {
	case engine.PhaseCopy:
		return verb + " to " + e.Side.String()
	case engine.PhaseMove, engine.PhaseFlags, engine.PhaseDelete:
		return verb + " on " + e.Side.String()
	}
	return verb
}

// place names a mailbox, with its account where there are several.
func (u *UI) place(account string, box mail.Box) string {
	switch {
	case u.Names && box != "":
		return short(Clean(account+"/"+string(box)), longestName)
	case box == "":
		return Clean(account)
	}
	return short(Clean(string(box)), longestName)
}

// hide takes the lines off the screen. The caller holds ui.mu.
func (p *Progress) hide() {
	if p == nil || p.drawn == 0 {
		return
	}
	_, _ = io.WriteString(p.ui.err, fmt.Sprintf("\x1b[%dA\r\x1b[J", p.drawn))
	p.drawn = 0
}

// show draws the lines. The caller holds ui.mu.
func (p *Progress) show() {
	if p == nil || p.drawn != 0 {
		return
	}
	p.seen = p.text()
	p.drawn = strings.Count(p.seen, "\n")
	_, _ = io.WriteString(p.ui.err, p.seen)
}

// text is what is to be seen, cut to the width of the terminal.
func (p *Progress) text() string {
	columns := p.ui.width()
	var b strings.Builder
	for _, l := range p.lines(p.now()) {
		b.WriteString(p.ui.dim(fit(l, columns-1)))
		b.WriteByte('\n')
	}
	return b.String()
}

// lines are those of the busy mailboxes, and for accounts without any the phase.
func (p *Progress) lines(now time.Time) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	idle := map[string]bool{}
	for a := range p.phases {
		idle[a] = true
	}
	for k, b := range p.busy {
		if b.over {
			continue
		}
		all = append(all, p.line(k, b, now))
		idle[k.account] = false
	}
	for a, is := range idle {
		if is {
			all = append(all, Clean(a)+"  "+p.phases[a].String()+" ...")
		}
	}
	slices.Sort(all)
	if more := len(all) - mostLines; more > 0 {
		all = append(all[:mostLines], fmt.Sprintf("and %s more", count(more, "mailbox", "mailboxes")))
	}
	return all
}

// Forget drops an account that is finished.
func (p *Progress) Forget(account string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(account)
	delete(p.phases, account)
}

func (p *Progress) drop(account string) {
	for k := range p.busy {
		if k.account == account {
			delete(p.busy, k)
		}
	}
}
