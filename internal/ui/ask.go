package ui

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"mailtwin/internal/plan"
)

// AskDeletes asks whether deletions that are held back may be done after all. Anything but yes is no, and so is the end of ctx.
func (u *UI) AskDeletes(ctx context.Context, in io.Reader, account string, held []plan.Held) bool {
	defer u.Pause()()
	for i, h := range held {
		place := u.place(account, h.Box)
		if h.Box == "" {
			place = "account " + place
		}
		question := question(place, h)
		if i < len(held)-1 {
			_, _ = fmt.Fprintf(u.err, "%s\n", question)
			continue
		}
		if len(held) > 1 {
			question += " All of these?"
		}
		_, _ = fmt.Fprintf(u.err, "%s [y/N] ", question)
	}
	return yes(ctx, in)
}

// Ask asks whether to do something. Anything but yes is no, and so is the end of ctx.
func (u *UI) Ask(ctx context.Context, in io.Reader, question string) bool {
	defer u.Pause()()
	_, _ = fmt.Fprintf(u.err, "%s [y/N] ", Clean(question))
	return yes(ctx, in)
}

func question(place string, h plan.Held) string {
	return fmt.Sprintf("delete %s in %s on the %s side (%s)?", count(h.Count, "message", "messages"), place, h.Side, Clean(h.Why))
}

// yes reads an answer. A read from a terminal cannot be interrupted; if the user gives up, the program ends and the read
// with it.
func yes(ctx context.Context, in io.Reader) bool {
	answers := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answers:
		return a == "y" || a == "yes"
	case <-ctx.Done():
		return false
	}
}
