package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/plan"
	"mailtwin/internal/store"
	"mailtwin/internal/store/maildirstore"
	"mailtwin/internal/store/memstore"
)

// hookGreeter does something before it greets.
type hookGreeter struct {
	store.Store
	before func()
}

func (s *hookGreeter) Hello(ctx context.Context, hint string) (store.Greeting, error) {
	s.before()
	return s.Store.Hello(ctx, hint)
}

// TestDiskGone: a disk that goes away while the server greets, after the Maildir was looked at, ends the run before anything is written where
// it was: an empty place must not get the marker of the Maildir, or all mail would look deleted (rule 12).
func TestDiskGone(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "m")
	w := newWorld(t, memstore.Options{Kind: memstore.Maildir}, memstore.Options{Delta: true})
	w.o.DeleteBoxes = plan.DeleteAllBoxes
	listed, leave := make(chan bool, 9), func() {}
	wait := func() {
		select {
		case <-listed:
		case <-time.After(10 * time.Second):
			t.Error("the local side was not listed ahead")
		}
	}
	w.wrap = func(side mail.Side, s store.Store) store.Store {
		if side == mail.Remote {
			return &hookGreeter{s, func() {
				wait()
				leave()
			}}
		}
		l, err := maildirstore.New(maildirstore.Config{Path: root, Attic: root + ".attic"})
		if err != nil {
			t.Fatal(err)
		}
		return &tellList{l, listed}
	}
	w.fill(mail.Remote, "INBOX", 0, 5)
	w.fill(mail.Remote, "Archive", 5, 9)
	w.sync()
	w.sync()
	w.fill(mail.Remote, "New", 20, 22)
	for len(listed) > 0 {
		<-listed
	}
	leave = func() {
		if err := errors.Join(os.Rename(root, root+".away"), os.Mkdir(root, 0o700)); err != nil {
			t.Error(err)
		}
	}
	if res, err := w.try(nil); !errors.Is(err, store.ErrSetup) {
		t.Errorf("%v, %+v", err, res)
	}
	if list, err := os.ReadDir(root); err != nil || len(list) > 0 {
		t.Errorf("written where the disk is not: %v, %v", list, err)
	}
	leave, wait = func() {}, func() {}
	if _, err := w.try(nil); !errors.Is(err, store.ErrSetup) {
		t.Errorf("the next run: %v", err)
	}
	if n := len(w.stores[mail.Remote].Dump()); n != 11 {
		t.Errorf("%d messages on the server, want 11", n)
	}
}

// tellList tells when its mailboxes were listed.
type tellList struct {
	store.Store
	listed chan bool
}

func (s *tellList) Boxes(ctx context.Context) ([]store.Status, error) {
	list, err := s.Store.Boxes(ctx)
	if err == nil {
		select {
		case s.listed <- true:
		default:
		}
	}
	return list, err
}
