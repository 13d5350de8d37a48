package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailtwin/internal/dedupe"
	"mailtwin/internal/dedupe/online"
	"mailtwin/internal/dedupe/sift"
	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/imapstore"
	"mailtwin/internal/ui"
)

// showServerDoubles prints duplicates.
func (a *app) showServerDoubles(ctx context.Context, t *target, u *ui.UI, s *server, options online.Options, found *online.Found) error {
	n := found.Groups.Len()
	if !u.Verbose && !u.JSON {
		n = min(n, mostGroups)
	}
	if u.Quiet || n == 0 {
		return nil
	}
	const chunk = 500
	for first := 0; first < n; first += chunk {
		groups := make([][]uint32, 0, chunk)
		for g := first; g < min(n, first+chunk); g++ {
			groups = append(groups, found.Groups.At(g))
		}
		list, err := serverDoubles(ctx, s, options, found, groups)
		if err != nil {
			return err
		}
		for _, d := range list {
			u.Duplicate(t.given, d)
		}
	}
	if more := found.Groups.Len() - n; more > 0 {
		u.Note("and %d more messages with copies; -v shows all of them", more)
	}
	return nil
}

// serverDoubles turns groups into what is printed of them.
func serverDoubles(ctx context.Context, s *server, o online.Options, found *online.Found, groups [][]uint32) ([][]ui.Double, error) {
	list := make([][]ui.Double, len(groups))
	asked := map[mail.Ref]*ui.Double{}
	for g, group := range groups {
		for _, i := range group {
			m := found.Show(o, i)
			list[g] = append(list[g], ui.Double{Mailbox: string(m.Box), File: fmt.Sprintf("UID %d", m.UID), Date: m.Date, Bytes: m.Bytes})
		}
		m := found.Show(o, group[0])
		asked[mail.Ref{Box: m.Box, Key: mail.UIDKey(m.UID)}] = &list[g][0]
		if o.Policy.By == dedupe.MessageID {
			if err := differ(ctx, s.store, o, found, group, list[g]); err != nil {
				return nil, err
			}
		}
	}
	return list, describe(ctx, s.store, asked)
}

// describe asks for sender and subject of messages.
func describe(ctx context.Context, s *imapstore.Store, asked map[mail.Ref]*ui.Double) error {
	byBox := map[mail.Box][]mail.Key{}
	for ref := range asked {
		byBox[ref.Box] = append(byBox[ref.Box], ref.Key)
	}
	for box, keys := range byBox {
		slices.Sort(keys)
		err := s.Headers(ctx, box, keys, []string{"FROM", "SUBJECT"}, func(key mail.Key, header []byte) error {
			if d := asked[mail.Ref{Box: box, Key: key}]; d != nil {
				d.From, d.Subject = sift.SenderAndSubject(header)
			}
			return nil
		})
		if err != nil && !errors.Is(err, store.ErrGone) {
			return err
		}
	}
	return nil
}

// differ says in what the copies differ from the message that stays.
func differ(ctx context.Context, s *imapstore.Store, o online.Options, found *online.Found, group []uint32, list []ui.Double) error {
	parts := make([]sift.Parts, len(group))
	for k, i := range group {
		m := found.Show(o, i)
		err := s.Fetch(ctx, m.Box, []mail.Key{mail.UIDKey(m.UID)}, func(_ mail.Entry, b mail.Body) (err error) {
			parts[k], err = sift.ReadParts(ctx, b.Reader)
			return err
		})
		if err != nil {
			return err
		}
		if k > 0 {
			list[k].Differs = parts[0].Differ(parts[k])
		}
	}
	return nil
}
