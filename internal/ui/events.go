package ui

import (
	"mailtwin/internal/engine"
	"mailtwin/internal/state"
)

// Kinds of reports (see state.Report) that are treated in a way of their own.
const (
	kindHeld  = "held back"
	kindError = "error"
)

// Event tells what an engine tells, as it happens. It is meant for engine.Options.Events.
func (p *Progress) Event(e engine.Event) {
	due, line := p.note(e)
	u := p.ui
	if u.JSON {
		if e.Kind != engine.EventProgress || due {
			u.jsonEvent(e)
		}
	} else if due && !u.Quiet && (u.Verbose || !u.Terminal()) {
		u.Note("%s", line)
	}
	switch e.Kind {
	case engine.EventError:
		u.Error(u.named(e.Account, e.Err))
	case engine.EventOp:
		if u.Verbose && !u.Quiet && !u.JSON {
			to := ""
			if e.To != "" {
				to = " to " + short(Clean(string(e.To)), longestName)
			}
			u.Note("%s  %s on %s%s", u.place(e.Account, e.Box), Clean(e.Verb), e.Side, to)
		}
	case engine.EventWait:
		if !u.Quiet && !u.JSON {
			u.Note("%s", u.told(e))
		}
	case engine.EventNote:
		if u.Verbose && !u.Quiet && !u.JSON {
			u.Note("%s  %s", u.place(e.Account, e.Box), Clean(e.Text))
		}
	}
}

// told is an event of an account in words.
func (u *UI) told(e engine.Event) string {
	if place := u.place(e.Account, e.Box); place != "" && (e.Box != "" || u.Names) {
		return place + ": " + Clean(e.Text)
	}
	return Clean(e.Text)
}

// named puts the account before an error, where there are several.
func (u *UI) named(account string, err error) error {
	if !u.Names || err == nil {
		return err
	}
	return inAccount{account, err}
}

type inAccount struct {
	account string
	error
}

func (e inAccount) Error() string { return e.account + ": " + e.error.Error() }
func (e inAccount) Unwrap() error { return e.error }

// Outcome prints what a sync did: what was held back and left, in a dry run the plan, and the summary.
func (u *UI) Outcome(account string, res engine.Result) {
	for _, r := range res.Reports {
		u.report(account, r, res.Summary.DryRun)
	}
	if res.Summary.DryRun {
		u.plan(account, res.Plan)
	}
	switch {
	case u.JSON:
		u.JSONLine(res.Summary)
	case u.Quiet:
	case u.Names:
		u.Result("%s: %s", Clean(account), Line(res.Summary))
	default:
		u.Result("%s", Line(res.Summary))
	}
}

// report prints something that was not done. Errors were printed as they happened.
func (u *UI) report(account string, r state.Report, dry bool) {
	if r.Kind == kindError {
		return
	}
	if u.JSON {
		u.jsonReport(account, r)
	}
	if u.Quiet && (r.Kind != kindHeld || dry) {
		return
	}
	text := r.Text
	if place := u.place(account, r.Box); place != "" && (r.Box != "" || u.Names) {
		text = place + ": " + text
	}
	u.complain(text, r.Hint)
}
