package maildirstore

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"mailtwin/internal/mail"
)

// TestPowerSecure: what a mail reader wrote lasts once it was secured, and its renames too.
func TestPowerSecure(t *testing.T) {
	t.Parallel()
	for _, count := range []int{2, 20} {
		for _, noSync := range []bool{false, true} {
			p := newPowerRun(t, Nested, noSync)
			var keys []mail.Key
			for i := range count {
				text := bytes.ReplaceAll([]byte(p.message()), []byte("\r\n"), []byte("\n"))
				name := fmt.Sprintf("%d.reader", i)
				f, err := p.f.Create("/Mail/INBOX/tmp/" + name)
				p.must(err)
				_, err = f.Write(text)
				p.must(err)
				f.(*powerFile).n.mtime = f.(*powerFile).n.mtime.AddDate(-f.(*powerFile).n.mtime.Year()+2001, 0, 0)
				p.must(p.f.Rename("/Mail/INBOX/tmp/"+name, "/Mail/INBOX/cur/"+name+":2,S"))
				keys = append(keys, mail.Key(name))
			}
			if n := len(entries(t, p.s, "INBOX")); n != count {
				t.Fatalf("%d messages", n)
			}
			p.must(p.s.Secure(t.Context(), "INBOX", keys))
			p.f.cut(nothing, nil)
			p.open()
			got := entries(t, p.s, "INBOX")
			err := p.s.Identify(t.Context(), "INBOX", keys, true, func(k mail.Key, id mail.Ident) error {
				if _, ok := p.contents[id.Digest]; !ok {
					t.Errorf("message %q is not whole", k)
				}
				return nil
			})
			p.must(err)
			if len(got) != count {
				t.Errorf("%d of %d messages are left", len(got), count)
			}
		}
	}
}

// TestPowerFolders: a mailbox whose folders somebody else made and did not sync is durable before anything rests on what is in it
// (DESIGN.md section 4, rule 1).
func TestPowerFolders(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{Nested, MaildirPP} {
		for name, act := range map[string]func(p *powerRun) error{
			"put": func(p *powerRun) error { // an interrupted run of ours made the folders
				texts := []string{p.message()}
				_, err := p.put("New/Sub", p.prepared("New/Sub", texts), texts)
				return err
			},
			"secure": func(p *powerRun) error {
				text := bytes.ReplaceAll([]byte(p.message()), []byte("\r\n"), []byte("\n"))
				dir := filepath.Dir(p.f.path(t, "cur", "New/Sub", p))
				f, err := p.f.Create(filepath.Join(dir, "cur", "1.reader:2,S"))
				p.must(err)
				_, err = f.Write(text)
				p.must(err)
				p.must(p.f.SetTime(filepath.Join(dir, "cur", "1.reader:2,S"), time.Unix(1_000_000_000, 0)))
				return p.s.Secure(t.Context(), "New/Sub", []mail.Key{"1.reader"})
			},
			"restore": func(p *powerRun) error {
				texts := []string{p.message()}
				done, err := p.put("New/Sub", p.prepared("New/Sub", texts), texts)
				p.must(err)
				_, err = p.s.Delete(t.Context(), "New/Sub", []mail.Entry{{Key: done[0].Key}})
				p.must(err)
				dir := filepath.Dir(p.f.path(t, "cur", "New/Sub", p))
				p.must(p.f.Rename(dir, dir+".old"))
				p.must(p.f.SyncDir(filepath.Dir(dir)))
				p.must(p.f.Mkdir(dir))
				for _, sub := range []string{"tmp", "new", "cur"} {
					p.must(p.f.Mkdir(filepath.Join(dir, sub)))
				}
				p.open()
				_, err = p.s.Restore(t.Context(), removed(t, p.s))
				return err
			},
			"move": func(p *powerRun) error {
				texts := []string{p.message()}
				done, err := p.put("INBOX", p.prepared("INBOX", texts), texts)
				p.must(err)
				in := mail.Intent{Kind: mail.IntentMove, From: mail.Ref{Box: "INBOX", Key: done[0].Key}, Box: "New/Sub", Token: "1.AAAAAAAAAAAA.mt"}
				_, err = p.s.Move(t.Context(), "INBOX", []mail.Intent{in}, false)
				return err
			},
		} {
			p := newPowerRun(t, layout, true)
			dir, err := p.s.naming.dir("New/Sub")
			p.must(err)
			path := p.c.Path
			for _, part := range splitPath(filepath.Join("/", dir)) {
				path = filepath.Join(path, part)
				p.must(p.f.Mkdir(path))
			}
			for _, sub := range []string{"tmp", "new", "cur"} {
				p.must(p.f.Mkdir(filepath.Join(path, sub)))
			}
			p.must(act(p))
			p.f.cut(nothing, nil)
			p.open()
			if found := p.whole(); len(found[1]) != 1 || found[1][0].Box != "New/Sub" {
				t.Errorf("%s, %s: the message is at %v", layout, name, found[1])
			}
		}
	}
}

// TestPowerAtticFolders: the attic's folders that an interrupted run made are durable before a message is in them (DESIGN.md section
// 4, rule 1).
func TestPowerAtticFolders(t *testing.T) {
	t.Parallel()
	p := newPowerRun(t, Nested, true)
	texts := []string{p.message()}
	done, err := p.put("INBOX", p.prepared("INBOX", texts), texts)
	p.must(err)
	p.c.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	p.open()
	path := filepath.Join(p.c.Path, p.s.c.control())
	for _, part := range []string{"attic", "2023-11-14", "INBOX"} {
		path = filepath.Join(path, part)
		p.must(p.f.Mkdir(path))
	}
	_, err = p.s.Delete(t.Context(), "INBOX", []mail.Entry{{Key: done[0].Key}})
	p.must(err)
	p.f.cut(nothing, nil)
	if p.attic()[1] != 1 {
		t.Error("the message is lost")
	}
}

// TestPowerSettle: what Settle reports of a run that was killed lasts, whenever that run was killed (DESIGN.md section 4, rules 1
// and 5): the names that the run gave were not durable yet.
func TestPowerSettle(t *testing.T) {
	t.Parallel()
	for _, kind := range []mail.IntentKind{mail.IntentPut, mail.IntentMove} {
		settled := 0
		for fuse, finished := 1, false; !finished; fuse++ {
			p := newPowerRun(t, Nested, true)
			texts := []string{p.message(), p.message()}
			intents := p.prepared("Work", texts)
			if kind == mail.IntentMove {
				done, err := p.put("INBOX", p.prepared("INBOX", texts), texts)
				p.must(err)
				for i := range intents {
					intents[i].Kind, intents[i].From = kind, mail.Ref{Box: "INBOX", Key: done[i].Key}
				}
			}
			p.f.fuse = fuse
			var err error
			if kind == mail.IntentMove {
				_, err = p.s.Move(t.Context(), "INBOX", intents, false)
			} else {
				_, err = p.put("Work", intents, texts)
			}
			finished = err == nil
			p.f.fuse, p.f.off = 0, false // killed; the system goes on
			p.open()
			done, err := p.s.Settle(t.Context(), intents, nil)
			p.must(err)
			p.f.cut(nothing, nil)
			p.open()
			found := p.whole()
			for i, d := range done {
				if d.Key == "" {
					continue
				}
				settled++
				if want := []mail.Ref{{Box: d.Box, Key: d.Key}}; !slices.Equal(found[i+1], want) {
					t.Errorf("killed at operation %d: message %d was settled as %v, and is at %v", fuse, i, want, found[i+1])
				}
			}
		}
		if settled == 0 {
			t.Error("nothing was settled")
		}
	}
}
