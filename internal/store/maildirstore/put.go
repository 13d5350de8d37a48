package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Prepare implements store.Store: the token is the unique name to be.
func (s *Store) Prepare(ctx context.Context, name mail.Box, entries []mail.Entry) ([]mail.Token, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := s.box(ctx, name); err != nil {
		return nil, fmt.Errorf("prepare mailbox %q: %w", name, err)
	}
	tokens := make([]mail.Token, len(entries))
	for i := range tokens {
		tokens[i] = mail.Token(s.token())
	}
	return tokens, nil
}

// putter delivers one batch.
type putter struct {
	s       *Store
	b       *box
	intents []mail.Intent
	words   []string
	all     Syncer // nil: each file is synced on its own
	done    []mail.Done
	staged  []staged
}

// staged is a message in tmp.
type staged struct {
	i         int
	temp, key string
	letters   string
	cur       bool
}

// syncAllFrom is how many messages make one sync of the file system cheaper than a sync for each file.
const syncAllFrom = 6

// Put implements store.Store: all messages are written to tmp, then synced, then renamed, then the folders are synced.
func (s *Store) Put(ctx context.Context, name mail.Box, intents []mail.Intent, bodies store.Bodies) ([]mail.Done, error) {
	fail := func(err error) ([]mail.Done, error) {
		return nil, s.trouble(fmt.Sprintf("put messages into %q", name), err)
	}
	if err := s.writable(ctx); err != nil {
		return fail(err)
	}
	b, err := s.box(ctx, name)
	if err != nil {
		return fail(err)
	}
	p := &putter{s: s, b: b, intents: intents, done: make([]mail.Done, len(intents))}
	if p.words, err = s.keywords(b.dir); err == nil {
		err = p.begin()
	}
	if err == nil {
		err = bodies(ctx, func(i int, e mail.Entry, body mail.Body) error { return p.stage(ctx, i, e, body) })
	}
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	} else if lerr := p.land(); err == nil { // if the source failed, what came whole stays: Settle finds it
		err = lerr
	}
	if p.all != nil {
		err = errors.Join(err, p.all.Close())
	}
	if err != nil {
		for _, m := range p.staged {
			_ = s.fs.Remove(m.temp) // what was renamed is not there any more
		}
		return fail(err)
	}
	return p.done, nil
}

// begin makes the folders that are missing, and opens the descriptor for the common sync before the first write.
func (p *putter) begin() error {
	for _, sub := range []string{"tmp", "new"} {
		if err := p.s.makeFolder(filepath.Join(p.b.dir, sub)); err != nil {
			return err
		}
	}
	if err := p.s.lastingBox(p.b); err != nil {
		return err
	}
	p.b.mu.Lock()
	swept := p.b.swept
	p.b.swept = true
	p.b.mu.Unlock()
	if !swept {
		if err := p.s.sweep(p.b, func(string) bool { return false }); err != nil {
			return err
		}
	}
	if len(p.intents) < syncAllFrom {
		return nil
	}
	all, err := p.s.fs.SyncAll(p.b.dir)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err == nil {
		p.all = all
	}
	return nil
}

// stage writes one message to tmp. An error that concerns this message alone goes to its Done.
func (p *putter) stage(ctx context.Context, i int, e mail.Entry, body mail.Body) error {
	token := string(p.intents[i].Token)
	temp := p.b.dir + slash + "tmp" + slash + token
	if filepath.Base(temp) != token {
		return fmt.Errorf("stage message: %q is not a name", token)
	}
	if err := p.write(ctx, temp, e, body); err != nil {
		_ = p.s.fs.Remove(temp)
		if isTooLong(err) {
			p.done[i].Err = fmt.Errorf("%w: %w", store.ErrRefused, err)
			return nil
		}
		return err
	}
	p.staged = append(p.staged, staged{i: i, temp: temp, key: token})
	var err error
	if p.words, err = p.s.withWords(p.b, p.words, e.Flags); err != nil {
		return err
	}
	at := &p.staged[len(p.staged)-1]
	at.letters = lettersOf(e.Flags, p.words, "")
	at.cur = at.letters != ""
	p.done[i].Lacks = lacks(e.Flags, p.words)
	st, err := p.s.fs.Stat(temp, false)
	p.done[i].Stamp = stampOf(st)
	return err
}

// withWords learns the keywords of flags if there are new ones.
func (s *Store) withWords(b *box, words []string, f mail.Flags) ([]string, error) {
	for _, w := range f.Words() {
		if w != forwarded && indexWord(words, w) < 0 && !lacks(mail.Flags{Keywords: w}, words).Equal(mail.Flags{Keywords: w}) {
			return s.learn(b, f)
		}
	}
	return words, nil
}

func (p *putter) write(ctx context.Context, temp string, e mail.Entry, body mail.Body) error {
	f, err := p.s.fs.Create(temp)
	if errors.Is(err, fs.ErrExist) { // of this intent, interrupted
		if err = p.s.fs.Remove(temp); err == nil {
			f, err = p.s.fs.Create(temp)
		}
	}
	if err != nil {
		return err
	}
	err = copyLocal(f, contextReader{ctx, body.Reader}, body.Size)
	if err == nil && e.Ident.Date != 0 {
		err = p.s.fs.SetTime(temp, time.Unix(e.Ident.Date, 0))
	}
	if err == nil && p.all == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// land syncs what was staged and renames it to where it is a message.
func (p *putter) land() error {
	if len(p.staged) == 0 {
		return nil
	}
	if p.all != nil {
		if err := p.all.Sync(); err != nil {
			return err
		}
	}
	used := map[string]bool{}
	for k := range p.staged {
		m := &p.staged[k]
		sub, name := "new", m.key
		if m.cur {
			sub, name = "cur", m.key+string(p.s.c.InfoSep)+"2,"+m.letters
		}
		if err := p.s.fs.Rename(m.temp, p.b.dir+slash+sub+slash+name); err != nil {
			return err
		}
		used[sub] = true
		p.done[m.i].Key = mail.Key(m.key)
	}
	for sub := range used {
		if err := p.s.fs.SyncDir(filepath.Join(p.b.dir, sub)); err != nil {
			return err
		}
	}
	p.b.forget()
	return nil
}

// copyFile copies a message file, durably.
func (s *Store) copyFile(from, to string) error {
	r, err := s.fs.Open(from)
	if err != nil {
		return err
	}
	_, date, err := r.Info()
	if err != nil {
		return errors.Join(err, r.Close())
	}
	w, err := s.fs.Create(to)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, *buf)
	if err == nil {
		err = s.fs.SetTime(to, date)
	}
	if err == nil {
		err = w.Sync()
	}
	if err = errors.Join(err, w.Close(), r.Close()); err != nil {
		_ = s.fs.Remove(to)
	}
	return err
}
