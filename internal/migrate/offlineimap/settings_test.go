package offlineimap

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/mail"
)

// TestSettings translates configurations.
func TestSettings(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	must(t, err)
	if len(files) < 2 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			must(t, err)
			rc, want, ok := strings.Cut(string(text), "----\n")
			if !ok {
				t.Fatal("no ---- line")
			}
			h := newHome(t)
			h.file(".offlineimaprc", rc)
			var got strings.Builder
			for _, old := range h.read() {
				fmt.Fprintf(&got, "[account.%s]\n%s", old.Name, h.text(old))
				for i, word := range old.Letters {
					if word != "" {
						fmt.Fprintf(&got, "letter %c: %s\n", 'a'+i, word)
					}
				}
				if !slices.Equal(old.Files, []string{h.dir + "/.offlineimaprc"}) || old.Tool != "offlineimap" {
					t.Errorf("%q %q", old.Tool, old.Files)
				}
				if len(old.Settings) > 0 && old.Name != "a" { // of which the user has to write something
					h.account(old)
				}
			}
			if os.Getenv("UPDATE") != "" {
				must(t, os.WriteFile(file, []byte(rc+"----\n"+got.String()), 0o644))
			} else if got.String() != want {
				t.Errorf("got\n%s", got.String())
			}
			if strings.Contains(got.String(), "hunter2") {
				t.Error("a secret is copied")
			}
		})
	}
}

// TestWhere looks for the configuration and the state where OfflineIMAP does.
func TestWhere(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.file("old", strings.Replace(simple, "~/Mail", "~/Mail\nx = $HOME", 1))
	h.maildir("Mail/Work", named("a", 1, "Work", "S"))
	if _, err := h.try(); err == nil || mail.HintOf(err) == "" {
		t.Error(err)
	}
	h.file(".offlineimaprc", strings.Replace(simple, "accounts = a", "accounts = a\nmetadata = $META/x", 1))
	h.file("m/x/Repository-r/FolderValidity/Work", "7\n")
	getenv := func(name string) string { return map[string]string{"HOME": h.dir, "META": h.dir + "/m"}[name] }
	check := func(o Options, validity uint32) {
		t.Helper()
		o.Getenv = getenv
		old, err := Read(o)
		must(t, err)
		if v := old[0].Folders[0].Validity; v != validity {
			t.Errorf("validity %d, want %d", v, validity)
		}
	}
	check(Options{}, 7)
	h.file("other/Repository-r/FolderValidity/Work", "9\n")
	check(Options{Metadata: h.dir + "/other"}, 9)
	h.file(".config/offlineimap/config", simple)
	h.file(validityDir+"Work", "8\n")
	check(Options{}, 8)
	check(Options{Config: h.dir + "/.offlineimaprc"}, 7)
}

// TestBroken are configurations that cannot be read. The words about them have nothing of the file in them.
func TestBroken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		names    []string
		err      string
	}{
		"no section":       {"[general]\n", "", nil, ".offlineimaprc:1: there is no [section] before this line"},
		"no value":         {"sep = /", "hunter2", nil, ":11: this is neither a section nor an option"},
		"option twice":     {"sep = /", "sep = hunter2\nSEP = /", nil, `:12: the option "sep" is there twice`},
		"section twice":    {"[Repository r]", "[Repository l]", nil, `:13: the section "Repository l" is there twice`},
		"no accounts":      {"accounts = a", "x = a", nil, "[general] has no accounts"},
		"empty accounts":   {"accounts = a", "accounts = ,", nil, ":2: accounts names no account"},
		"unknown account":  {"", "", []string{"b"}, "there is no [Account b]"},
		"no repository":    {"localrepository = l\n", "", nil, ":4: [Account a] has no localrepository"},
		"other repository": {"localrepository = l\n", "localrepository = x\n", nil, ":5: there is no [Repository x]"},
		"loop":             {"accounts = a", "accounts = %(accounts)s", nil, ":2: accounts: its %(...)s cannot be resolved"},
		"bomb":             {"accounts = a", "a0 = " + strings.Repeat("x", 1000) + "\na1 = " + strings.Repeat("%(a0)s", 100) + "\na2 = " + strings.Repeat("%(a1)s", 100) + "\naccounts = " + strings.Repeat("%(a2)s", 100), nil, "accounts: its %(...)s cannot be resolved"},
		"too large":        {"accounts = a", strings.Repeat("# x\n", 2<<20), nil, "has over 4194304 octets"},
		"one percent sign": {"accounts = a", "accounts = 100% a", nil, ":2: accounts: its %(...)s cannot be resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.file(".offlineimaprc", strings.Replace(simple, c.from, c.to, 1))
			_, err := h.try(c.names...)
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "hunter2") || mail.HintOf(err) == "" {
				t.Errorf("%v, hint %q", err, mail.HintOf(err))
			}
		})
	}
}

// TestINI reads values as Python does.
func TestINI(t *testing.T) {
	t.Parallel()
	f, err := parseINI("\ufeff[DEFAULT]\nbase = B\n[x y]\nKey : a = b ; c\n # comment\n  more\n\n  last\nother=1\nempty =\nref = %(base)s-%(KEY)s%%\n  # no\n[z]\nref = %(base)s\n", "rc")
	must(t, err)
	for _, c := range [][3]string{{"x y", "key", "a = b ; c\nmore\n\nlast"}, {"x y", "other", "1"}, {"x y", "empty", ""}, {"x y", "ref", "B-a = b ; c\nmore\n\nlast%"}, {"z", "ref", "B"}, {"z", "base", "B"}} {
		s := f.section(c[0])
		o, ok := f.find(s, c[1])
		v, err := f.value(s, o)
		if !ok || err != nil || v != c[2] {
			t.Errorf("%s %s: %q %v %v", c[0], c[1], v, ok, err)
		}
	}
}
