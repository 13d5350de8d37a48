package imapstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"

	"mailtwin/internal/imap"
	"mailtwin/internal/store"
)

// hint is what a session remembers for the next, to ask less. It only saves round trips: what a server says counts.
type hint struct {
	Caps  []string
	Space space
	Link  measured
}

func hostOf(cfg imap.Config) string {
	host := cfg.ServerName
	if host == "" {
		host = cfg.Address
		if h, _, err := net.SplitHostPort(cfg.Address); err == nil {
			host = h
		}
	}
	return strings.ToLower(host)
}

// greeter collects what Hello asks for in one flight.
type greeter struct {
	store  *Store
	spaces *imap.Call[imap.Namespaces]
	root   *imap.Call[imap.Status]
	delim  byte
	list   *listing
	known  bool // the last session's list is likely to be asked for in the same way
}

func (g *greeter) ask(c *conn) {
	if c.has("NAMESPACE") {
		g.spaces = c.client.Namespace()
	} else {
		g.askDelim(c)
	}
	if g.known {
		g.list = g.store.list(c)
	}
}

// askDelim asks for the delimiter between levels (RFC 9051 section 6.3.9: an empty pattern).
func (g *greeter) askDelim(c *conn) {
	g.root = c.client.List("", "", imap.ListOptions{}, func(it imap.ListItem) { g.delim = it.Delim })
}

// space waits for what tells our part of the names.
func (g *greeter) space(ctx context.Context, c *conn) (space, error) {
	var p space
	if g.spaces != nil {
		ns, err := g.spaces.Wait(ctx)
		if err == nil && len(ns.Personal) > 0 {
			p.Prefix, p.Delim = ns.Personal[0].Prefix, ns.Personal[0].Delim
			for _, n := range append(ns.Other, ns.Shared...) {
				p.Foreign = append(p.Foreign, n.Prefix)
			}
			return p, nil
		}
		if broken(err) && !errors.Is(err, imap.ErrNoAnswer) {
			return p, err
		}
		g.askDelim(c)
	}
	if _, err := g.root.Wait(ctx); err != nil {
		return p, err
	}
	p.Delim = g.delim
	return p, nil
}

// Hello implements store.Store.
func (s *Store) Hello(ctx context.Context, last string) (store.Greeting, error) {
	g, err := s.hello(ctx, last)
	if err != nil {
		return store.Greeting{}, fmt.Errorf("open account on %s: %w", s.host, s.fault(ctx, err))
	}
	return g, nil
}

func (s *Store) hello(ctx context.Context, last string) (store.Greeting, error) {
	if err := ctx.Err(); err != nil {
		return store.Greeting{}, err
	}
	var h hint
	if err := json.Unmarshal([]byte(last), &h); err != nil {
		h = hint{} // none, or of another version
	}
	s.startOver()
	s.mu.Lock()
	s.closed, s.hint, s.listed = false, h, nil
	s.link.begin(h.Link, s.cfg.Now())
	clear(s.epochs)
	clear(s.nexts)
	clear(s.told)
	clear(s.floors)
	s.mu.Unlock()
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return store.Greeting{}, ctx.Err()
	}
	g := &greeter{store: s, known: len(h.Caps) > 0}
	c, err := s.dial(ctx, g.ask)
	if err != nil {
		<-s.slots
		return store.Greeting{}, err
	}
	p, err := g.space(ctx, c)
	if err == nil && g.list != nil {
		err = g.list.wait(ctx)
	}
	if err == nil {
		s.mu.Lock()
		s.opened, s.space, s.listed = true, p, g.list
		s.hint = hint{Caps: c.client.Caps(), Space: p}
		s.mu.Unlock()
	}
	greeting := s.greeting(c, p)
	s.release(c, err)
	return greeting, err
}

// startOver drops the connections of a session before this one, which may be dead, and lets as many come as at first.
func (s *Store) startOver() {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	less := s.less
	s.less = 0
	s.mu.Unlock()
	for _, c := range idle {
		s.drop(c)
	}
	for range less {
		<-s.slots
	}
}

func (s *Store) greeting(c *conn, p space) store.Greeting {
	caps := store.Caps{
		Keys:      c.has("UIDPLUS"),
		StableIDs: c.has("OBJECTID") || c.has("X-GM-EXT-1"),
	}
	byMove := s.cfg.DeleteTo != "" && c.has("MOVE")
	plain := s.cfg.Expunge == ExpungePlain && s.cfg.DeleteTo == ""
	caps.NoExpunge = !c.has("UIDPLUS") && !plain && !byMove
	for _, name := range c.client.Caps() {
		caps.Partial = caps.Partial || strings.HasPrefix(strings.ToUpper(name), "MESSAGELIMIT")
	}
	user := cmp.Or(s.cfg.Credentials.User, "-")
	return store.Greeting{
		Root: "imap:" + s.host + "/" + user + "/" + p.Prefix, Run: -1, Name: s.cfg.Name, Hint: s.encode(hint{Caps: c.client.Caps(), Space: p}), Caps: caps,
	}
}

// encode adds what is known of the link by now to a hint.
func (s *Store) encode(h hint) string {
	h.Link = s.link.measured(s.cfg.Now())
	text, err := json.Marshal(h)
	if err != nil {
		return "" // a hint is worth no failure
	}
	return string(text)
}

// Hint implements store.Hinter.
func (s *Store) Hint() string {
	s.mu.Lock()
	h := s.hint
	s.mu.Unlock()
	return s.encode(h)
}
