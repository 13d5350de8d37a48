package imap

import (
	"mailtwin/internal/imap/wire"
)

// storeOp takes the answers to UID STORE.
type storeOp struct {
	val StoreResult
	set NumSet
}

// UIDStore changes flags (RFC 9051 section 6.4.6). With UnchangedSince (RFC 7162 section 3.1.3), which needs CONDSTORE, the
// messages that changed meanwhile are left alone and returned in Modified. An empty set does nothing.
func (c *Client) UIDStore(set NumSet, o StoreOptions) *Call[StoreResult] {
	const name = "UID STORE"
	if set.Empty() {
		return ended(c, name, StoreResult{}, nil)
	}
	l := c.newLine("UID STORE ").set(set)
	if o.UnchangedSince > 0 {
		if !c.Has("CONDSTORE") {
			return ended(c, name, StoreResult{}, unsupported("CONDSTORE"))
		}
		l.raw(" (UNCHANGEDSINCE ").number(o.UnchangedSince).raw(")")
	}
	l.raw(" ", [...]string{Add: "+", Remove: "-", Replace: ""}[o.Mode], "FLAGS")
	if o.Silent {
		l.raw(".SILENT")
	}
	l.raw(" ").flags(o.Flags)
	op := &storeOp{set: set.Clone()}
	call := newCall(c, name, op, &op.val)
	l.send(call.cmd)
	return call
}

func (o *storeOp) wantsFetch(uid uint32, got have) bool {
	return got&^(haveUID|haveFlags|haveModSeq) == 0 && got&(haveFlags|haveModSeq) != 0 && o.set.Contains(uid)
}

func (o *storeOp) takeFetch(m *Message, _ have) {
	// A server that repeats itself must not fill the memory.
	if len(o.val.Messages) < 2*o.set.Len()+100 {
		o.val.Messages = append(o.val.Messages, Message{
			UID: m.UID, Seq: m.Seq, HasFlags: m.HasFlags, Flags: m.Flags, ModSeq: m.ModSeq,
		})
	}
}

func (o *storeOp) code(st Status) {
	if st.Code != "MODIFIED" {
		return
	}
	if set, err := wire.ParseNumSet(st.Args); err == nil {
		o.val.Modified.AddSet(set)
		return
	}
	// Not understood: take none of the changes for done.
	o.val.Modified.AddSet(o.set)
}

func (o *storeOp) finish(_ *command, st Status, err error) error {
	o.val.Status = st
	o.code(st)
	return err
}
