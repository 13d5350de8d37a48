package memstore

import (
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
	"mailtwin/internal/store/storetest"
)

// user gives the suite a user of a Store.
type user struct{ s *Store }

func (u user) CreateBox(box mail.Box) error {
	u.s.CreateUser(box, "")
	return nil
}

func (u user) Deliver(box mail.Box, m storetest.Message) error {
	u.s.Deliver(box, m.Flags, m.Data, m.Date)
	return nil
}

func (u user) List(box mail.Box) ([]storetest.Message, error) {
	var list []storetest.Message
	for _, m := range u.s.Dump() {
		if m.Box == box {
			list = append(list, storetest.Message{Key: m.Key, Flags: m.Flags, Date: m.Date, Data: m.Data})
		}
	}
	return list, nil
}

func (u user) Delete(box mail.Box, k mail.Key) error {
	u.s.DeleteUser(box, k)
	return nil
}

func (u user) SetFlags(box mail.Box, k mail.Key, flags mail.System) error {
	u.s.SetFlagsUser(box, k, mail.Flags{System: flags}, mail.Flags{System: mail.AllSystem &^ flags})
	return nil
}

func (u user) Move(box mail.Box, k mail.Key, to mail.Box) error {
	u.s.MoveUser(box, k, to)
	return nil
}

// Reopen implements storetest.Reopener: the same mail, without the session.
func (u user) Reopen() (store.Store, error) { return u.s, nil }

// renumberer is a user of an IMAP-like store.
type renumberer struct{ user }

// Renumber implements storetest.Renumberer.
func (u renumberer) Renumber(box mail.Box) error {
	u.s.NewEpoch(box)
	return nil
}

func suite(o Options) storetest.Options {
	return storetest.Options{
		New: func(*testing.T) (store.Store, storetest.User) {
			s := New(o)
			if o.Kind == Maildir {
				return s, user{s}
			}
			return s, renumberer{user{s}}
		},
		Marks: !o.NoMarks, Delta: o.Delta, Marker: o.Kind == Maildir, Keywords: true, UserKeywords: true, Roles: true,
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"IMAP":    {StableIDs: true},
		"QRESYNC": {Delta: true, Tells: true, Reverse: true},
		"Bare":    {NoKeys: true, NoMove: true, NoMarks: true},
		"Mark":    {NoKeys: true, NoExpunge: true},
		"Maildir": {Kind: Maildir, FreshNames: true, QuietEdits: true},
		"Trash":   {Kind: Maildir, Trash: "Trash", Delta: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, suite(o))
		})
	}
}
