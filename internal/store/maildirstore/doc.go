// Package maildirstore is a Maildir tree as a store: one folder for each mailbox, in one of three layouts. Start with [New].
//
// What is promised. A message is delivered by the rules of Maildir: written to tmp, synced, renamed to cur or new, the
// folder synced. No message file is ever renamed but for flags, from new to cur, and when the message moves; nothing
// overwrites anything. What is removed goes to the attic.
//
// A message's key is its unique name: the file name up to ":2,". A file whose unique name another file of the mailbox has
// too gets its whole name as key. Files without info, with foreign parts such as ",U=7", with unsorted or unknown flags are
// messages like others.
//
// Content: LF in the file, CRLF on the wire. A body whose lines all end with CRLF comes back byte for byte. A bare LF comes
// back as CRLF, and of several CRs before an LF one is lost each way; the digest does not see either.
package maildirstore

// Notes for maintainers.
//
// Layout of the tree:
//
//	.mailtwin/marker            id of the root and run counter (mailtwin.d for maildir++, where dot folders are mailboxes)
//	.mailtwin/attic/DATE/BOX/   removed messages, under their names; no folder here is called cur, new or tmp
//	INBOX/cur INBOX/new INBOX/tmp
//	Work/Invoices/cur ...       nested
//	.Work.Invoices/cur ...      maildir++; INBOX is the root itself
//	Work.Invoices/cur ...       flat
//
// Marks are the stamps of new, cur and dovecot-keywords. A stamp is believed only when it is older than the clock of the
// file system is coarse: a change in the same tick would not show.
