package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtwin/internal/config"
	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/secret"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// home is a user's surroundings.
func testApp(t *testing.T, conf string) (a app, out, errs *bytes.Buffer) {
	t.Helper()
	home := t.TempDir()
	if conf != "" {
		path := filepath.Join(home, ".config", "mailtwin", "config.toml")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(conf), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	env := map[string]string{"HOME": home}
	return app{out: out, err: errs, getenv: func(k string) string { return env[k] }, dir: home, now: time.Now}, out, errs
}

func TestTargets(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp(t, "[account.work]\nlocal = \"~/A\"\nremote = \"~/B\"\n[account.home]\nlocal = \"~/C\"\nremote = \"~/D\"\n")
	for args, want := range map[string]string{
		"":                             "work[] home[]",
		"home":                         "home[]",
		"home work":                    "home[] work[]",
		"work/inbox":                   "work[INBOX]",
		"work/inbox/Sub work/A/B home": "work[INBOX/Sub A/B] home[]",
		"work work/A":                  "work[]",
		"work/A work":                  "work[]",
		"work/":                        "work[]",
		"wrk":                          `error: no account "wrk" in ~/.config/mailtwin/config.toml`,
		"work ~/Mail":                  `error: "work" is not an address, and accounts of the configuration cannot be mixed with addresses`,
	} {
		all, err := a.targets(strings.Fields(args))
		var got []string
		for _, x := range all {
			if x != nil {
				got = append(got, fmt.Sprintf("%s%v", x.Name, x.only))
			}
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = "error: " + err.Error()
		}
		if text != want {
			t.Errorf("%q: %s, want %s", args, text, want)
		}
	}
}

// TestAdHocPair: both orders are one pair with one state; other users, hosts and ports are others.
func TestAdHocPair(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp(t, "")
	names := map[string]string{}
	for _, args := range []string{"imaps://me@h ~/Mail", "imaps://you@h ~/Mail", "imaps://me@h:994 ~/Mail", "imap://me@h ~/Mail", "imaps://me@h ~/Other", "~/Mail ~/Other"} {
		one, err := a.targets(strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(args)
		two, err := a.targets([]string{f[1], f[0]})
		if err != nil || two[0].Name != one[0].Name || two[0].Stores[mail.Local].String() != one[0].Stores[mail.Local].String() {
			t.Errorf("%s: %v %s %s", args, err, one[0].Name, two[0].Name)
		}
		if one[0].Stores[mail.Local].Maildir == nil {
			t.Errorf("%s: the local side is no Maildir", args)
		}
		if other, ok := names[one[0].Name]; ok {
			t.Errorf("%s and %s have one state: %s", args, other, one[0].Name)
		}
		names[one[0].Name] = args
		if strings.ContainsAny(one[0].Name, "/\\ ") || strings.HasPrefix(one[0].Name, ".") {
			t.Errorf("not a name for a folder: %q", one[0].Name)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	wrap := func(err error) error { return fmt.Errorf("sync: %w", err) }
	for _, c := range []struct {
		ctx  context.Context //nolint:containedctx // of a test's table
		err  error
		want exitCode
	}{
		{t.Context(), nil, 0},
		{t.Context(), errors.New("x"), 1},
		{t.Context(), wrap(config.Errors{{}}), 2},
		{t.Context(), wrap(config.ErrMissing), 2},
		{t.Context(), wrap(store.ErrSetup), 2},
		{t.Context(), usagef("", "x"), 2},
		{t.Context(), wrap(store.ErrUnreachable), 10},
		{t.Context(), wrap(state.ErrLocked), 11},
		{t.Context(), wrap(store.ErrLogin), 12},
		{t.Context(), fmt.Errorf("%w: %w", store.ErrUnreachable, secret.ErrCommand), 1},
		{t.Context(), fmt.Errorf("%w: %w", store.ErrUnreachable, secret.ErrNoTerminal), 1},
		{stopped, wrap(store.ErrUnreachable), 130},
	} {
		if got := codeOf(c.ctx, c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
	for _, c := range []struct {
		all  []exitCode
		want error
	}{
		{[]exitCode{0, 0}, nil},
		{[]exitCode{3, 10, 11, 12, 1, 2, 130}, exitInterrupted},
		{[]exitCode{3, 10, 11, 12, 1, 2}, exitUsage},
		{[]exitCode{3, 10, 11, 12, 1}, exitError},
		{[]exitCode{3, 10, 11, 12}, exitLogin},
		{[]exitCode{3, 10, 11}, exitLocked},
		{[]exitCode{3, 10}, exitUnreachable},
		{[]exitCode{0, 3}, exitLeft},
	} {
		if got := worst(c.all); !errors.Is(got, c.want) {
			t.Errorf("%v: %v, want %v", c.all, got, c.want)
		}
	}
	for _, c := range []struct {
		res  engine.Result
		want exitCode
	}{
		{engine.Result{}, 0},
		{engine.Result{Summary: engine.Summary{HeldBack: 1}}, 3},
		{engine.Result{Summary: engine.Summary{Left: 1}}, 3},
		{engine.Result{Errors: []error{wrap(store.ErrEpoch)}}, 3},
		{engine.Result{Errors: []error{wrap(store.ErrEpoch), errors.New("x")}}, 1},
	} {
		if got := codeOfResult(c.res); got != c.want {
			t.Errorf("%+v: %d, want %d", c.res, got, c.want)
		}
	}
}

func TestCures(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.ENOSPC, syscall.EACCES, store.ErrLogin, store.ErrUnreachable} {
		if mail.HintOf(withCure(fmt.Errorf("x: %w", err))) == "" {
			t.Errorf("no hint for %v", err)
		}
	}
	if err := withCure(mail.WithHint(store.ErrLogin, "own")); mail.HintOf(err) != "own" {
		t.Error(mail.HintOf(err))
	}
}

// TestStatePath: what XDG says, and where a relative value is ignored.
func TestStatePath(t *testing.T) {
	t.Parallel()
	env := map[string]string{"HOME": "/h"}
	a := app{getenv: func(k string) string { return env[k] }}
	if p := a.statePath("work"); p != "/h/.local/state/mailtwin/work/state.db" {
		t.Error(p)
	}
	env["XDG_STATE_HOME"] = "rel"
	if p := a.statePath("work"); p != "/h/.local/state/mailtwin/work/state.db" {
		t.Error(p)
	}
	env["XDG_STATE_HOME"] = "/s"
	if p := a.statePath("work"); p != "/s/mailtwin/work/state.db" {
		t.Error(p)
	}
}

// TestHelp: each command has a text for strangers, and none of them is a mistake.
func TestHelp(t *testing.T) {
	t.Parallel()
	a, _, _ := testApp(t, "")
	for _, c := range newRoot(&a).Commands() {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: %q", c.Name(), c.Short)
		}
		for line := range strings.Lines(c.Long) {
			if len([]rune(line)) > 122 {
				t.Errorf("%s: the line is too long: %s", c.Name(), line)
			}
		}
	}
	for _, args := range [][]string{{"sync", "--help"}, {"help", "verify"}, {"status", "-h"}, {"help", "config"}, {}} {
		a, out, errs := testApp(t, "")
		if code := run(t.Context(), args, a); code != 0 || out.Len() == 0 || errs.Len() > 0 {
			t.Errorf("%v: %d %s", args, code, errs.String())
		}
	}
}

// TestInterruptedBeforeTheStart: nothing is written and the code is 130.
func TestInterruptedBeforeTheStart(t *testing.T) {
	t.Parallel()
	a, _, errs := testApp(t, "[account.a]\nlocal = \"~/A\"\nremote = \"~/B\"\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := run(ctx, []string{"sync"}, a); code != 130 || !strings.Contains(errs.String(), "interrupted") {
		t.Errorf("%d %s", code, errs.String())
	}
	if _, err := os.Stat(filepath.Join(a.dir, "A")); !os.IsNotExist(err) {
		t.Error("something was written")
	}
}
