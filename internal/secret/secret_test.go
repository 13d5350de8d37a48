package secret

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtwin/internal/mail"
)

func TestValueHidesItself(t *testing.T) {
	t.Parallel()
	v := Of("hunter2")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "password", v)
	js, err := json.Marshal(map[string]any{"a": v, "b": &v})
	if err != nil {
		t.Fatal(err)
	}
	wrapped := struct{ P Value }{v}
	for _, text := range []string{
		fmt.Sprint(v), fmt.Sprintf("%s %v %+v %#v %q %x %d", v, v, v, v, v, v, v), fmt.Sprintf("%+v %#v", wrapped, &wrapped), log.String(), string(js),
	} {
		if strings.Contains(text, "hunter") || strings.Contains(text, "68756e") || !strings.Contains(text, hidden) {
			t.Errorf("it shows itself: %s", text)
		}
	}
	if v.Reveal() != "hunter2" {
		t.Error("it is lost")
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"echo pass":                  "pass",
		"printf 'a b \\r\\nmore\\n'": "a b ",
		"printf x":                   "x",
		"cat":                        "", // stdin is empty: it must not wait for a terminal
		"exit 3":                     "",
		"printf '\\nlate'":           "",
		"head -c 100000 /dev/zero":   "",
	} {
		got, err := Command("password_command", command, nil).Reveal(t.Context())
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v", command, got, err)
		}
		if err != nil && (!errors.Is(err, ErrCommand) || mail.HintOf(err) == "" || !strings.Contains(err.Error(), "password_command")) {
			t.Errorf("%s: %v", command, err)
		}
	}
	var stderr bytes.Buffer
	if _, err := Command("password_command", "echo oh >&2; echo x", &stderr).Get(t.Context()); err != nil || stderr.String() != "oh\n" {
		t.Error(stderr.String(), err)
	}
}

func TestCommandEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := Command("password_command", "sleep 20", nil).Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, err := run(t.Context(), "password_command", "sleep 20", nil, 50*time.Millisecond); !errors.Is(err, ErrCommand) {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Error("it waited for", took)
	}
}

// TestCommandRunsOnce: several connections at once ask for the same password.
func TestCommandRunsOnce(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	s := Command("password_command", "echo x >> '"+log+"'; echo pass", nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if v, err := s.Reveal(t.Context()); v != "pass" || err != nil {
				t.Error(v, err)
			}
		})
	}
	wg.Wait()
	if b, err := os.ReadFile(log); string(b) != "x\n" {
		t.Errorf("%q %v", b, err)
	}
}

func TestErrorIsNotKept(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	s := Command("password_command", "cat '"+mark+"'", nil)
	if _, err := s.Get(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if err := os.WriteFile(mark, []byte("late\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Reveal(t.Context()); v != "late" || err != nil {
		t.Error(v, err)
	}
}

func TestPromptNeedsATerminal(t *testing.T) {
	t.Parallel()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, in := range []*os.File{nil, f} {
		if _, err := Prompt("password: ", in, &bytes.Buffer{}, nil).Get(t.Context()); !errors.Is(err, ErrNoTerminal) || mail.HintOf(err) == "" {
			t.Error(err)
		}
	}
}
