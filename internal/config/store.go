package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mailtwin/internal/mail"
)

var mechanisms = []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "EXTERNAL", "OAUTHBEARER", "XOAUTH2"}

// kindOf says what an address is, kindNone if it is none.
func kindOf(address string) kind {
	switch scheme, _, _ := strings.Cut(address, ":"); {
	case strings.HasPrefix(address, "/"), address == "~", strings.HasPrefix(address, "~/"), scheme == "maildir":
		return kindMaildir
	case scheme == "imap", scheme == "imaps":
		return kindIMAP
	}
	return kindNone
}

const addressHint = `addresses are "imaps://you@imap.example.com", "imap://..." (STARTTLS) and "maildir:~/Mail"`

// Is reports whether a word of the command line is the address of a store, not the name of an account.
func Is(word string) bool {
	return kindOf(word) != kindNone || strings.Contains(word, "://") || word == "." || word == ".." || strings.HasPrefix(word, "./") || strings.HasPrefix(word, "../")
}

// Address makes a store of an address given on the command line; relative paths are taken from dir.
func Address(word, home, dir string) (Store, error) {
	switch kindOf(word) {
	case kindIMAP:
		m, err := parseIMAP(word)
		if err != nil {
			return Store{}, mail.WithHint(err, addressHint)
		}
		if m.User == "" {
			return Store{}, mail.WithHint(fmt.Errorf("%s: no user is given", word), fmt.Sprintf("put it before the host: %s", strings.Replace(word, "://", "://you@", 1)))
		}
		return Store{IMAP: m}, nil
	case kindNone:
		if strings.Contains(word, "://") {
			return Store{}, mail.WithHint(fmt.Errorf("%s: not an address of a store", withoutSecret(word)), addressHint)
		}
	}
	path := strings.TrimPrefix(word, "maildir:")
	if path != "~" && !strings.HasPrefix(path, "~/") && !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	full, err := expand(path, home)
	return Store{Maildir: &Maildir{Path: full}}, err
}

// String returns the address without the user's settings, for people and to tell accounts apart.
func (m *IMAP) String() string {
	u := url.URL{Scheme: "imap", Host: m.Host}
	usual := 143
	if m.TLS == "tls" {
		u.Scheme, usual = "imaps", 993
	}
	if m.Port != usual {
		u.Host = net.JoinHostPort(m.Host, strconv.Itoa(m.Port))
	} else if strings.Contains(m.Host, ":") {
		u.Host = "[" + m.Host + "]"
	}
	if m.User != "" {
		u.User = url.User(m.User)
	}
	return u.String()
}

// parseIMAP reads imaps://user@host:port (RFC 5092 without its mailbox parts).
func parseIMAP(address string) (*IMAP, error) {
	u, err := url.Parse(address)
	if err != nil { // the error of url would repeat the address, and with it what may be a password
		return nil, errors.New("the address cannot be read")
	}
	if _, has := u.User.Password(); has {
		return nil, errors.New("the address has a password in it; passwords are asked for, or come from password_command")
	}
	if u.Hostname() == "" {
		return nil, errors.New("the address has no host")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the address has more than user, host and port; mailboxes are chosen with the key mailboxes")
	}
	m := &IMAP{Host: strings.ToLower(u.Hostname()), Port: 143, TLS: "starttls", User: u.User.Username()}
	if u.Scheme == "imaps" {
		m.Port, m.TLS = 993, "tls"
	}
	if s := u.Port(); s != "" {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("%s is not a port", s)
		}
		m.Port = int(n)
	}
	if strings.ContainsFunc(m.User+m.Host, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return nil, errors.New("the address has a control character")
	}
	return m, nil
}

// store reads the settings of one side.
func (r *accountReader) store(side mail.Side) Store {
	n := r.urls[side]
	if n == nil {
		return Store{}
	}
	address, ok := n.value.(string)
	if !ok || strings.TrimSpace(address) == "" { // reported before
		return Store{}
	}
	switch r.kinds[side] {
	case kindIMAP:
		return Store{IMAP: r.imap(side, n, address)}
	case kindMaildir:
		return Store{Maildir: r.maildir(side, n, address)}
	}
	r.add(n.line, addressHint, "%q is not an address of a store: %q", side.String(), withoutSecret(address))
	return Store{}
}

// withoutSecret is an address as it may be shown: it may be wrong, and have a password in it all the same.
func withoutSecret(address string) string {
	at := strings.LastIndex(address, "@")
	if at < 0 {
		return address
	}
	user := 0
	if i := strings.Index(address[:at], "://"); i >= 0 {
		user = i + len("://")
	}
	if i := strings.Index(address[user:at], ":"); i >= 0 {
		return address[:user+i] + ":***" + address[at:]
	}
	return address
}

func (r *accountReader) maildir(side mail.Side, n *node, address string) *Maildir {
	path, err := expand(strings.TrimPrefix(address, "maildir:"), r.home)
	if err != nil {
		r.add(n.line, `write the path from / or from ~: "maildir:~/Mail"`, "%q: %v", side.String(), err)
	}
	m := &Maildir{Path: path}
	m.Layout = r.oneOf(r.find(side, "layout"), "layout", "nested", "maildir++", "flat")
	m.Names = r.oneOf(r.find(side, "names"), "names", "utf8", "mutf7")
	m.Inbox, _ = r.text(r.find(side, "inbox"), "inbox")
	sep := r.find(side, "info_separator")
	if s, ok := r.text(sep, "info_separator"); ok {
		if s = r.word(sep, "info_separator", s, ":", ";", "!"); s != "" {
			m.InfoSeparator = s[0]
		}
	}
	m.KeepDeleted = r.days(r.find(side, "keep_deleted"), "keep_deleted")
	m.KeepSize = r.size(r.find(side, "keep_deleted_size"), "keep_deleted_size")
	return m
}

func (r *accountReader) imap(side mail.Side, n *node, address string) *IMAP {
	m, err := parseIMAP(address)
	if err != nil {
		r.add(n.line, addressHint, "%q: %v", side.String(), err)
		return &IMAP{}
	}
	r.user(side, m)
	r.tls(side, n, m)
	m.PasswordCommand, _ = r.text(r.find(side, "password_command"), "password_command")
	m.TokenCommand, _ = r.text(r.find(side, "token_command"), "token_command")
	if m.PasswordCommand != "" && m.TokenCommand != "" {
		r.add(r.find(side, "token_command").line, "keep the one that the provider wants", "password_command and token_command are both given")
	}
	auth := r.find(side, "auth")
	if s, ok := r.text(auth, "auth"); ok {
		m.Auth = r.word(auth, "auth", strings.ToUpper(s), mechanisms...)
	}
	m.Connections = r.number(r.find(side, "connections"), "connections", 1, 64)
	m.Timeout = r.duration(r.find(side, "timeout"), "timeout", time.Second, time.Hour)
	for _, name := range r.list(r.find(side, "disable_extensions"), "disable_extensions") {
		m.Disable = append(m.Disable, strings.ToUpper(name))
	}
	m.Compress = r.oneOf(r.find(side, "compress"), "compress", "auto", "on", "off")
	m.DeleteTo = r.deleteTo(r.find(side, "delete_to"))
	if m.User == "" && m.Cert == "" {
		r.add(n.line, `write "imaps://you@host", or user = "you@example.com"`, "no user is given for %q", side.String())
	}
	return m
}

// deleteTo reads where deleted messages go: "trash" and roles (RFC 6154) are looked up on the server, all else is a mailbox.
func (r *accountReader) deleteTo(n *node) mail.Box {
	s, ok := r.text(n, "delete_to")
	if !ok {
		return ""
	}
	if s == "trash" {
		return `\Trash`
	}
	if strings.HasPrefix(s, `\`) {
		for _, role := range []string{`\Trash`, `\Archive`, `\Junk`} {
			if strings.EqualFold(s, role) {
				return mail.Box(role)
			}
		}
		r.add(n.line, `write delete_to = "trash"`, "%q is not a role that deleted messages can go to: %q", "delete_to", s)
		return ""
	}
	return mail.Box(s)
}

// user finds out who logs in: the side's own key, else the address, else the account's key.
func (r *accountReader) user(side mail.Side, m *IMAP) {
	n := r.find(side, "user")
	s, ok := r.text(n, "user")
	own := r.sides[side] != nil && r.sides[side].kids["user"] != nil
	switch {
	case !ok:
	case m.User == "":
		m.User = s
	case own || r.kinds[side.Other()] != kindIMAP:
		if m.User != s {
			r.add(n.line, "keep one of them", "the user is given twice: %q, and %q in the address", s, m.User)
		}
	}
}

// tls reads how the connection is protected. An account's key is for the side that it fits when both are servers.
func (r *accountReader) tls(side mail.Side, n *node, m *IMAP) {
	key := r.find(side, "tls")
	want := r.oneOf(key, "tls", "tls", "starttls", "none")
	shared := r.kinds[side.Other()] == kindIMAP && (r.sides[side] == nil || r.sides[side].kids["tls"] == nil)
	switch fits := want == "tls" == (m.TLS == "tls"); {
	case want == "":
	case fits:
		m.TLS = want
	case shared && kindOfTLS(r.urls[side.Other()]) != m.TLS: // it is the other side's
	case m.TLS == "tls":
		r.add(key.line, fmt.Sprintf(`write %s = "imap://..."`, side), "tls = %q does not go with imaps:// in line %d", want, n.line)
	default:
		r.add(key.line, fmt.Sprintf(`write %s = "imaps://..."`, side), "tls = %q does not go with imap:// in line %d", want, n.line)
	}
	m.CA = r.path(r.find(side, "tls_ca"), "tls_ca")
	m.Cert = r.path(r.find(side, "tls_cert"), "tls_cert")
	m.Key = r.path(r.find(side, "tls_key"), "tls_key")
	if (m.Cert == "") != (m.Key == "") && m.TLS != "none" {
		r.add(n.line, "both may be the same file", "tls_cert and tls_key are given together or not at all")
	}
}

// kindOfTLS is the protection that the scheme of an address stands for.
func kindOfTLS(n *node) string {
	if n != nil {
		if s, _ := n.value.(string); strings.HasPrefix(s, "imaps:") {
			return "tls"
		}
	}
	return "starttls"
}
