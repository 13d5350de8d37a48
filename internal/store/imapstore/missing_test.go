package imapstore

import (
	"slices"
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
			C: t4 UID FETCH 5:6 (UID)
			S: * 2 FETCH (UID 6)
			S: t4 OK`, key(5)},
		"none is told": {"CONDSTORE", `
			C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
			S: t3 OK
			C: t4 UID FETCH 4:6 (UID)
			S: * 1 FETCH (UID 4)
			S: t4 OK`, key(5, 6)},
		"it cannot be asked": {"CONDSTORE", `
			C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
			S: t3 OK
			C: t4 UID FETCH 4:6 (UID)
			S: t4 NO not now`, nil},
		"without CONDSTORE": {"", `
			C: t3 UID STORE 4:6 +FLAGS.SILENT (\Seen)
			S: t3 OK`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, test.caps, opened("t2", 7, 12, 3, "")+test.script, nil)
			did, err := s.SetFlags(t.Context(), "B", key(4, 5, 6), mail.Flags{System: mail.Seen}, mail.Flags{})
			if err != nil || !slices.Equal(did.Missing, test.missing) {
				t.Errorf("missing %v, want %v; %v", did.Missing, test.missing, err)
			}
		})
	}
}

// TestSetFlagsSilent: a server that tells of no change is asked once.
func TestSetFlagsSilent(t *testing.T) {
	t.Parallel()
	s := scripted(t, "CONDSTORE", opened("t2", 7, 12, 3, "")+`
		C: t3 UID STORE 4 +FLAGS.SILENT (\Seen)
		S: t3 OK
		C: t4 UID FETCH 4 (UID)
		S: * 1 FETCH (UID 4)
		S: t4 OK
		C: t5 UID STORE 5 +FLAGS.SILENT (\Seen)
		S: t5 OK`, nil)
	for _, uid := range []uint32{4, 5} {
		did, err := s.SetFlags(t.Context(), "B", key(uid), mail.Flags{System: mail.Seen}, mail.Flags{})
		if err != nil || len(did.Missing) > 0 {
			t.Errorf("missing %v; %v", did.Missing, err)
		}
	}
}
