package imapstore

import (
	"context"
	"fmt"

	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

var _ store.Creator = (*Store)(nil)

// inOneGo is how many mailboxes are made in one flight.
const inOneGo = 64

// creation is a mailbox that is being made.
type creation struct {
	create    *imap.Call[imap.Status]
	subscribe *imap.Call[imap.Status]
	open      *opening
}

// CreateBoxes implements store.Creator: all commands in one flight. What does not go smoothly is done once more by itself.
func (s *Store) CreateBoxes(ctx context.Context, list []store.Creation) []store.Created {
	made := make([]store.Created, len(list))
	smooth := make([]bool, len(list))
	for first := 0; first < len(list); first += inOneGo {
		n := min(inOneGo, len(list)-first)
		part, out := list[first:first+n], made[first:first+n]
		err := s.effect(ctx, "", func(c *conn) error { return s.createAll(ctx, c, part, out, smooth[first:]) })
		if err != nil {
			for i := first; i < len(list); i++ { // what has failed for all of them fails for the rest too
				made[i].Err, smooth[i] = fmt.Errorf("create mailbox %q: %w", list[i].Box, err), true
			}
			break
		}
	}
	for i := range list {
		if !smooth[i] {
			made[i] = s.createAlone(ctx, list[i])
		}
	}
	return made
}

func (s *Store) createAlone(ctx context.Context, one store.Creation) store.Created {
	if err := s.CreateBox(ctx, one.Box, one.Role); err != nil {
		return store.Created{Err: err}
	}
	v, err := s.View(ctx, one.Box, "")
	if err != nil {
		return store.Created{Err: err}
	}
	return store.Created{Epoch: v.At().Epoch, Total: v.At().Total}
}

// createAll makes mailboxes and opens each, for its epoch and for the flags that it can hold.
func (s *Store) createAll(ctx context.Context, c *conn, list []store.Creation, made []store.Created, smooth []bool) error {
	all := make([]creation, len(list))
	for i, one := range list {
		name, err := s.nameOf(one.Box)
		if err != nil || one.Box == mail.Inbox {
			continue
		}
		role := one.Role
		if !c.has("CREATE-SPECIAL-USE") {
			role = ""
		}
		all[i].create, all[i].subscribe = c.client.Create(name, role), c.client.Subscribe(name)
	}
	for i, one := range list {
		if all[i].create == nil {
			continue
		}
		op, err := s.send(c, one.Box, imap.SelectOptions{})
		if err != nil {
			return err
		}
		all[i].open = op
	}
	for i := range all {
		if all[i].create == nil {
			continue
		}
		_, cerr := all[i].create.Wait(ctx)
		_, serr := all[i].subscribe.Wait(ctx)
		_, oerr := all[i].open.call.Wait(ctx)
		for _, err := range []error{cerr, serr, oerr} {
			if broken(err) {
				return err
			}
		}
		if e := refusal(cerr); oerr != nil || e != nil && e.Code != "ALREADYEXISTS" || all[i].open.entered() != nil {
			continue
		}
		v := &viewer{s: s, c: c, box: list[i].Box}
		now := v.entered()
		made[i], smooth[i] = store.Created{Epoch: epoch(now.validity), Total: int(now.messages)}, true
	}
	c.box = "" // the last one that could be opened, whichever that is
	return nil
}
