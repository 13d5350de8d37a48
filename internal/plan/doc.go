// Package plan decides what a sync does. Its functions are pure: no I/O, no clock; they may import nothing but mail.
//
// Diff compares what one side shows with the base. Match pairs arrivals of both sides by identity, Moves pairs arrivals
// with disappearances of the same side, and Merge turns what is left into operations. Check is the guard. All are symmetric:
// swapping the sides gives the mirrored plan.
//
// The cases, for a pair that both sides have; "same" is no news:
//
//	P1  same      same       nothing
//	P2  flags     same       set flags on the other side
//	P3  flags     flags      merge bit by bit, set what differs on each side, remember what is equal
//	P4  gone      same       arrival of it elsewhere on this side: move on the other side; else delete there
//	P5  gone      flags      as P4: a deletion beats flag changes; a move carries them along
//	P6  gone      gone       forget
//	P7  \Deleted on both and expunge says so: delete on the sides that it names
//
// For a half pair, which only its holder has, for a reason:
//
//	H1  holder gone                       forget
//	H2  arrival of it on the other side   adopt
//	H3  refused, renumbered               copy to the other side
//	H4  delete pending, expunged          nothing while the holder has \Deleted; copy when it is taken back
//	H5  replaced                          delete there
//	H6  vanished before an import         arrival of it elsewhere on the lacking side: move; else delete there, which the
//	                                      guard always holds back; or copy to the lacking side, if the user wants that
//
// For a message whose content was changed under its key (it is looked for now and then, see store.Stamper):
//
//	E1  edited   same, flags    copy the new version, then delete the old one there; counts as a deletion for the guard
//	E2  edited   gone           copy the new version
//
// For an arrival:
//
//	A1  the other side has one, too       adopt (pair without copying); differing flags are merged
//	A2  a pair vanished on this side      move (see P4)
//	A3  else                              copy to the other side
//
// A mailbox that was renamed has its new name on both sides before anything is planned. One that is missing on one side (both had
// it):
//
//	B1  its messages appear elsewhere on that side    moves
//	B2  policy "all"                                  as P4, then remove the mailbox
//	B3  something arrived in it on the other side     it is created again, with all its messages, once no more moves out of it are found
//	B4  else                                          nothing of it is touched; removed once empty, see Boxes
package plan
