// Package state is the state database of an account: what both sides last agreed on, what is under way, and how far each
// side was seen. One SQLite database per account; start with [Open] or, in tests, [Memory].
//
// Words: a pair is one message on both sides; all pairs of a mailbox are its base; an intent is a row written before an
// effect; a mark says how far a side was seen (see package mail).
//
// Promises. A commit that is durable is on disk when Update returns. Rows that keys depend on carry a checksum, which is
// compared when they are read: a flipped bit is valid SQLite, but it must not become a deletion. A database that cannot be
// opened, is damaged or belongs to a newer version is never changed. Reading may go on while a write is under way; there is
// one writer.
package state

// Notes for maintainers.
//
// The journal is a WAL; it is deleted when the last connection closes, so a WAL that is not empty at Open means an unclean
// end. Writing the last commits of a run with synchronous=NORMAL is enough where losing them only means to look again: a
// later durable commit makes them durable too.
//
// Nothing in this process may open the database file by other means: closing any descriptor of the file would drop SQLite's
// locks (POSIX advisory locks).
