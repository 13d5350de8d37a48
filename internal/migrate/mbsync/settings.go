package mbsync

import (
	"fmt"
	"net"
	"net/url"
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

// set adds a line of config.toml.
func (a *account) set(key, value string, from statement) {
	s := migrate.Setting{Key: key, Value: value}
	if from.key != "" {
		s.Comment = fmt.Sprintf("%s:%d %s", fileName(a.cfg.file), from.line, from.key)
	}
	a.old.Settings = append(a.old.Settings, s)
}

func fileName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// settings translates the configuration of the account.
func (a *account) settings() {
	a.server()
	a.login()
	a.certificates()
	for _, s := range a.remote.body {
		a.rest(s)
	}
	a.set("local", quote("maildir:"+a.root), a.first().stores[a.first().local()].statement)
	if a.layout != "nested" {
		a.set("layout", quote(a.layout), statement{})
	}
	if a.mutf7 {
		a.set("names", `"mutf7"`, statement{})
	}
	if a.inbox != string(mail.Inbox) && a.layout != "maildir++" {
		a.set("inbox", quote(a.inbox), statement{})
	}
	if sep := a.tree().infoSep; sep != ':' {
		if sep == ';' || sep == '!' {
			a.set("info_separator", quote(string([]byte{sep})), statement{})
		} else {
			a.note(a.first().statement, "InfoDelimiter: mailtwin knows \":\", \";\" and \"!\" between a file's name and its flags")
		}
	}
	a.selection()
	a.policies()
	a.storeNotes()
}

// server writes the address.
func (a *account) server() {
	r := a.remote
	host, at := r.value("Host"), statement{}
	if s, ok := r.find("Host"); ok {
		at = s
	}
	kind := strings.ToLower(r.value("TLSType", "SSLType"))
	if before, after, ok := strings.Cut(host, ":"); ok && (before == "imaps" || before == "imap") { // before 1.2
		host = strings.TrimPrefix(after, "//")
		if before == "imaps" && kind == "" {
			kind = "imaps"
		}
	}
	if s, ok := r.find("UseIMAPS"); ok && isYes(s.arg()) && kind == "" {
		kind = "imaps"
	}
	if s, ok := r.find("Tunnel"); ok {
		a.note(s, "Tunnel: mailtwin connects to the server itself; let ssh -L forward a port, and write that port into remote")
		if kind == "" {
			kind = "none"
		}
	}
	if host == "" {
		a.note(r.statement, "no Host is given: write remote = \"imaps://imap.example.com\" and user")
		return
	}
	u := url.URL{Scheme: "imap", Host: host}
	usual := "143"
	if kind == "imaps" {
		u.Scheme, usual = "imaps", "993"
	}
	if port := r.value("Port"); port != "" && port != usual {
		u.Host = net.JoinHostPort(host, port)
	} else if strings.Contains(host, ":") {
		u.Host = "[" + host + "]"
	}
	a.set("remote", quote(u.String()), at)
	if kind == "none" {
		s, _ := r.find("TLSType", "SSLType")
		a.set("tls", `"none"`, s)
	}
	if s, ok := r.find("RequireSSL"); ok && !isYes(s.arg()) && kind == "" {
		a.note(s, "RequireSSL no: mailtwin insists on TLS; tls = \"none\" turns it off for a server that has none")
	}
}

func isYes(s string) bool {
	return slices.Contains([]string{"yes", "true", "on", "1"}, strings.ToLower(s))
}

// login writes who logs in and how. A password is never copied.
func (a *account) login() {
	r := a.remote
	if s, ok := r.find("User"); ok {
		a.set("user", quote(s.arg()), s)
	} else if s, ok := r.find("UserCmd"); ok {
		a.note(s, "UserCmd: there is no command for the name of the user; write it as user = \"me@example.com\"")
	}
	mechanism := ""
	if s, ok := r.find("AuthMechs", "AuthMech"); ok {
		mechanism = a.mechanism(s)
	} else if s, ok := r.find("RequireCRAM"); ok && isYes(s.arg()) {
		a.set("auth", `"CRAM-MD5"`, s)
	}
	if s, ok := r.find("Pass"); ok {
		a.note(s, "Pass: the password stands in the file and is not copied; put it into a password store and write password_command = \"pass show mail/work\", or leave it out and be asked")
	}
	s, ok := r.find("PassCmd")
	if !ok {
		if s, ok := r.find("UseKeychain"); ok && isYes(s.arg()) {
			a.set("password_command", quote(fmt.Sprintf("security find-internet-password -r imap -s '%s' -a '%s' -w", r.value("Host"), r.value("User"))), s)
		}
		return
	}
	command := strings.TrimPrefix(s.arg(), "+")
	key := "password_command"
	if mechanism == "XOAUTH2" || mechanism == "OAUTHBEARER" {
		key = "token_command"
	}
	if first, _, _ := strings.Cut(strings.TrimSpace(command), " "); first == "echo" || first == "printf" {
		a.note(s, "PassCmd: the command holds the password itself and is not copied; put it into a password store and write %s = \"pass show mail/work\", or leave it out and be asked", key)
		return
	}
	a.set(key, quote(command), s)
}

var mechanisms = []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "EXTERNAL", "OAUTHBEARER", "XOAUTH2"}

// mechanism writes auth where the configuration names one mechanism, and returns it.
func (a *account) mechanism(s statement) string {
	if slices.Contains(s.args, "*") {
		return ""
	}
	if len(s.args) > 1 {
		a.note(s, "AuthMechs: mailtwin takes the best mechanism that the server offers; auth = \"...\" asks for one")
		return ""
	}
	name := strings.ToUpper(s.arg())
	if !slices.Contains(mechanisms, name) {
		a.note(s, "AuthMechs: mailtwin has no %s; it knows %s", name, strings.Join(mechanisms, ", "))
		return ""
	}
	a.set("auth", quote(name), s)
	return name
}

// certificates writes the files that TLS needs.
func (a *account) certificates() {
	for _, k := range [][2]string{{"CertificateFile", "tls_ca"}, {"ClientCertificate", "tls_cert"}, {"ClientKey", "tls_key"}} {
		if s, ok := a.remote.find(k[0]); ok {
			a.set(k[1], quote(a.cfg.expand(s.arg())), s)
			if k[0] == "CertificateFile" {
				a.note(s, "CertificateFile: tls_ca trusts the authorities in this file besides the system's; a server's own certificate counts only if it signed itself")
			}
		}
	}
}

// plain are options of a connection that need nothing, or have no equal.
var plain = map[string]string{
	"systemcertificates": "mailtwin trusts the system's authorities; tls_ca adds others",
	"cipherstring":       "the ciphers are those of Go's TLS; there is nothing to choose",
	"usenamespace":       "mailtwin leaves the server's personal namespace out of the names of mailboxes, always",
	"subscribedonly":     "mailtwin does not look at subscriptions; name the mailboxes in mailboxes = [...]",
	"mapinbox":           "there is no alias of INBOX; it is the mailbox INBOX on both sides",
	"trashnewonly":       "there is no equal; delete_to moves what was deleted locally",
	"trashremotenew":     "there is no equal; what a sync removes locally can be brought back with mailtwin undo",
}

// rest translates the remaining options of a connection and of an IMAPStore.
func (a *account) rest(s statement) {
	switch {
	case s.is("Timeout"):
		if n, err := strconv.Atoi(s.arg()); err == nil && n > 0 && n <= 3600 {
			a.set("timeout", quote(s.arg()+"s"), s)
		} else {
			a.note(s, "Timeout: mailtwin waits at most an hour for a silent server; write timeout = \"60s\"")
		}
	case s.is("DisableExtension", "DisableExtensions"):
		a.set("disable_extensions", quoteList(s.args), s)
	case s.is("TLSVersions", "SSLVersions"):
		if !slices.ContainsFunc(s.args, func(v string) bool { return strings.HasSuffix(v, "1.2") || strings.HasSuffix(v, "1.3") }) {
			a.note(s, "%s: mailtwin uses TLS 1.2 and 1.3 only", s.key)
		}
	case s.is("Host", "Port", "User", "UserCmd", "Pass", "PassCmd", "UseKeychain", "Tunnel", "AuthMechs", "AuthMech", "TLSType", "SSLType",
		"CertificateFile", "ClientCertificate", "ClientKey", "PipelineDepth", "Account", "RequireSSL", "RequireCRAM", "UseIMAPS",
		"Path", "PathDelimiter", "Trash", "MaxSize", "Flatten"):
	case s.is("UseSSLv2", "UseSSLv3", "UseTLSv1", "UseTLSv1.1", "UseTLSv1.2", "UseTLSv1.3"):
	case plain[strings.ToLower(s.key)] != "":
		if s.is("SystemCertificates", "UseNamespace") && isYes(s.arg()) || s.is("SubscribedOnly", "TrashNewOnly", "TrashRemoteNew") && !isYes(s.arg()) {
			return
		}
		a.note(s, "%s: %s", s.key, plain[strings.ToLower(s.key)])
	default:
		a.note(s, "%s: this option is not known", s.key)
	}
}

// storeNotes tells what of the stores, and of the global options, has no equal.
func (a *account) storeNotes() {
	stores := map[*store]bool{}
	for _, c := range a.channels {
		for _, s := range c.stores {
			if stores[s] {
				continue
			}
			stores[s] = true
			a.oneStore(s)
		}
	}
	for _, s := range a.cfg.globals.body {
		if !s.is("Sync", "Create", "Remove", "Expunge", "ExpungeSolo", "MaxMessages", "ExpireUnread", "ExpireSide", "CopyArrivalDate", "SyncState", "FSync", "FieldDelimiter", "BufferLimit") {
			a.note(s, "%s: this option is not known", s.key)
		}
	}
}

func (a *account) oneStore(s *store) {
	for _, b := range s.body {
		switch {
		case b.is("MaxSize") && b.arg() != "0":
			a.note(b, "MaxSize: mailtwin copies messages of any size")
		case b.is("Trash") && s.isIMAP:
			a.set("delete_to", quote(a.decode(b.arg())), b)
		case b.is("Trash"):
			a.note(b, "Trash: what a sync removes from the Maildir is kept for a while, and mailtwin undo brings it back; keep_deleted = \"30d\" says how long")
		case b.is("AltMap") && isYes(b.arg()):
			a.note(b, "AltMap: the UIDs are in Berkeley databases, which cannot be read here; mdconvert -n FOLDER puts them into the file names, before the import")
		case b.is("Path") && s.isIMAP && remotePath(s) != "":
			a.note(b, "Path: mailtwin has no prefix for the names of mailboxes; they have their full name on both sides, %q", remotePath(s)+"...")
		case b.is("Flatten") && (s.isIMAP || b.arg() != "."):
			a.note(b, "Flatten: mailtwin knows layout = \"flat\" with \".\", for a Maildir")
		case b.is("SubFolders") && strings.EqualFold(b.arg(), "Legacy"):
			a.note(b, "SubFolders Legacy: mailtwin has no such layout; rename top/.sub to top/sub, each folder, before the first sync")
		case s.isIMAP && s.account != s.section:
			a.rest(b)
		case !s.isIMAP && !b.is("Path", "Inbox", "SubFolders", "AltMap", "InfoDelimiter", "Flatten", "MaxSize", "MapInbox", "TrashNewOnly", "TrashRemoteNew"):
			a.note(b, "%s: this option is not known", b.key)
		}
	}
}
