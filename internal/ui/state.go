package ui

// State is what a check of an account's state found. That it is sound goes without saying: else there is an error.
type State struct {
	There               bool // there is one
	Messages, Mailboxes int
	Unclean             bool // a sync is under way, or was stopped
	Pending             int  // operations whose outcome the next sync finds out
}

// StateChecked prints that the state of an account is sound.
func (u *UI) StateChecked(account string, s State) {
	name := ""
	if u.Names {
		name = Clean(account) + ": "
	}
	if !s.There {
		u.Result("%snot synced yet, there is no state", name)
		return
	}
	text := ""
	if s.Unclean {
		text = "; a sync is under way or was stopped, the next one goes on"
	}
	if s.Pending > 0 {
		text += ", " + count(s.Pending, "operation is", "operations are") + " to be settled"
	}
	u.Result("%sthe state is sound: %s in %s%s", name, count(s.Messages, "message", "messages"), count(s.Mailboxes, "mailbox", "mailboxes"), text)
}
