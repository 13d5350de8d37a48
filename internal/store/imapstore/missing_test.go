package imapstore

import (
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/mail"
)

// TestSetFlagsMissing: who was not told of after a change of flags is asked for, where the server tells of what it changes.
func TestSetFlagsMissing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		caps, script string
		missing      []mail.Key
	}{
		"all are told": {"CONDSTORE", `
			C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
			S: * 1 FETCH (UID 4 MODSEQ (12))
			S: * 2 FETCH (UID 5 MODSEQ (12))
			S: * 3 FETCH (UID 6 MODSEQ (12))
			S: t3 OK`, nil},
		"some are told": {"CONDSTORE", `
			C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
			S: * 1 FETCH (UID 4 MODSEQ (12))
			S: t3 OK
			C: t4 UID FETCH 5:6 (UID MODSEQ)
			S: * 2 FETCH (UID 6 MODSEQ (9))
			S: t4 OK`, key(5)},
		"none is told": {"CONDSTORE", `
			C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
			S: t3 OK
			C: t4 UID FETCH 4:6 (UID MODSEQ)
			S: * 1 FETCH (UID 4 MODSEQ (12))
			S: t4 OK`, key(5, 6)},
		"it cannot be asked": {"CONDSTORE", `
			C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
			S: t3 OK
			C: t4 UID FETCH 4:6 (UID MODSEQ)
			S: t4 NO not now`, nil},
		"a part of the answer": {"CONDSTORE", `
			C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
			S: * 1 FETCH (UID 4 MODSEQ (12))
			S: t3 OK
			C: t4 UID FETCH 5:6 (UID MODSEQ)
			S: t4 OK [MESSAGELIMIT 1 6] a part`, nil},
		"without CONDSTORE": {"", `
			C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
			S: t3 OK`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, test.caps, opened("t2", 7, 12, 3, "S: * OK [HIGHESTMODSEQ 11] m")+test.script, nil)
			did, err := s.SetFlags(t.Context(), "B", key(4, 5, 6), mail.Flags{System: mail.Seen}, mail.Flags{})
			if err != nil || !slices.Equal(did.Missing, test.missing) {
				t.Errorf("missing %v, want %v; %v", did.Missing, test.missing, err)
			}
		})
	}
}

// TestSetFlagsSilent: a server that changes messages without a word is not asked again, until it tells of one. One that changed nothing,
// since the message had the flag, may still tell.
func TestSetFlagsSilent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script  string
		missing [3][]mail.Key // of 4, 5 and 6
	}{
		"it had the flag": {`
			C: t3 UID STORE 4 +FLAGS.SILENT (\Seen)
			S: t3 OK
			C: t4 UID FETCH 4 (UID MODSEQ)
			S: * 1 FETCH (UID 4 MODSEQ (9))
			S: t4 OK
			C: t5 UID STORE 5 +FLAGS.SILENT (\Seen)
			S: t5 OK
			C: t6 UID FETCH 5 (UID MODSEQ)
			S: t6 OK
			C: t7 UID STORE 6 +FLAGS.SILENT (\Seen)
			S: * 2 FETCH (UID 6 MODSEQ (12))
			S: t7 OK`, [3][]mail.Key{nil, key(5), nil}},
		"not a word": {`
			C: t3 UID STORE 4 +FLAGS.SILENT (\Seen)
			S: t3 OK
			C: t4 UID FETCH 4 (UID MODSEQ)
			S: * 1 FETCH (UID 4 MODSEQ (12))
			S: t4 OK
			C: t5 UID STORE 5 +FLAGS.SILENT (\Seen)
			S: t5 OK
			C: t6 UID STORE 6 +FLAGS.SILENT (\Seen)
			S: t6 OK`, [3][]mail.Key{}},
		"a word at last": {`
			C: t3 UID STORE 4 +FLAGS.SILENT (\Seen)
			S: t3 OK
			C: t4 UID FETCH 4 (UID MODSEQ)
			S: * 1 FETCH (UID 4 MODSEQ (12))
			S: t4 OK
			C: t5 UID STORE 5 +FLAGS.SILENT (\Seen)
			S: * 2 FETCH (UID 5 MODSEQ (13))
			S: t5 OK
			C: t6 UID STORE 6 +FLAGS.SILENT (\Seen)
			S: t6 OK
			C: t7 UID FETCH 6 (UID MODSEQ)
			S: t7 OK`, [3][]mail.Key{nil, nil, key(6)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, "CONDSTORE", opened("t2", 7, 12, 3, "S: * OK [HIGHESTMODSEQ 11] m")+test.script, nil)
			for i, want := range test.missing {
				did, err := s.SetFlags(t.Context(), "B", key(uint32(4+i)), mail.Flags{System: mail.Seen}, mail.Flags{})
				if err != nil || !slices.Equal(did.Missing, want) {
					t.Errorf("%d: missing %v, want %v; %v", 4+i, did.Missing, want, err)
				}
			}
		})
	}
}

// TestSetFlagsManyMissing: however many are moved away at once, none of them counts as changed.
func TestSetFlagsManyMissing(t *testing.T) {
	t.Parallel()
	s := scripted(t, "CONDSTORE", opened("t2", 7, 999, 300, "S: * OK [HIGHESTMODSEQ 11] m")+`
		C: t3 UID STORE 1:150 +FLAGS.SILENT (\Seen)
		S: t3 OK
		C: t4 UID FETCH 1:150 (UID MODSEQ)
		S: t4 OK`, nil)
	keys := make([]mail.Key, 150)
	for i := range keys {
		keys[i] = mail.UIDKey(uint32(i + 1)) //nolint:gosec // few
	}
	did, err := s.SetFlags(t.Context(), "B", keys, mail.Flags{System: mail.Seen}, mail.Flags{})
	if err != nil || len(did.Missing) != len(keys) {
		t.Errorf("%d missing, want all; %v", len(did.Missing), err)
	}
}

// TestSetFlagsPart: what a server changed only a part of is not taken for done.
func TestSetFlagsPart(t *testing.T) {
	t.Parallel()
	s := scripted(t, "CONDSTORE", opened("t2", 7, 12, 3, "S: * OK [HIGHESTMODSEQ 11] m")+`
		C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
		S: * 1 FETCH (UID 4 MODSEQ (12))
		S: t3 OK [MESSAGELIMIT 1 5] a part`, nil)
	if did, err := s.SetFlags(t.Context(), "B", key(4, 5, 6), mail.Flags{System: mail.Seen}, mail.Flags{}); err == nil || !strings.Contains(err.Error(), "changed only a part of 3 messages") {
		t.Errorf("%+v, %v", did, err)
	}
}
