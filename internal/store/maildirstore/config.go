package maildirstore

import (
	"path/filepath"
	"time"

	"mailtwin/internal/mail"
)

// Config of a store.
type Config struct {
	Path    string // of the root
	Layout  string // "nested" (default), "maildir++" or "flat"
	Names   string // "utf8" (default) or "mutf7": how names are written on disk
	Inbox   string // folder of INBOX: "INBOX" (default) or "." for the root itself; always "." with maildir++
	InfoSep byte   // between unique name and flags: ':' (default), ';' or '!'
	// ReadOnly: nothing is written.
	ReadOnly bool
	Keep     time.Duration    // how long the attic keeps messages; 0: 30 days
	KeepSize int64            // octets that the attic may hold; what is too much goes, but nothing of the last 7 days; 0: 1 GB
	Attic    string           // folder for removed messages; "": attic in the folder that is our own in the root
	FS       FS               // nil: the operating system's
	Now      func() time.Time // nil: time.Now
}

// Names of layouts.
const (
	Nested    = "nested"
	MaildirPP = "maildir++"
	Flat      = "flat"
)

func (c *Config) defaults() {
	if c.Layout == "" {
		c.Layout = Nested
	}
	if c.Names == "" {
		c.Names = "utf8"
	}
	if c.Layout == MaildirPP {
		c.Inbox = "."
	}
	if c.Inbox == "" {
		c.Inbox = string(mail.Inbox)
	}
	if c.InfoSep == 0 {
		c.InfoSep = ':'
	}
	if c.Attic == "" {
		c.Attic = filepath.Join(c.Path, c.control(), "attic")
	}
	if c.Keep <= 0 {
		c.Keep = 30 * day
	}
	if c.KeepSize <= 0 {
		c.KeepSize = 1e9
	}
	c.Attic = filepath.Clean(c.Attic)
	if c.FS == nil {
		c.FS = osFS{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// control is the name of our own folder in the root.
func (c *Config) control() string {
	if c.Layout == MaildirPP {
		return "mailtwin.d"
	}
	return ".mailtwin"
}
