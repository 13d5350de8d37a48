//go:build !linux

package imapstore

import "net"

// acker does nothing where there is nothing to set.
type acker struct{}

func newAcker(net.Conn) acker { return acker{} }

func (*acker) ack() {}
