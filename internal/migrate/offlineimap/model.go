package offlineimap

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// config is a configuration that was read.
type config struct {
	*ini
	home     string
	getenv   func(string) string
	metadata string // absolute
}

// account is an account of OfflineIMAP, which becomes one of mailtwin's.
type account struct {
	cfg           *config
	name          string
	sec           *section // nil repositories: it cannot be taken over
	local, remote *section
	sep           string // of the Maildir, "." or "/" as a rule
	root          string // of the Maildir
	infoSep       byte
	utf8          bool // names of folders are UTF-8, else modified UTF-7

	dotted   bool // the server's separator is ".", not "/"
	stripped bool // all mailboxes are below INBOX, which mailtwin leaves out

	// What the remote and the local repository make of names; nil: they stay. Their errors say that the expression is not
	// understood.
	trans, back transform

	layout, inbox string // as mailtwin wants them
	mutf7         bool
	old           migrate.Old
}

// transform is a nametrans.
type transform func(name string) (string, error)

func (t transform) apply(name string) (string, error) {
	if t == nil {
		return name, nil
	}
	return t(name)
}

// note adds a note about a line of the configuration.
func (a *account) note(line int, format string, args ...any) {
	n := migrate.Note{File: a.cfg.file, Line: line, Text: fmt.Sprintf(format, args...)}
	if !slices.Contains(a.old.Notes, n) {
		a.old.Notes = append(a.old.Notes, n)
	}
}

// noteFile adds a note about a file.
func (a *account) noteFile(file, format string, args ...any) {
	a.old.Notes = append(a.old.Notes, migrate.Note{File: file, Text: fmt.Sprintf(format, args...)})
}

// get returns an option of a section; what cannot be resolved is noted, and as good as absent.
func (a *account) get(s *section, key string) (value string, line int, ok bool) {
	o, ok := a.cfg.find(s, key)
	if !ok {
		return "", 0, false
	}
	value, err := a.cfg.value(s, o)
	if err != nil {
		a.note(o.line, "%s: %v; write what it stands for", o.key, err)
		return "", o.line, false
	}
	return strings.TrimSpace(value), o.line, true
}

// is reports whether an option is switched on; def counts where it is absent.
func (a *account) is(s *section, key string, def bool) bool {
	v, line, ok := a.get(s, key)
	if !ok {
		return def
	}
	switch strings.ToLower(v) {
	case "1", "yes", "true", "on":
		return true
	case "0", "no", "false", "off":
		return false
	}
	a.note(line, "%s: this should be yes or no", key)
	return def
}

// path makes a path of the configuration absolute: "~", then variables of the environment, as OfflineIMAP does.
func (cfg *config) path(p string) string {
	if p == "~" || strings.HasPrefix(p, "~/") {
		p = cfg.home + p[1:]
	}
	p = expandVars(p, cfg.getenv)
	if !filepath.IsAbs(p) {
		p = filepath.Join(cfg.home, p)
	}
	return filepath.Clean(p)
}

// expandVars puts variables in; those that are not set stay as they are.
func expandVars(p string, getenv func(string) string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(p, '$')
		if i < 0 {
			b.WriteString(p)
			return b.String()
		}
		b.WriteString(p[:i])
		p = p[i:]
		var name string
		var n int
		if strings.HasPrefix(p, "${") && strings.Contains(p, "}") {
			n = strings.IndexByte(p, '}') + 1
			name = p[2 : n-1]
		} else {
			for n = 1; n < len(p) && (p[n] == '_' || p[n] >= '0' && p[n] <= '9' || p[n]|0x20 >= 'a' && p[n]|0x20 <= 'z'); n++ {
			}
			name = p[1:n]
		}
		if v := getenv(name); name != "" && v != "" {
			b.WriteString(v)
		} else {
			b.WriteString(p[:n])
		}
		p = p[n:]
	}
}

// transform reads the nametrans of a repository.
func (a *account) transform(s *section) transform {
	text, line, ok := a.get(s, "nametrans")
	if !ok {
		return nil
	}
	f, err := parseFunction(text)
	told := false
	tell := func() {
		if !told {
			a.note(line, "nametrans: this Python is not one of the forms that are understood here, and it is not run; mailtwin gives mailboxes the same name on both sides, so rename the local folders to the names on the server before the first sync")
		}
		told = true
	}
	if err != nil {
		tell()
		return func(string) (string, error) { return "", errPython }
	}
	return func(name string) (string, error) {
		s, err := f.str(name)
		if err != nil {
			tell()
		}
		return s, err
	}
}

// hint of errors about the configuration.
func fault(file string, line int, format string, args ...any) error {
	return mail.WithHint(fmt.Errorf("read %s:%d: %s", file, line, fmt.Sprintf(format, args...)), rcHint)
}

// fileName is B: the name of a folder's files in the metadata.
func fileName(folder string) string {
	if folder == "" {
		folder = "."
	}
	if folder = strings.ReplaceAll(folder, "/", "."); folder == "." {
		return "dot"
	}
	return folder
}
