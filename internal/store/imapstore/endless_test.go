package imapstore

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"mailtwin/internal/mail"
)

// TestEndlessViews: what a server tells of a mailbox is not kept beyond what can be.
func TestEndlessViews(t *testing.T) {
	t.Parallel()
	// A script per case: the connection ends in the middle of the answer.
	for name, x := range map[string]struct{ script, says string }{
		"EXISTS": {"C: t2 SELECT \"B\"\nS: * 4294967295 EXISTS\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT 9] n\nS: t2 OK", "4294967295 messages"},
		"flags again and again": {
			opened("t2", 7, 12, 1) + "\nC: t3 UID FETCH 1:4294967295 (UID FLAGS)\n" + strings.Repeat("S? \""+strings.Repeat(`* 1 FETCH (UID 5 FLAGS ())\r\n`, 1000)+"\"\n", 110),
			"more messages than there are",
		},
		"keywords": {
			opened("t2", 7, 12, 100) + "\nC: t3 UID FETCH 1:4294967295 (UID FLAGS)\n" + keywords(20, 500_000),
			"keywords of more than",
		},
	} {
		s := scripted(t, "", x.script, nil)
		if got, _, _ := shown(t, s, ""); !strings.Contains(got, x.says) {
			t.Errorf("%s: %.200s", name, got)
		}
	}
}

func keywords(n, length int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "S? \"* %d FETCH (UID %d FLAGS (%s%d))\\r\\n\"\n", i+1, i+1, strings.Repeat("k", length), i)
	}
	return b.String()
}

// TestBodyTwice: a body that was not asked for again ends the answer.
func TestBodyTwice(t *testing.T) {
	t.Parallel()
	one := "S? " + strconv.Quote("* 1 FETCH (UID 5 FLAGS () BODY[] {1}\r\nx)\r\n") + "\n"
	s := scripted(t, "", opened("t2", 7, 12, 3)+"\nC~ t3 UID FETCH 5 .*\n"+one+one+one, nil)
	n := 0
	err := s.Fetch(t.Context(), "B", []mail.Key{mail.UIDKey(5)}, func(mail.Entry, mail.Body) error { n++; return nil })
	if n != 1 || err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("%d bodies, %v", n, err)
	}
}
