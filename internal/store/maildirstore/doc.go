// Package maildirstore is a Maildir tree as a store: one folder for each mailbox, in one of three layouts. Start with [New].
//
// What is promised. A message is delivered by the rules of Maildir: written to tmp, synced, renamed to cur or new, the
// folder synced. No message file is ever renamed but for flags, from new to cur, and when the message moves; nothing
// overwrites anything. What is removed goes to the attic, from where [Store.Restore] brings it back.
//
// A message's key is its unique name: the file name up to ":2,". Where several files of a mailbox have one unique name,
// the key of each is that name and the number of its inode, so that they stay apart whatever flags they get. Files without
// info, with foreign parts such as ",U=7", with unsorted or unknown flags are messages like others. Links and other things
// that are no regular files are no messages.
//
// Content: LF in the file, CRLF on the wire. A body whose lines all end with CRLF comes back byte for byte. A bare LF comes
// back as CRLF, and of several CRs before an LF one is lost each way; the digest does not see either.
package maildirstore

// Notes for maintainers.
//
// Layout of the tree:
//
//	.mailtwin/marker            id of the root and run counter (mailtwin.d for maildir++, where dot folders are mailboxes)
//	.mailtwin/attic/DATE/BOX/   removed messages, under their names, unless Config.Attic is elsewhere; no folder here is called cur,
//	                            new or tmp. BOX is the escaped path of the mailbox; where that is too long, .mailbox has it.
//	                            dovecot-keywords has the keywords that these messages' letters stand for
//	.mailtwin/attic/.pruned     when the attic was last looked through
//	INBOX/cur INBOX/new INBOX/tmp
//	Work/Invoices/cur ...       nested
//	.Work.Invoices/cur ...      maildir++; INBOX is the root itself
//	Work.Invoices/cur ...       flat
//
// Marks are the stamps of new, cur and dovecot-keywords. A stamp is believed only when it is older than the clock of the
// file system is coarse: a change in the same tick would not show.
