package offlineimap

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	settings "mailtwin/internal/config"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
	"mailtwin/internal/store/maildirstore"
)

// home is a home directory with files of OfflineIMAP's, made by the test.
type home struct {
	t   *testing.T
	dir string
}

func newHome(t *testing.T) *home { t.Helper(); return &home{t, t.TempDir()} }

// file writes a file; $HOME in its text is the home.
func (h *home) file(path, text string) {
	h.t.Helper()
	full := filepath.Join(h.dir, path)
	must(h.t, os.MkdirAll(filepath.Dir(full), 0o700))
	must(h.t, os.WriteFile(full, []byte(strings.ReplaceAll(text, "$HOME", h.dir)), 0o600))
}

// maildir makes a folder with messages.
func (h *home) maildir(path string, files ...string) {
	h.t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(h.t, os.MkdirAll(filepath.Join(h.dir, path, sub), 0o700))
	}
	for _, f := range files {
		h.file(path+"/cur/"+f, "x")
	}
}

func (h *home) getenv(name string) string {
	return map[string]string{"HOME": h.dir}[name]
}

func (h *home) try(accounts ...string) ([]migrate.Old, error) {
	return Read(Options{Accounts: accounts, Getenv: h.getenv})
}

func (h *home) read(accounts ...string) []migrate.Old {
	h.t.Helper()
	old, err := h.try(accounts...)
	must(h.t, err)
	return old
}

// text shows an account as its settings and notes, without the home.
func (h *home) text(old migrate.Old) string {
	var b strings.Builder
	for _, s := range old.Settings {
		fmt.Fprintf(&b, "%s = %s", s.Key, s.Value)
		if s.Comment != "" {
			fmt.Fprintf(&b, " # %s", s.Comment)
		}
		b.WriteString("\n")
	}
	for _, n := range old.Notes {
		fmt.Fprintf(&b, "%s:%d: %s\n", n.File, n.Line, n.Text)
	}
	return strings.ReplaceAll(b.String(), h.dir, "~")
}

// account reads the settings of an account as mailtwin does.
func (h *home) account(old migrate.Old) *settings.Account {
	h.t.Helper()
	text := "[account.a]\n"
	for _, s := range old.Settings {
		text += s.Key + " = " + s.Value + "\n"
	}
	c, err := settings.Parse([]byte(text), "config.toml", h.dir)
	if err != nil {
		h.t.Fatalf("%v\n%s", err, text)
	}
	return c.Accounts[0]
}

// boxes are the mailboxes that mailtwin sees with the settings of an account.
func (h *home) boxes(old migrate.Old) (list []mail.Box) {
	h.t.Helper()
	a := h.account(old)
	m := a.Stores[mail.Local].Maildir
	s, err := maildirstore.New(maildirstore.Config{Path: m.Path, Layout: m.Layout, Names: m.Names, Inbox: m.Inbox, InfoSep: m.InfoSeparator, ReadOnly: true})
	must(h.t, err)
	all, err := s.Boxes(h.t.Context())
	must(h.t, err)
	for _, st := range all {
		if st.Err == nil && a.Mailboxes.Has(st.Box, "") {
			list = append(list, st.Box)
		}
	}
	return list
}
