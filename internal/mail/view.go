package mail

import "iter"

// Head is what every view tells.
type Head struct {
	Box      Box
	ID       string // the store's own id of the mailbox, which stays when it is renamed (RFC 8474); "": none
	Epoch    string // keys are comparable only within one epoch (IMAP: UIDVALIDITY)
	Total    int    // messages in the mailbox at the end of the view; -1: unknown
	Storable Storable
	ReadOnly bool
	// End must be called after the view was read to its end without error. It returns the mark that the view proves, ""
	// if it proves none, or an error if the view turned out not to count.
	End func() (Mark, error)
}

// At returns the head.
func (h Head) At() Head { return h }

// View is what one store shows of a mailbox now: Whole or Delta.
type View interface {
	At() Head
	view()
}

// Whole shows every message: silence means gone. All yields them in the byte order of keys and ends at the first error; it may
// be ranged over more than once and shows the same each time.
type Whole struct {
	Head
	All iter.Seq2[Entry, error]
}

// Delta shows what changed since a mark: silence means unchanged. Both yield in the byte order of keys; Changed has
// arrivals and messages whose flags may have changed. Whether anything is in Gone may be asked first; else read Changed before it.
type Delta struct {
	Head
	Changed iter.Seq2[Entry, error]
	Gone    iter.Seq2[Key, error]
}

func (Whole) view() {}
func (Delta) view() {}
