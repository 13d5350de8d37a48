package imapstore

import (
	"fmt"
	"strings"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// TestEchoBelieves: the mark moves only if a server says all there is to say, of a mailbox that is what it was.
func TestEchoBelieves(t *testing.T) {
	t.Parallel()
	type sets [6]string // changed, and of these with each flag
	good := sets{"ALL 5,9", "ALL 5,9", "", "ALL 9", "", ""}
	for name, test := range map[string]struct {
		next, modseq, exists int
		sets                 sets
		status               string
		want                 bool
	}{
		"all is well":        {10, 120, 3, good, "", true},
		"a part":             {10, 120, 3, good, "[MESSAGELIMIT 1 9] some", false},
		"another one":        {10, 120, 3, sets{"ALL 4:5,9", "ALL 5,9", "", "ALL 9", "", ""}, "", false},
		"another flag":       {10, 120, 3, sets{"ALL 5,9", "ALL 5,9", "", "ALL 9", "", "ALL 5"}, "", false},
		"one flag less":      {10, 120, 3, sets{"ALL 5,9", "ALL 5", "", "ALL 9", "", ""}, "", false},
		"not changed at all": {10, 120, 3, sets{"ALL 9", "ALL 9", "", "ALL 9", "", ""}, "", true},
		"one message more":   {11, 120, 4, good, "", false},
		"UIDNEXT fell":       {9, 120, 3, good, "", false},
		"HIGHESTMODSEQ fell": {10, 99, 3, good, "", false},
		"very many":          {10, 120, 3, sets{"ALL 1:4000000", "ALL 5,9", "", "ALL 9", "", ""}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := fmt.Sprintf("C: t3 SELECT \"B\"\nS: * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\nS: * %d EXISTS\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT %d] n\nS: * OK [HIGHESTMODSEQ %d] m\n", test.exists, test.next, test.modseq)
			var asked, told strings.Builder
			for i, set := range test.sets {
				fmt.Fprintf(&asked, "C~ t%d UID SEARCH RETURN .ALL. MODSEQ 101.*\n", 4+i)
				fmt.Fprintf(&told, "S? %q\n", fmt.Sprintf("* ESEARCH (TAG \"t%d\") UID %s\r\nt%d OK %s\r\n", 4+i, set, 4+i, test.status))
			}
			s := scripted(t, qresync, script+asked.String()+"S: t3 OK [READ-WRITE] open\n"+told.String(), nil)
			want := &mail.Expected{Total: 3}
			want.Add(mail.UIDKey(9), mail.Flags{System: mail.Seen | mail.Flagged})
			want.Add(mail.UIDKey(5), mail.Flags{System: mail.Seen})
			marks, err := s.Echo(t.Context(), []store.Echo{{Box: "B", Since: state{7, 10, 100, 3}.seen(), Want: want}})
			if err != nil {
				t.Fatal(err)
			}
			if got := marks[0] != ""; got != test.want {
				t.Errorf("mark %q", marks[0])
			}
		})
	}
}

// TestEchoUnlisted: a server that does not name all keywords in FLAGS cannot be asked for them.
func TestEchoUnlisted(t *testing.T) {
	t.Parallel()
	s := scripted(t, qresync, opened("t3", 7, 10, 1, `S: * FLAGS (\Seen)`, "S: * OK [HIGHESTMODSEQ 120] m", `S: * 1 FETCH (UID 9 FLAGS ($Junk) MODSEQ (120))`), nil)
	viewed(t, s, "B", state{7, 10, 100, 1}.seen())
	want := &mail.Expected{Total: 1}
	if marks, err := s.Echo(t.Context(), []store.Echo{{Box: "B", Since: state{7, 10, 100, 1}.seen(), Want: want}}); marks[0] != "" || err != nil {
		t.Errorf("%q, %v", marks, err)
	}
}
