package imap_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/imap"
	"mailtwin/internal/imap/imaptest"
)

// scripted returns a client of a server that greets with these capabilities and then plays the transcript.
func scripted(t testing.TB, caps, transcript string) *imap.Client {
	t.Helper()
	s := imaptest.NewScript(t, "S: * OK [CAPABILITY IMAP4rev1 "+caps+"] hello\n"+transcript)
	return dialTest(t, imap.Config{Address: "localhost:143", Security: imap.Plain, Dial: s.Dial, Timeout: 10 * time.Second})
}

func bodyItems() imap.FetchItems { return imap.FetchItems{Flags: true, Body: true} }

func TestGmailCodesWithoutText(t *testing.T) {
	t.Parallel()
	c := scripted(t, "CONDSTORE", `
		C: t1 SELECT "[Gmail]/All Mail" (CONDSTORE)
		S: * FLAGS (\Answered \Flagged \Draft \Deleted \Seen $Forwarded a]b)
		S: * OK [PERMANENTFLAGS (\Answered \Seen a]b \*)] Flags permitted.
		S: * OK [UIDVALIDITY 11] UIDs valid.
		S: * 42 EXISTS
		S: * 0 RECENT
		S: * OK [UIDNEXT 99] Predicted next UID.
		S: * OK [HIGHESTMODSEQ 9007199254740993]
		S: * OK [MAILBOXID (F1-x)] id
		S: t1 OK [READ-WRITE] [Gmail]/All Mail selected. (Success)`)
	s := wait(t, c.Select("[Gmail]/All Mail", imap.SelectOptions{Condstore: true}))
	if s.HighestModSeq != 9007199254740993 || s.UIDValidity != 11 || s.UIDNext != 99 || s.Exists != 42 || s.ReadOnly || s.MailboxID != "F1-x" ||
		!slices.Equal(s.PermanentFlags, []string{`\Answered`, `\Seen`, "a]b", `\*`}) || len(s.Flags) != 7 {
		t.Errorf("%+v", s)
	}
}

func TestExamineWithoutPermanentFlags(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", `
		C: t1 EXAMINE "INBOX"
		S: * OK [PERMANENTFLAGS ()]   
		S: * OK [NOMODSEQ] no
		S: * NO [UIDNOTSTICKY] bad luck
		S: * 1 EXISTS  
		S: t1 OK`)
	s := wait(t, c.Select("inbox", imap.SelectOptions{ReadOnly: true, Condstore: true}))
	if s.PermanentFlags == nil || len(s.PermanentFlags) != 0 || !s.ReadOnly || !s.UIDNotSticky || s.Exists != 1 {
		t.Errorf("%+v", s)
	}
}

func TestUnsolicitedFetchIsNotTheAnswer(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", `
		C: t1 UID FETCH 1:2 (UID FLAGS BODY.PEEK[])
		S: * 2 FETCH (UID 2 FLAGS (\Seen))
		S: * 9 FETCH (UID 9 FLAGS () BODY[] {3}
		S: xyz)
		S: * 1 FETCH (UID 1 FLAGS () BODY[] {3}
		S: abc)
		S: * 2 FETCH (UID 2 FLAGS (\Seen ) BODY[] {3}
		S: def)
		S: * 3 EXISTS
		S: t1 OK done`)
	var heard []string
	c.OnUnsolicited(func(u imap.Unsolicited) {
		switch u.Kind {
		case imap.UnsolicitedFetch:
			heard = append(heard, strings.Join(u.Message.Flags, ""))
		case imap.UnsolicitedExists:
			heard = append(heard, "exists")
		}
	})
	got, bodies := fetchAll(t, c, imap.NumRange(1, 2), bodyItems(), imap.FetchOptions{})
	if len(got) != 2 || !slices.Equal(bodies, []string{"abc", "def"}) || got[1].UID != 2 {
		t.Error(got, bodies)
	}
	if !slices.Equal(heard, []string{`\Seen`, "", "exists"}) {
		t.Error(heard)
	}
}

func TestUIDAfterBody(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcde\n", 8192) // 128 KiB: through a file
	c := scripted(t, "", `
		C: t1 UID FETCH 1:4 (UID FLAGS BODY.PEEK[])
		S: * 1 FETCH (BODY[] {3}
		S: abc FLAGS (\Seen) UID 1)
		S: * 2 FETCH (FLAGS () BODY[] {131072}
		S- "`+strings.ReplaceAll(long, "\n", `\n`)+` UID 2)\r\n"
		S: * 3 FETCH (BODY[] NIL UID 3 FLAGS ())
		S: * 4 FETCH (BODY[] "quoted" UID 4 FLAGS ())
		S: * 5 FETCH (BODY[] {2}
		S: no FLAGS () UID 5)
		S: t1 OK done`)
	got, bodies := fetchAll(t, c, imap.NumRange(1, 4), bodyItems(), imap.FetchOptions{})
	if !slices.Equal(bodies, []string{"abc", long, "", "quoted"}) {
		t.Error(len(bodies))
	}
	if got[0].UID != 1 || got[0].Flags[0] != `\Seen` || got[1].UID != 2 || got[2].HasBody || !got[3].HasBody {
		t.Errorf("%+v", got)
	}
}

func TestOddFetchItems(t *testing.T) {
	t.Parallel()
	c := scripted(t, "OBJECTID X-GM-EXT-1 CONDSTORE", `
		C: t1 UID FETCH 5:6 (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ EMAILID X-GM-MSGID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)] BODY.PEEK[])
		S: * 1 FETCH (X-GM-LABELS ("\\Inbox" {3}
		S: a)b) ENVELOPE ("x" NIL ((NIL NIL "a" "b")) (broken)) modseq (12) rfc822.size NIL EMAILID (M1) X-GM-MSGID 1278455344230334865 uid 5 SAVEDATE NIL INTERNALDATE "nonsense" FLAGS (\Seen $a]b  x) BODY[HEADER.FIELDS ("Message-ID")] {4}
		S- "a\r\n\r BODY[] {5}\r\nhello PREVIEW (\"x\"))\r\n"
		S: * 2 FETCH (FLAGS () RFC822.SIZE 99999999999 UID 6 INTERNALDATE " 7-Jul-1996 02:44:25 +0200" BODY[] "")
		S: t1 OK done`)
	items := imap.FetchItems{Flags: true, InternalDate: true, Size: true, ModSeq: true, EmailID: true, GmailMsgID: true, Header: []string{"Message-ID"}, Body: true}
	got, bodies := fetchAll(t, c, imap.NumRange(5, 6), items, imap.FetchOptions{})
	if len(got) != 1 { // the second lacks the header fields that were asked for
		t.Fatalf("%+v", got)
	}
	m := got[0]
	if m.UID != 5 || m.ModSeq != 12 || m.HasSize || m.EmailID != "M1" || m.GmailMsgID != "1278455344230334865" || !m.InternalDate.IsZero() ||
		!slices.Equal(m.Flags, []string{`\Seen`, "$a]b", "x"}) || string(m.Header) != "a\r\n\r" || bodies[0] != "hello" {
		t.Errorf("%+v %q", m, bodies)
	}
}

func TestUnknownIsSkipped(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", `
		C: t1 NOOP
		S: * XYMHIGHESTMODSEQ 5
		S: * METADATA "" (/private/x {5}
		S: a) "( y)
		S: * 3 XFETCH (((
		S: * OK [INPROGRESS ("t1" 5 NIL)] still here
		S: * OK [UNFINISHED business
		S: + nobody asked
		S- "\r\n* BAD what\r\n"
		S: t1 OK [NEWCODE a b] done
		C: t2 NOOP
		S: t2 OK`)
	if st := wait(t, c.Noop()); st.Code != "NEWCODE" || st.Args != "a b" || st.Text != "done" {
		t.Errorf("%+v", st)
	}
	wait(t, c.Noop())
}

func TestListOddities(t *testing.T) {
	t.Parallel()
	c := scripted(t, "LIST-EXTENDED LIST-STATUS SPECIAL-USE", `
		C: t1 LIST "" "*" RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES UIDNEXT))
		S: * LIST (\HasNoChildren) "/" Inbox
		S: * STATUS inbox (MESSAGES 3 UIDNEXT 4 XNEW (a b) HIGHESTMODSEQ NIL)
		S: * LIST () "/" "A&-B"
		S: * STATUS "A&-B" (MESSAGES 1)
		S: * LIST (\NonExistent) NIL "A&B" ("CHILDINFO" ("SUBSCRIBED"))
		S: * LIST (\Noselect) "\\" {8}
		S: lit/eral
		S: * LIST (\Sent) "." Entw&APw-rfe
		S: t1 OK
		C: t2 EXAMINE "A&-B"
		S: t2 OK
		C: t3 LIST "" "*"
		S: * LIST () "/" "bad&name"
		S: t3 OK
		C: t4 EXAMINE "bad&name"
		S: t4 OK`)
	var got []imap.ListItem
	o := imap.ListOptions{Status: []string{"MESSAGES", "UIDNEXT", "HIGHESTMODSEQ", "MAILBOXID"}, SpecialUse: true, Subscribed: true, Children: true}
	wait(t, c.List("", "*", o, func(i imap.ListItem) { got = append(got, i) }))
	if len(got) != 4 { // A&B is there twice: the one that can be named wins
		t.Fatalf("%+v", got)
	}
	if got[0].Name != "INBOX" || got[0].Status == nil || got[0].Status.Messages != 3 || got[0].Status.Has != imap.HasMessages|imap.HasUIDNext ||
		got[1].Name != "A&B" || got[1].Bad || got[2].Name != "lit/eral" || got[2].Delim != '\\' || got[2].Status != nil ||
		got[3].Name != "Entwürfe" || got[3].Attrs[0] != `\Sent` {
		t.Errorf("%+v", got)
	}
	wait(t, c.Select("A&B", imap.SelectOptions{ReadOnly: true}))
	c.MaskCaps("LIST-EXTENDED")
	wait(t, c.List("", "*", o, func(i imap.ListItem) {
		if !i.Bad || i.Name != i.Raw {
			t.Errorf("%+v", i)
		}
	}))
	wait(t, c.Select("bad&name", imap.SelectOptions{ReadOnly: true}))
}

func TestBrokenListFailsOnlyTheCommand(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", `
		C: t1 LIST "" "*"
		S: * LIST (\HasNoChildren "/" a
		S: * LIST () "/" b
		S: t1 OK
		C: t2 NOOP
		S: t2 OK`)
	n := 0
	if _, err := c.List("", "*", imap.ListOptions{}, func(imap.ListItem) { n++ }).Wait(ctxOf(t)); err == nil || n != 1 {
		t.Error("a list that lost a mailbox was taken for whole:", err, n)
	}
	wait(t, c.Noop())
}

func TestSearchAnswers(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", `
		C: t1 UID SEARCH ALL
		S: t1 OK nothing said
		C: t2 UID SEARCH ALL
		S: * SEARCH 9 3 1 2  (MODSEQ 77) 
		S: t2 OK
		C: t3 UID SEARCH ALL
		S: * SEARCH
		S: t3 OK
		C: t4 UID SEARCH ALL
		S: * SEARCH 1 2 x
		S: t4 OK
		C: t5 STATUS "a" (MESSAGES)
		S: t5 OK nothing said
		C: t6 UID SEARCH ALL
		S: * CAPABILITY IMAP4rev1 ESEARCH
		S: t6 NO not now
		C: t7 UID SEARCH RETURN (ALL) ALL
		S: * ESEARCH (TAG "t6") UID ALL 1:5
		S: t7 OK
		C: t8 UID SEARCH RETURN (ALL COUNT) ALL
		S: * ESEARCH (TAG "t8") UID ALL 5,1:3 COUNT 4 MODSEQ 8 XNEW (a)
		S: t8 OK`)
	search := func(ret ...string) (imap.SearchResult, error) {
		return c.UIDSearch("ALL", imap.SearchOptions{Return: ret}).Wait(ctxOf(t))
	}
	if _, err := search(); !errors.Is(err, imap.ErrNoAnswer) {
		t.Error(err)
	}
	if r, err := search(); err != nil || r.All.String() != "1:3,9" || r.ModSeq != 77 || r.Count != 4 || r.Min != 1 || r.Max != 9 {
		t.Error(r, err)
	}
	if r, err := search(); err != nil || !r.All.Empty() || r.Count != 0 {
		t.Error(r, err)
	}
	if r, err := search(); err == nil {
		t.Error("a list with garbage was taken for whole:", r)
	}
	if _, err := c.Status("a", "MESSAGES").Wait(ctxOf(t)); !errors.Is(err, imap.ErrNoAnswer) {
		t.Error(err)
	}
	var e *imap.Error
	if _, err := search(); !errors.As(err, &e) {
		t.Error(err)
	}
	if _, err := search(); !errors.Is(err, imap.ErrNoAnswer) {
		t.Error("another command's answer was taken:", err)
	}
	if r, err := search("ALL", "COUNT"); err != nil || r.All.String() != "1:3,5" || r.Count != 4 || r.ModSeq != 8 {
		t.Error(r, err)
	}
	if _, err := c.UIDSearch("ALL\r\nt9 LOGOUT", imap.SearchOptions{}).Wait(ctxOf(t)); err == nil {
		t.Error("a line end went out in criteria")
	}
}

func TestMoveAndCopyAnswers(t *testing.T) {
	t.Parallel()
	c := scripted(t, "MOVE UIDPLUS CONDSTORE", `
		C: t1 UID MOVE 1:3 "x"
		S: * OK [COPYUID 7 1,3:2 11:13] Moved
		S: * 1 EXPUNGE
		S: t1 OK done
		C: t2 UID COPY 1:3 "x"
		S: t2 OK [COPYUID 7 1:3 11:12] lengths differ
		C: t3 UID COPY 1:3 "x"
		S: t3 OK [COPYUID 7 7:9 11:13] never asked for
		C: t4 UID COPY 1:3 "x"
		S: t4 OK [COPYUID 7 1:4294967295 1:4294967295] too many
		C: t5 UID STORE 1:9 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen)
		S: * 4 FETCH (UID 4 MODSEQ (9))
		S: t5 OK [MODIFIED 2:3,7] Conditional STORE failed
		C: t6 UID STORE 1:9 (UNCHANGEDSINCE 5) -FLAGS (x)
		S: t6 OK [MODIFIED a:b] who knows
		C: t7 UID STORE 1 FLAGS ()
		S: t7 NO [MODIFIED 1] gone`)
	r := wait(t, c.UIDMove(imap.NumRange(1, 3), "x"))
	if !r.Has || !slices.Equal(r.Src, []uint32{1, 2, 3}) || !slices.Equal(r.Dst, []uint32{11, 12, 13}) || r.UIDValidity != 7 {
		t.Errorf("%+v", r)
	}
	for range 3 {
		if r := wait(t, c.UIDCopy(imap.NumRange(1, 3), "x")); r.Has {
			t.Errorf("%+v", r)
		}
	}
	set := imap.NumRange(1, 9)
	s := wait(t, c.UIDStore(set, imap.StoreOptions{Flags: []string{`\Seen`}, Silent: true, UnchangedSince: 5}))
	if s.Modified.String() != "2:3,7" || len(s.Messages) != 1 || s.Messages[0].ModSeq != 9 {
		t.Errorf("%+v", s)
	}
	s = wait(t, c.UIDStore(set, imap.StoreOptions{Mode: imap.Remove, Flags: []string{"x"}, UnchangedSince: 5}))
	if s.Modified.String() != "1:9" {
		t.Errorf("%+v", s)
	}
	s, err := c.UIDStore(imap.NumSetOf(1), imap.StoreOptions{Mode: imap.Replace}).Wait(ctxOf(t))
	if err == nil || s.Modified.String() != "1" {
		t.Error(s, err)
	}
}

func TestVanishedZero(t *testing.T) {
	t.Parallel()
	c := scripted(t, "QRESYNC", `
		C: t1 ENABLE QRESYNC
		S: t1 OK as iCloud says
		C: t2 SELECT "INBOX" (QRESYNC (7 100 1:50))
		S: * 5 EXISTS
		S: * VANISHED (EARLIER) 0:1,9
		S: * 2 FETCH (UID 4 FLAGS (\Seen) MODSEQ (101))
		S: t2 OK [READ-WRITE] ok
		C: t3 UID FETCH 1:4294967295 (UID FLAGS) (CHANGEDSINCE 100 VANISHED)
		S: * VANISHED (EARLIER) 41,43:116
		S: * VANISHED 5
		S: t3 OK`)
	if on := wait(t, c.Enable("QRESYNC")); len(on) != 0 {
		t.Error(on)
	}
	var gone, later imap.NumSet
	var fetched []imap.Message
	c.OnUnsolicited(func(u imap.Unsolicited) { later.AddSet(u.UIDs) })
	wait(t, c.Select("INBOX", imap.SelectOptions{
		QResync:    &imap.QResync{UIDValidity: 7, ModSeq: 100, Known: imap.NumRange(1, 50)},
		OnFetch:    func(m imap.Message) { fetched = append(fetched, m) },
		OnVanished: func(s imap.NumSet, _ bool) { gone.AddSet(s) },
	}))
	if gone.String() != "1,9" || len(fetched) != 1 || fetched[0].ModSeq != 101 {
		t.Error(gone, fetched)
	}
	gone = imap.NumSet{}
	fetchAll(t, c, imap.NumRange(1, 1<<32-1), imap.FetchItems{Flags: true}, imap.FetchOptions{
		ChangedSince: 100, Vanished: true, OnVanished: func(s imap.NumSet, _ bool) { gone.AddSet(s) },
	})
	if gone.String() != "41,43:116" || later.String() != "5" {
		t.Error(gone, later)
	}
}

func TestSelectSwitches(t *testing.T) {
	t.Parallel()
	c := scripted(t, "QRESYNC", `
		C: t1 SELECT "a" (CONDSTORE)
		S: * 1 EXISTS
		S: t1 OK
		C: t2 SELECT "b" (QRESYNC (7 100))
		S: * 9 EXISTS
		S: * 1 FETCH (UID 1 FLAGS (old))
		S: * VANISHED 8
		S: * OK [CLOSED] a
		S: * 5 EXISTS
		S: * VANISHED (EARLIER) 9
		S: * 2 FETCH (UID 4 FLAGS (new) MODSEQ (101))
		S: t2 OK
		C: t3 SELECT "c" (QRESYNC (7 100))
		S: * 2 FETCH (UID 4 FLAGS (whose) MODSEQ (101))
		S: t3 OK
		C: t4 SELECT "d" (QRESYNC (7 100))
		S: * 2 FETCH (UID 4 FLAGS (fine) MODSEQ (101))
		S: t4 OK`)
	wait(t, c.Select("a", imap.SelectOptions{Condstore: true}))
	var flags []string
	var gone imap.NumSet
	o := imap.SelectOptions{
		QResync:    &imap.QResync{UIDValidity: 7, ModSeq: 100},
		OnFetch:    func(m imap.Message) { flags = append(flags, m.Flags...) },
		OnVanished: func(s imap.NumSet, _ bool) { gone.AddSet(s) },
	}
	if s := wait(t, c.Select("b", o)); s.Exists != 5 || !slices.Equal(flags, []string{"new"}) || gone.String() != "9" {
		t.Error(s, flags, gone)
	}
	if _, err := c.Select("c", o).Wait(ctxOf(t)); err == nil {
		t.Error("changes of who knows which mailbox were taken")
	}
	if wait(t, c.Select("d", o)); !slices.Equal(flags, []string{"new", "fine"}) {
		t.Error(flags)
	}
}
