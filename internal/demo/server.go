package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

const (
	user     = "you"
	password = "demo"
)

// server is an IMAP server in this process, reachable from this computer alone.
type server struct {
	imap     *imapserver.Server
	listener net.Listener
	served   chan error
}

// startServer starts a server with an account and some mailboxes.
func startServer(ctx context.Context) (*server, error) {
	account := imapmemserver.NewUser(user, password)
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the demo's server: %w", err)
	}
	s := &server{listener: l, served: make(chan error, 1)}
	s.imap = imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return session{imapmemserver.NewUserSession(account)}, nil, nil
		},
		Caps: imap.CapSet{
			imap.CapIMAP4rev1: {}, imap.CapNamespace: {}, imap.CapUIDPlus: {}, imap.CapESearch: {}, imap.CapListExtended: {},
			imap.CapListStatus: {}, imap.CapMove: {}, imap.CapStatusSize: {},
		},
		InsecureAuth: true, // loopback
		Logger:       log.New(io.Discard, "", 0),
	})
	go func() { s.served <- s.imap.Serve(l) }()
	return s, nil
}

// session is that of the only user.
type session struct{ *imapmemserver.UserSession }

// Select completes PERMANENTFLAGS: the library names only "\*", which does not stand for the system flags (RFC 9051 section 7.1).
func (s session) Select(box string, o *imap.SelectOptions) (*imap.SelectData, error) {
	data, err := s.UserSession.Select(box, o)
	if err == nil {
		data.PermanentFlags = append(data.PermanentFlags, imap.FlagSeen, imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagDraft)
	}
	return data, err
}

func (s *server) address() string { return s.listener.Addr().String() }

// stop ends the server and waits for it.
func (s *server) stop() error {
	err := s.imap.Close()
	if served := <-s.served; served != nil && !errors.Is(served, net.ErrClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// phone is another mail program of the same user, connected to the server.
type phone struct{ *imapclient.Client }

// dial logs the phone in.
func (s *server) dial() (*phone, error) {
	c, err := imapclient.DialInsecure(s.address(), nil)
	if err != nil {
		return nil, fmt.Errorf("connect the phone: %w", err)
	}
	if err := c.Login(user, password).Wait(); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("log the phone in: %w", err)
	}
	return &phone{c}, nil
}

func (p *phone) create(box string) error {
	if err := p.Create(box, nil).Wait(); err != nil {
		return fmt.Errorf("create mailbox %q: %w", box, err)
	}
	return nil
}

// put stores a message in a mailbox.
func (p *phone) put(box string, m message, flags ...imap.Flag) error {
	text := m.text()
	c := p.Append(box, int64(len(text)), &imap.AppendOptions{Time: m.date, Flags: flags})
	_, err := io.WriteString(c, text)
	if err = errors.Join(err, c.Close()); err == nil {
		_, err = c.Wait()
	}
	if err != nil {
		return fmt.Errorf("store a message: %w", err)
	}
	return nil
}

// find returns the UID of the message with a subject in a mailbox, which stays selected.
func (p *phone) find(box, subject string) (imap.UIDSet, error) {
	if _, err := p.Select(box, nil).Wait(); err != nil {
		return nil, fmt.Errorf("open mailbox %q: %w", box, err)
	}
	found, err := p.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: subject}}}, nil).Wait()
	if err != nil {
		return nil, fmt.Errorf("find message %q: %w", subject, err)
	}
	uids := found.AllUIDs()
	if len(uids) != 1 {
		return nil, fmt.Errorf("find message %q: there are %d", subject, len(uids))
	}
	return imap.UIDSetNum(uids...), nil
}

// flag adds a flag to a message.
func (p *phone) flag(box, subject string, flag imap.Flag) error {
	uids, err := p.find(box, subject)
	if err != nil {
		return err
	}
	store := &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{flag}}
	if err := p.Store(uids, store, nil).Close(); err != nil {
		return fmt.Errorf("flag message %q: %w", subject, err)
	}
	return nil
}

// delete removes a message for good.
func (p *phone) delete(box, subject string) error {
	if err := p.flag(box, subject, imap.FlagDeleted); err != nil {
		return err
	}
	if err := p.Expunge().Close(); err != nil {
		return fmt.Errorf("delete message %q: %w", subject, err)
	}
	return nil
}

// message is a sample.
type message struct {
	from, subject, body string
	date                time.Time
}

// text is the message in wire form.
func (m message) text() string {
	return fmt.Sprintf("From: %s\r\nTo: You <you@example.net>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%d.demo@example.org>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
		m.from, m.subject, m.date.Format(time.RFC1123Z), m.date.UnixNano(), m.body)
}
