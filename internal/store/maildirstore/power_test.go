package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"mailtwin/internal/mail"
)

// powerRun is one history that a power cut ends.
type powerRun struct {
	*testing.T
	f        *powerFS
	c        Config
	s        *Store
	contents map[mail.Hash]int // digest of each message that there ever was, by number
	made     int
	keys     []mail.Key // of the messages that setup put
	stamps   []uint64
}

func newPowerRun(t *testing.T, layout string, noSync bool) *powerRun {
	t.Helper()
	f := newPowerFS()
	f.noSync = noSync
	p := &powerRun{T: t, f: f, c: Config{Path: "/Mail", FS: f, Layout: layout}, contents: map[mail.Hash]int{}}
	p.open()
	p.must(p.s.SetRoot(t.Context(), "id", 1))
	for _, box := range []mail.Box{"INBOX", "Work"} {
		p.must(p.s.CreateBox(t.Context(), box, ""))
	}
	return p
}

func (p *powerRun) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *powerRun) open() {
	p.Helper()
	s, err := New(p.c)
	p.must(err)
	_, err = s.Hello(p.Context(), "")
	p.must(err)
	p.s = s
}

// message makes a message that is longer than one write.
func (p *powerRun) message() string {
	p.made++
	text := fmt.Sprintf("Message-ID: <%d@power>\r\n\r\n%s", p.made, strings.Repeat(fmt.Sprintf("line %d\r\n", p.made), 5000/p.made))
	d := mail.NewDigester()
	_, _ = d.Write([]byte(text))
	p.contents[d.Ident().Digest] = p.made
	return text
}

// prepared makes intents to put n messages.
func (p *powerRun) prepared(box mail.Box, texts []string) []mail.Intent {
	p.Helper()
	entries := make([]mail.Entry, len(texts))
	intents := make([]mail.Intent, len(texts))
	for i := range entries {
		entries[i] = mail.Entry{Flags: mail.Flags{System: mail.System(i) & mail.Seen}, Ident: mail.Ident{Date: 1_000_000_000}}
	}
	tokens, err := p.s.Prepare(p.Context(), box, entries)
	p.must(err)
	for i := range intents {
		intents[i] = mail.Intent{Box: box, Entry: entries[i], Token: tokens[i]}
	}
	return intents
}

func (p *powerRun) put(box mail.Box, intents []mail.Intent, texts []string) ([]mail.Done, error) {
	return p.s.Put(p.Context(), box, intents, func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		for i, text := range texts {
			if err := each(i, intents[i].Entry, mail.Body{Size: int64(len(text)), Reader: strings.NewReader(text)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// whole checks that every message in the mailboxes is whole, and returns where each is, by number.
func (p *powerRun) whole() map[int][]mail.Ref {
	p.Helper()
	list, err := p.s.Boxes(p.Context())
	p.must(err)
	found := map[int][]mail.Ref{}
	for _, st := range list {
		p.must(st.Err)
		var keys []mail.Key
		for k := range entries(p.T, p.s, st.Box) {
			keys = append(keys, k)
		}
		p.must(p.s.Identify(p.Context(), st.Box, keys, true, func(k mail.Key, id mail.Ident) error {
			n, ok := p.contents[id.Digest]
			if !ok {
				p.Errorf("message %q of %q is not whole: %d bytes", k, st.Box, id.Size)
			}
			if id.Date != 1_000_000_000 {
				p.Errorf("message %q of %q has the date %d", k, st.Box, id.Date)
			}
			found[n] = append(found[n], mail.Ref{Box: st.Box, Key: k})
			return nil
		}))
	}
	return found
}

// attic counts whole messages in the attic, by number.
func (p *powerRun) attic() map[int]int {
	found := map[int]int{}
	var walk func(dir string)
	walk = func(dir string) {
		_ = p.f.Each(dir, func(name string, typ fs.FileMode) error {
			if typ.IsDir() {
				walk(filepath.Join(dir, name))
				return nil
			}
			_, _, n, _ := p.f.at(filepath.Join(dir, name))
			d := mail.NewDigester()
			_, _ = d.Write(n.data)
			found[p.contents[d.Ident().Digest]]++
			return nil
		})
	}
	walk(filepath.Join(p.c.Path, p.c.control(), "attic"))
	return found
}

// eachCut runs act with the power going at each operation of the file system, and check on what is left.
func eachCut(t *testing.T, layout string, noSync bool, setup func(*powerRun), act func(*powerRun) error, check func(p *powerRun, finished bool)) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for fuse := 1; ; fuse++ {
		finished := true
		for _, left := range []survives{nothing, some, names, everything} {
			p := newPowerRun(t, layout, noSync)
			setup(p)
			p.f.fuse = fuse
			err := act(p)
			if err != nil && !errors.Is(err, errPower) {
				t.Fatalf("operation %d: %v", fuse, err)
			}
			finished = finished && err == nil
			p.f.cut(left, r)
			p.open()
			check(p, err == nil)
			if t.Failed() {
				t.Fatalf("power cut at operation %d, survival %d", fuse, left)
			}
		}
		if finished {
			if fuse < 5 {
				t.Fatalf("finished after %d operations", fuse)
			}
			t.Logf("%d power cuts", 4*fuse)
			return
		}
	}
}

// TestPowerPut: a message is there whole or not at all, what Put reported is there, and Settle finds just what is there.
// It guards rule 5 of DESIGN.md section 4.
func TestPowerPut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		layout string
		count  int
		noSync bool
	}{{Nested, 3, false}, {MaildirPP, 12, false}, {Flat, 12, true}} {
		var texts []string
		var intents []mail.Intent
		var done []mail.Done
		eachCut(t, c.layout, c.noSync, func(p *powerRun) {
			texts = texts[:0]
			for range c.count {
				texts = append(texts, p.message())
			}
			intents = p.prepared("Work", texts)
		}, func(p *powerRun) (err error) {
			done, err = p.put("Work", intents, texts)
			return err
		}, func(p *powerRun, finished bool) {
			settled, err := p.s.Settle(p.Context(), intents, nil)
			p.must(err)
			found := p.whole()
			for i := range intents {
				refs := found[i+1]
				if len(refs) > 1 || (len(refs) == 1) != (settled[i].Key != "") || len(refs) == 1 && refs[0].Key != settled[i].Key {
					t.Errorf("message %d is at %v, settled as %q", i, refs, settled[i].Key)
				}
				if finished && (done[i].Key == "" || done[i].Key != settled[i].Key) {
					t.Errorf("message %d was put as %q, and is settled as %q", i, done[i].Key, settled[i].Key)
				}
			}
			_ = p.f.Each(filepath.Join(filepath.Dir(p.f.path(t, "cur", "Work", p)), "tmp"), func(name string, _ fs.FileMode) error {
				t.Errorf("tmp has %q", name)
				return nil
			})
		})
	}
}

// path returns a part of a mailbox.
func (f *powerFS) path(t *testing.T, sub string, box mail.Box, p *powerRun) string {
	t.Helper()
	b, err := p.s.box(t.Context(), box)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(b.dir, sub)
}

// TestPowerEffects: no effect loses a message, and each that was reported lasts.
func TestPowerEffects(t *testing.T) {
	t.Parallel()
	const count = syncAllFrom
	setup := func(p *powerRun) {
		var texts []string
		for range count {
			texts = append(texts, p.message())
		}
		done, err := p.put("INBOX", p.prepared("INBOX", texts), texts)
		p.must(err)
		for _, d := range done {
			p.keys, p.stamps = append(p.keys, d.Key), append(p.stamps, d.Stamp)
		}
	}
	move := func(keep bool) func(p *powerRun) error {
		return func(p *powerRun) error {
			tokens, err := p.s.Prepare(p.Context(), "Work", make([]mail.Entry, count))
			if err != nil {
				return err
			}
			var intents []mail.Intent
			for i, k := range p.keys {
				intents = append(intents, mail.Intent{Kind: mail.IntentMove, From: mail.Ref{Box: "INBOX", Key: k}, Box: "Work", Token: tokens[i]})
			}
			_, err = p.s.Move(p.Context(), "INBOX", intents, keep)
			return err
		}
	}
	for name, act := range map[string]func(p *powerRun) error{
		"move": move(false),
		"copy": move(true),
		"flags": func(p *powerRun) error {
			_, err := p.s.SetFlags(p.Context(), "INBOX", p.keys, mail.Flags{System: mail.Flagged, Keywords: "word"}, mail.Flags{})
			return err
		},
		"change flags": func(p *powerRun) error {
			var list []mail.Entry
			for i, k := range p.keys {
				list = append(list, mail.Entry{Key: k, Stamp: p.stamps[i]})
			}
			did, err := p.s.ChangeFlags(p.Context(), "INBOX", list, mail.Flags{System: mail.Flagged, Keywords: "word"}, mail.Flags{})
			if err != nil {
				return err
			}
			return did.Secure()
		},
		"delete": func(p *powerRun) error {
			var list []mail.Entry
			for _, k := range p.keys {
				list = append(list, mail.Entry{Key: k})
			}
			_, err := p.s.Delete(p.Context(), "INBOX", list)
			return err
		},
		"rename": func(p *powerRun) error {
			if err := p.s.RenameBox(p.Context(), "Work", "Below/it"); err != nil {
				return err
			}
			return p.s.SetRoot(p.Context(), "id", 2)
		},
	} {
		for _, layout := range []string{Nested, MaildirPP} {
			t.Run(name+"/"+layout, func(t *testing.T) {
				t.Parallel()
				eachCut(t, layout, strings.HasSuffix(name, "flags"), setup, act, func(p *powerRun, finished bool) { p.kept(name, count, finished) })
			})
		}
	}
}

// kept checks what an effect left of count messages of INBOX.
func (p *powerRun) kept(effect string, count int, finished bool) {
	p.Helper()
	found, attic := p.whole(), p.attic()
	for n := 1; n <= count; n++ {
		if len(found[n])+attic[n] == 0 {
			p.Errorf("message %d is lost", n)
		}
		if !finished {
			continue
		}
		want := map[string]string{"move": "Work", "copy": "INBOX Work", "delete": ""}
		text, ok := want[effect]
		if !ok {
			text = "INBOX"
		}
		var at []string
		for _, ref := range found[n] {
			at = append(at, string(ref.Box))
		}
		if got := strings.Join(at, " "); got != text {
			p.Errorf("message %d is in %q after %s, want %q", n, got, effect, text)
		}
	}
	if !finished {
		return
	}
	if strings.HasSuffix(effect, "flags") {
		for k, f := range entries(p.T, p.s, "INBOX") {
			if !f.And(mail.Flags{System: mail.Flagged, Keywords: "word"}).Equal(mail.Flags{System: mail.Flagged, Keywords: "word"}) {
				p.Errorf("message %q has the flags %v", k, f)
			}
		}
	}
	g, err := p.s.Hello(p.Context(), "")
	p.must(err)
	if effect == "rename" {
		if _, err := p.s.box(p.Context(), "Below/it"); err != nil || g.Run != 2 {
			p.Errorf("after rename: %v, run %d", err, g.Run)
		}
	}
}
