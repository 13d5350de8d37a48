package offlineimap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// Options of Read.
type Options struct {
	Config   string   // the configuration; "": where OfflineIMAP looks, $XDG_CONFIG_HOME/offlineimap/config, then ~/.offlineimaprc
	Metadata string   // the directory of its state; "": what the configuration says, else ~/.offlineimap
	Accounts []string // none: those that the configuration lists in [general]

	Getenv func(string) string // nil: os.Getenv
}

// maxConfig is the most of a configuration that is read, in octets.
const maxConfig = 4 << 20

// Read reads OfflineIMAP's configuration and state. What has no equal, and accounts that cannot be taken over, are told in the
// notes; damaged state makes its folder distrusted. An error means that there is nothing to be read: the configuration is missing
// or wrong, an account is unknown, or OfflineIMAP is at work. Nothing is written.
func Read(o Options) ([]migrate.Old, error) {
	cfg, err := load(o)
	if err != nil {
		return nil, err
	}
	names := o.Accounts
	if len(names) == 0 {
		if names, err = cfg.listed(); err != nil {
			return nil, err
		}
	}
	accounts := make([]*account, 0, len(names))
	for _, name := range names {
		a, err := cfg.account(name)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, a)
	}
	all := make([]migrate.Old, 0, len(accounts))
	for _, a := range accounts {
		if err := a.read(); err != nil {
			return nil, err
		}
		for _, other := range accounts {
			if other != a && other.root != "" && other.root == a.root {
				a.note(a.sec.line, "another account uses the Maildir %s too, and mailtwin needs one for each: move this account's folders to a directory of their own, and change local", a.root)
				break
			}
		}
		all = append(all, a.old)
	}
	return all, nil
}

// load reads the configuration.
func load(o Options) (*config, error) {
	getenv := o.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	cfg := &config{home: strings.TrimSuffix(getenv("HOME"), "/"), getenv: getenv}
	file := o.Config
	if file == "" {
		dir := getenv("XDG_CONFIG_HOME")
		if !filepath.IsAbs(dir) {
			dir = cfg.home + "/.config"
		}
		if file = filepath.Join(dir, "offlineimap", "config"); missing(file) {
			file = cfg.home + "/.offlineimaprc"
		}
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	f, err := openFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, mail.WithHint(fmt.Errorf("read the configuration of OfflineIMAP: there is no file %s", file), "mailtwin import offlineimap --config FILE reads another one")
	case err != nil:
		return nil, mail.WithHint(fmt.Errorf("read the configuration of OfflineIMAP: %w", err), "mailtwin import offlineimap --config FILE reads another one")
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the configuration of OfflineIMAP: %w", err)
	case len(text) > maxConfig:
		return nil, mail.WithHint(fmt.Errorf("read the configuration of OfflineIMAP: %s has over %d octets", file, maxConfig), "is it the right file? --config names another one")
	}
	if cfg.ini, err = parseINI(string(text), file); err != nil {
		return nil, err
	}
	if cfg.metadata = o.Metadata; cfg.metadata == "" {
		cfg.metadata = "~/.offlineimap"
		if at, ok := cfg.find(cfg.section("general"), "metadata"); ok {
			if cfg.metadata, err = cfg.value(cfg.section("general"), at); err != nil {
				return nil, fault(file, at.line, "metadata: %v", err)
			}
		}
		cfg.metadata = cfg.path(cfg.metadata)
	}
	cfg.metadata, err = filepath.Abs(cfg.metadata)
	return cfg, err
}

var commas = regexp.MustCompile(`\s*,\s*`)

// listed are the accounts in [general].
func (cfg *config) listed() ([]string, error) {
	s := cfg.section("general")
	o, ok := cfg.find(s, "accounts")
	if s == nil || !ok {
		return nil, mail.WithHint(fmt.Errorf("read %s: [general] has no accounts in it", cfg.file), "is it the right file? --config names another one")
	}
	text, err := cfg.value(s, o)
	if err != nil {
		return nil, fault(cfg.file, o.line, "accounts: %v", err)
	}
	names := slices.DeleteFunc(commas.Split(strings.TrimSpace(text), -1), func(n string) bool { return n == "" })
	if len(names) == 0 {
		return nil, fault(cfg.file, o.line, "accounts names no account")
	}
	return names, nil
}

func thereAre(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "there are: " + strings.Join(names, ", ") + "; "
}

// names are the accounts that have a section.
func (cfg *config) names() (names []string) {
	for _, s := range cfg.sections {
		if name, ok := strings.CutPrefix(s.name, "Account "); ok {
			names = append(names, name)
		}
	}
	return names
}

// account finds the sections of an account.
func (cfg *config) account(name string) (*account, error) {
	a := &account{cfg: cfg, name: name, sec: cfg.section("Account " + name), infoSep: ':'}
	a.old = migrate.Old{Tool: "offlineimap", Name: name, Files: []string{cfg.file}}
	if a.sec == nil {
		return nil, mail.WithHint(fmt.Errorf("read %s: there is no [Account %s]", cfg.file, name), thereAre(cfg.names())+"mailtwin import offlineimap without a name takes all accounts that [general] lists")
	}
	for key, to := range map[string]**section{"localrepository": &a.local, "remoterepository": &a.remote} {
		v, line, ok := a.get(a.sec, key)
		if !ok {
			return nil, fault(cfg.file, a.sec.line, "[Account %s] has no %s", name, key)
		}
		if *to = cfg.section("Repository " + v); *to == nil {
			return nil, fault(cfg.file, line, "there is no [Repository %s]", v)
		}
	}
	return a, nil
}

// read fills the account's Old.
func (a *account) read() error {
	kind := func(s *section) string { v, _, _ := a.get(s, "type"); return v }
	local, remote := kind(a.local), kind(a.remote)
	folders, _, ok := a.get(a.local, "localfolders")
	if local != "Maildir" && local != "GmailMaildir" || remote != "IMAP" && remote != "Gmail" || !ok {
		a.note(a.sec.line, "account %q is not taken over: state can only be taken over for a Maildir with localfolders and a server; write the account into config.toml by hand, then the first sync pairs the messages by content", a.name)
		return nil
	}
	if isLocked(filepath.Join(a.cfg.metadata, a.name+".lock")) {
		return mail.WithHint(fmt.Errorf("read account %q: OfflineIMAP %w on it", a.name, migrate.ErrBusy), "wait until it has ended, and switch off what starts it")
	}
	a.root, a.sep = a.cfg.path(folders), "."
	if v, _, ok := a.get(a.local, "sep"); ok && v != "" {
		a.sep = v
	}
	if a.is(a.sec, "maildir-windows-compatible", false) {
		a.infoSep = '!'
	}
	a.utf8 = a.is(a.sec, "utf8foldernames", false)
	a.trans, a.back = a.transform(a.remote), a.transform(a.local)
	found, err := a.folders()
	if err != nil {
		return err
	}
	a.place(found)
	a.settings()
	a.selection(found)
	a.markShared(found)
	for _, f := range found {
		if err := a.folder(f); err != nil {
			return err
		}
	}
	a.lost(found)
	a.keep()
	slices.Sort(a.old.Files)
	a.old.Files = slices.Compact(a.old.Files)
	slices.SortStableFunc(a.old.Notes, func(x, y migrate.Note) int {
		if x.File != a.cfg.file || y.File != a.cfg.file {
			return 0
		}
		return x.Line - y.Line
	})
	return nil
}
