package imapstore

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acker has the kernel acknowledge at once what a connection received. Linux waits up to 40 ms for data of ours to send that with, and
// a server that holds back small pieces until the ones before are acknowledged (RFC 896, as Cyrus does) waits as long after the first of
// several commands in one flight. The setting does not last, so it is made after each read.
type acker struct {
	raw syscall.RawConn
	set func(fd uintptr)
}

func newAcker(conn net.Conn) acker {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return acker{}
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return acker{}
	}
	return acker{raw, func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) //nolint:gosec // a descriptor; where it cannot be set, all is as it was
	}}
}

func (a *acker) ack() {
	if a.raw != nil {
		_ = a.raw.Control(a.set)
	}
}
