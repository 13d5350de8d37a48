package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"mailtwin/internal/engine"
	"mailtwin/internal/mail"
)

// afterSync runs the command of an account after a sync that changed something, with the summary on its stdin. What it
// prints goes to stderr, since stdout is for our results. It runs when the account is free again.
func (a *app) afterSync(ctx context.Context, t *target, s engine.Summary) error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("run after_sync: %w", err)
	}
	c := exec.CommandContext(ctx, "sh", "-c", t.AfterSync)
	c.Stdin = bytes.NewReader(append(text, '\n'))
	c.Stdout, c.Stderr = a.err, a.err
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = time.Second // what the command left running must not keep us
	c.Dir = a.dir
	if err := c.Run(); err != nil {
		return mail.WithHint(fmt.Errorf("run after_sync: %w", err), "the sync itself is done; run the command by hand: "+t.AfterSync)
	}
	return nil
}
