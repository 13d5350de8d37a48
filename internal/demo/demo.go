// Package demo shows the program at work, with nothing to configure: an IMAP server inside the process, a Maildir in a
// temporary folder, and the real command line in between. Start with [Run]. It is the only package outside tests that
// imports an IMAP server; everything it starts or writes is gone when it returns.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// Command carries out a command line of the program with these environment variables, and returns its exit code.
type Command func(ctx context.Context, args []string, env map[string]string) int

// Run tells the story to out. It returns an error if anything went otherwise than told.
func Run(ctx context.Context, out io.Writer, command Command) (err error) {
	folder, err := os.MkdirTemp("", "mailtwin-demo-")
	if err != nil {
		return fmt.Errorf("run demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	s, err := startServer(ctx)
	if err != nil {
		return fmt.Errorf("run demo: %w", err)
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	p, err := s.dial()
	if err != nil {
		return fmt.Errorf("run demo: %w", err)
	}
	defer func() { _ = p.Close() }() // the server is about to go anyway
	d := &story{out: out, command: command, folder: folder, phone: p, reader: reader{filepath.Join(folder, "Mail")}, begun: time.Now().Truncate(time.Second)}
	for _, step := range []func(context.Context) error{d.setUp(s.address()), d.firstSync, d.changes, d.dryRun, d.secondSync, d.verify} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("run demo: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	d.say("\nThat was all real, and it is all gone again: the server, the Maildir and the state were temporary.\nFor your own mail: mailtwin sync imaps://you@imap.example.com ~/Mail")
	return nil
}

// story is a demo under way.
type story struct {
	out     io.Writer
	command Command
	folder  string
	phone   *phone
	reader  reader
	begun   time.Time
}

func (d *story) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }

// run shows a command and carries it out.
func (d *story) run(ctx context.Context, args ...string) error {
	line := "mailtwin " + strings.Join(args, " ")
	d.say("\n$ %s", line)
	code := d.command(ctx, args, map[string]string{
		"HOME": d.folder, "XDG_CONFIG_HOME": filepath.Join(d.folder, "config"), "XDG_STATE_HOME": filepath.Join(d.folder, "state"),
	})
	if code != 0 {
		return fmt.Errorf("%s: exit code %d", line, code)
	}
	return nil
}

// before makes a message of some hours ago.
func (d *story) before(hours int, from, subject, body string) message {
	return message{from: from, subject: subject, body: body, date: d.begun.Add(-time.Duration(hours) * time.Hour)}
}

// setUp fills the account on the server and writes the configuration.
func (d *story) setUp(address string) func(context.Context) error {
	return func(context.Context) error {
		for _, box := range []string{"INBOX", "Sent", "Work", "Work/Invoices"} {
			if err := d.phone.create(box); err != nil {
				return err
			}
		}
		for _, m := range []struct {
			box   string
			m     message
			flags []imap.Flag
		}{
			{"INBOX", d.before(70, "Ada <ada@example.org>", "Lunch on Friday?", "The usual place, at noon?"), []imap.Flag{imap.FlagSeen, imap.FlagAnswered}},
			{"INBOX", d.before(50, "Build <ci@example.org>", "Build 4711 is green", "All tests passed."), []imap.Flag{imap.FlagSeen}},
			{"INBOX", d.before(30, "News <news@example.org>", "Ten things you did not ask for", "Unsubscribe below."), nil},
			{"INBOX", d.before(9, "Bob <bob@example.org>", "Slides for Monday", "See the attachment that I forgot."), nil},
			{"Sent", d.before(69, "You <you@example.net>", "Re: Lunch on Friday?", "Gladly!"), []imap.Flag{imap.FlagSeen}},
			{"Work", d.before(100, "Carol <carol@example.org>", "Minutes of the meeting", "We met."), []imap.Flag{imap.FlagSeen, imap.FlagFlagged}},
			{"Work/Invoices", d.before(200, "Shop <shop@example.org>", "Invoice 2026-17", "42.00 EUR"), []imap.Flag{imap.FlagSeen}},
		} {
			if err := d.phone.put(m.box, m.m, m.flags...); err != nil {
				return err
			}
		}
		conf := fmt.Sprintf("[account.demo]\nremote = \"imap://%s@%s\"\ntls = \"none\"                        # this server is inside the program itself\npassword_command = \"echo %s\"\nlocal = \"maildir:~/Mail\"\n", user, address, password)
		path := filepath.Join(d.folder, "config", "mailtwin", "config.toml")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
			return err
		}
		d.say("A small IMAP server runs inside this program, on %s, with four mailboxes and seven messages.\nHome is a temporary folder, and this is the whole configuration:\n", address)
		for line := range strings.Lines(conf) {
			d.say("  %s", strings.TrimSuffix(line, "\n"))
		}
		return nil
	}
}

func (d *story) firstSync(ctx context.Context) error {
	d.say("\n1. The first sync copies everything to the Maildir.")
	if err := d.run(ctx, "sync", "demo"); err != nil {
		return err
	}
	lines, err := d.reader.list()
	d.say("\n   Messages in ~/Mail now:")
	for _, l := range lines {
		d.say("   %s", l)
	}
	return err
}

// changes are made on both sides at once.
func (d *story) changes(context.Context) error {
	d.say(`
2. Now you use both sides. On the phone, that is on the server:
   - a message from Dora arrives in INBOX
   - "Slides for Monday" is read
   - "Ten things you did not ask for" is deleted
   - a mailbox Holiday is made, with a message
   In a mail reader on this computer, that is in the Maildir:
   - "Lunch on Friday?" gets a flag
   - "Build 4711 is green" is filed under Work
   - "Minutes of the meeting" is deleted
   - a note is written into a new mailbox Notes`)
	return errors.Join(
		d.phone.put("INBOX", d.before(0, "Dora <dora@example.org>", "Concert tickets", "Two are left. Shall I?")),
		d.phone.flag("INBOX", "Slides for Monday", imap.FlagSeen),
		d.phone.delete("INBOX", "Ten things you did not ask for"),
		d.phone.create("Holiday"),
		d.phone.put("Holiday", d.before(1, "Hotel <hotel@example.org>", "Your booking", "We look forward to seeing you.")),
		d.reader.flag("INBOX", "Lunch on Friday?", "F"),
		d.reader.move("INBOX", "Build 4711 is green", "Work"),
		d.reader.delete("Work", "Minutes of the meeting"),
		d.reader.put("Notes", d.before(2, "You <you@example.net>", "Things to pack", "Charger, book, sun cream.")),
	)
}

func (d *story) dryRun(ctx context.Context) error {
	d.say("\n3. A dry run says what a sync would do, and writes nothing.")
	return d.run(ctx, "sync", "--dry-run", "demo")
}

func (d *story) secondSync(ctx context.Context) error {
	d.say("\n4. The sync does it, both ways. A further one has nothing to do.")
	if err := d.run(ctx, "sync", "demo"); err != nil {
		return err
	}
	return d.run(ctx, "sync", "demo")
}

func (d *story) verify(ctx context.Context) error {
	d.say("\n5. Verify reads every message on both sides and compares.")
	return d.run(ctx, "verify", "--full", "demo")
}
