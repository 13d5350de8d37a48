package imap

import (
	"errors"
	"fmt"
	"strings"

	"mailtwin/internal/imap/wire"
)

// unsupported is the error for a command that the server does not offer.
func unsupported(capability string) error {
	return fmt.Errorf("the server has no %s: %w", capability, errors.ErrUnsupported)
}

// copyOp takes the answers to UID COPY and UID MOVE.
type copyOp struct {
	val CopyResult
	set NumSet
}

// UIDCopy copies messages (RFC 9051 section 6.4.7). An empty set does nothing.
func (c *Client) UIDCopy(set NumSet, box string) *Call[CopyResult] {
	return c.copy("UID COPY", set, box)
}

// UIDMove moves messages (RFC 6851). Without MOVE it fails with errors.ErrUnsupported. An empty set does nothing.
func (c *Client) UIDMove(set NumSet, box string) *Call[CopyResult] {
	if !c.Has("MOVE") {
		return ended(c, "UID MOVE", CopyResult{}, unsupported("MOVE"))
	}
	return c.copy("UID MOVE", set, box)
}

func (c *Client) copy(name string, set NumSet, box string) *Call[CopyResult] {
	if set.Empty() {
		return ended(c, name, CopyResult{}, nil)
	}
	op := &copyOp{set: set.Clone()}
	call := newCall(c, name, op, &op.val)
	c.newLine(name + " ").set(set).raw(" ").mailbox(box).send(call.cmd)
	return call
}

// code takes COPYUID. Some servers split the answer to one MOVE, others send the same twice. What makes no sense, as sets of
// different lengths or UIDs that were not asked for, is left out: guessing would pair the wrong messages.
func (o *copyOp) code(st Status) {
	if st.Code != "COPYUID" {
		return
	}
	f := strings.Fields(st.Args)
	if len(f) != 3 {
		return
	}
	validity, ok := wire.ParseNumber32(f[0])
	most := o.set.Len()
	src, err1 := expand(f[1], most)
	dst, err2 := expand(f[2], most)
	if !ok || validity == 0 || err1 != nil || err2 != nil || len(src) != len(dst) {
		return
	}
	var known NumSet
	for _, uid := range o.val.Src {
		known.Add(uid)
	}
	for _, uid := range src {
		if !o.set.Contains(uid) {
			return
		}
	}
	if o.val.Has && o.val.UIDValidity != validity {
		return
	}
	o.val.Has, o.val.UIDValidity = true, validity
	for i, uid := range src {
		if !known.Contains(uid) {
			o.val.Src = append(o.val.Src, uid)
			o.val.Dst = append(o.val.Dst, dst[i])
		}
	}
}

func (o *copyOp) finish(_ *command, st Status, err error) error {
	o.val.Status = st
	o.code(st)
	return err
}

var errTooMany = errors.New("more numbers than asked for")

// expand returns the numbers of a set in the order they are written, at most so many.
func expand(s string, most int) ([]uint32, error) {
	var out []uint32
	err := wire.EachRange(s, func(lo, hi uint32) error {
		if lo > hi {
			lo, hi = hi, lo
		}
		if lo == 0 || int64(hi)-int64(lo) >= int64(most-len(out)) {
			return errTooMany
		}
		for n := uint64(lo); n <= uint64(hi); n++ {
			out = append(out, uint32(n))
		}
		return nil
	})
	return out, err
}
