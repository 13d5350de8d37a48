package offlineimap

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
)

// quote writes a text as TOML does.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r) // what is not UTF-8 becomes U+FFFD
		}
	}
	b.WriteByte('"')
	return b.String()
}

func quoteList(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// set adds a line of config.toml; line 0 and no key: nothing is said of where it comes from.
func (a *account) set(key, value string, line int, from string) {
	s := migrate.Setting{Key: key, Value: value}
	if from != "" {
		s.Comment = fmt.Sprintf("%s:%d %s", filepath.Base(a.cfg.file), line, from)
	}
	a.old.Settings = append(a.old.Settings, s)
}

// text returns an option, or what KEYeval says if that is a plain text.
func (a *account) text(s *section, key string) (value string, line int, from string, ok bool) {
	if v, line, ok := a.get(s, key+"eval"); ok {
		n, err := parsePython(v)
		var x any
		if err == nil {
			x, err = (&evaluation{f: &function{}}).eval(n)
		}
		if i, isInt := x.(int); isInt {
			x = strconv.Itoa(i)
		}
		if t, isText := x.(string); isText && err == nil {
			return t, line, key + "eval", true
		}
		a.note(line, "%seval: this Python is not run; write its value into config.toml", key)
		return "", 0, "", false
	}
	v, line, ok := a.get(s, key)
	return v, line, key, ok
}

// settings translates the configuration of the account.
func (a *account) settings() {
	a.server()
	a.login()
	a.certificates()
	if v, line, ok := a.get(a.remote, "maxconnections"); ok {
		if n, err := strconv.Atoi(v); err == nil && n >= 1 && n <= 64 {
			a.set("connections", strconv.Itoa(n), line, "maxconnections")
		} else {
			a.note(line, "maxconnections: mailtwin takes 1 to 64; write connections = 4")
		}
	}
	general := a.cfg.section("general")
	if v, line, ok := a.get(general, "socktimeout"); ok && v != "0" {
		if n, err := strconv.Atoi(v); err == nil && n > 0 && n <= 3600 {
			a.set("timeout", quote(v+"s"), line, "socktimeout")
		} else {
			a.note(line, "socktimeout: mailtwin waits at most an hour for a silent server; write timeout = \"60s\"")
		}
	}
	_, line, _ := a.get(a.local, "localfolders")
	a.set("local", quote("maildir:"+a.root), line, "localfolders")
	if a.layout != "nested" {
		a.set("layout", quote(a.layout), 0, "")
	}
	if a.mutf7 {
		a.set("names", `"mutf7"`, 0, "")
	}
	if a.inbox != string(mail.Inbox) && a.layout != "maildir++" {
		a.set("inbox", quote(a.inbox), 0, "")
	}
	if a.infoSep != ':' {
		_, line, _ := a.get(a.sec, "maildir-windows-compatible")
		a.set("info_separator", quote(string([]byte{a.infoSep})), line, "maildir-windows-compatible")
	}
	if _, line, ok := a.get(a.local, "sep"); ok && a.sep != "." && a.sep != "/" {
		a.note(line, "sep: mailtwin knows \".\" (layout = \"flat\") and \"/\" (layout = \"nested\") between the parts of a folder's name; rename the folders before the first sync")
	}
	if v, line, ok := a.get(a.sec, "postsynchook"); ok && v != "" {
		a.set("after_sync", quote(v), line, "postsynchook")
	}
	a.set("delete_mailboxes", `"never"`, 0, "") // OfflineIMAP removes none
	for _, s := range []*section{a.sec, a.local, a.remote} {
		a.rest(s)
	}
}

// server writes the address.
func (a *account) server() {
	host, line, from, ok := a.text(a.remote, "remotehost")
	kind, _, _ := a.get(a.remote, "type")
	if !ok && kind == "Gmail" {
		host, line, from = "imap.gmail.com", a.remote.line, "Repository"
	}
	if host == "" {
		a.note(a.remote.line, "no remotehost is given: write remote = \"imaps://imap.example.com\"")
		return
	}
	u, usual := url.URL{Scheme: "imaps", Host: host}, "993"
	ssl := kind == "Gmail" || a.is(a.remote, "ssl", true)
	if !ssl {
		u.Scheme, usual = "imap", "143"
	}
	if port, _, _, ok := a.text(a.remote, "remoteport"); ok && port != usual {
		u.Host = net.JoinHostPort(host, port)
	} else if strings.Contains(host, ":") {
		u.Host = "[" + host + "]"
	}
	a.set("remote", quote(u.String()), line, from)
	if !ssl && !a.is(a.remote, "starttls", true) {
		_, line, _ := a.get(a.remote, "starttls")
		a.set("tls", `"none"`, line, "starttls")
	} else if _, line, _ := a.get(a.remote, "ssl"); !ssl {
		a.note(line, "ssl: OfflineIMAP goes on without TLS where the server does not offer STARTTLS, and mailtwin does not; tls = \"none\" turns it off")
	}
}

var mechanisms = []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "EXTERNAL", "OAUTHBEARER", "XOAUTH2"}

// login writes who logs in and how. A password is never copied.
func (a *account) login() {
	if v, line, from, ok := a.text(a.remote, "remoteuser"); ok {
		a.set("user", quote(v), line, from)
	} else {
		a.note(a.remote.line, "no remoteuser is given, and mailtwin does not read ~/.netrc: write user = \"me@example.com\"")
	}
	token := a.token()
	if v, line, ok := a.get(a.remote, "auth_mechanisms"); ok {
		list := commas.Split(strings.ToUpper(v), -1)
		switch {
		case len(list) == 1 && slices.Contains(mechanisms, list[0]):
			a.set("auth", quote(list[0]), line, "auth_mechanisms")
		case len(list) == 1:
			a.note(line, "auth_mechanisms: mailtwin knows %s", strings.Join(mechanisms, ", "))
		default:
			a.note(line, "auth_mechanisms: mailtwin takes the best mechanism that the server offers; auth = \"...\" asks for one")
		}
	}
	if token {
		return
	}
	if v, line, ok := a.get(a.remote, "remotepasseval"); ok {
		if command, ok := commandOf(v); ok {
			a.set("password_command", quote(command), line, "remotepasseval")
		} else {
			a.note(line, "remotepasseval: this Python is not run; write a command that prints the password, as in password_command = \"pass show mail/work\"")
		}
	} else if _, at := a.cfg.find(a.remote, "remotepass"); at {
		o, _ := a.cfg.find(a.remote, "remotepass")
		a.note(o.line, "remotepass: the password stands in the file and is not copied; put it into a password store and write password_command = \"pass show mail/work\", or leave it out and be asked")
	} else if v, line, ok := a.get(a.remote, "remotepassfile"); ok {
		a.set("password_command", quote("head -n 1 "+shellQuote(a.cfg.path(v))), line, "remotepassfile")
	} else {
		a.note(a.remote.line, "no password is given, and mailtwin does not read ~/.netrc: write password_command = \"pass show mail/work\", or leave it out and be asked")
	}
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// token translates what is said of OAuth 2, and reports whether there is a command for tokens.
func (a *account) token() bool {
	if v, line, ok := a.get(a.remote, "oauth2_access_token_eval"); ok {
		if command, ok := commandOf(v); ok {
			a.set("token_command", quote(command), line, "oauth2_access_token_eval")
			return true
		}
	}
	for _, s := range []*section{a.remote, a.cfg.section("DEFAULT")} {
		if s == nil {
			continue
		}
		for _, o := range s.options {
			if strings.HasPrefix(o.key, "oauth2_") {
				a.note(o.line, "%s: mailtwin takes access tokens from a command, and copies no secrets: write token_command = \"...\" with a program that prints a token", o.key)
				return false
			}
		}
	}
	return false
}

// commandOf finds the command of subprocess.check_output([...]), getoutput("...") and os.popen("...").read(). Its output may be
// decoded and stripped.
func commandOf(text string) (command string, ok bool) {
	n, err := parsePython(text)
	defer func() {
		// A command that only prints something is the secret itself.
		if first, _, _ := strings.Cut(strings.TrimSpace(command), " "); first == "echo" || first == "printf" {
			command, ok = "", false
		}
	}()
	for err == nil {
		switch {
		case n.op == "index" || n.op == "slice":
			n = n.kids[0]
		case n.op != "call" || n.kids[0].op != "attr":
			return "", false
		case slices.Contains([]string{"decode", "strip", "rstrip", "read", "readline", "splitlines", "split"}, n.kids[0].text):
			n = n.kids[0].kids[0]
		case len(n.kids) >= 2 && slices.Contains([]string{"check_output", "getoutput", "popen"}, n.kids[0].text):
			what := n.kids[1]
			if what.op == "str" {
				return what.text, what.text != ""
			}
			var words []string
			for _, k := range what.kids {
				if k.op != "str" {
					return "", false
				}
				words = append(words, k.text)
			}
			if what.op != "list" || len(words) == 0 {
				return "", false
			}
			if len(words) == 3 && words[0] == "sh" && words[1] == "-c" {
				return words[2], true
			}
			for i, w := range words {
				if w == "" || strings.ContainsFunc(w, func(r rune) bool { return !strings.ContainsRune(plainShell, r) }) {
					words[i] = shellQuote(w)
				}
			}
			return strings.Join(words, " "), true
		default:
			return "", false
		}
	}
	return "", false
}

const plainShell = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,"

// certificates writes the files that TLS needs.
func (a *account) certificates() {
	for _, k := range [][2]string{{"sslcacertfile", "tls_ca"}, {"sslclientcert", "tls_cert"}, {"sslclientkey", "tls_key"}} {
		v, line, ok := a.get(a.remote, k[0])
		if !ok || v == "" || strings.EqualFold(v, "OS-DEFAULT") || strings.HasPrefix(v, "/etc/ssl/certs/ca-") {
			continue // mailtwin trusts the system's authorities
		}
		a.set(k[1], quote(a.cfg.path(v)), line, k[0])
	}
	if _, line, ok := a.get(a.remote, "sslclientcert"); ok {
		if _, _, has := a.get(a.remote, "sslclientkey"); !has {
			v, _, _ := a.get(a.remote, "sslclientcert")
			a.set("tls_key", quote(a.cfg.path(v)), line, "sslclientcert")
		}
	}
}
