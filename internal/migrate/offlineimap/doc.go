// Package offlineimap reads and writes the files of OfflineIMAP: its configuration, its state, and the UIDs in file names.
//
// [Read] returns what OfflineIMAP knew, account by account. [Export] is the way back: it writes the state, puts the UIDs into the
// names of the files, and has the configuration that goes with them.
//
// Nothing that is read is changed; no command and no Python of the configuration is run, and no password is copied. Files that
// are damaged make the folder distrusted, with words; they are never a crash and never a deletion.
package offlineimap

// Notes for maintainers: the files, as OfflineIMAP 6 to 8 write and read them.
//
//	<metadata>/Account-<account>/LocalStatus-sqlite/<B(status)>   one database a folder: table status (id, flags, mtime, labels)
//	<metadata>/Account-<account>/LocalStatus/<B(status)>          before 7.0: text, formats 1 "uid:flags" and 2 "uid|flags|mtime|labels"
//	<metadata>/Repository-<repository>/FolderValidity/<B(name)>   UIDVALIDITY; of a Maildir always 42
//
// B writes "." for "/", "." for the empty name, and then "dot" for ".": a/b and a.b have one file. The status is named by the
// remote name after nametrans, with "." for the separator, which is the local name so written; the remote validity by the remote
// name as LIST has it.
//
// A message's UID is the remote one, also in the Maildir: <name>,U=<uid>,FMD5=<md5 of the folder's visible name>:2,<flags>.
// The visible name is what the local repository's nametrans makes of the folder's name. With another FMD5 the file is a new one.
