package imapstore

import (
	"errors"
	"fmt"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// TestEpochOfEffects: nothing is done in an epoch that no view showed, also when the mailbox is opened anew.
func TestEpochOfEffects(t *testing.T) {
	t.Parallel()
	s := scripted(t, "UIDPLUS MOVE", opened("t2", 7, 12, 0)+opened("t3", 8, 12, 3)+opened("t4", 8, 12, 3)+opened("t5", 8, 12, 3), nil)
	shown(t, s, "")
	s.mu.Lock()
	s.idle[0].box = "" // as if another mailbox had been opened meanwhile
	s.mu.Unlock()
	if _, err := s.SetFlags(t.Context(), "B", key(1), mail.Flags{System: mail.Seen}, mail.Flags{}); !errors.Is(err, store.ErrEpoch) {
		t.Errorf("set flags: %v", err)
	}
	if _, err := s.Delete(t.Context(), "B", entries(1)); !errors.Is(err, store.ErrEpoch) {
		t.Errorf("delete: %v", err)
	}
	in := []mail.Intent{{From: mail.Ref{Box: "B", Key: mail.UIDKey(1)}, Box: "C", Token: token(1, 1)}}
	if _, err := s.Move(t.Context(), "B", in, false); !errors.Is(err, store.ErrEpoch) {
		t.Errorf("move: %v", err)
	}
}

// TestUIDNextOfEffects: nothing is done in a mailbox that is older than the one that was viewed (DESIGN.md section 4, rule 9).
func TestUIDNextOfEffects(t *testing.T) {
	t.Parallel()
	s := scripted(t, "UIDPLUS MOVE", opened("t2", 7, 12, 0)+opened("t3", 7, 11, 3)+opened("t4", 7, 11, 3), nil)
	shown(t, s, "")
	if _, err := s.Delete(t.Context(), "B", entries(1)); !errors.Is(err, store.ErrEpoch) {
		t.Errorf("delete: %v", err)
	}
	in := []mail.Intent{{From: mail.Ref{Box: "B", Key: mail.UIDKey(1)}, Box: "C", Token: token(1, 1)}}
	if _, err := s.Move(t.Context(), "B", in, false); !errors.Is(err, store.ErrEpoch) {
		t.Errorf("move: %v", err)
	}
}

// TestSample: messages that are not those that were synced are not removed, whatever their UIDs are (DESIGN.md section 4, rule 9).
func TestSample(t *testing.T) {
	t.Parallel()
	known := entries(4, 9)
	for i := range known {
		known[i].Ident = mail.Ident{Size: 100, Date: 1_000_000_000, MessageID: mail.HashMessageID("<a@b>")}
	}
	asked := opened("t2", 7, 12, 3) + `
		C~ t3 UID FETCH 4,9 \(UID .*BODY.PEEK\[HEADER.FIELDS \(MESSAGE-ID.*
		S- "* 1 FETCH (UID 4 RFC822.SIZE 100 INTERNALDATE \"09-Sep-2001 01:46:40 +0000\" BODY[HEADER.FIELDS (MESSAGE-ID)] {21}\r\nMessage-ID: <a@b>\r\n\r\n)\r\n"
	`
	same := asked + `
		S- "* 2 FETCH (UID 9 RFC822.SIZE 100 INTERNALDATE \"09-Sep-2001 01:46:40 +0000\" BODY[HEADER.FIELDS (MESSAGE-ID)] {21}\r\nMessage-ID: <a@b>\r\n\r\n)\r\n"
		S: t3 OK
		C: t4 UID STORE 4,9 +FLAGS.SILENT (\Deleted)
		C: t5 UID EXPUNGE 4,9
		S: t4 OK
		S: t5 OK
		C: t6 UID SEARCH UID 4,9
		S: * SEARCH
		S: t6 OK`
	s := scripted(t, "UIDPLUS", same, nil)
	if left, err := s.Delete(t.Context(), "B", known); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
	other := asked + `
		S- "* 2 FETCH (UID 9 RFC822.SIZE 100 INTERNALDATE \"09-Sep-2001 01:46:40 +0000\" BODY[HEADER.FIELDS (MESSAGE-ID)] {21}\r\nMessage-ID: <c@d>\r\n\r\n)\r\n"
		S: t3 OK
		C~ t4 UID FETCH 9 \(UID .*BODY.PEEK\[\]\)
		S- "* 2 FETCH (UID 9 BODY[] {3}\r\nabc)\r\n"`
	s = scripted(t, "UIDPLUS", other, nil)
	if _, err := s.Delete(t.Context(), "B", known); !errors.Is(err, store.ErrEpoch) {
		t.Errorf("delete: %v", err)
	}
	var moves []mail.Intent
	for _, e := range known {
		moves = append(moves, mail.Intent{Kind: mail.IntentMove, From: mail.Ref{Box: "B", Key: e.Key}, Box: "C", Token: token(7, 1), Entry: e})
	}
	s = scripted(t, "UIDPLUS MOVE", other, nil)
	if _, err := s.Move(t.Context(), "B", moves, false); !errors.Is(err, store.ErrEpoch) {
		t.Errorf("move: %v", err)
	}
}

// TestSampleDoubts: another size or, without Message-ID, another date means that the message is read before it is removed (DESIGN.md
// section 4, rule 9).
func TestSampleDoubts(t *testing.T) {
	t.Parallel()
	const header = `BODY[HEADER.FIELDS (MESSAGE-ID)] {%d}\r\n%s\r\n)\r\n"` + "\n"
	for name, x := range map[string]struct {
		known mail.Ident
		told  string
	}{
		"size": {mail.Ident{Size: 100, Date: 1e9, MessageID: mail.HashMessageID("<a@b>")}, `RFC822.SIZE 101 INTERNALDATE \"09-Sep-2001 01:46:40 +0000\" ` + fmt.Sprintf(header, 21, `Message-ID: <a@b>\r\n`)},
		"date": {mail.Ident{Size: 100, Date: 1e9}, `RFC822.SIZE 100 INTERNALDATE \"09-Sep-2001 01:46:41 +0000\" ` + fmt.Sprintf(header, 2, "")},
	} {
		s := scripted(t, "UIDPLUS", opened("t2", 7, 12, 3)+"C~ t3 UID FETCH 9 .*\nS- \"* 2 FETCH (UID 9 "+x.told+"S: t3 OK\n"+`
			C~ t4 UID FETCH 9 \(UID .*BODY.PEEK\[\]\)
			S- "* 2 FETCH (UID 9 BODY[] {3}\r\nabc)\r\n"`, nil)
		known := entries(9)
		known[0].Ident = x.known
		if _, err := s.Delete(t.Context(), "B", known); !errors.Is(err, store.ErrEpoch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
