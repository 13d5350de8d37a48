package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"

	"mailtwin/internal/config"
	"mailtwin/internal/imap"
	"mailtwin/internal/mail"
	"mailtwin/internal/secret"
	"mailtwin/internal/store"
	"mailtwin/internal/store/imapstore"
	"mailtwin/internal/store/maildirstore"
	"mailtwin/internal/ui"
)

// What crash tests put between the program and the world, see crash_on.go; nil in every other build.
var (
	files maildirstore.FS
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
)

// stores makes both stores of an account. They are not opened yet.
func (a *app) stores(t *target, u *ui.UI, readOnly bool) (both [2]store.Store, err error) {
	for _, side := range mail.Sides {
		var one store.Store
		if c := t.Stores[side]; c.Maildir != nil {
			one, err = openMaildir(c.Maildir, readOnly)
		} else {
			one, err = a.openIMAP(t, c.IMAP, u, readOnly)
		}
		if err != nil {
			return both, err
		}
		both[side] = one
	}
	return both, nil
}

func openMaildir(c *config.Maildir, readOnly bool) (*maildirstore.Store, error) {
	return maildirstore.New(maildirstore.Config{
		Path: c.Path, Layout: c.Layout, Names: c.Names, Inbox: c.Inbox, InfoSep: c.InfoSeparator, ReadOnly: readOnly,
		Keep: c.KeepDeleted, KeepSize: c.KeepSize, FS: files,
	})
}

func (a *app) openIMAP(t *target, c *config.IMAP, u *ui.UI, readOnly bool) (store.Store, error) {
	client := imap.Config{Address: net.JoinHostPort(c.Host, strconv.Itoa(c.Port)), ServerName: c.Host, Timeout: c.Timeout, Dial: dial}
	switch c.TLS {
	case "starttls":
		client.Security = imap.StartTLS
	case "none":
		client.Security = imap.Plain
	}
	var err error
	if client.TLS, err = tlsConfig(c); err != nil {
		return nil, err
	}
	credentials, ahead := a.credentials(c, u)
	cfg := imapstore.Config{
		Client: client, Credentials: credentials, Reached: ahead, Connections: c.Connections, ReadOnly: readOnly,
		Expunge: imapstore.ExpungeUID, DeleteTo: c.DeleteTo, Mask: c.Disable,
	}
	switch c.Compress {
	case "on":
		cfg.Compress = imapstore.CompressOn
	case "off":
		cfg.Compress = imapstore.CompressOff
	}
	if t.ExpungePlain {
		cfg.Expunge = imapstore.ExpungePlain
	}
	return imapstore.New(cfg), nil
}

// credentials says where the secrets come from: a command, which may begin while the server greets, else the terminal.
func (a *app) credentials(c *config.IMAP, u *ui.UI) (cr imap.Credentials, ahead func(context.Context)) {
	cr = imap.Credentials{Mechanism: c.Auth, User: c.User}
	switch {
	case c.TokenCommand != "":
		source := secret.TokenCommand("token_command", c.TokenCommand, a.err)
		cr.Token, ahead = source.Reveal, source.Ahead
	case c.PasswordCommand != "":
		source := secret.Command("password_command", c.PasswordCommand, a.err)
		cr.Password, ahead = source.Reveal, source.Ahead
	case c.Cert == "" && c.Auth != "EXTERNAL":
		question := fmt.Sprintf("password of %s at %s: ", ui.Clean(c.User), ui.Clean(c.Host))
		cr.Password = secret.Prompt(question, a.in, a.err, u.Pause).Reveal
	}
	return cr, ahead
}

// tlsConfig reads the files of certificates, nil if there are none.
func tlsConfig(c *config.IMAP) (*tls.Config, error) {
	if c.CA == "" && c.Cert == "" {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, setup(fmt.Errorf("read tls_ca: %w", err), "check the path")
		}
		if out.RootCAs, err = x509.SystemCertPool(); err != nil {
			out.RootCAs = x509.NewCertPool()
		}
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, setup(fmt.Errorf("read tls_ca: no certificate in %s", c.CA), "it must be PEM: -----BEGIN CERTIFICATE-----")
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, setup(fmt.Errorf("read tls_cert: %w", err), "both must be PEM and belong together; the key must not be encrypted")
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// setup makes an error one of the configuration.
func setup(err error, hint string) error { return usage{mail.WithHint(err, hint)} }
