package sift

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mailtwin/internal/dedupe"
)

// TestUnreadable: messages that cannot be read are told once each, up to a number, and are in no group; the next run tries again.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	few := unreadable(t, 3)
	if len(few) != 3 {
		t.Errorf("%d errors of 3: %v", len(few), few)
	}
	many := unreadable(t, maxTrouble+3)
	if len(many) != maxTrouble+1 || !strings.Contains(many[maxTrouble].Error(), " 3 more messages") {
		t.Errorf("%d errors, the last is %v", len(many), many[len(many)-1])
	}
}

// unreadable returns what is said of n messages that cannot be read.
func unreadable(t *testing.T, n int) []error {
	t.Helper()
	h := newHome(t)
	var leased []*os.File
	for i := range n {
		name := fmt.Sprintf("%d:2,", i)
		h.put(name, text("a", "body"), i)
		f, err := os.OpenFile(filepath.Join(h.dir, "cur", name), os.O_RDWR, 0)
		h.must(err)
		defer func() { _ = f.Close() }()
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil { // nobody else can open it, not even root
			t.Skip("no leases on files here:", err)
		}
		leased = append(leased, f)
	}
	h.put("good1:2,", text("a", "body"), 1)
	h.put("good2:2,", text("a", "body"), 2)
	f := h.find(dedupe.Policy{})
	if f.names() != "good2 good1" {
		t.Error(f.names())
	}
	for _, f := range leased {
		_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		h.must(err)
	}
	if f := h.find(dedupe.Policy{}); f.Groups.Copies() != n+1 || len(f.Unreadable) != 0 {
		t.Errorf("%d copies, %v", f.Groups.Copies(), f.Unreadable)
	}
	return f.Unreadable
}
