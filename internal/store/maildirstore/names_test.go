package maildirstore

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

var namings = []naming{
	{layout: Nested, inbox: "INBOX"},
	{layout: Nested, inbox: "."},
	{layout: Nested, inbox: "INBOX", mutf7: true},
	{layout: MaildirPP, inbox: "."},
	{layout: MaildirPP, inbox: ".", mutf7: true},
	{layout: Flat, inbox: "INBOX"},
	{layout: Flat, inbox: "INBOX", mutf7: true},
}

// checkName: whatever a server calls a mailbox, its folder is below the root, and the name comes back.
func checkName(t interface{ Fatalf(string, ...any) }, n naming, components []string) {
	box := mail.JoinBox(components)
	dir, err := n.dir(box)
	if err != nil {
		return
	}
	if !filepath.IsLocal(dir) || dir == "." && box != mail.Inbox {
		t.Fatalf("%+v: %q is in folder %q", n, box, dir)
	}
	for _, part := range strings.Split(dir, "/") {
		if part == "cur" || part == "new" || part == "tmp" || part == ".mailtwin" || part == "mailtwin.d" || strings.ContainsRune(part, 0) {
			t.Fatalf("%+v: %q is in folder %q", n, box, dir)
		}
	}
	back, ok := n.box(dir)
	if !ok || back != box {
		t.Fatalf("%+v: %q is in folder %q, which is %q (%v)", n, box, dir, back, ok)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	odd := rapid.SampledFrom([]string{"..", ".", "/", "a/b", "cur", "new", "tmp", "INBOX", "inbox", "%2F", "100%", "&", "&-", "a.b", ".hidden", "Entwürfe", "日本", "mailtwin.d", "\x00", "a\nb", " ", "~peter", "%", "&AOQ-"})
	component := rapid.OneOf(odd, rapid.StringN(1, 8, 40))
	rapid.Check(t, func(rt *rapid.T) {
		components := rapid.SliceOfN(component, 1, 4).Draw(rt, "components")
		checkName(rt, rapid.SampledFrom(namings).Draw(rt, "naming"), components)
	})
}

func FuzzBoxName(f *testing.F) {
	for _, s := range []string{"INBOX", "a/b", "../../etc", "cur", "%2e%2e", "&AOQ-", "a\x00b", ".x", "Entwürfe/2024"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, n := range namings {
			dir, err := n.dir(mail.Box(s))
			if err == nil && (!filepath.IsLocal(dir) || strings.ContainsRune(dir, 0)) {
				t.Fatalf("%+v: %q is in folder %q", n, s, dir)
			}
			_, _ = n.box(s)
		}
	})
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"1.2.host:2,S", "1.2.host", "1:2,FS,U=7:2,", "a:1,x", ":2,S", "a:2,zZ", "x:2,S:2,F"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || strings.ContainsAny(name, "/\x00") {
			return
		}
		unique, letters := split(name, ':')
		if unique == "" || !strings.HasPrefix(name, unique) {
			t.Fatalf("%q has the unique name %q", name, unique)
		}
		words := []string{"a", "", "c"}
		flags := flagsOf(letters, words)
		again := lettersOf(flags, words, letters)
		if !flagsOf(again, words).Equal(flags) {
			t.Fatalf("%q has flags %v, written again as %q", name, flags, again)
		}
		files := &listing{}
		files.add(name, true, ':')
		files.add(name, false, ':')
		files.add(unique, true, ':')
		files.assignKeys(func(f *file) (uint64, bool) { return uint64(len(f.name)), f.name != "gone" })
		seen := map[mail.Key]bool{}
		for i := range files.len() {
			f := files.file(i)
			if seen[f.key] {
				t.Fatalf("%q: two files have the key %q", name, f.key)
			}
			seen[f.key] = true
		}
	})
}

// tree makes a Maildir out of paths; content is the path.
func tree(t *testing.T, paths ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, p := range paths {
		path := filepath.Join(root, p)
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(filepath.Dir(filepath.Dir(path)), sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(path, []byte("Subject: x\n\n"+p+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func open(t *testing.T, c Config) *Store {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Hello(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func entries(t *testing.T, s *Store, box mail.Box) map[mail.Key]mail.Flags {
	t.Helper()
	v, err := s.View(t.Context(), box, "")
	if err != nil {
		t.Fatal(err)
	}
	all := map[mail.Key]mail.Flags{}
	var last mail.Key
	for e, err := range v.(mail.Whole).All {
		if err != nil {
			t.Fatal(err)
		}
		if e.Key <= last {
			t.Fatalf("%q comes after %q", e.Key, last)
		}
		last, all[e.Key] = e.Key, e.Flags
	}
	return all
}

// twinKey is the key of a file whose unique name another one has too.
func twinKey(t *testing.T, path string) mail.Key {
	t.Helper()
	st, err := (osFS{}).Stat(path, false)
	if err != nil {
		t.Fatal(err)
	}
	unique, _ := split(filepath.Base(path), ':')
	return mail.Key(unique + "/" + strconv.FormatUint(st.Ino, 36))
}

// TestForeignNames: what other programs write is handled message by message, and nothing wedges the mailbox.
func TestForeignNames(t *testing.T) {
	t.Parallel()
	root := tree(
		t, "INBOX/cur/1.mbsync,U=7:2,FS", "INBOX/cur/2.offlineimap,U=3,FMD5=7e33429f656f1e6e9d79b29c3f82c57e:2,S", "INBOX/cur/3.noinfo",
		"INBOX/cur/4.unsorted:2,SRF", "INBOX/cur/5.unknown:2,SZ9", "INBOX/new/6.twice", "INBOX/cur/6.twice:2,S", "INBOX/cur/7.two:2,S", "INBOX/cur/7.two:2,F",
		"INBOX/cur/8.version1:1,x", "INBOX/new/9.flags-in-new:2,S", "INBOX/cur/.hidden", "INBOX/cur/10.keywords:2,aSc",
	)
	if err := os.WriteFile(filepath.Join(root, "INBOX", keywordsFile), []byte("0 work\ngarbage\n2 todo\n99 x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "INBOX/cur/11.folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Path: root})
	all := entries(t, s, "INBOX")
	if len(all) != 12 {
		t.Fatalf("%d messages: %v", len(all), all)
	}
	for key, want := range map[mail.Key]string{
		"1.mbsync,U=7": `(\Flagged \Seen)`, "3.noinfo": "()", "4.unsorted": `(\Answered \Flagged \Seen)`, "5.unknown": `(\Seen)`, "8.version1:1,x": "()", "9.flags-in-new": `(\Seen)`, "10.keywords": `(\Seen todo work)`,
	} {
		if f, ok := all[key]; !ok || f.String() != want {
			t.Errorf("%q has flags %v (%v), want %s", key, f, ok, want)
		}
	}
	for _, name := range []string{"new/6.twice", "cur/6.twice:2,S", "cur/7.two:2,S", "cur/7.two:2,F"} {
		if _, ok := all[twinKey(t, filepath.Join(root, "INBOX", name))]; !ok {
			t.Errorf("%s is not shown under a key of its own", name)
		}
	}
	for key := range all {
		if _, err := s.SetFlags(t.Context(), "INBOX", []mail.Key{key}, mail.Flags{System: mail.Answered}, mail.Flags{}); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	answered := 0
	for _, f := range entries(t, s, "INBOX") {
		if f.System&mail.Answered != 0 {
			answered++
		}
	}
	if answered != 12 {
		t.Fatalf("%d of 12 are answered", answered)
	}
	if _, err := os.Stat(filepath.Join(root, "INBOX/cur/5.unknown:2,9RSZ")); err != nil {
		t.Error("flags of unknown meaning are gone")
	}
}

// TestOtherTools: a tree of another layout or naming is told, with the line to write.
func TestOtherTools(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		paths []string
		c     Config
	}{
		`layout = "maildir++"`: {[]string{"cur/1", ".Work.Invoices/cur/2"}, Config{}},
		`layout = "nested"`:    {[]string{"INBOX/cur/1", "Work/cur/2"}, Config{Layout: MaildirPP}},
		`inbox = "."`:          {[]string{"cur/1", "Work/cur/2"}, Config{}},
		`names = "mutf7"`:      {[]string{"INBOX/cur/1", "Entw&APw-rfe/cur/2"}, Config{}},
	} {
		c.c.Path = tree(t, c.paths...)
		s, err := New(c.c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Hello(t.Context(), ""); err == nil || !strings.Contains(mail.HintOf(err), want) {
			t.Errorf("%v: %v, hint %q, want %s", c.paths, err, mail.HintOf(err), want)
		}
	}
}

// TestLinksAndCollisions: links are followed but not in circles; two folders for one mailbox are told, not merged.
func TestLinksAndCollisions(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1", "a%2Eb/cur/2", "a.b/cur/3", "Work/cur/4")
	for from, to := range map[string]string{"Work/loop": "..", "Linked": "Work", "dangling": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(root, from)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Config{Path: root})
	list, err := s.Boxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, st := range list {
		if st.Err != nil {
			names = append(names, string(st.Box)+"!")
		} else {
			names = append(names, string(st.Box))
		}
	}
	if got := strings.Join(names, " "); got != "INBOX Linked a.b!" && got != "INBOX Work a.b!" {
		t.Fatal(got)
	}
}
