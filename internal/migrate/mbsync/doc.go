// Package mbsync reads and writes the files of mbsync (isync): its configuration, its state, and the UIDs in file names.
//
// [Read] returns what mbsync knew, an account for each pair of a server and a Maildir tree. [Export] is the way back: it
// gives each local file a UID in its name, as mbsync wants it, and writes the state and the isyncrc that go with it.
//
// Nothing that is read is changed, no command of the configuration is run, and no password is copied. Files that are
// damaged make the folder distrusted, with words; they are never a crash and never a deletion.
package mbsync

// Notes for maintainers: the files, as mbsync 1.4 and 1.5 write and read them.
//
// State, one file for a pair of mailboxes: lines "Name number" (FarUidValidity, NearUidValidity, MaxPulledUid,
// MaxPushedUid, MaxExpiredFarUid; MasterUidValidity, SlaveUidValidity and MaxExpiredSlaveUid before 1.4), or before 1.1
// a single line "far:max near:expired:max"; an empty line, but not after that one; then "far near flags". Flags are the letters DFPRST, after
// "<" or ">" (the message there is a placeholder), then "~" (expired; "X" before 1.3) or "^" (skipped). A UID of 0 is no
// message, and so is 4294967295 before 1.3.
//
// Journal: the file's name and ".journal"; its first line is its version, 4 for mbsync 1.4 and 5 for 1.5. It counts only
// while there is a ".new" beside it: mbsync renames that over the state, and then removes the journal. Records name
// the entry that they change by the UIDs that it has at that moment; see journal.go.
//
// Maildir: .uidvalidity has the UIDVALIDITY and the highest UID given, in two lines; a file's UID is in its name, as
// ",U=7" before the flags. With AltMap the UIDs are in the Berkeley database .isyncuidmap.db, which we do not read;
// mdconvert, which comes with mbsync, turns one into the other.
