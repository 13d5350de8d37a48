package maildirstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailtwin/internal/mail"
)

// crowd has more messages than one hand works on: each third is not as it is known and must be looked up, some are in new.
func crowd(t *testing.T) (root string, list []mail.Entry) {
	t.Helper()
	var paths []string
	for i := range worthHands + 3*inHand + 5 {
		key := fmt.Sprintf("%04d.x", i)
		e := mail.Entry{Key: mail.Key(key)}
		switch i % 6 {
		case 1:
			paths = append(paths, "INBOX/new/"+key)
		case 3:
			paths = append(paths, "INBOX/cur/"+key+":2,RS") // known as read alone
			e.Flags.System = mail.Seen
		case 0:
			paths = append(paths, "INBOX/cur/"+key) // without info
		default:
			paths = append(paths, "INBOX/cur/"+key+":2,S")
			e.Flags.System = mail.Seen
		}
		list = append(list, e)
	}
	return tree(t, paths...), list
}

// TestHands: where two work on the messages of a mailbox, each message gets its flags, is there once, and what both changed is synced.
func TestHands(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(s *Store, list []mail.Entry) error{
		"known": func(s *Store, list []mail.Entry) error {
			did, err := s.ChangeFlags(t.Context(), "INBOX", list, mail.Flags{System: mail.Flagged}, mail.Flags{System: mail.Seen})
			if err != nil {
				return err
			}
			return did.Secure()
		},
		"looked up": func(s *Store, list []mail.Entry) error {
			keys := make([]mail.Key, len(list))
			for i := range list {
				keys[i] = list[i].Key
			}
			_, err := s.SetFlags(t.Context(), "INBOX", keys, mail.Flags{System: mail.Flagged}, mail.Flags{System: mail.Seen})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, list := crowd(t)
			disk := &together{}
			s := open(t, Config{Path: root, FS: disk})
			if err := set(s, append(list, mail.Entry{Key: "gone.x", Flags: mail.Flags{System: mail.Seen}})); err != nil {
				t.Fatal(err)
			}
			if disk.met == 0 {
				t.Error("one was at work alone")
			}
			if got := strings.Join(disk.synced, " "); !strings.Contains(got, "INBOX/cur") || !strings.Contains(got, "INBOX/new") {
				t.Errorf("synced %s", got)
			}
			got := entries(t, s, "INBOX")
			if len(got) != len(list) {
				t.Errorf("%d messages, want %d", len(got), len(list))
			}
			for i, e := range list {
				want := mail.Flags{System: mail.Flagged}
				if i%6 == 3 {
					want.System |= mail.Answered
				}
				if f, ok := got[e.Key]; !ok || !f.Equal(want) {
					t.Errorf("%s: %v, want %v", e.Key, f, want)
				}
			}
			if left, err := os.ReadDir(filepath.Join(root, "INBOX/new")); err != nil || len(left) > 0 {
				t.Errorf("%d in new, %v", len(left), err)
			}
		})
	}
}

// together is a file system on which the first rename waits for another one that begins meanwhile.
type together struct {
	osFS
	mu      sync.Mutex
	renames int
	other   chan struct{}
	met     int
	synced  []string
	fail    string // the file that cannot be renamed
	after   int    // renames that began since that failed
	failed  bool
}

func (f *together) Rename(from, to string) error {
	f.mu.Lock()
	f.renames++
	n := f.renames
	if f.other == nil {
		f.other = make(chan struct{})
	}
	other := f.other
	late := f.failed
	if late {
		f.after++
	}
	f.mu.Unlock()
	if late {
		time.Sleep(time.Millisecond) // the one that failed has time to say so
	}
	switch n {
	case 1:
		select {
		case <-other:
			f.mu.Lock()
			f.met++
			f.mu.Unlock()
		case <-time.After(5 * time.Second): // nobody comes
		}
	case 2:
		close(other)
	}
	if f.fail != "" && strings.Contains(from, f.fail) {
		f.mu.Lock()
		f.failed = true
		f.mu.Unlock()
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: errDisk}
	}
	return f.osFS.Rename(from, to)
}

func (f *together) SyncDir(path string) error {
	f.mu.Lock()
	f.synced = append(f.synced, path)
	f.mu.Unlock()
	return f.osFS.SyncDir(path)
}

var errDisk = errors.New("input/output error")

// TestHandsFail: what stops one of two stops the other, is told, and what both did until then is synced.
func TestHandsFail(t *testing.T) {
	t.Parallel()
	for _, at := range []int{2, inHand + 2, worthHands} {
		root, list := crowd(t)
		disk := &together{fail: string(list[at].Key)}
		s := open(t, Config{Path: root, FS: disk})
		_, err := s.ChangeFlags(t.Context(), "INBOX", list, mail.Flags{System: mail.Flagged}, mail.Flags{})
		if !errors.Is(err, errDisk) {
			t.Errorf("at %d: %v", at, err)
		}
		if disk.after > 2*inHand || len(disk.synced) == 0 {
			t.Errorf("at %d: the other one went on for %d; synced %v", at, disk.after, disk.synced)
		}
		disk.fail = ""
		if _, err := s.ChangeFlags(t.Context(), "INBOX", list, mail.Flags{System: mail.Flagged}, mail.Flags{}); err != nil {
			t.Error(err)
		}
		got := entries(t, s, "INBOX")
		for k, f := range got {
			if f.System&mail.Flagged == 0 {
				t.Errorf("%s: %v", k, f)
			}
		}
		if len(got) != len(list) {
			t.Errorf("%d messages, want %d", len(got), len(list))
		}
	}
}

// TestFoldersInOrder: the folder that files go to is synced before the one that they come from, also where the first one stays.
func TestFoldersInOrder(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/new/1.x", "INBOX/new/2.x:2,F")
	disk := &together{renames: 1}
	s := open(t, Config{Path: root, FS: disk})
	if _, err := s.SetFlags(t.Context(), "INBOX", []mail.Key{"1.x", "2.x"}, mail.Flags{}, mail.Flags{System: mail.Flagged}); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(root, "INBOX/cur"), filepath.Join(root, "INBOX/new")}
	if !slices.Equal(disk.synced, want) {
		t.Errorf("synced %v, want %v", disk.synced, want)
	}
}

// TestHandle: however many messages there are, each is handled once, and the folders that any hand changed are told, those first to which
// files went.
func TestHandle(t *testing.T) {
	t.Parallel()
	s := open(t, Config{Path: tree(t, "INBOX/cur/1.x:2,S")})
	for _, n := range []int{0, 1, inHand - 1, inHand, inHand + 1, worthHands - 1, worthHands, worthHands + inHand + 1} {
		handled := make([]atomic.Int32, n)
		var hands sync.Map
		second := make(chan struct{})
		got, _, err := s.handle(t.Context(), &box{}, n, func(h *hand, i int) error {
			handled[i].Add(1)
			if _, known := hands.LoadOrStore(h, true); !known && n >= worthHands {
				if i == 0 {
					<-second // so that both are at work
				} else {
					close(second)
				}
			}
			h.changed.add("cur")
			h.changed.add(fmt.Sprint(i / inHand))
			return nil
		})
		if want := (n + inHand - 1) / inHand; err != nil || n > 0 && (len(got) != 1+want || got[0] != "cur") {
			t.Errorf("of %d: %v, %v", n, got, err)
		}
		for i := range handled {
			if times := handled[i].Load(); times != 1 {
				t.Errorf("of %d: %d was handled %d times", n, i, times)
			}
		}
	}
}

// TestHandsMissing: what is not there any more is told, whichever of two that work at the same time did not find it.
func TestHandsMissing(t *testing.T) {
	t.Parallel()
	root, list := crowd(t)
	s := open(t, Config{Path: root})
	var want []mail.Key
	for i := inHand / 2; i < len(list); i += inHand { // one of each portion
		want = append(want, list[i].Key)
		found, err := filepath.Glob(filepath.Join(root, "INBOX", "*", string(list[i].Key)+"*"))
		if err != nil || len(found) != 1 || os.Remove(found[0]) != nil {
			t.Fatal(found, err)
		}
	}
	did, err := s.ChangeFlags(t.Context(), "INBOX", list, mail.Flags{System: mail.Flagged}, mail.Flags{})
	if err != nil || did.Secure() != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if slices.Sort(did.Missing); !slices.Equal(did.Missing, want) {
		t.Errorf("missing %v, want %v", did.Missing, want)
	}
}
