package plan

import "mailtwin/internal/mail"

// Revive makes a mailbox that is missing on side one that is to be created there again, with all its messages (case B3): something
// arrived in it, and an arrival beats the removal of a mailbox. Its pairs are half pairs then, since the new mailbox
// has other keys; the caller makes that durable before it creates the mailbox. False if nothing arrived, or if messages of it
// are being moved in this run: the mailbox waits for the next one then. Call it before Merge.
func (b *Box) Revive(side mail.Side) bool {
	wanted := b.hasMoveTo
	for _, a := range b.Candidates(side.Other()) {
		wanted = wanted || !a.waits
	}
	if !wanted {
		return false
	}
	for _, n := range b.News {
		if n.moved {
			return false
		}
	}
	b.Missing[side] = false
	for id, n := range b.News {
		other := side.Other()
		switch p := n.Pair; {
		case !n.Gone[side] || n.Gone[other] && p.Keys[other] != "": // P6 and half pairs of the other side, by Merge
		case p.Keys[other] == "":
			delete(b.News, id) // forgotten with the keys
		default:
			delete(b.News, id)
			p.Keys[side], p.Left = "", mail.LeftRenumbered
			b.Halves = append(b.Halves, &Arrival{Side: other, Box: b.Name, Half: p, Entry: mail.Entry{Key: p.Keys[other], Flags: n.Flags[other], Ident: p.Ident}})
		}
	}
	return true
}

// DropMovesTo takes the moves on side into a mailbox out of the plan of the mailbox they start from; it returns how many. They are
// seen again in the next run, as long as the marks of both mailboxes stay.
func (b *Box) DropMovesTo(side mail.Side, to mail.Box) int {
	dropped := map[*mail.Pair]bool{}
	kept := b.Ops.Move[side][:0]
	for _, m := range b.Ops.Move[side] {
		if m.To.Box == to {
			dropped[m.Pair] = true
			continue
		}
		kept = append(kept, m)
	}
	b.Ops.Move[side] = kept
	b.DropFlags(dropped)
	return len(dropped)
}

// DropFlags takes the changes of flags of some pairs out of the plan.
func (b *Box) DropFlags(of map[*mail.Pair]bool) {
	if len(of) == 0 {
		return
	}
	kept := b.Ops.Flags[:0]
	for _, op := range b.Ops.Flags {
		if !of[op.Pair] {
			kept = append(kept, op)
		}
	}
	b.Ops.Flags = kept
}
