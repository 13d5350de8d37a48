package sift

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/mail"
	"mailtwin/internal/store/maildirstore"
)

// home is a Maildir with its attic and what is remembered of it.
type home struct {
	t    *testing.T
	dir  string
	memo FileMemo
}

func newHome(t *testing.T) *home {
	t.Helper()
	h := &home{t: t, dir: filepath.Join(t.TempDir(), "Mail")}
	h.memo = FileMemo{Cache: filepath.Join(filepath.Dir(h.dir), "cache"), Root: h.dir}
	for _, sub := range []string{"cur", "new", "tmp"} {
		h.must(os.MkdirAll(filepath.Join(h.dir, sub), 0o700))
	}
	return h
}

func (h *home) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

var epoch = time.Unix(1_700_000_000, 0)

// put delivers a message; age counts in hours.
func (h *home) put(name, text string, age int) {
	h.t.Helper()
	sub := "cur"
	if !strings.Contains(name, ":2,") {
		sub = "new"
	}
	path := filepath.Join(h.dir, sub, name)
	h.must(os.WriteFile(path, []byte(text), 0o600))
	date := epoch.Add(-time.Duration(age) * time.Hour)
	h.must(os.Chtimes(path, date, date))
}

func text(id, body string) string {
	return "Message-ID: <" + id + "@x>\nSubject: the same\nDate: Mon, 2 Mar 2026 10:00:00 +0000\n\n" + body + "\n"
}

func (h *home) store(f maildirstore.FS) *maildirstore.Store {
	h.t.Helper()
	s, err := maildirstore.Bare(maildirstore.Config{Path: h.dir, Attic: filepath.Join(filepath.Dir(h.dir), "attic"), FS: f})
	h.must(err)
	return s
}

func (h *home) options(p dedupe.Policy) Options {
	return Options{Policy: p, Folders: []Folder{{Name: mail.Inbox, Dir: h.dir, Memo: h.memo}}}
}

func (h *home) find(p dedupe.Policy) *Found {
	h.t.Helper()
	f, err := Find(h.t.Context(), h.options(p))
	h.must(err)
	return f
}

// names are those of the groups, the one that stays first.
func (f *Found) names() string {
	var out []string
	for g := range f.Groups.Len() {
		var names []string
		for _, i := range f.Groups.At(g) {
			names = append(names, string(dedupe.Unique(f.Table.Name(f.Table.At(i)))))
		}
		slices.Sort(names[1:])
		out = append(out, strings.Join(names, " "))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (h *home) remove(f maildirstore.FS, found *Found, p dedupe.Policy) (Result, error) {
	return Remove(h.t.Context(), RemoveOptions{Options: h.options(p), Store: h.store(f)}, found)
}

// list returns the messages of the mailbox with their flags' letters, and those of the attic, by content.
func (h *home) list() (here map[string][]string, attic map[string]int) {
	here, attic = map[string][]string{}, map[string]int{}
	h.must(filepath.WalkDir(filepath.Dir(h.dir), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && (d.IsDir() || strings.HasPrefix(d.Name(), ".") || d.Name() == "dovecot-keywords") || strings.Contains(path, "/cache/") {
			return nil
		}
		b, err := os.ReadFile(path)
		h.must(err)
		if strings.Contains(path, "/attic/") {
			attic[string(b)]++
			return nil
		}
		_, letters, _ := strings.Cut(d.Name(), ":2,")
		here[string(b)] = append(here[string(b)], letters)
		return nil
	}))
	return here, attic
}

func TestNearDuplicatesStay(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	big := strings.Repeat("a long line of a message that does not fit into one reading\n", 2000)
	for name, s := range map[string]string{
		"1:2,S": text("a", "body"), "2:2,": text("a", "body\n--\nfooter of a list"), "3:2,": text("b", "body"), "4:2,": "", "5:2,": "", "6": "",
		"7:2,D": text("draft", "begun"), "8:2,D": text("draft", "begun and more"), "9:2,": "Subject: x\n\n", "10:2,": "Subject: x\n\n",
		"11:2,": text("big", big+"1"), "12:2,": text("big", big+"2"), "13:2,": text("big", big+"1"), "14": strings.ReplaceAll("Received: by x\n"+text("big", big+"2"), "\n", "\r\n"),
		"15:2,": "Subject: no id\n\nbody", "16:2,": "Subject: no id\n\nbody", "17:2,": "Subject: no id\n\nother",
	} {
		h.put(name, s, len(name))
	}
	h.must(os.Symlink(filepath.Join(h.dir, "cur", "1:2,S"), filepath.Join(h.dir, "cur", "18:2,S")))
	h.must(os.Mkdir(filepath.Join(h.dir, "cur", "19:2,S"), 0o700))
	for range 2 {
		if got := h.find(dedupe.Policy{}).names(); got != "11 13, 12 14, 15 16" {
			t.Errorf("content: %s", got)
		}
		if got := h.find(dedupe.Policy{By: dedupe.Exact}).names(); got != "11 13, 15 16" {
			t.Errorf("exact: %s", got)
		}
	}
	f := h.find(dedupe.Policy{By: dedupe.MessageID})
	if got := f.names(); got != "1 2, 11 12 13 14, 15 16, 7 8" {
		t.Errorf("message-id: %s", got)
	}
	for g := range f.Groups.Len() {
		list := f.Groups.At(g)
		differs, err := f.Differ(t.Context(), h.options(dedupe.Policy{}), list[0], list[1])
		if name := string(f.Table.Name(f.Table.At(list[0]))); err != nil || name[:2] == "1:" && !slices.Equal(differs, []string{"body"}) {
			t.Errorf("%s differs in %v, %v", name, differs, err)
		}
	}
}

func TestFlagsOfAllStay(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.must(os.WriteFile(filepath.Join(h.dir, "dovecot-keywords"), []byte("0 work\n1 todo\n"), 0o600))
	h.put("1", text("a", "b"), 9)
	h.put("2:2,Sa", text("a", "b"), 3)
	h.put("3:2,FRb", "Received: x\n"+text("a", "b"), 2)
	h.put("4:2,DT", text("a", "b"), 11)
	res, err := h.remove(nil, h.find(dedupe.Policy{}), dedupe.Policy{})
	if err != nil || res.Removed != 3 || res.Flagged != 1 {
		t.Fatal(res, err)
	}
	here, attic := h.list()
	if got := here[text("a", "b")]; !slices.Equal(got, []string{"FRSab"}) || len(attic) != 2 {
		t.Errorf("%v, %v", here, attic)
	}
	s := h.store(nil)
	list, err := s.Removed(t.Context(), time.Time{})
	h.must(err)
	_, err = s.Restore(t.Context(), list)
	h.must(err)
	here, attic = h.list()
	if got := here[text("a", "b")]; !slices.Equal(slices.Sorted(slices.Values(got)), []string{"D", "FRSab", "Sa"}) || len(attic) != 0 || !slices.Equal(here["Received: x\n"+text("a", "b")], []string{"FRb"}) {
		t.Errorf("%q, %v", here, attic)
	}
}

// TestRemembered: a second run reads nothing; files that changed, also in place, are read again before anything is removed.
func TestRemembered(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for i := range 50 {
		h.put(fmt.Sprintf("%d:2,S", i), text(fmt.Sprint(i%40), "body"), i)
	}
	past := time.Now().Add(-time.Hour)
	for _, sub := range []string{"cur", "new"} {
		h.must(os.Chtimes(filepath.Join(h.dir, sub), past, past)) // the ctime is of now, and young
	}
	first := h.find(dedupe.Policy{})
	time.Sleep(150 * time.Millisecond)
	second := h.find(dedupe.Policy{})
	third := h.find(dedupe.Policy{})
	if first.Read != 50 || second.Read != 0 || third.Read != 0 || first.names() != third.names() || second.names() != third.names() || third.Groups.Copies() != 10 {
		t.Fatal(first.Read, second.Read, third.Read, third.names())
	}
	h.must(os.Rename(filepath.Join(h.dir, "cur", "3:2,S"), filepath.Join(h.dir, "cur", "3:2,FS")))
	h.put("60", text("60", "x"), 1)
	if f := h.find(dedupe.Policy{}); f.Read != 1 || f.Groups.Copies() != 10 {
		t.Error("after a change", f.Read, f.Groups.Copies())
	}
	time.Sleep(150 * time.Millisecond)
	h.find(dedupe.Policy{})
	f := h.find(dedupe.Policy{})
	h.must(os.WriteFile(filepath.Join(h.dir, "cur", "45:2,S"), []byte(text("5", "bodx")), 0o600))
	stale := false
	for i := range f.Groups.Len() {
		stale = stale || f.Stale(h.options(dedupe.Policy{}), f.Groups.At(i)[0])
	}
	if !stale {
		t.Error("a change in place does not show")
	}
	res, err := h.remove(nil, f, dedupe.Policy{})
	if err != nil || res.Removed != 9 || res.Skipped != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	if here, _ := h.list(); len(here[text("5", "body")]) != 1 || len(here[text("5", "bodx")]) != 1 {
		t.Error("a message that is not the same any more was removed")
	}
	for _, e := range []string{"INBOX", "x"} { // damage costs time only
		h.must(os.WriteFile(h.memo.path(mail.Box(e), "content"), []byte("\x05\x00\x00\x00nonsense"), 0o600))
	}
	if f := h.find(dedupe.Policy{}); f.Groups.Copies() != 0 || f.Read != 42 {
		t.Error("after damage", f.Groups.Copies(), f.Read)
	}
}

// stopping is a file system that stops after some effects, as a crash does.
type stopping struct {
	maildirstore.FS
	left int
}

var errStopped = errors.New("stopped")

func (s *stopping) effect(fn func() error) error {
	if s.left--; s.left < 0 {
		return errStopped
	}
	return fn()
}

func (s *stopping) Rename(from, to string) error {
	return s.effect(func() error { return s.FS.Rename(from, to) })
}

func (s *stopping) Mkdir(path string) error {
	return s.effect(func() error { return s.FS.Mkdir(path) })
}

func (s *stopping) Replace(from, to string) error {
	return s.effect(func() error { return s.FS.Replace(from, to) })
}

func (s *stopping) SyncDir(path string) error {
	return s.effect(func() error { return s.FS.SyncDir(path) })
}

func (s *stopping) SyncAll(string) (maildirstore.Syncer, error) { return nil, errors.ErrUnsupported }

// TestStoppedAnywhere: after effect n nothing is lost, a copy is gone only when its flags are on the one that stays, and the next
// run comes to the same end.
func TestStoppedAnywhere(t *testing.T) {
	t.Parallel()
	for n := 0; ; n++ {
		h := newHome(t)
		h.must(os.WriteFile(filepath.Join(h.dir, "dovecot-keywords"), []byte("0 work\n"), 0o600))
		for i := range 4 {
			h.put(fmt.Sprintf("%d0", i), text(fmt.Sprint(i), "b"), 9)
			h.put(fmt.Sprintf("%d1:2,S", i), text(fmt.Sprint(i), "b"), 2)
			h.put(fmt.Sprintf("%d2:2,Fa", i), text(fmt.Sprint(i), "b"), 1)
		}
		f := &stopping{FS: maildirstore.OS(), left: n}
		_, err := h.remove(f, h.find(dedupe.Policy{}), dedupe.Policy{})
		if err != nil && !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		here, attic := h.list()
		for i := range 4 {
			s := text(fmt.Sprint(i), "b")
			if len(here[s])+attic[s] != 3 || len(here[s]) == 0 || attic[s] > 0 && !slices.Contains(here[s], "FSa") {
				t.Fatalf("stopped after %d: message %d: %q, %d in the attic", n, i, here[s], attic[s])
			}
		}
		if _, err := h.remove(nil, h.find(dedupe.Policy{}), dedupe.Policy{}); err != nil {
			t.Fatal(err)
		}
		here, attic = h.list()
		for i := range 4 {
			if s := text(fmt.Sprint(i), "b"); !slices.Equal(here[s], []string{"FSa"}) || attic[s] != 2 {
				t.Fatalf("stopped after %d, and run again: message %d: %q, %d in the attic", n, i, here[s], attic[s])
			}
		}
		if f.left >= 0 {
			t.Logf("%d effects", n-f.left)
			return
		}
	}
}

// renaming is a mail reader that marks messages just before an effect on them.
type renaming struct {
	maildirstore.FS
	dir string
	n   int
}

func (r *renaming) Rename(from, to string) error {
	r.n++
	if r.n%2 == 0 && filepath.Dir(filepath.Dir(from)) == r.dir && !strings.Contains(filepath.Base(from), "R") {
		unique, info, _ := strings.Cut(filepath.Base(from), ":2,")
		_ = os.Rename(from, filepath.Join(r.dir, "cur", unique+":2,"+strings.Replace(info, "S", "", 1)+"RS"))
	}
	return r.FS.Rename(from, to)
}

// TestRenamedMeanwhile: a mail reader marks messages between the look and the effect: what it set is on what stays.
func TestRenamedMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for i := range 30 {
		h.put(fmt.Sprintf("%d0:2,", i), text(fmt.Sprint(i), "b"), 9)
		h.put(fmt.Sprintf("%d1:2,F", i), text(fmt.Sprint(i), "b"), 2)
	}
	found := h.find(dedupe.Policy{})
	for i := range 10 { // and some between the two parts
		h.must(os.Rename(filepath.Join(h.dir, "cur", fmt.Sprintf("%d1:2,F", i)), filepath.Join(h.dir, "cur", fmt.Sprintf("%d1:2,FS", i))))
	}
	r := &renaming{FS: maildirstore.OS(), dir: h.dir}
	res, err := h.remove(r, found, dedupe.Policy{})
	if err != nil || res.Removed != 30 || res.Skipped != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	here, attic := h.list()
	marked := 0
	for i := range 30 {
		s := text(fmt.Sprint(i), "b")
		if len(here[s]) != 1 || attic[s] != 1 || !strings.Contains(here[s][0], "F") || i < 10 && !strings.Contains(here[s][0], "S") {
			t.Errorf("message %d: %q, %d in the attic", i, here[s], attic[s])
		}
		if strings.Contains(strings.Join(here[s], ""), "R") {
			marked++
		}
	}
	if marked == 0 {
		t.Error("what the mail reader set is lost")
	}
}

// TestTwins: where a message that was renamed has a name that is not unique, the one that stays is not taken for its copy.
func TestTwins(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.put("1:2,S", text("a", "b"), 9)
	h.put("1", text("a", "b"), 2)
	found := h.find(dedupe.Policy{})
	h.must(os.Remove(filepath.Join(h.dir, "new", "1")))
	if _, err := h.remove(nil, found, dedupe.Policy{}); err != nil {
		t.Fatal(err)
	}
	if here, attic := h.list(); len(here[text("a", "b")]) != 1 || len(attic) != 0 {
		t.Errorf("%v, %v", here, attic)
	}
}

// TestLinks: two names of one file are not touched while somebody may be renaming it.
func TestLinks(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.put("1:2,S", text("a", "b"), 9)
	h.must(os.Link(filepath.Join(h.dir, "cur", "1:2,S"), filepath.Join(h.dir, "cur", "1:2,FS")))
	h.put("2:2,", text("a", "b"), 1)
	res, err := h.remove(nil, h.find(dedupe.Policy{}), dedupe.Policy{})
	if err != nil || res.Removed != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
}

func TestMemoDamaged(t *testing.T) {
	t.Parallel()
	m := FileMemo{Cache: t.TempDir(), Root: "/x"}
	parts := map[string]bool{}
	save := func(yield func([]byte) bool) { _ = yield([]byte("one")) && yield([]byte("two")) }
	if err := m.Save(t.Context(), "a", "content", save); err != nil {
		t.Fatal(err)
	}
	load := func() error {
		clear(parts)
		return m.Load(context.Background(), "a", "content", func(p []byte) error {
			parts[string(p)] = true
			return nil
		})
	}
	if err := load(); err != nil || !maps.Equal(parts, map[string]bool{"one": true, "two": true}) {
		t.Fatal(parts, err)
	}
	b, err := os.ReadFile(m.path("a", "content"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		bad := slices.Clone(b)
		bad[i] ^= 0x10
		if err := os.WriteFile(m.path("a", "content"), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := load(); err == nil {
			t.Errorf("byte %d was changed: %v", i, parts)
		}
	}
}

func FuzzSaved(f *testing.F) {
	f.Add(appendSaved(nil, &dedupe.Message{Stamp: 1, Key: 2, Size: 3, Date: 4, Bits: 5}, []byte("name")))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		err := eachSaved(b, func(m dedupe.Message, name []byte) error {
			again = appendSaved(again, &m, name)
			return nil
		})
		if err == nil && len(again) != len(b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
