package engine

import (
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store/memstore"
)

// TestPowerCut is rule 1 of DESIGN.md section 4: the power fails right after a sync, and takes what a mail reader wrote into a
// Maildir without syncing it, unless the sync made it durable before its rows rested on it. What is gone then must not be taken
// for a deletion, nor what is back for an arrival.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	const box mail.Box = "INBOX"
	maildir, imap := memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true}
	for name, act := range map[string]struct {
		do   func(w *world, m memstore.Message)
		want int
	}{
		"delivered":         {func(w *world, _ memstore.Message) { w.fill(mail.Local, box, 90, 92) }, 14},
		"delivered on both": {func(w *world, _ memstore.Message) { w.fill(mail.Local, box, 90, 92); w.fill(mail.Remote, box, 90, 92) }, 14},
		"flagged": {func(w *world, m memstore.Message) {
			w.stores[0].SetFlagsUser(box, m.Key, flags(`\Flagged`), mail.Flags{})
		}, 12},
		"moved":   {func(w *world, m memstore.Message) { w.stores[0].MoveUser(box, m.Key, "Archive") }, 12},
		"deleted": {func(w *world, m memstore.Message) { w.stores[0].DeleteUser(box, m.Key) }, 11},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			total := -1
			for n := 0; total < 0 || n < total; n++ {
				w := newWorld(t, maildir, imap)
				w.fill(mail.Remote, box, 0, 12)
				w.fill(mail.Remote, "Archive", 50, 50)
				w.sync()
				act.do(w, w.stores[0].Dump()[3])
				if total < 0 {
					total = w.effects() + 1
				} else {
					w.crashAt(n)
				}
				done := n == 0 // the first round counts, and stops nowhere
				w.stores[0].PowerCut()
				for range 3 {
					w.sync()
				}
				w.equal(-1)
				got := len(w.stores[1].Dump())
				switch {
				case done && got != act.want:
					t.Fatalf("%d messages after a power cut after the sync, want %d", got, act.want)
				case got < min(act.want, 12) || got > max(act.want, 12):
					t.Fatalf("%d messages after a power cut at %d of %d, want %d, or 12 if nothing had happened", got, n, total, act.want)
				}
			}
			t.Logf("%d crash points", total)
		})
	}
}
