// Package dedupe finds duplicate messages and decides which copy stays. It is pure: it reads no file and knows no store;
// what reads mailboxes hands it bytes and facts, and carries out what it says. Start with [Hasher] and [Table.Plan].
//
// Words. Two messages of one mailbox (or of several, see Policy.Across) are duplicates when they match by the [By] of the
// policy; all that match are a group. One message of a group stays, the others are its copies.
//
// What is promised. The plan depends on the messages alone, never on their order, their flags but for \Deleted, or the number
// of workers; so that a run that was interrupted goes on to the same end. Messages that have nothing to compare are in no group.
package dedupe
