package ui

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"mailtwin/internal/mail"
)

// Style says what is printed.
type Style struct {
	JSON    bool // results as JSON lines on the output; all else as usual
	Quiet   bool // only errors and held-back deletions
	Verbose bool // each operation
	Names   bool // several accounts: say which one is meant
}

// UI prints results to one writer and all else to another. It may be used from several goroutines; what it prints in one
// call stays together.
type UI struct {
	Style
	mu       sync.Mutex
	out, err io.Writer
	width    func() int // of the terminal err; nil: it is none
	color    bool
	live     *Progress // shown now; nil: none
}

// New returns a UI for these writers. getenv tells NO_COLOR and TERM.
func New(out, err io.Writer, style Style, getenv func(string) string) *UI {
	u := &UI{Style: style, out: out, err: err}
	if f, ok := err.(*os.File); ok && term.IsTerminal(int(f.Fd())) && getenv("TERM") != "dumb" {
		u.width = func() int {
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
				return w
			}
			return 80
		}
		u.color = getenv("NO_COLOR") == ""
	}
	return u
}

// Terminal reports whether progress is seen by somebody.
func (u *UI) Terminal() bool { return u.width != nil }

// Result prints a line of results.
func (u *UI) Result(format string, args ...any) { u.print(u.out, fmt.Sprintf(format, args...)) }

// Note prints a line that is no result.
func (u *UI) Note(format string, args ...any) { u.print(u.err, fmt.Sprintf(format, args...)) }

// print writes a line, or several, above the progress.
func (u *UI) print(w io.Writer, text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.live.hide()
	_, _ = io.WriteString(w, text+"\n") // there is nobody left to tell
	u.live.show()
}

// Pause takes the progress off the screen until resume is called, for a question to the user.
func (u *UI) Pause() (resume func()) {
	u.mu.Lock()
	u.live.hide()
	return func() {
		u.live.show()
		u.mu.Unlock()
	}
}

// Error prints an error as "mailtwin: what failed: why", and below it how to cure it.
func (u *UI) Error(err error) {
	u.complain(err.Error(), mail.HintOf(err))
}

// complain prints what is wrong and its cure.
func (u *UI) complain(text, hint string) {
	text = u.red("mailtwin:") + " " + short(Clean(text), longestText)
	if hint != "" {
		text += "\nhint: " + short(Clean(hint), longestText)
	}
	u.print(u.err, text)
}

func (u *UI) red(s string) string { return u.paint("31;1", s) }
func (u *UI) dim(s string) string { return u.paint("2", s) }

func (u *UI) paint(code, s string) string {
	if !u.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
