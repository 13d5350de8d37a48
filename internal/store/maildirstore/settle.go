package maildirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// Settle implements store.Store: a token is the beginning of a unique name, so a message is found by its name; in its mailbox
// first, then everywhere (a user may have re-filed it). What is in tmp did not land.
func (s *Store) Settle(ctx context.Context, intents []mail.Intent, taken func(mail.Ref) bool) ([]mail.Done, error) {
	done := make([]mail.Done, len(intents))
	open := map[string]int{}
	byBox := map[mail.Box]bool{}
	for i := range intents {
		open[string(intents[i].Token)] = i
		byBox[intents[i].Box] = true
	}
	if err := s.settleMoved(ctx, intents, open, done, taken); err != nil {
		return nil, err
	}
	look := func(name mail.Box) error {
		b, err := s.box(ctx, name)
		if errors.Is(err, store.ErrGone) {
			return nil
		}
		if err == nil {
			err = s.settleIn(ctx, b, intents, open, done, taken)
		}
		if err != nil {
			return s.trouble(fmt.Sprintf("settle effects in %q", name), err)
		}
		return nil
	}
	for name := range byBox {
		if err := look(name); err != nil {
			return nil, err
		}
	}
	if len(open) == 0 {
		return done, nil
	}
	list, err := s.Boxes(ctx)
	if err != nil {
		return nil, err
	}
	for _, st := range list {
		if len(open) == 0 {
			break
		}
		if st.Err == nil && !byBox[st.Box] {
			if err := look(st.Box); err != nil {
				return nil, err
			}
		}
	}
	return done, nil
}

// settleMoved looks for moves that kept the unique name: it is in the target, and no longer at the source.
func (s *Store) settleMoved(ctx context.Context, intents []mail.Intent, open map[string]int, done []mail.Done, taken func(mail.Ref) bool) error {
	finders := map[mail.Box]*finder{}
	var targets, sources []mail.Box
	has := func(name mail.Box, key mail.Key) (bool, error) {
		f := finders[name]
		if f == nil {
			b, err := s.box(ctx, name)
			if errors.Is(err, store.ErrGone) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			f = s.finder(b)
			if err := f.reload(ctx); err != nil {
				return false, err
			}
			finders[name] = f
		}
		_, ok, err := f.find(ctx, key)
		return ok, err
	}
	for i := range intents {
		in := &intents[i]
		if in.Kind != mail.IntentMove || in.From.Box == in.Box || taken != nil && taken(mail.Ref{Box: in.Box, Key: in.From.Key}) {
			continue
		}
		there, err := has(in.Box, in.From.Key)
		here := true
		if err == nil && there {
			here, err = has(in.From.Box, in.From.Key)
		}
		if err != nil {
			return s.trouble(fmt.Sprintf("settle moves to %q", in.Box), err)
		}
		if there && !here {
			done[i] = mail.Done{Box: in.Box, Key: in.From.Key}
			delete(open, string(in.Token))
			targets, sources = append(targets, in.Box), append(sources, in.From.Box)
		}
	}
	if s.c.ReadOnly {
		return nil
	}
	slices.Sort(targets)
	slices.Sort(sources)
	for _, name := range append(slices.Compact(targets), slices.Compact(sources)...) { // the names may not be durable yet
		if err := s.Secure(ctx, name, nil); err != nil {
			return err
		}
	}
	return nil
}

// settleIn looks for open tokens among the names of one mailbox.
func (s *Store) settleIn(ctx context.Context, b *box, intents []mail.Intent, open map[string]int, done []mail.Done, taken func(mail.Ref) bool) error {
	files, err := s.names(ctx, b)
	if err != nil {
		return err
	}
	words, err := s.keywords(b.dir)
	if err != nil {
		return err
	}
	var changed folders
	for i := range files.len() {
		unique := files.unique(i)
		token, _, _ := strings.Cut(unique, ",") // others may have added parts of theirs
		at, ok := open[token]
		if !ok {
			continue
		}
		f := files.file(i)
		if taken != nil && taken(mail.Ref{Box: b.name, Key: f.key}) {
			continue
		}
		delete(open, token)
		done[at] = mail.Done{Box: b.name, Key: f.key, Lacks: lacks(intents[at].Entry.Flags, words)}
		changed.add(filepath.Join(b.dir, f.sub())) // the name may not be durable yet
	}
	mine := func(name string) bool {
		return slices.ContainsFunc(intents, func(in mail.Intent) bool { return string(in.Token) == name })
	}
	if err := s.sweep(b, mine); err != nil {
		return err
	}
	if len(changed) > 0 && !s.c.ReadOnly {
		if err := s.lastingBox(b); err != nil {
			return err
		}
	}
	return s.syncDirs(changed)
}

// Secure implements store.Securer.
func (s *Store) Secure(ctx context.Context, name mail.Box, keys []mail.Key) error {
	b, err := s.box(ctx, name)
	if errors.Is(err, store.ErrGone) {
		return nil
	}
	if err == nil && !s.c.ReadOnly {
		err = s.secure(ctx, b, keys)
	}
	if err != nil {
		return s.trouble(fmt.Sprintf("make messages of %q durable", name), err)
	}
	return nil
}

func (s *Store) secure(ctx context.Context, b *box, keys []mail.Key) error {
	if err := s.lastingBox(b); err != nil {
		return err
	}
	if len(keys) >= syncAllFrom {
		all, err := s.fs.SyncAll(b.dir)
		if err == nil {
			return errors.Join(all.Sync(), all.Close())
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	finder := s.finder(b)
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, _, err := finder.open(ctx, key)
		if err != nil {
			return err
		}
		if r != nil {
			if err := errors.Join(r.Sync(), r.Close()); err != nil {
				return err
			}
		}
	}
	for _, sub := range []string{"new", "cur"} {
		if err := s.fs.SyncDir(filepath.Join(b.dir, sub)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
