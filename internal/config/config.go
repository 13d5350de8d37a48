package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailtwin/internal/mail"
)

// Config is a configuration file that was read.
type Config struct {
	Path     string
	Accounts []*Account // in the order of the file
}

// Account is one pair of stores that are kept identical.
type Account struct {
	Name            string
	Stores          [2]Store // by mail.Side
	Mailboxes       Selection
	DeleteMailboxes string // "empty", "never" or "all"
	ExpungeLocal    bool   // messages marked as deleted are removed from the local side
	ExpungeRemote   bool   // and from the remote one
	ExpungePlain    bool   // EXPUNGE may be used where a server lacks UIDPLUS (RFC 4315)
	MaxDeletes      int    // more deletions than this in a run are held back; 0: no such limit
	Retries         int    // how often a server that was lost on the way is tried again in vain
	AfterSync       string // shell command; "": none
}

// DefaultRetries is the number of retries where nothing is set.
const DefaultRetries = 5

// Store is one side of an account: exactly one of its fields is not nil.
type Store struct {
	IMAP    *IMAP
	Maildir *Maildir
}

// IMAP says how to reach and use an account on a server.
type IMAP struct {
	Host            string
	Port            int
	TLS             string // "tls", "starttls" or "none"
	CA, Cert, Key   string // files of PEM; "": none
	User            string
	PasswordCommand string
	TokenCommand    string
	Auth            string // SASL mechanism or LOGIN; "": the best
	Connections     int    // 0: default
	Compress        string // "auto", "on" or "off"; "": default
	Timeout         time.Duration
	Disable         []string // extensions not to use
	DeleteTo        mail.Box // deleted messages go there, to a mailbox or to that with a role, such as `\Trash`; "": they are removed
}

// Maildir says where a Maildir tree is and how it is laid out. Empty fields: what the tree itself suggests, or the default.
type Maildir struct {
	Path          string // absolute
	Layout        string // "nested", "maildir++" or "flat"
	Names         string // "utf8" or "mutf7"
	Inbox         string
	InfoSeparator byte          // between unique name and flags; 0: ':'
	KeepDeleted   time.Duration // how long removed messages can be brought back; 0: default
	KeepSize      int64         // octets of them, but for those of the last days; 0: default
}

// String returns the address of the store, as it may be given on the command line. It has no secrets.
func (s Store) String() string {
	if s.Maildir != nil {
		return "maildir:" + s.Maildir.Path
	}
	if s.IMAP == nil {
		return ""
	}
	return s.IMAP.String()
}

// Error is a fault in the file.
type Error struct {
	File string
	Line int // 0: not of a line
	Text string
	Hint string // how to cure it, "" if that is clear
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Errors are all faults of a file, by line.
type Errors []*Error

func (l Errors) Error() string {
	lines := make([]string, len(l))
	for i, e := range l {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// ErrMissing says that there is no configuration file.
var ErrMissing = errors.New("there is no configuration file")

// DefaultPath returns where the configuration is: $XDG_CONFIG_HOME/mailtwin/config.toml, or under ~/.config.
func DefaultPath(getenv func(string) string) string {
	base := getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(base) { // the XDG specification says to ignore relative paths
		base = filepath.Join(getenv("HOME"), ".config")
	}
	return filepath.Join(base, "mailtwin", "config.toml")
}

// Load reads the file at path. home is what ~ means. The error is ErrMissing, Errors, or that of reading.
func Load(path, home string) (*Config, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, mail.WithHint(fmt.Errorf("read %s: %w", short(path, home), ErrMissing),
			`write it as "mailtwin help config" shows, or sync without one: mailtwin sync imaps://you@imap.example.com ~/Mail`)
	}
	if err != nil {
		return nil, mail.WithHint(fmt.Errorf("read configuration: %w", err), "check the path and its permissions")
	}
	return Parse(text, short(path, home), home)
}

// Parse reads a configuration from memory; file is its name in errors.
func Parse(text []byte, file, home string) (*Config, error) {
	p := &problems{file: file}
	root := parseTree(text, p)
	if root == nil {
		return nil, p.faults
	}
	c := &Config{Path: file}
	p.unknown(root, "", []string{"account"})
	if accounts := root.kids["account"]; accounts != nil {
		if accounts.kids == nil {
			p.add(accounts.line, `accounts are written as [account.NAME]`, `"account" must be a table`)
		}
		for _, name := range accounts.names {
			if a := readAccount(p, name, accounts.kids[name], home); a != nil {
				c.Accounts = append(c.Accounts, a)
			}
		}
	}
	p.distinct(c.Accounts, root)
	if len(p.faults) > 0 {
		slices.SortStableFunc(p.faults, func(a, b *Error) int { return a.Line - b.Line })
		return nil, p.faults
	}
	return c, nil
}

// short writes the home directory as ~.
func short(path, home string) string {
	if rest, ok := strings.CutPrefix(path, home+string(filepath.Separator)); ok && home != "" && home != "/" {
		return "~/" + filepath.ToSlash(rest)
	}
	return path
}

// problems collects the faults of a file.
type problems struct {
	file   string
	faults Errors
}

// add reports a fault, once: a key that is shared by both sides is read for each.
func (p *problems) add(line int, hint, format string, args ...any) {
	e := &Error{File: p.file, Line: line, Text: fmt.Sprintf(format, args...), Hint: hint}
	if !slices.ContainsFunc(p.faults, func(known *Error) bool { return *known == *e }) {
		p.faults = append(p.faults, e)
	}
}

// distinct checks that no two accounts share a Maildir: each would take the other's messages for arrivals.
func (p *problems) distinct(accounts []*Account, root *node) {
	seen := map[string]string{}
	for _, a := range accounts {
		for _, s := range a.Stores {
			if s.Maildir == nil {
				continue
			}
			other, ok := seen[s.Maildir.Path]
			if ok && other != a.Name {
				p.add(root.kids["account"].kids[a.Name].line, "give each account a Maildir of its own", "accounts %q and %q use the same Maildir %s", other, a.Name, s.Maildir.Path)
			}
			seen[s.Maildir.Path] = a.Name
		}
	}
}
