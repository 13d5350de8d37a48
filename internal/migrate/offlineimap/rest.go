package offlineimap

import (
	"strings"

	"mailtwin/internal/mail"
)

// translated are options that are looked at elsewhere, or that need nothing: mailtwin does so anyway, or never has to.
var translated = []string{
	"localrepository", "remoterepository", "maildir-windows-compatible", "utf8foldernames", "postsynchook", "type", "localfolders", "sep", "nametrans",
	"folderfilter", "folderincludes", "remotehost", "remotehosteval", "remoteport", "remoteporteval", "remoteuser", "remoteusereval", "remotepass",
	"remotepasseval", "remotepassfile", "ssl", "starttls", "sslcacertfile", "sslclientcert", "sslclientkey", "maxconnections", "auth_mechanisms",
	"ssl_version", "tls_level", "usecompression", "holdconnectionopen", "keepalive", "retrycount", "quick", "restoreatime", "utime_from_header",
	"filename_use_mail_timestamp", "singlethreadperfolder", "trashfolder", "spamfolder", "foldersort", "ipv6", "idlefolders", "autorefresh",
}

// missingHere are options without an equal, and what to do instead.
var missingHere = map[string]string{
	"presynchook":          "mailtwin runs no command before a sync; put both into one script",
	"maxsize":              "mailtwin copies messages of any size, and fetches those that OfflineIMAP left out",
	"maxage":               "mailtwin keeps all messages of a mailbox, and fetches those that OfflineIMAP left out",
	"startdate":            "mailtwin keeps all messages of a mailbox, and fetches those that OfflineIMAP left out",
	"synclabels":           "mailtwin does not keep Gmail's labels in headers; headers that are there stay, and mailboxes show the labels",
	"labelsheader":         "mailtwin does not keep Gmail's labels in headers; headers that are there stay",
	"ignorelabels":         "mailtwin does not keep Gmail's labels in headers",
	"filterheaders":        "mailtwin uploads messages as they are",
	"proxy":                "mailtwin connects to the server itself; let ssh -L forward a port, and write that port into remote",
	"authproxy":            "mailtwin connects to the server itself",
	"preauthtunnel":        "mailtwin connects to the server itself; let ssh -L forward a port, and write that port into remote",
	"transporttunnel":      "mailtwin connects to the server itself; let ssh -L forward a port, and write that port into remote",
	"cert_fingerprint":     "mailtwin has no fingerprints; for a server whose certificate signed itself write it into a file and tls_ca = \"FILE\"",
	"remote_identity":      "mailtwin logs in as the user only",
	"reference":            "mailtwin lists all mailboxes of the user; leave some out with mailboxes = [...]",
	"subscribedonly":       "mailtwin does not look at subscriptions; name the mailboxes in mailboxes = [...]",
	"createfolders":        "mailtwin makes missing mailboxes on both sides; mailboxes = [...] leaves out what is not wanted",
	"readonly":             "mailtwin always syncs both ways",
	"sync_deletes":         "mailtwin carries deletions both ways, and holds back many at once; keep_deleted = \"30d\" keeps what it removes locally",
	"expunge":              "mailtwin removes messages on the server that were removed locally; delete_to = \"trash\" moves them to the trash instead",
	"newmail_hook":         "there is no equal; after_sync runs a command after each sync that changed something",
	"copy_ignore_eval":     "mailtwin copies all messages",
	"decodefoldernames":    "mailtwin has names = \"utf8\" for the Maildir",
	"dynamic_folderfilter": "mailboxes = [...] says it once",
	"pythonfile":           "its Python is not run",
}

// usual are values with which an option asks for what mailtwin does anyway.
var usual = map[string]string{"expunge": "yes", "sync_deletes": "yes", "createfolders": "yes", "readonly": "no", "subscribedonly": "no", "synclabels": "no", "decodefoldernames": "no", "dynamic_folderfilter": "no"}

// rest tells of options that have no equal.
func (a *account) rest(s *section) {
	for _, o := range s.options {
		text, known := missingHere[o.key]
		switch {
		case known:
			if u, ok := usual[o.key]; ok && a.is(s, o.key, u == "yes") == (u == "yes") {
				continue
			}
			a.note(o.line, "%s: %s", o.key, text)
		case strings.HasPrefix(o.key, "customflag_"):
			a.letter(s, o)
		case !strings.HasPrefix(o.key, "oauth2_") && !contain(translated, o.key) && !a.refersTo(o.key):
			a.note(o.line, "%s: this option is not known", o.key)
		}
	}
	if o, ok := a.cfg.find(a.cfg.section("general"), "pythonfile"); ok {
		a.note(o.line, "pythonfile: its Python is not run; where an option uses it, that is told")
	}
}

func contain(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// refersTo reports whether an option is one that others take values from.
func (a *account) refersTo(key string) bool {
	for _, s := range a.cfg.sections {
		for _, o := range s.options {
			if strings.Contains(strings.ToLower(o.raw), "%("+key+")s") {
				return true
			}
		}
	}
	return false
}

// letter notes what a letter in names of files stands for. The Maildir's repository says so.
func (a *account) letter(s *section, o option) {
	word, _, _ := a.get(s, o.key)
	letter := strings.TrimPrefix(o.key, "customflag_")
	if len(letter) != 1 || letter[0] < 'a' || letter[0] > 'z' || mail.Keywords(word) != word || s != a.local {
		a.note(o.line, "%s: one letter from a to z stands for one keyword, in the Maildir's repository; this is left out, and keywords come from the server anew", o.key)
		return
	}
	a.old.Letters[letter[0]-'a'] = word
}
