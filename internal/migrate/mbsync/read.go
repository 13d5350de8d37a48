package mbsync

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// Options of Read.
type Options struct {
	Config   string   // the configuration; "": where mbsync looks, $XDG_CONFIG_HOME/isyncrc, then ~/.mbsyncrc
	Channels []string // channels or groups; none: all channels

	Getenv func(string) string // nil: os.Getenv
}

// maxConfig is the most of a configuration that is read, in octets.
const maxConfig = 4 << 20

// Read reads mbsync's configuration and state. Channels that connect the same server with the same Maildir tree are one
// account. What has no equal, and channels that cannot be taken over, are told in the notes; damaged state makes its folder
// distrusted. An error means that there is nothing to be read: the configuration is missing or wrong, a channel is unknown, or
// mbsync is at work. Nothing is written.
func Read(o Options) ([]migrate.Old, error) {
	cfg, err := load(o)
	if err != nil {
		return nil, err
	}
	channels, err := cfg.pick(o.Channels)
	if err != nil {
		return nil, err
	}
	if len(channels) == 0 {
		return nil, mail.WithHint(fmt.Errorf("read %s: there is no Channel in it", cfg.file), "is it the right file? --config names another one")
	}
	accounts := cfg.assemble(channels)
	cfg.name(accounts, o.Channels)
	all := make([]migrate.Old, 0, len(accounts))
	for _, a := range accounts {
		if err := a.read(); err != nil {
			return nil, err
		}
		for _, other := range accounts {
			if other != a && other.root != "" && other.root == a.root {
				a.note(a.first().statement, "another account uses the Maildir %s too, and mailtwin needs one for each: move this account's folders to a directory of their own, and change local", a.root)
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
	cfg := &config{file: o.Config, home: strings.TrimSuffix(getenv("HOME"), "/")}
	xdg := func(variable, usual string) string {
		if dir := getenv(variable); filepath.IsAbs(dir) {
			return dir
		}
		return cfg.home + usual
	}
	if cfg.file == "" {
		cfg.file = filepath.Join(xdg("XDG_CONFIG_HOME", "/.config"), "isyncrc")
		if legacy := cfg.home + "/.mbsyncrc"; missing(cfg.file) && !missing(legacy) {
			cfg.file = legacy
		}
	}
	file, err := filepath.Abs(cfg.file)
	if err != nil {
		return nil, err
	}
	cfg.file, cfg.base = file, filepath.Dir(file)
	if cfg.state = xdg("XDG_STATE_HOME", "/.local/state") + "/isync/"; missing(cfg.state) {
		cfg.state = cfg.home + "/.mbsync/"
	}
	f, err := openFile(cfg.file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, mail.WithHint(fmt.Errorf("read the configuration of mbsync: there is no file %s", cfg.file), "mailtwin import mbsync --config FILE reads another one")
	case err != nil:
		return nil, mail.WithHint(fmt.Errorf("read the configuration of mbsync: %w", err), "mailtwin import mbsync --config FILE reads another one")
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the configuration of mbsync: %w", err)
	case len(text) > maxConfig:
		return nil, mail.WithHint(fmt.Errorf("read the configuration of mbsync: %s has over %d octets", cfg.file, maxConfig), "is it the right file? --config names another one")
	}
	sections, err := parse(string(text), cfg.file)
	if err != nil {
		return nil, err
	}
	if s := sections[0].value("SyncState"); s != "" && s != "*" {
		cfg.state = cfg.expand(s)
	}
	return cfg, cfg.build(sections)
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}

// assemble puts channels into accounts, in the order of the file.
func (cfg *config) assemble(channels []*channel) []*account {
	var accounts []*account
	byKey := map[string]*account{}
	for _, c := range channels {
		if c.why != "" {
			a := &account{cfg: cfg, channels: []*channel{c}}
			a.note(c.statement, "channel %q is not taken over: %s; write the account into config.toml by hand, then the first sync pairs the messages by content", c.arg(), c.why)
			accounts = append(accounts, a)
			continue
		}
		remote, local := c.stores[1-c.local()], c.stores[c.local()]
		var key strings.Builder
		for _, k := range []string{"Host", "Port", "User", "UserCmd", "Tunnel"} {
			fmt.Fprintf(&key, "%q", remote.account.value(k))
		}
		fmt.Fprintf(&key, "%q", local.arg())
		a := byKey[key.String()]
		if a == nil {
			a = &account{cfg: cfg, remote: remote.account}
			byKey[key.String()] = a
			accounts = append(accounts, a)
		}
		a.channels = append(a.channels, c)
	}
	return accounts
}

// name finds names for accounts: that of the only channel, of the group that was asked for, or of the connection.
func (cfg *config) name(accounts []*account, asked []string) {
	used := map[string]bool{}
	for _, a := range accounts {
		a.old.Tool = "mbsync"
		a.old.Name = a.first().arg()
		if len(a.channels) > 1 {
			a.old.Name = a.remote.arg()
			isGroup := len(asked) == 1 && slices.ContainsFunc(cfg.groups, func(g *section) bool { return g.arg() == asked[0] })
			if isGroup && len(accounts) == 1 {
				a.old.Name = asked[0]
			}
		}
		if used[a.old.Name] {
			a.old.Name = a.first().arg()
		}
		used[a.old.Name] = true
	}
}

// read fills the account's Old.
func (a *account) read() error {
	a.old.Files = []string{a.cfg.file}
	if a.remote == nil {
		return nil
	}
	pairs, err := a.pairs()
	if err != nil {
		return err
	}
	a.detectNames(pairs)
	a.place(pairs)
	a.find(pairs)
	a.settings()
	pairs = slices.DeleteFunc(pairs, func(p *pair) bool { return p.gone })
	states := map[string]int{}
	for _, p := range pairs {
		states[p.state]++
	}
	for _, p := range pairs {
		if isLocked(p.state + ".lock") {
			return mail.WithHint(fmt.Errorf("read %s: mbsync %w there", p.state, migrate.ErrBusy), "wait until it has ended, and switch off what starts it")
		}
		if err := a.folder(p, states[p.state] > 1); err != nil {
			return err
		}
	}
	a.lostStates(pairs)
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
