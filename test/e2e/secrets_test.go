package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// searcher looks for a secret in all forms that somebody who sees them could turn back.
type searcher struct {
	secret string
	forms  []string
}

func newSearcher(secret string) *searcher {
	s := &searcher{secret: secret}
	for _, form := range []string{secret, "me " + secret, "\x00me\x00" + secret} {
		s.forms = append(s.forms, form, hex.EncodeToString([]byte(form)))
	}
	sent := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(secret)
	for _, form := range []string{secret, sent} {
		printed := strconv.Quote(form)
		s.forms = append(s.forms, form, printed[1:len(printed)-1])
	}
	s.forms = append(s.forms, url.QueryEscape(secret), url.PathEscape(secret))
	for skip := range 3 { // base64 of a longer text: what stands for the first and last octets depends on what is around
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", skip) + secret))
		core := text[(skip*8+5)/6 : len(text)-4]
		s.forms = append(s.forms, core, strings.NewReplacer("+", "-", "/", "_").Replace(core))
	}
	return s
}

// in reports where the secret is.
func (s *searcher) in(t testing.TB, what, text string) {
	t.Helper()
	for _, form := range s.forms {
		if i := strings.Index(text, form); i >= 0 {
			t.Errorf("%s shows the secret as %q: ...%q", what, form, text[max(0, i-60):min(len(text), i+len(form)+20)])
			return
		}
	}
}

// inFiles looks through names and contents of all files but one.
func (s *searcher) inFiles(t testing.TB, root, but string) {
	t.Helper()
	n := 0
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == but {
			return err
		}
		s.in(t, "the name of a file", path)
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			must(t, err)
			s.in(t, path, string(text))
			n++
		}
		return nil
	}))
	if n < 5 {
		t.Errorf("only %d files were looked at", n)
	}
}

// inProcesses looks at the arguments and the environment of all processes.
func (s *searcher) inProcesses(t testing.TB) {
	t.Helper()
	n := 0
	for _, of := range []string{"cmdline", "environ"} {
		paths, _ := filepath.Glob("/proc/[0-9]*/" + of)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil { // it has gone, or is not ours
				continue
			}
			if strings.Contains(string(text), program) && of == "cmdline" {
				n++
			}
			s.in(t, path, string(text))
		}
	}
	if n == 0 {
		t.Error("the program was not among the processes")
	}
}

// TestNoSecretsShown: no password or token is in what is printed, in any file, or in the list of processes, whether it is right or
// wrong, and even if the server repeats it.
func TestNoSecretsShown(t *testing.T) {
	t.Parallel()
	needProgram(t)
	const secret = `Zq7"horse\batt+ery/9`
	no := func(text string) func(v *visit, tag, sent string) {
		return func(v *visit, tag, sent string) { v.say("%s NO %s", tag, strings.ReplaceAll(text, "SENT", sent)) }
	}
	for name, x := range map[string]struct {
		config string
		caps   string
		answer func(v *visit, tag, sent string) // to what was sent to log in; nil: it is right
		code   int
	}{
		"LOGIN, right":       {},
		"LOGIN, wrong":       {answer: no("no such user"), code: 12},
		"LOGIN, echo":        {answer: no("SENT is wrong"), code: 12},
		"LOGIN, alert":       {answer: no("[ALERT] [SENT] SENT"), code: 12},
		"LOGIN, plain echo":  {answer: no(secret), code: 12},
		"LOGIN, base64 echo": {answer: no(base64.StdEncoding.EncodeToString([]byte(secret))), code: 12},
		"LOGIN, BYE":         {answer: func(v *visit, _, sent string) { v.say("* BYE %s %s", sent, secret); _ = v.conn.Close() }, code: 10},
		"LOGIN, a mirror":    {answer: func(v *visit, tag, sent string) { v.say("%s %s", tag, sent) }, code: 1},
		"LOGIN, no tag":      {answer: func(v *visit, _, sent string) { v.say("%s", sent) }, code: 1},
		"LOGIN, secret tag":  {answer: func(v *visit, _, _ string) { v.say("%s", secret) }, code: 1},
		"PLAIN, right":       {config: `auth = "PLAIN"`, caps: "AUTH=PLAIN"},
		"PLAIN, wrong":       {config: `auth = "PLAIN"`, caps: "AUTH=PLAIN", answer: no("SENT"), code: 12},
		"PLAIN, at once":     {config: `auth = "PLAIN"`, caps: "AUTH=PLAIN SASL-IR", answer: no("SENT"), code: 12},
		"token, right":       {config: "token_command\n", caps: "AUTH=XOAUTH2 SASL-IR"},
		"token, wrong":       {config: "token_command\n", caps: "AUTH=XOAUTH2 SASL-IR", answer: no("[AUTHENTICATIONFAILED] SENT " + secret), code: 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSearcher(secret)
			asked, once := 0, sync.Once{}
			logsIn := turn{caps: x.caps, on: func(v *visit, tag, command string) bool {
				word, rest, _ := strings.Cut(command, " ")
				if word != "LOGIN" && word != "AUTHENTICATE" {
					return false
				}
				once.Do(func() { s.inProcesses(t) })
				sent := rest
				if word == "AUTHENTICATE" && strings.Count(rest, " ") == 0 {
					v.say("+ ")
					line, _ := v.r.ReadString('\n')
					sent = strings.TrimSpace(line)
				}
				v.mu.Lock()
				asked++
				v.mu.Unlock()
				if x.answer != nil {
					x.answer(v, tag, sent)
				} else {
					v.say("%s OK [CAPABILITY IMAP4rev1] welcome %s", tag, sent)
				}
				return true
			}}
			w, v := newVictim(t, misdeed{config: x.config, before: turn{caps: "AUTH=PLAIN AUTH=XOAUTH2 SASL-IR"}})
			password := filepath.Join(w.home, "password")
			must(t, os.WriteFile(password, []byte(secret+"\n"), 0o600))
			v.takeTurn(logsIn)
			for _, args := range [][]string{
				{"sync", "-v", "a"}, {"sync", "--json", "a"}, {"sync", "-n", "-v", "a"}, {"verify", "a"}, {"status"}, {"status", "--json"}, {"undo"}, {"state", "check"},
			} {
				r := w.try(args...)
				s.in(t, strings.Join(args, " "), r.out+r.err)
				if args[0] == "sync" && r.code != x.code {
					t.Errorf("%q: %v", args, r)
				}
			}
			if v.mu.Lock(); asked == 0 {
				t.Error("nobody logged in")
			}
			v.mu.Unlock()
			s.inFiles(t, w.home, password)
		})
	}
}

// TestNoSecretsInUsage: a password in an address is refused, and not repeated.
func TestNoSecretsInUsage(t *testing.T) {
	t.Parallel()
	needProgram(t)
	s := newSearcher("Zq7horse")
	for _, address := range []string{
		"imaps://me:Zq7horse@127.0.0.1", "imap://me:Zq7horse@127.0.0.1:1", "imps://me:Zq7horse@127.0.0.1", "imaps://me:Zq7horse@[::1", "imaps:/me:Zq7horse@h",
		"imaps://me:Zq7horse%zz@h", "imaps://:Zq7horse@h/x",
	} {
		w := newWorld(t)
		r := w.try("sync", address, filepath.Join(w.home, "M"))
		if r.code != 2 {
			t.Errorf("%s: %v", address, r)
		}
		s.in(t, address, r.out+r.err)
		w.configure("[account.a]\nremote = " + strconv.Quote(address) + "\nlocal = \"~/M\"\npassword_command = \"true\"\n")
		r = w.try("sync")
		if r.code != 2 {
			t.Errorf("%s: %v", address, r)
		}
		s.in(t, address, r.out+r.err)
	}
	w := newWorld(t)
	w.configure("[account.a]\nremote = \"imaps://me@h\"\npassword = \"Zq7horse\"\nlocal = \"~/M\"\n")
	r := w.try("sync")
	s.in(t, "a password in the configuration", r.out+r.err)
}
