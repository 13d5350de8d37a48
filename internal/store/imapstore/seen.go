package imapstore

import (
	"context"
	"iter"
	"slices"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
)

// seen collects what FETCH tells of messages, compactly: flags are stored once for each distinct set.
type seen struct {
	uids   []uint32
	flags  []uint32 // places in table
	stable []string // nil where the server has no stable ids
	table  mail.FlagTable
	idents map[uint32]mail.Ident // see Store.Foresee; their sizes are rough
	octets int                   // of the keywords in table
	sorted bool
}

// What a server can make a view keep. The flags of a message may be told again while the list is under way.
const (
	maxMessages = 5_000_000
	maxChanged  = 1 << 20 // messages of which the flags are told unasked; from there on the whole list is as good
	maxKeywords = 8 << 20 // octets of all distinct sets of flags
	maxStable   = 255     // RFC 8474 section 4
)

func (v *seen) add(m *imap.Message) {
	v.put(m.UID, mail.ParseFlags(m.Flags))
	id := stableID(m)
	if id != "" || v.stable != nil {
		for len(v.stable) < len(v.uids)-1 {
			v.stable = append(v.stable, "")
		}
		v.stable = append(v.stable, id)
	}
}

// put adds a message without a stable id.
func (v *seen) put(uid uint32, f mail.Flags) {
	place, fresh := v.table.Add(f)
	if fresh {
		v.octets += len(f.Keywords)
	}
	if n := len(v.uids); n > 0 && v.uids[n-1] >= uid {
		v.sorted = false
	} else if n == 0 {
		v.sorted = true
	}
	v.uids, v.flags = append(v.uids, uid), append(v.flags, place)
}

// identify notes who a message is, but for its exact size.
func (v *seen) identify(uid uint32, id mail.Ident) {
	if v.idents == nil {
		v.idents = map[uint32]mail.Ident{}
	}
	v.idents[uid] = id
}

// join adds what was told of other messages, later.
func (v *seen) join(w *seen) {
	for i, uid := range w.uids {
		v.put(uid, w.table.At(w.flags[i]))
		if w.stable != nil || v.stable != nil {
			v.stable = append(v.stable, make([]string, len(v.uids)-1-len(v.stable))...)
			id := ""
			if w.stable != nil {
				id = w.stable[i]
			}
			v.stable = append(v.stable, id)
		}
	}
	v.idents = w.idents
}

// stableID returns the server's own id of a message (RFC 8474, or Gmail's), with its kind.
func stableID(m *imap.Message) string {
	switch {
	case len(m.EmailID) > maxStable, len(m.GmailMsgID) > maxStable:
	case m.EmailID != "":
		return "emailid:" + m.EmailID
	case m.GmailMsgID != "":
		return "gmail:" + m.GmailMsgID
	}
	return ""
}

// order sorts by UID. Of several reports of one message the last counts.
func (v *seen) order() {
	if v.sorted || len(v.uids) == 0 {
		return
	}
	at := make([]int, len(v.uids))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int { return int(v.uids[a]) - int(v.uids[b]) })
	w := seen{table: v.table, idents: v.idents, octets: v.octets, sorted: true}
	for k, i := range at {
		if k+1 < len(at) && v.uids[at[k+1]] == v.uids[i] {
			continue
		}
		w.uids, w.flags = append(w.uids, v.uids[i]), append(w.flags, v.flags[i])
		if v.stable != nil {
			w.stable = append(w.stable, v.stable[i])
		}
	}
	*v = w
}

// drop removes messages that are gone again.
func (v *seen) drop(gone imap.NumSet) {
	if gone.Empty() {
		return
	}
	kept := 0
	for i, uid := range v.uids {
		if gone.Contains(uid) {
			continue
		}
		v.uids[kept], v.flags[kept] = uid, v.flags[i]
		if v.stable != nil {
			v.stable[kept] = v.stable[i]
		}
		kept++
	}
	v.uids, v.flags = v.uids[:kept], v.flags[:kept]
	if v.stable != nil {
		v.stable = v.stable[:kept]
	}
}

func (v *seen) all(ctx context.Context) iter.Seq2[mail.Entry, error] {
	return func(yield func(mail.Entry, error) bool) {
		for i, uid := range v.uids {
			if i%1024 == 0 && ctx.Err() != nil {
				yield(mail.Entry{}, ctx.Err())
				return
			}
			e := mail.Entry{Key: mail.UIDKey(uid), Flags: v.table.At(v.flags[i])}
			if v.stable != nil {
				e.Ident.Stable = v.stable[i]
			}
			if id, ok := v.idents[uid]; ok {
				e.Ident, e.Identified, e.Rough = id.Merge(e.Ident), true, true
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}
