package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"mailtwin/internal/config"
	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
	"mailtwin/internal/secret"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// exitCode is how the program ends. As an error it means that all has been printed.
type exitCode int

const (
	exitDone        exitCode = 0
	exitError       exitCode = 1
	exitUsage       exitCode = 2
	exitLeft        exitCode = 3
	exitUnreachable exitCode = 10
	exitLocked      exitCode = 11
	exitLogin       exitCode = 12
	exitInterrupted exitCode = 130
)

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// codes is how the help texts tell them.
const codes = `Exit codes:
  0    done
  1    an error
  2    wrong usage or configuration
  3    done, but something was held back or left
  10   a server was not reached
  11   locked by another run
  12   login refused
  130  interrupted
Of several accounts the first of 130, 2, 1, 12, 11, 10, 3 that occurred.`

// worst returns the code of a run over several accounts.
func worst(all []exitCode) error {
	for _, c := range []exitCode{exitInterrupted, exitUsage, exitError, exitLogin, exitLocked, exitUnreachable, exitLeft} {
		for _, got := range all {
			if got == c {
				return c
			}
		}
	}
	return nil
}

// codeOf returns the exit code that an account's error stands for.
func codeOf(ctx context.Context, err error) exitCode {
	var faults config.Errors
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &faults), errors.Is(err, config.ErrMissing), errors.Is(err, store.ErrSetup), errors.As(err, &usage{}):
		return exitUsage
	case errors.Is(err, secret.ErrCommand), errors.Is(err, secret.ErrNoTerminal):
		return exitError
	case errors.Is(err, store.ErrLogin):
		return exitLogin
	case errors.Is(err, state.ErrLocked), errors.Is(err, migrate.ErrBusy):
		return exitLocked
	case errors.Is(err, store.ErrUnreachable):
		return exitUnreachable
	}
	return exitError
}

// codeOfResult returns the exit code of a sync that ran to its end.
func codeOfResult(res engine.Result) exitCode {
	code := exitDone
	if res.Summary.HeldBack > 0 || res.Summary.Left > 0 {
		code = exitLeft
	}
	for _, err := range res.Errors {
		if !errors.Is(err, store.ErrEpoch) && !errors.Is(err, store.ErrGone) { // these are looked at again by the next sync
			return exitError
		}
		code = exitLeft
	}
	return code
}

// usage is an error in what the user typed.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

func usagef(hint, format string, args ...any) error {
	return usage{mail.WithHint(fmt.Errorf(format, args...), hint)}
}

// usageError adds where to look to an error of the command line's parser.
func usageError(err error) error {
	if mail.HintOf(err) != "" {
		return err
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return mail.WithHint(errors.New(text), "mailtwin help")
}

// withCure adds a hint to errors of kinds for which there is a general one.
func withCure(err error) error {
	if err == nil || mail.HintOf(err) != "" {
		return err
	}
	hint := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = "make room on the disk and sync again; nothing is lost"
	case errors.Is(err, syscall.ENAMETOOLONG):
		hint = `give the mailbox a shorter name, or leave it out of mailboxes with "!" and its name`
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		hint = "check the owner and the permissions"
	case errors.Is(err, store.ErrLogin):
		hint = "check user and password; many providers want an app password instead of the usual one"
	case errors.Is(err, store.ErrUnreachable):
		hint = "check the network and the address; the next sync goes on where this one stopped"
	}
	return mail.WithHint(err, hint)
}
