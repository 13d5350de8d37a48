package imapstore

import (
	"errors"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// TestSampleInOneFlight: the sample is asked for behind the SELECT, before its answer; nothing is removed where it is another message.
func TestSampleInOneFlight(t *testing.T) {
	t.Parallel()
	const flight = `
		C~ t2 SELECT .*
		C~ t3 UID FETCH 5,9 \(UID INTERNALDATE RFC822.SIZE BODY.PEEK\[HEADER.FIELDS .*
		S: * 3 EXISTS
		S: * OK [UIDVALIDITY 7] v
		S: * OK [UIDNEXT 10] n
		S: t2 OK [READ-WRITE] open
		S: * 1 FETCH (UID 5 INTERNALDATE "09-Sep-2001 01:46:40 +0000" RFC822.SIZE 100 BODY[HEADER.FIELDS (MESSAGE-ID)] "Message-ID: <a>")
		S: * 3 FETCH (UID 9 INTERNALDATE "09-Sep-2001 01:46:40 +0000" RFC822.SIZE 100 BODY[HEADER.FIELDS (MESSAGE-ID)] "Message-ID: <b>")
		S: t3 OK`
	id := func(name string) mail.Ident {
		return mail.Ident{MessageID: mail.HashMessageID(name), Size: 100, Date: 1_000_000_000, Digest: mail.HashMessageID("digest of " + name)}
	}
	for name, x := range map[string]struct {
		last mail.Ident
		rest string
		err  error
	}{
		"the same": {id("<b>"), "\nC~ t4 UID STORE 5,9 .*\nC~ t5 UID EXPUNGE 5,9\nS: t4 OK\nS: * VANISHED 5,9\nS: t5 OK", nil},
		"another":  {id("<c>"), "\nC~ t4 UID FETCH 9 .*BODY.PEEK\\[\\].*\nS: * 3 FETCH (UID 9 INTERNALDATE \"09-Sep-2001 01:46:40 +0000\" BODY[] \"what\")\nS? \"t4 OK\\r\\n\"", store.ErrEpoch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scripted(t, "UIDPLUS", flight+x.rest, nil)
			_, err := s.Delete(t.Context(), "B", []mail.Entry{{Key: mail.UIDKey(5), Ident: id("<a>")}, {Key: mail.UIDKey(9), Ident: x.last}})
			if !errors.Is(err, x.err) {
				t.Error(err)
			}
		})
	}
}
