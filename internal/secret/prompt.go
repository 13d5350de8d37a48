package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"mailtwin/internal/mail"
)

// ErrNoTerminal says that nobody can be asked.
var ErrNoTerminal = errors.New("no terminal to ask on")

// Prompt returns a source that asks on the terminal in, without showing what is typed. before, if not nil, runs before the
// question and the function it returns after the answer: it keeps other output away meanwhile.
func Prompt(question string, in *os.File, out io.Writer, before func() (after func())) *Source {
	return newSource(0, func(ctx context.Context) (Value, error) {
		if in == nil || !term.IsTerminal(int(in.Fd())) {
			return Value{}, mail.WithHint(fmt.Errorf("ask for the password: %w", ErrNoTerminal),
				"run it on a terminal, or let password_command in the configuration tell the password")
		}
		if before != nil {
			defer before()()
		}
		return ask(ctx, question, in, out)
	})
}

func ask(ctx context.Context, question string, in *os.File, out io.Writer) (Value, error) {
	fd := int(in.Fd())
	saved, err := term.GetState(fd)
	if err != nil {
		return Value{}, fmt.Errorf("ask for the password: %w", err)
	}
	if _, err := fmt.Fprint(out, question); err != nil {
		return Value{}, fmt.Errorf("ask for the password: %w", err)
	}
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	// A read from a terminal cannot be interrupted. If the user gives up, the program ends and the read with it.
	go func() {
		text, err := term.ReadPassword(fd)
		answers <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(fd, saved)
		_, _ = fmt.Fprintln(out)
		return Value{}, ctx.Err()
	case a := <-answers:
		_, _ = fmt.Fprintln(out)
		if a.err != nil {
			return Value{}, fmt.Errorf("ask for the password: %w", a.err)
		}
		if len(a.text) == 0 {
			return Value{}, mail.WithHint(errors.New("ask for the password: nothing was typed"), "run it again and type the password")
		}
		return Of(string(a.text)), nil
	}
}
