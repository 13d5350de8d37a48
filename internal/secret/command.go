package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"mailtwin/internal/mail"
)

// Patience is how long a command may take; it may have to ask the user for a passphrase.
const Patience = 2 * time.Minute

// keepToken is how long an access token is used before the command is asked for a new one. The command itself knows how
// long tokens last; this only spares it from being run for each connection.
const keepToken = time.Minute

// maxSecret bounds what a command may print; access tokens take a few kilobytes.
const maxSecret = 64 << 10

// ErrCommand says that a command did not tell the secret.
var ErrCommand = errors.New("no secret")

// Command returns a source that runs a shell command: its first line of output is the secret. key is the command's name in
// the configuration ("password_command"), for errors; stderr is where the command's own messages go.
func Command(key, command string, stderr io.Writer) *Source {
	return newSource(0, func(ctx context.Context) (Value, error) { return run(ctx, key, command, stderr, Patience) })
}

// TokenCommand is Command for access tokens, which are remembered for a minute only.
func TokenCommand(key, command string, stderr io.Writer) *Source {
	return newSource(keepToken, func(ctx context.Context) (Value, error) { return run(ctx, key, command, stderr, Patience) })
}

func run(ctx context.Context, key, command string, stderr io.Writer, patience time.Duration) (Value, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := exec.CommandContext(limited, "sh", "-c", command)
	c.Stderr = stderr
	c.WaitDelay = time.Second // what the command left running must not keep us
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	var out bounded
	c.Stdout = &out
	err := c.Run()
	fail := func(why, hint string) (Value, error) {
		return Value{}, mail.WithHint(fmt.Errorf("run %s: %w: %s", key, ErrCommand, why), hint)
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return Value{}, fmt.Errorf("run %s: %w", key, ctx.Err())
	case limited.Err() != nil:
		return fail(fmt.Sprintf("it did not end within %v", patience), "run it by hand: it may be waiting for a passphrase that nobody can type")
	case errors.As(err, &exit):
		return fail("it ended with "+exit.String(), "run it by hand: it must print the secret in its first line")
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return fail(err.Error(), "")
	case out.full:
		return fail(fmt.Sprintf("its output is longer than %d bytes", maxSecret), "it must print nothing but the secret in its first line")
	}
	line, _, _ := bytes.Cut(out.text.Bytes(), []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return fail("it printed nothing", "run it by hand: it must print the secret in its first line")
	}
	return Of(string(line)), nil
}

// bounded keeps the beginning of what is written.
type bounded struct {
	text bytes.Buffer
	full bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := maxSecret - b.text.Len(); len(p) > room {
		b.full = true
		b.text.Write(p[:room])
	} else {
		b.text.Write(p)
	}
	return len(p), nil
}
