// Command mailtwin keeps an IMAP account and a Maildir identical, in both directions. This package is wiring and words:
// one file for each command, no logic of its own.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"mailtwin/internal/ui"
)

func main() { os.Exit(start()) }

func start() int {
	keepSmall()
	ctx, stop := interruptible(context.Background())
	defer stop()
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	return run(ctx, os.Args[1:], app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, dir: dir, now: time.Now})
}

// app is the surroundings of a command.
type app struct {
	in       *os.File
	out, err io.Writer
	getenv   func(string) string
	dir      string // the current one
	now      func() time.Time
	config   string // --config
}

// run is the whole program: it carries out a command line and returns the exit code.
func run(ctx context.Context, args []string, a app) int {
	root := newRoot(&a)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	var code exitCode
	switch {
	case err == nil:
		return int(exitDone)
	case errors.As(err, &code):
		return int(code)
	}
	a.ui(ui.Style{}).Error(usageError(err))
	return int(exitUsage)
}

func (a *app) ui(style ui.Style) *ui.UI { return ui.New(a.out, a.err, style, a.getenv) }

func (a *app) home() string { return a.getenv("HOME") }

// interruptible returns a context that ends with the first SIGINT or SIGTERM. The second ends the program at once: what it
// was doing is settled by the next run.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	over := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel()
		case <-over:
			return
		}
		select {
		case <-signals:
			os.Exit(int(exitInterrupted))
		case <-over:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(over)
		cancel()
	}
}
