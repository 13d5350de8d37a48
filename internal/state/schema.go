package state

// applicationID marks our databases ("mltw"), so that another program's is not mistaken for one.
const applicationID = 0x6d6c7477

// migrations lead from schema version n (index) to n+1. They are never changed once released, only added to.
var migrations = []string{
	`
CREATE TABLE meta (
	name TEXT PRIMARY KEY,      -- account, reports, checked
	value TEXT NOT NULL,        -- JSON
	crc INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE mailbox (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	local_epoch TEXT NOT NULL, remote_epoch TEXT NOT NULL,
	local_mark BLOB NOT NULL, remote_mark BLOB NOT NULL,
	local_known INTEGER NOT NULL, remote_known INTEGER NOT NULL,   -- it existed there at the end of the last run
	local_whole INTEGER NOT NULL, remote_whole INTEGER NOT NULL,   -- last whole view, nanoseconds since 1970
	stamps_at INTEGER NOT NULL,                                    -- last look for edited messages
	empty_runs INTEGER NOT NULL,
	role TEXT NOT NULL,
	crc INTEGER NOT NULL
) STRICT;

CREATE TABLE pair (
	id INTEGER PRIMARY KEY,
	mailbox INTEGER NOT NULL,
	local BLOB,                 -- keys; NULL: none
	remote BLOB,
	flags INTEGER NOT NULL,     -- agreed system flags; bit 5: verified; bit 6: deletion allowed; << 8: local lacks; << 16: remote lacks
	keywords TEXT,              -- agreed, local lacks, remote lacks, separated by line feeds; NULL: no keywords
	digest BLOB,
	message_id BLOB,            -- hash
	size INTEGER NOT NULL,
	date INTEGER NOT NULL,
	stable TEXT,
	stamp INTEGER NOT NULL,
	remains INTEGER NOT NULL,   -- mail.Left
	crc INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX pair_local ON pair (mailbox, local) WHERE local IS NOT NULL;
CREATE UNIQUE INDEX pair_remote ON pair (mailbox, remote) WHERE remote IS NOT NULL;
CREATE INDEX pair_remains ON pair (mailbox, remains) WHERE remains != 0;

-- Fingerprints of the pairs of each mailbox, by side, see mail.Sum. A wrong one only costs a look at all pairs.
CREATE TABLE sums (
	mailbox INTEGER PRIMARY KEY,
	local BLOB NOT NULL,
	remote BLOB NOT NULL
) STRICT;

CREATE TABLE intent (
	id INTEGER PRIMARY KEY,
	value TEXT NOT NULL,        -- JSON
	crc INTEGER NOT NULL
) STRICT;
`, `
-- What mailtwin dedupe read of the messages, so that it need not read them again. Losing it costs time only.
CREATE TABLE digest (
	mailbox TEXT NOT NULL,
	kind TEXT NOT NULL,         -- what the digests are of
	part INTEGER NOT NULL,
	value BLOB NOT NULL,
	crc INTEGER NOT NULL,
	PRIMARY KEY (mailbox, kind, part)
) STRICT, WITHOUT ROWID;
`, `
-- Rows of few columns, and counts beside the sums. The pairs of before are packed by packPairs. Intents of a run that was interrupted
-- are left behind: what they would settle is paired by content, as after any loss of the state.
ALTER TABLE pair RENAME TO old_pair;
DROP INDEX pair_local;
DROP INDEX pair_remote;
DROP INDEX pair_remains;
DROP TABLE sums;
DROP TABLE intent;

CREATE TABLE pair (
	id INTEGER PRIMARY KEY,
	mailbox INTEGER NOT NULL,
	local BLOB,                 -- keys; NULL: none
	remote BLOB,
	remains INTEGER NOT NULL,   -- mail.Left
	data BLOB NOT NULL          -- all else, and a checksum, see pairRow
) STRICT;
CREATE UNIQUE INDEX pair_local ON pair (mailbox, local) WHERE local IS NOT NULL;
CREATE UNIQUE INDEX pair_remote ON pair (mailbox, remote) WHERE remote IS NOT NULL;
CREATE INDEX pair_remains ON pair (mailbox, remains) WHERE remains != 0;

-- What the pairs of each mailbox come to: fingerprints by side, see mail.Sum, and how many there are, half pairs too.
CREATE TABLE sums (
	mailbox INTEGER PRIMARY KEY,
	pairs INTEGER NOT NULL,
	local BLOB NOT NULL,
	remote BLOB NOT NULL,
	crc INTEGER NOT NULL
) STRICT;

CREATE TABLE intent (
	id INTEGER PRIMARY KEY,
	value BLOB NOT NULL,        -- those of one transaction, packed, see appendIntent
	crc INTEGER NOT NULL
) STRICT;
`,
	`
ALTER TABLE mailbox ADD COLUMN local_id TEXT NOT NULL DEFAULT '';   -- the store's own lasting id (RFC 8474)
ALTER TABLE mailbox ADD COLUMN remote_id TEXT NOT NULL DEFAULT '';
`,
}

// afterMigration has what a migration does beyond its script, by index.
var afterMigration = map[int]func(*writer) error{2: packPairs}
