package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mailtwin/internal/mail"
	"mailtwin/internal/state"
	"mailtwin/internal/store"
)

// Options of Import.
type Options struct {
	Old    Old
	Stores [2]store.Store    // greeted; unless it is a dry run, with the account's marker (see engine.Connect)
	Greet  [2]store.Greeting // what they said
	State  *state.DB         // in a dry run: opened read-only
	// Select says whether a mailbox is kept in sync; nil: all.
	Select func(box mail.Box, role string) bool
	// Dir says where the local store keeps a mailbox; nil: it is not asked.
	Dir func(mail.Box) (string, error)
	// Backup keeps the old tool's files before anything is written; nil: none is made. It is not called in a dry run.
	Backup func() error
	Verify bool // compare the content of all messages, not of a sample
	DryRun bool
	// Progress is told how many messages of a mailbox were looked at; may be nil. It is called from the goroutine of Import.
	Progress func(box mail.Box, done, total int)
	Now      func() time.Time // nil: time.Now
}

// Result is what an import took over, or in a dry run would.
type Result struct {
	Already bool // this tool's state was imported before: nothing was done
	Boxes   []Box
}

// Box is what became of one mailbox. The JSON form is documented and stable.
type Box struct {
	Name     string `json:"mailbox"`
	Known    int    `json:"known"`        // messages in the old state
	Paired   int    `json:"paired"`       // taken over as pairs
	Compared int    `json:"compared"`     // of them by the content of both sides
	Altered  int    `json:"altered"`      // of them different in spaces and line ends, as the old tool stored them
	Stubs    int    `json:"placeholders"` // of them a placeholder on one side
	Missing  [2]int `json:"-"`            // by side: not there any more; held back
	Gone     int    `json:"gone"`         // on neither side any more
	Doubtful int    `json:"doubtful"`     // what both sides have does not agree, or the state contradicts itself: paired by content
	Why      string `json:"why,omitempty"`
}

// Sum adds up all mailboxes.
func (r *Result) Sum() (all Box) {
	for _, b := range r.Boxes {
		all.Known += b.Known
		all.Paired += b.Paired
		all.Compared += b.Compared
		all.Altered += b.Altered
		all.Stubs += b.Stubs
		all.Gone += b.Gone
		all.Doubtful += b.Doubtful
		for _, side := range mail.Sides {
			all.Missing[side] += b.Missing[side]
		}
	}
	return all
}

// Import fills the empty base of an account with what another tool knew. Only what both sides bear out becomes a pair: the
// mailbox has the UIDVALIDITY of then, both messages are there, Message-ID and size agree, and the content of a sample. What
// one side has lost is left to the user (mail.LeftVanished). All else is no part of the base, and paired by content in the first
// sync. All is written in one transaction, or nothing.
func Import(ctx context.Context, o Options) (Result, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &importer{o: o}
	account, err := m.check(ctx)
	if err != nil || m.res.Already {
		return m.res, err
	}
	if err := m.list(ctx); err != nil {
		return m.res, err
	}
	if err := m.places(); err != nil {
		return m.res, err
	}
	if o.DryRun {
		return m.res, m.all(ctx, func(*taken) error { return nil })
	}
	if o.Backup != nil {
		if err := o.Backup(); err != nil {
			return m.res, err
		}
	}
	err = o.State.Update(ctx, true, func(tx *state.Tx) error {
		if err := m.all(ctx, func(t *taken) error { return t.write(tx) }); err != nil {
			return err
		}
		account.Imported = o.Old.Tool
		if err := tx.SetReports(m.reports); err != nil {
			return err
		}
		return tx.SetAccount(account)
	})
	return m.res, err
}

// importer is one import under way.
type importer struct {
	o       Options
	status  [2]map[mail.Box]store.Status
	res     Result
	reports []state.Report
}

// check makes sure that there is nothing that an import could spoil.
func (m *importer) check(ctx context.Context) (state.Account, error) {
	account, err := m.o.State.Account(ctx)
	if err != nil {
		return account, err
	}
	boxes, err := m.o.State.Boxes(ctx)
	if err != nil {
		return account, err
	}
	intents, err := m.o.State.Intents(ctx)
	switch {
	case err != nil:
		return account, err
	case account.Imported == m.o.Old.Tool && account.Imported != "" && len(boxes) > 0:
		m.res.Already = true // with nothing taken over, the user may have mended why
	case len(boxes)+len(intents) > 0:
		return account, mail.WithHint(errors.New("import state: the account was synced already, and what mailtwin knows of it is newer"),
			"mailtwin sync goes on with it. To begin again all the same: mailtwin state rebuild "+state.HintAccount+", then import")
	case len(m.o.Old.Folders) > 0 && m.o.Greet[mail.Local].Empty:
		return account, mail.WithHint(fmt.Errorf("import state: nothing is at %s, but %s kept mail there", m.o.Greet[mail.Local].Name, m.o.Old.Tool),
			"is the disk mounted? If the Maildir was moved, write its new place into the configuration of "+m.o.Old.Tool+" and into config.toml, and import again")
	}
	return account, nil
}

// list asks both sides for their mailboxes.
func (m *importer) list(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, side := range mail.Sides {
		g.Go(func() error {
			list, err := m.o.Stores[side].Boxes(ctx)
			m.status[side] = make(map[mail.Box]store.Status, len(list))
			for _, st := range list {
				m.status[side][st.Box] = st
			}
			return err
		})
	}
	return g.Wait()
}

// places makes sure that the folders of the old tool are those of the mailboxes with the same names here: a name that it
// translated would be two mailboxes, each copied to the other side.
func (m *importer) places() error {
	if m.o.Dir == nil {
		return nil
	}
	var wrong, cure []string
	for _, f := range m.o.Old.Folders {
		if f.Dir == "" || !m.selected(f.Box) || m.status[mail.Local][f.Box].Err != nil {
			continue // a name that cannot be a folder is an error of its mailbox
		}
		here, err := m.o.Dir(f.Box)
		if err == nil && samePlace(f.Dir, here) {
			continue
		}
		if st, err := os.Stat(filepath.Join(f.Dir, "cur")); err != nil || !st.IsDir() {
			continue
		}
		if err != nil {
			here = cmp.Or(f.Place, "another one")
		}
		wrong = append(wrong, fmt.Sprintf("%s is the folder %s there, and would be %s here", f.Box, f.Dir, here))
		if filepath.IsAbs(here) {
			cure = append(cure, fmt.Sprintf("mkdir -p %s && mv %s %s", shellWord(filepath.Dir(here)), shellWord(f.Dir), shellWord(here)))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	const shown = 5
	more := ""
	if len(wrong) > shown {
		more = fmt.Sprintf("; and %d more", len(wrong)-shown)
	}
	hint := "a mailbox has one name on both sides: set layout, names and inbox so that they fit, rename the folders, or leave these mailboxes out with mailboxes = [...]"
	if len(cure) == len(wrong) {
		hint = fmt.Sprintf("a mailbox has one name on both sides. Rename the folders while %s is switched off, and import again, or leave these mailboxes out with mailboxes = [...]: %s%s",
			m.o.Old.Tool, strings.Join(cure[:min(len(cure), shown)], "; "), more)
	}
	return mail.WithHint(fmt.Errorf("import state: %w: mailboxes have other folders in mailtwin than in %s: %s%s", store.ErrSetup, m.o.Old.Tool, strings.Join(wrong[:min(len(wrong), shown)], "; "), more), hint)
}

// shellWord writes a text as a word of a command.
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func samePlace(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func (m *importer) selected(box mail.Box) bool {
	role := m.status[mail.Remote][box].Role
	if role == "" {
		role = m.status[mail.Local][box].Role
	}
	return m.o.Select == nil || m.o.Select(box, role)
}

// all looks at one folder after the other, by name, and hands out what can be taken over.
func (m *importer) all(ctx context.Context, write func(*taken) error) error {
	m.res.Boxes, m.reports = nil, nil
	folders := slices.Clone(m.o.Old.Folders)
	slices.SortStableFunc(folders, func(a, b Folder) int { return strings.Compare(string(a.Box), string(b.Box)) })
	times := map[mail.Box]int{}
	for _, f := range folders {
		times[f.Box]++
	}
	for i := range folders {
		f := &folders[i]
		if times[f.Box] > 1 {
			f.Distrust = "several folders of the old state are this mailbox"
		}
		t, err := m.folder(ctx, f)
		if err != nil {
			return fmt.Errorf("import mailbox %q: %w", f.Box, err)
		}
		m.res.Boxes = append(m.res.Boxes, t.Box)
		if err := m.letters(ctx, f.Box); err != nil {
			return err
		}
		if t.Why != "" {
			continue
		}
		m.report(&t.Box)
		if err := write(t); err != nil {
			return err
		}
	}
	return nil
}

// letters lets a mailbox of the Maildir know what letters stand for, so that keywords that are on both sides need no sync.
func (m *importer) letters(ctx context.Context, box mail.Box) error {
	s, ok := m.o.Stores[mail.Local].(interface {
		SetLetters(ctx context.Context, box mail.Box, words []string) error
	})
	if _, there := m.status[mail.Local][box]; !ok || !there || m.o.DryRun || !m.selected(box) || m.o.Old.Letters == [26]string{} {
		return nil
	}
	return s.SetLetters(ctx, box, m.o.Old.Letters[:])
}

// report tells of what is held back or not the same, as each sync will.
func (m *importer) report(b *Box) {
	var texts []string
	if b.Altered > 0 {
		texts = append(texts, fmt.Sprintf("%d messages differ between both sides in spaces or line ends, as %s stored them", b.Altered, m.o.Old.Tool))
	}
	hint := ""
	if b.Stubs > 0 {
		texts = append(texts, fmt.Sprintf("%d messages are placeholders of %s on one side", b.Stubs, m.o.Old.Tool))
		hint = "for the messages in place of their placeholders: remove these files, then mailtwin state rebuild, and mailtwin sync"
	}
	if len(texts) > 0 {
		m.reports = append(m.reports, state.Report{
			Box: mail.Box(b.Name), Kind: "altered", Count: b.Altered + b.Stubs, Text: strings.Join(texts, ", and ") + "; they are kept as they are", Hint: hint,
		})
	}
	for _, side := range mail.Sides {
		if n := b.Missing[side]; n > 0 {
			m.reports = append(m.reports, state.Report{
				Box: mail.Box(b.Name), Kind: "held back", Count: n,
				Text: fmt.Sprintf("%d messages that %s knew are not on the %s side any more; they stay as they are on the %s side", n, m.o.Old.Tool, side, side.Other()),
				Hint: "the next sync finds those that were moved, and says how to go on with the others",
			})
		}
	}
}

// taken is what is taken over of a mailbox.
type taken struct {
	Box
	box   state.Box
	pairs []*known
}

func (t *taken) write(tx *state.Tx) error {
	if err := tx.PutBox(t.box); err != nil {
		return err
	}
	for _, k := range t.pairs {
		p := k.pair(t.box.Name)
		if err := tx.PutPair(&p); err != nil {
			return err
		}
	}
	return nil
}
