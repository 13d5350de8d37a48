// Package online finds duplicates in the mailboxes of a server and takes them out of the way: it asks for what tells messages
// apart (Message-ID, size), reads the bodies of those alone that others have the Message-ID of, and moves the copies that package
// dedupe decides on to the trash of the server. Start with Find, then Remove; Journal and Undo bring copies back.
//
// What is promised. Find changes nothing but what is remembered. Nothing is expunged: a copy is moved (or copied and then
// removed, where the server has no MOVE), after the flags of all copies are on the one that stays and both were seen there
// again. Where it is now is noted in the journal, durably, before and after; stopped anywhere, the next run goes on.
package online
