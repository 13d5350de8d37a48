//go:build crashpoints

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"mailtwin/internal/store/maildirstore"
)

// A build with the tag crashpoints kills itself, as kill -9 or a power cut would, at the point whose number is in
// MAILTWIN_CRASH_AT: before and after each change to the Maildir and each write to a server, and when something of a server's
// arrived and was not looked at yet. So each commit of the state is between two points. The points passed are appended to the
// file MAILTWIN_CRASH_LOG, a line each.
var crash struct {
	mu   sync.Mutex
	left int
	log  *os.File
}

func init() {
	crash.left, _ = strconv.Atoi(os.Getenv("MAILTWIN_CRASH_AT")) // without it: never
	if path := os.Getenv("MAILTWIN_CRASH_LOG"); path != "" {
		var err error
		if crash.log, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
			panic(err)
		}
	}
	files = crashFS{maildirstore.OS()}
	dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return crashConn{c}, nil
	}
}

// point is passed, or is the end.
func point(format string, args ...any) {
	crash.mu.Lock()
	defer crash.mu.Unlock()
	if crash.log != nil {
		_, _ = fmt.Fprintf(crash.log, format+"\n", args...)
	}
	if crash.left--; crash.left == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // it comes at once
	}
}

// around passes a point on both sides of a change.
func around(change func() error, format string, args ...any) error {
	point("before "+format, args...)
	err := change()
	point("after "+format, args...)
	return err
}

type crashFS struct{ maildirstore.FS }

func (f crashFS) Create(path string) (file maildirstore.File, err error) {
	err = around(func() error { file, err = f.FS.Create(path); return err }, "create %q", path)
	return file, err
}

func (f crashFS) Rename(from, to string) error {
	return around(func() error { return f.FS.Rename(from, to) }, "rename %q %q", from, to)
}

func (f crashFS) Replace(from, to string) error {
	return around(func() error { return f.FS.Replace(from, to) }, "replace %q %q", from, to)
}

func (f crashFS) Remove(path string) error {
	return around(func() error { return f.FS.Remove(path) }, "remove %q", path)
}

func (f crashFS) Mkdir(path string) error {
	return around(func() error { return f.FS.Mkdir(path) }, "mkdir %q", path)
}

type crashConn struct{ net.Conn }

func (c crashConn) Write(p []byte) (n int, err error) {
	err = around(func() error { n, err = c.Conn.Write(p); return err }, "write %.300q", p)
	return n, err
}

func (c crashConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	point("read %.300q", p[:n])
	return n, err
}
