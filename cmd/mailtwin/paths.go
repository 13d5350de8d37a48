package main

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"

	"mailtwin/internal/config"
	"mailtwin/internal/mail"
)

func (a *app) configPath() string {
	if a.config != "" {
		if filepath.IsAbs(a.config) {
			return a.config
		}
		return filepath.Join(a.dir, a.config)
	}
	return config.DefaultPath(a.getenv)
}

// statePath returns where the database of an account is: below $XDG_STATE_HOME/mailtwin, or ~/.local/state/mailtwin.
func (a *app) statePath(account string) string {
	base := a.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) { // the XDG specification says to ignore relative paths
		base = filepath.Join(a.home(), ".local", "state")
	}
	return filepath.Join(base, "mailtwin", account, "state.db")
}

// adHocName makes a name of two addresses, for the state of a pair that is in no configuration: readable, and the same
// only for the same pair.
func adHocName(stores [2]config.Store) string {
	sum := sha256.Sum256([]byte(stores[mail.Local].String() + "\x00" + stores[mail.Remote].String()))
	return readable(stores[mail.Remote]) + "--" + readable(stores[mail.Local]) + "-" + hex.EncodeToString(sum[:5])
}

// shortSum tells texts apart in file names.
func shortSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:5])
}

// readable makes the gist of an address part of a file name.
func readable(s config.Store) string {
	var text string
	if s.IMAP != nil {
		text = s.IMAP.User + "@" + s.IMAP.Host
	} else {
		text = filepath.Base(s.Maildir.Path)
	}
	clean := strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune("@._", c) {
			return c
		}
		return '_'
	}, text)
	return strings.TrimLeft(clean[:min(len(clean), 60)], ".")
}
