package engine

import (
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store/memstore"
)

// TestMissingMailbox is rule 14 of DESIGN.md section 4: a mailbox that is missing on one side goes on the other only if it was
// empty in two runs, or if all may go; with messages in it it stays.
func TestMissingMailbox(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		messages int
		policy   plan.DeleteBoxes
		there    [3]bool // after each sync
	}{
		"empty":         {0, plan.DeleteEmptyBoxes, [3]bool{true, false, false}},
		"with messages": {3, plan.DeleteEmptyBoxes, [3]bool{true, true, true}},
		"all":           {3, plan.DeleteAllBoxes, [3]bool{false, false, false}},
		"never":         {0, plan.DeleteNoBoxes, [3]bool{true, true, true}},
	} {
		for _, side := range mail.Sides {
			t.Run(name+"/"+side.String(), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
				w.o.DeleteBoxes, w.o.AllowDeletes = c.policy, true
				w.fill(mail.Remote, "INBOX", 0, 2)
				w.stores[mail.Remote].CreateUser("Old", "")
				w.fill(mail.Remote, "Old", 10, 10+c.messages)
				w.sync()
				w.sync()
				w.stores[side].RemoveBox("Old")
				for i, there := range c.there {
					w.sync()
					if is := w.stores[side.Other()].HasBox("Old"); is != there {
						t.Errorf("after sync %d: it is there: %v, want %v", i+1, is, there)
					}
				}
			})
		}
	}
}

// TestArrivalInMissingMailbox is rule 14 too: a new message in a mailbox that the other side removed brings it back, with all that is
// in it; so does one that is moved there.
func TestArrivalInMissingMailbox(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"delivered", "moved"} {
		for _, side := range mail.Sides {
			t.Run(how+"/"+side.String(), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Kind: memstore.IMAP, Delta: true})
				keys := w.fill(mail.Remote, "INBOX", 0, 2)
				w.fill(mail.Remote, "Old", 10, 13)
				w.sync()
				w.sync()
				w.stores[side].RemoveBox("Old")
				w.sync()
				other, want := side.Other(), 6
				if how == "delivered" {
					w.fill(other, "Old", 13, 14)
				} else {
					if other == mail.Local {
						keys = w.keys(mail.Local, "INBOX")
					}
					w.stores[other].MoveUser("INBOX", keys[0], "Old")
					want = 5
				}
				w.sync()
				w.sync()
				w.equal(want)
				w.still()
			})
		}
	}
}
