package sift

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
	"mailtwin/internal/store/maildirstore"
)

// before is a file system on which something happens just before the first file is made durable: after the messages were read again,
// and before any copy goes.
type before struct {
	maildirstore.FS
	do func()
}

func (b *before) SyncDir(path string) error {
	if b.do != nil {
		b.do()
		b.do = nil
	}
	return b.FS.SyncDir(path)
}

// TestWrittenMeanwhile: a file that another program writes anew under the same name, between the second reading and the removal, is
// what it was for nobody: a copy then stays, and the copies of a message that would stay too.
func TestWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"1:2,S", "2:2,S"} {
		h := newHome(t)
		h.put("1:2,S", text("a", "body"), 9)
		h.put("2:2,S", text("a", "body"), 1)
		replace := func() {
			h.must(os.WriteFile(filepath.Join(h.dir, "tmp", "x"), []byte(text("a", "draft")), 0o600))
			h.must(os.Rename(filepath.Join(h.dir, "tmp", "x"), filepath.Join(h.dir, "cur", name)))
		}
		res, err := h.remove(&before{FS: maildirstore.OS(), do: replace}, h.find(dedupe.Policy{}), dedupe.Policy{})
		if err != nil || res.Removed != 0 || res.Skipped != 1 {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		if here, attic := h.list(); len(here) != 2 || len(attic) != 0 {
			t.Errorf("%s: %q, %v", name, here, attic)
		}
	}
}

// TestMarkedMeanwhile: a message that came to be marked as deleted after the choice was made does not stay in the place of one that
// is not. If all are marked, one stays.
func TestMarkedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		flags   string
		removed int
	}{{"S", 0}, {"ST", 1}} {
		h := newHome(t)
		h.put("1:2,"+test.flags, text("a", "body"), 9)
		h.put("2:2,"+test.flags, text("a", "body"), 1)
		found := h.find(dedupe.Policy{})
		h.must(os.Rename(filepath.Join(h.dir, "cur", "1:2,"+test.flags), filepath.Join(h.dir, "cur", "1:2,FST")))
		res, err := h.remove(nil, found, dedupe.Policy{})
		if err != nil || res.Removed != test.removed || res.Skipped != 1-test.removed {
			t.Errorf("%s: %+v, %v", test.flags, res, err)
		}
	}
}

// TestChangedUnseen: content that changed with the same inode, size and time: no message is lost by what is remembered of it, and that is
// forgotten.
func TestChangedUnseen(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.put("1:2,S", text("a", "body"), 9)
	h.put("2:2,S", text("a", "body"), 1)
	if f := h.find(dedupe.Policy{}); f.Groups.Copies() != 1 {
		t.Fatal(f.names())
	}
	h.put("2:2,S", text("a", "bodx"), 1)
	found := h.find(dedupe.Policy{})
	if found.Read != 0 {
		t.Skip("it shows here")
	}
	res, err := h.remove(nil, found, dedupe.Policy{})
	if err != nil || res.Removed != 0 || res.Skipped != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if f := h.find(dedupe.Policy{}); f.Read != 2 || f.Groups.Copies() != 0 {
		t.Errorf("%d were read, %s", f.Read, f.names())
	}
}

// TestOneRunAtATime: of two runs that remove from one folder the second is told; a folder that is named twice is found out alike.
func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.put("1:2,S", text("a", "body"), 9)
	h.put("2:2,S", text("a", "body"), 1)
	found := h.find(dedupe.Policy{})
	var second error
	inside := func() { _, second = h.remove(nil, found, dedupe.Policy{}) }
	if res, err := h.remove(&before{FS: maildirstore.OS(), do: inside}, h.find(dedupe.Policy{}), dedupe.Policy{}); err != nil || res.Removed != 1 {
		t.Fatal(res, err)
	}
	if !errors.Is(second, errBusy) || mail.HintOf(second) == "" {
		t.Error(second)
	}
	o := h.options(dedupe.Policy{Across: true})
	o.Folders = append(o.Folders, Folder{Name: mail.Inbox, Dir: h.dir})
	twice, err := Find(t.Context(), o)
	h.must(err)
	if _, err := Remove(t.Context(), RemoveOptions{Options: o, Store: h.store(nil)}, twice); !errors.Is(err, errBusy) {
		t.Error(err)
	}
	if here, _ := h.list(); len(here) != 1 {
		t.Error(here)
	}
}

// TestNotAllowedForGood: what was not removed after all, since the run was stopped, is not noted as allowed any more.
func TestNotAllowedForGood(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		h := newHome(t)
		for _, id := range []string{"a", "b", "c"} {
			h.put(id+"1:2,S", text(id, "body"), 9)
			h.put(id+"2:2,S", text(id, "body"), 1)
		}
		f := &stopping{FS: maildirstore.OS(), left: n}
		allowed := map[mail.Key]bool{}
		_, err := Remove(t.Context(), RemoveOptions{
			Options: h.options(dedupe.Policy{}), Store: h.store(f),
			Allow: func(_ context.Context, _ mail.Box, keys []mail.Key, is bool) error {
				for _, k := range keys {
					allowed[k] = is
				}
				return nil
			},
		}, h.find(dedupe.Policy{}))
		if err != nil && !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		list, err := os.ReadDir(filepath.Join(h.dir, "cur"))
		h.must(err)
		var there []string
		for _, e := range list {
			unique, _, _ := strings.Cut(e.Name(), ":2,")
			if there = append(there, unique); allowed[mail.Key(unique)] {
				t.Errorf("stopped after %d: %s is there and allowed to go", n, unique)
			}
		}
		for key, is := range allowed {
			if !is && !slices.Contains(there, string(key)) {
				t.Errorf("stopped after %d: %s is gone and not allowed to", n, key)
			}
		}
		if f.left >= 0 {
			return
		}
	}
	t.Error("it never came to an end")
}

// TestOddMessages: ids that are empty, given twice, folded, in other letter case or without brackets, no header at all, a line of an
// mbox file, a header that does not end, and a message that is large. None is taken for another; what differs is said.
func TestOddMessages(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	big := strings.Repeat("X-Field: of a header that has no end\n", 30000)
	for name, s := range map[string]string{
		"10:2,": "Message-ID:\nSubject: a\n\nb\n", "11:2,": "Message-ID:   \nSubject: a\n\nb\n", // no ids; the field is not the same
		"20:2,": "Message-ID: <a@x>\nMessage-ID: <b@x>\n\nb\n", "21:2,": "Message-ID: <a@x>\nMessage-ID: <c@x>\n\nb\n",
		"30:2,": "Message-ID:\n <f@x>\n\nb\n", "31:2,": "Message-ID: <f@x>\n\nb\n", "32:2,": "Received: y\nMessage-ID:\n <f@x>\n\nb\n",
		"40:2,": "Message-ID: <Case@x>\n\nb\n", "41:2,": "Message-ID: <case@x>\n\nb\n", "42:2,": "message-id: Case@x\n\nb\n",
		"50:2,": "\njust a body\n", "51:2,": "\njust a body\n", "52:2,": "just a body\n",
		"60:2,": "From a@b Mon Mar  2 10:00:00 2026\nSubject: box\n\nb\n", "61:2,": "Subject: box\n\nb\n",
		"70:2,": big, "71:2,": big + "X-Last: 1\n", "72:2,": big + "\nb\n", "73:2,": "Received: x\n" + big + "\nb\n",
	} {
		h.put(name, s, len(name))
	}
	if got := h.find(dedupe.Policy{}).names(); got != "30 32, 50 51, 60 61, 72 73" {
		t.Errorf("content: %s", got)
	}
	if got := h.find(dedupe.Policy{By: dedupe.Exact}).names(); got != "50 51" {
		t.Errorf("exact: %s", got)
	}
	f := h.find(dedupe.Policy{By: dedupe.MessageID})
	if got := f.names(); got != "20 21, 30 31 32, 50 51, 60 61, 72 73" {
		t.Errorf("message-id: %s", got)
	}
	for g := range f.Groups.Len() {
		list := f.Groups.At(g)
		differs, err := f.Differ(t.Context(), h.options(dedupe.Policy{}), list[0], list[1])
		if name := string(f.Table.Name(f.Table.At(list[0]))); err != nil || name[:1] == "6" && len(differs) > 0 || name[:1] == "2" && !slices.Equal(differs, []string{"Message-ID"}) {
			t.Errorf("%s differs in %v, %v", name, differs, err)
		}
	}
	if res, err := h.remove(nil, h.find(dedupe.Policy{}), dedupe.Policy{}); err != nil || res.Removed != 4 {
		t.Errorf("%+v, %v", res, err)
	}
}
