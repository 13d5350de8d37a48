package imapstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

func key(uids ...uint32) []mail.Key {
	keys := make([]mail.Key, len(uids))
	for i, uid := range uids {
		keys[i] = mail.UIDKey(uid)
	}
	return keys
}

func entries(uids ...uint32) []mail.Entry {
	list := make([]mail.Entry, len(uids))
	for i, uid := range uids {
		list[i].Key = mail.UIDKey(uid)
	}
	return list
}

// TestExpungeThatDidNot: Dovecot says OK to UID EXPUNGE although it did not see the mark that was set in the same flight.
func TestExpungeThatDidNot(t *testing.T) {
	t.Parallel()
	begin := opened("t3", 7, 12, 3) + `
		C: t4 UID STORE 4,9 +FLAGS.SILENT (\Deleted)
		C: t5 UID EXPUNGE 4,9
		S: t4 OK
		S: * VANISHED 4
		S: t5 OK
		C~ t6 UID SEARCH .*UID 9
	`
	for rest, want := range map[string]int{
		"S: * SEARCH\nS: t6 OK": 0,
		"S: * SEARCH 9\nS: t6 OK\nC: t7 UID STORE 9 +FLAGS.SILENT (\\Deleted)\nS: t7 OK\nC: t8 UID EXPUNGE 9\nS: * VANISHED 9\nS: t8 OK\n" +
			"C~ t9 UID SEARCH .*\nS: * SEARCH\nS: t9 OK": 0,
		"S: * SEARCH 9\nS: t6 OK\nC: t7 UID STORE 9 +FLAGS.SILENT (\\Deleted)\nS: t7 OK\nC: t8 UID EXPUNGE 9\nS: t8 OK\n" +
			"C~ t9 UID SEARCH .*\nS: * SEARCH 9\nS: t9 OK": 1,
	} {
		s := scripted(t, "UIDPLUS ENABLE QRESYNC CONDSTORE", begin+rest, nil)
		if left, err := s.Delete(t.Context(), "B", entries(4, 9)); err != nil || len(left) != want {
			t.Errorf("%s: left %q, %v", rest, left, err)
		}
	}
}

// TestDeleteWithoutUIDPLUS: messages are only marked, unless plain EXPUNGE is permitted and would remove no other.
// It guards rule 11 of DESIGN.md section 4.
func TestDeleteWithoutUIDPLUS(t *testing.T) {
	t.Parallel()
	marks := opened("t2", 7, 12, 3) + `
		C: t3 UID STORE 4,9 +FLAGS.SILENT (\Deleted)
		S: t3 OK
		C: t4 UID SEARCH DELETED
		S: * SEARCH %s
		S: t4 OK
	`
	plain := func(c *Config) { c.Expunge = ExpungePlain }
	for name, x := range map[string]struct {
		deleted    string // as the server tells
		transcript string // that follows
		adjust     func(*Config)
		left       []mail.Key
	}{
		"marked":               {"9 4 2", "", nil, key(4, 9)},
		"one was gone":         {"9", "", nil, key(9)},
		"plain":                {"9 4", "C: t5 EXPUNGE\nS: * 2 EXPUNGE\nS: * 1 EXPUNGE\nS: t5 OK", plain, nil},
		"plain, others marked": {"9 4 5", "", plain, key(4, 9)},
		"plain, all were gone": {"", "", plain, nil},
		"trash":                {"9 4", "", func(c *Config) { c.DeleteTo = "Trash" }, key(4, 9)},
		"trash, plain":         {"9 4", "", func(c *Config) { c.DeleteTo, c.Expunge = "Trash", ExpungePlain }, key(4, 9)},
		"in trash":             {"9 4", "", func(c *Config) { c.DeleteTo = "B" }, key(4, 9)},
	} {
		s := scripted(t, "", fmt.Sprintf(marks, x.deleted)+x.transcript, x.adjust)
		if left, err := s.Delete(t.Context(), "B", entries(4, 9)); err != nil || !slices.Equal(left, x.left) {
			t.Errorf("%s: left %q, %v", name, left, err)
		}
	}
}

// TestTrash: deleted messages move there, and it is made if need be.
func TestTrash(t *testing.T) {
	t.Parallel()
	trash := func(c *Config) { c.DeleteTo = "Trash" }
	s := scripted(t, "MOVE", opened("t2", 7, 12, 3)+`
		C: t3 UID MOVE 4 "Trash"
		S: t3 NO [TRYCREATE] none
		C: t4 CREATE "Trash"
		S: t4 OK
		C: t5 UID MOVE 4 "Trash"
		S: * 1 EXPUNGE
		S: t5 OK`, trash)
	if left, err := s.Delete(t.Context(), "B", entries(4)); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
	s = scripted(t, "UIDPLUS", opened("t2", 7, 12, 3)+`
		C: t3 UID COPY 4,9 "Trash"
		S: t3 OK
		C: t4 UID STORE 4,9 +FLAGS.SILENT (\Deleted)
		C: t5 UID EXPUNGE 4,9
		S: t4 OK
		S: t5 OK
		C: t6 UID SEARCH UID 4,9
		S: * SEARCH
		S: t6 OK`, trash)
	if left, err := s.Delete(t.Context(), "B", entries(4, 9)); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
	s = scripted(t, "UIDPLUS", opened("t2", 7, 12, 3)+"C: t3 UID COPY 4,9 \"Trash\"\nS: t3 NO full"+opened("t4", 7, 12, 3), trash)
	if _, err := s.Delete(t.Context(), "B", entries(4, 9)); err == nil {
		t.Error("messages that could not be copied: no error")
	}
}

// TestTrashByRole: the mailbox with the role is the trash, else the one that is called so, else a new one.
func TestTrashByRole(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		`(\Trash) Papierkorb, () Trash`: "Papierkorb",
		`() TRASH`:                      "TRASH",
		`() Sent`:                       "Trash",
		`(\Trash) B`:                    "", // messages of it go for good
	} {
		listed := "C~ t2 LIST .*\n"
		for item := range strings.SplitSeq(list, ", ") {
			attrs, name, _ := strings.Cut(item, " ")
			listed += fmt.Sprintf("S: * LIST %s \"/\" %q\nS: * STATUS %q (MESSAGES 3 UIDNEXT 12 UIDVALIDITY 7)\n", attrs, name, name)
		}
		end := "C: t4 UID MOVE 4 \"" + want + "\"\nS: * 1 EXPUNGE\nS: t4 OK"
		if want == "" {
			end = `
				C: t4 UID STORE 4 +FLAGS.SILENT (\Deleted)
				C: t5 UID EXPUNGE 4
				S: t4 OK
				S: t5 OK
				C: t6 UID SEARCH UID 4
				S: * SEARCH
				S: t6 OK`
		}
		s := scripted(t, "MOVE UIDPLUS SPECIAL-USE LIST-EXTENDED LIST-STATUS", listed+"S: t2 OK\n"+opened("t3", 7, 12, 3)+end, func(c *Config) { c.DeleteTo = `\Trash` })
		if left, err := s.Delete(t.Context(), "B", entries(4)); err != nil || len(left) > 0 {
			t.Errorf("%s: left %q, %v", list, left, err)
		}
	}
}

// TestMoveWithoutMeans: what cannot be removed from its source is not moved.
func TestMoveWithoutMeans(t *testing.T) {
	t.Parallel()
	in := []mail.Intent{{From: mail.Ref{Box: "A", Key: mail.UIDKey(4)}, Box: "B", Token: token(7, 100), Kind: mail.IntentMove}}
	plain := func(c *Config) { c.Expunge = ExpungePlain }
	s := scripted(t, "", opened("t2", 3, 12, 3), nil)
	if done, err := s.Move(t.Context(), "A", in, false); err != nil || !errors.Is(done[0].Err, store.ErrRefused) {
		t.Errorf("%v, %v", done, err)
	}
	s = scripted(t, "", opened("t2", 3, 12, 3)+"C: t3 UID SEARCH DELETED\nS: * SEARCH 5\nS: t3 OK", plain)
	if done, err := s.Move(t.Context(), "A", in, false); err != nil || !errors.Is(done[0].Err, store.ErrRefused) {
		t.Errorf("%v, %v", done, err)
	}
	s = scripted(t, "", opened("t2", 3, 12, 3)+`
		C: t3 UID SEARCH DELETED
		S: * SEARCH
		S: t3 OK
		C: t4 UID COPY 4 "B"
		S: t4 OK
		C: t5 UID STORE 4 +FLAGS.SILENT (\Deleted)
		S: t5 OK
		C: t6 UID SEARCH DELETED
		S: * SEARCH 4
		S: t6 OK
		C: t7 EXPUNGE
		S: * 1 EXPUNGE
		S: t7 OK`, plain)
	if done, err := s.Move(t.Context(), "A", in, false); err != nil || done[0].Err != nil || done[0].Key != "" {
		t.Errorf("%v, %v", done, err)
	}
}

// TestDeleteBoxAside: a message that came before the mailbox was out of the way brings it back.
func TestDeleteBoxAside(t *testing.T) {
	t.Parallel()
	now := func(c *Config) { c.Now = func() time.Time { return time.Unix(0, 42) } }
	s := scripted(t, "", `
		C: t2 STATUS "B" (MESSAGES)
		S: * STATUS "B" (MESSAGES 0)
		S: t2 OK
		C: t3 LIST "" "B/*"
		S: t3 OK
		C: t4 RENAME "B" "B-mailtwin-42"
		S: t4 OK
		C: t5 STATUS "B-mailtwin-42" (MESSAGES)
		S: * STATUS "B-mailtwin-42" (MESSAGES 1)
		S: t5 OK
		C: t6 RENAME "B-mailtwin-42" "B"
		S: t6 OK`, now)
	if err := s.DeleteBox(t.Context(), "B"); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("%v, want ErrNotEmpty", err)
	}
	s = scripted(t, "", `
		C: t2 STATUS "B" (MESSAGES)
		S: * STATUS "B" (MESSAGES 0)
		S: t2 OK
		C: t3 LIST "" "B/*"
		S: * LIST () "/" "B/below"
		S: t3 OK
		C: t4 STATUS "B" (MESSAGES)
		S: * STATUS "B" (MESSAGES 0)
		S: t4 OK
		C: t5 DELETE "B"
		S: t5 OK
		C: t6 UNSUBSCRIBE "B"
		S: t6 NO not subscribed`, now)
	if err := s.DeleteBox(t.Context(), "B"); err != nil {
		t.Error(err)
	}
}

// TestInboxStays: RENAME of INBOX would move its messages and leave it there.
func TestInboxStays(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", "", nil)
	for what, err := range map[string]error{
		"delete": s.DeleteBox(t.Context(), mail.Inbox),
		"rename": s.RenameBox(t.Context(), mail.Inbox, "X"),
		"create": s.CreateBox(t.Context(), "", ""),
		"name":   s.CreateBox(t.Context(), "a%2Fb", ""),
	} {
		if err == nil || errors.Is(err, store.ErrUnreachable) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestRoleNotToBeHad: the mailbox is made without its role.
func TestRoleNotToBeHad(t *testing.T) {
	t.Parallel()
	s := scripted(t, "CREATE-SPECIAL-USE", `
		C: t2 CREATE "Sent" (USE (\Sent))
		S: t2 NO [USEATTR] no
		C: t3 LIST "" "Sent"
		S: t3 OK
		C: t4 CREATE "Sent"
		S: t4 OK
		C: t5 SUBSCRIBE "Sent"
		S: t5 NO whatever`, nil)
	if err := s.CreateBox(t.Context(), "Sent", `\Sent`); err != nil {
		t.Error(err)
	}
}

// TestReadOnly: mailboxes are opened with EXAMINE, and no effect gets as far as the server.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", `
		C: t2 EXAMINE "B"
		S: * 0 EXISTS
		S: * OK [UIDVALIDITY 7] v
		S: * OK [PERMANENTFLAGS ()] none
		S: t2 OK [READ-ONLY] open`, func(c *Config) { c.ReadOnly = true })
	if got, head, _ := shown(t, s, ""); got != "whole" || head.ReadOnly || head.Storable != mail.AnyFlags {
		t.Errorf("%s, %+v", got, head)
	}
	_, put := s.Put(t.Context(), "B", puts(1, 7, 1), bodies(t, "one"))
	_, move := s.Move(t.Context(), "B", puts(1, 7, 1), true)
	_, set := s.SetFlags(t.Context(), "B", key(1), mail.Flags{System: mail.Seen}, mail.Flags{})
	_, del := s.Delete(t.Context(), "B", entries(1))
	for i, err := range []error{put, move, set, del, s.CreateBox(t.Context(), "C", ""), s.DeleteBox(t.Context(), "B"), s.RenameBox(t.Context(), "B", "C")} {
		if !errors.Is(err, store.ErrReadOnly) {
			t.Errorf("effect %d: %v", i, err)
		}
	}
}

// TestFlagsThatCannotBeHeld are told, and not sent.
func TestFlagsThatCannotBeHeld(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", opened("t2", 7, 12, 3, `S: * OK [PERMANENTFLAGS (\Seen \Flagged work)] some`)+`
		C: t3 UID STORE 4:5 +FLAGS.SILENT (\Seen work)
		C: t4 UID STORE 4:5 -FLAGS.SILENT (\Flagged)
		S: t3 OK
		S: t4 OK`, nil)
	add := mail.Flags{System: mail.Seen | mail.Draft, Keywords: mail.Keywords("work", "play", "gr\u00fc\u00df", "a(b")}
	did, err := s.SetFlags(t.Context(), "B", key(5, 4), add, mail.Flags{System: mail.Flagged | mail.Answered})
	if want := (mail.Flags{System: mail.Draft, Keywords: mail.Keywords("play", "gr\u00fc\u00df", "a(b")}); err != nil || !did.Lacks.Equal(want) {
		t.Errorf("lacks %v, %v", did.Lacks, err)
	}
}

// TestLateArrival: what the first look does not find the second may (rule 6); another epoch has nothing.
func TestLateArrival(t *testing.T) {
	t.Parallel()
	found := `S- "* 3 FETCH (UID 12 RFC822.SIZE 30 BODY[HEADER.FIELDS (MESSAGE-ID)] {21}\r\nMessage-ID: <a@b>\r\n\r\n)\r\n"` + "\n"
	s := scripted(t, "", opened("t2", 7, 12, 2)+opened("t3", 7, 13, 3)+"C~ t4 UID FETCH 12:4294967295 .*\n"+found+"S: t4 OK\n", nil)
	in := []mail.Intent{
		{Box: "B", Token: token(7, 12), Entry: mail.Entry{Ident: mail.Ident{MessageID: mail.HashMessageID("<a@b>"), Size: 30}}},
		{Box: "B", Token: token(6, 12), Entry: mail.Entry{Ident: mail.Ident{MessageID: mail.HashMessageID("<a@b>"), Size: 30}}},
	}
	done, err := s.Settle(t.Context(), in, nil)
	if err != nil || !slices.Equal(uids(done), []uint32{12, 0}) {
		t.Errorf("%v, %v", uids(done), err)
	}
}

// TestSettleByDigest: of two messages with one Message-ID the one with the digest is it, and none if no digest fits (DESIGN.md section
// 4, rule 6).
func TestSettleByDigest(t *testing.T) {
	t.Parallel()
	const one, two = "Message-ID: <a@b>\r\n\r\none\r\n", "Message-ID: <a@b>\r\n\r\ntwo\r\n"
	header := func(n, uid int) string {
		return fmt.Sprintf("S- \"* %d FETCH (UID %d RFC822.SIZE 26 BODY[HEADER.FIELDS (MESSAGE-ID)] {21}\\r\\nMessage-ID: <a@b>\\r\\n\\r\\n)\\r\\n\"\n", n, uid)
	}
	body := func(n, uid int, text string) string {
		return fmt.Sprintf("S- %q\n", fmt.Sprintf("* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n", n, uid, len(text), text))
	}
	for text, want := range map[string]uint32{two: 13, "Message-ID: <a@b>\r\n\r\nsix\r\n": 0} {
		look := func(tag int) string {
			return opened(fmt.Sprintf("t%d", tag), 7, 14, 2) + fmt.Sprintf("C~ t%d UID FETCH 12:4294967295 .*\n", tag+1) + header(1, 12) + header(2, 13) +
				fmt.Sprintf("S: t%d OK\nC~ t%d UID FETCH 12:13 .*\n", tag+1, tag+2) + body(1, 12, one) + body(2, 13, two) + fmt.Sprintf("S: t%d OK\n", tag+2)
		}
		script := look(2)
		if want == 0 {
			script += look(5)
		}
		d := mail.NewDigester()
		_, _ = d.Write([]byte(text))
		s := scripted(t, "", script, nil)
		done, err := s.Settle(t.Context(), []mail.Intent{{Box: "B", Token: token(7, 12), Entry: mail.Entry{Ident: d.Ident()}}}, nil)
		if err != nil || uids(done)[0] != want {
			t.Errorf("%v, %v; want %d", uids(done), err, want)
		}
	}
}

// TestSettleOwnNext: a message that was there before an upload is not what it made (DESIGN.md section 4, rule 6).
func TestSettleOwnNext(t *testing.T) {
	t.Parallel()
	look := func(tag int) string {
		return opened(fmt.Sprintf("t%d", tag), 7, 15, 1) + fmt.Sprintf("C~ t%d UID FETCH 12:4294967295 .*\n", tag+1) +
			`S- "* 1 FETCH (UID 13 RFC822.SIZE 30 BODY[HEADER.FIELDS (MESSAGE-ID)] {21}\r\nMessage-ID: <a@b>\r\n\r\n)\r\n"` + fmt.Sprintf("\nS: t%d OK\n", tag+1)
	}
	s := scripted(t, "", look(2)+look(4), nil)
	var in []mail.Intent
	for next, id := range map[uint32]string{12: "<c@d>", 14: "<a@b>"} {
		in = append(in, mail.Intent{Box: "B", Token: token(7, next), Entry: mail.Entry{Ident: mail.Ident{MessageID: mail.HashMessageID(id), Size: 30}}})
	}
	if done, err := s.Settle(t.Context(), in, nil); err != nil || !slices.Equal(uids(done), []uint32{0, 0}) {
		t.Errorf("%v, %v", uids(done), err)
	}
}

// TestSettledLacks: a message that is found again lacks what the mailbox cannot hold, else the next view shows these flags as removed,
// and they are removed on the other side (DESIGN.md section 4, rule 11).
func TestSettledLacks(t *testing.T) {
	t.Parallel()
	found := `S- "* 1 FETCH (UID 12 RFC822.SIZE 30 BODY[HEADER.FIELDS (MESSAGE-ID)] {21}\r\nMessage-ID: <a@b>\r\n\r\n)\r\n"` + "\n"
	s := scripted(t, "", opened("t2", 7, 13, 1, `S: * OK [PERMANENTFLAGS (\Seen)] some`)+"C~ t3 UID FETCH 12:4294967295 .*\n"+found+"S: t3 OK\n", nil)
	e := mail.Entry{Flags: mail.Flags{System: mail.Seen | mail.Flagged, Keywords: "work"}, Ident: mail.Ident{MessageID: mail.HashMessageID("<a@b>"), Size: 30}}
	done, err := s.Settle(t.Context(), []mail.Intent{{Box: "B", Token: token(7, 12), Entry: e}}, nil)
	if want := (mail.Flags{System: mail.Flagged, Keywords: "work"}); err != nil || done[0].Key == "" || !done[0].Lacks.Equal(want) {
		t.Errorf("%v, %v", done, err)
	}
}

// TestWildcardsInNames: wildcards in names must not bring other mailboxes into play.
func TestWildcardsInNames(t *testing.T) {
	t.Parallel()
	s := scripted(t, "", `
		C: t2 SELECT "a*b"
		S: t2 NO what
		C: t3 LIST "" "a*b"
		S: * LIST () "/" "axb"
		S: t3 OK`, nil)
	if _, err := s.View(t.Context(), "a*b", ""); !errors.Is(err, store.ErrGone) {
		t.Errorf("%v, want ErrGone", err)
	}
}
