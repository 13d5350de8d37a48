package memstore

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

func marks(t *testing.T, s *Store) map[mail.Box]mail.Mark {
	t.Helper()
	list, err := s.Boxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := map[mail.Box]mail.Mark{}
	for _, st := range list {
		m[st.Box] = st.Mark
	}
	return m
}

// TestUserKeys: which keys stay and which change when a user moves, edits and renames.
func TestUserKeys(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{IMAP, Maildir} {
		s, k := opened(t, Options{Kind: kind, StableIDs: true}, 6)
		before := s.Dump()
		stays := kind == Maildir
		if got := s.MoveUser("A", k[0], "B"); (got == k[0]) != stays && kind == Maildir {
			t.Errorf("kind %v: moved %q to %q", kind, k[0], got)
		}
		if got := s.Edit("A", k[1], text(77)); (got == k[1]) != stays {
			t.Errorf("kind %v: edited %q as %q", kind, k[1], got)
		}
		if got := s.Rekey("A", k[2]); got == k[2] || got == "" {
			t.Errorf("kind %v: renamed %q to %q", kind, k[2], got)
		}
		if got := s.CopyUser("A", k[3], "C"); got == "" || !s.HasBox("C") {
			t.Errorf("kind %v: copied as %q", kind, got)
		}
		s.DeleteUser("A", k[4])
		s.SetFlagsUser("A", k[5], mail.Flags{System: mail.Seen}, mail.Flags{})
		if s.MoveUser("A", "none", "B") != "" || s.CopyUser("X", k[0], "B") != "" || s.Edit("A", "", nil) != "" {
			t.Error("something happened to nothing")
		}
		want := Difference(before, s.Dump())
		if got := strings.Count(want, "\n"); got != 2+2+0+1+1+2 {
			t.Errorf("kind %v: the difference is\n%s", kind, want)
		}
	}
}

// TestEdit: an edit changes the stamp, and the mark unless edits are quiet.
func TestEdit(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		s, k := opened(t, Options{Kind: Maildir, QuietEdits: quiet}, 1)
		before, mark := s.Dump()[0], marks(t, s)["A"]
		s.Edit("A", k[0], text(1))
		if after := s.Dump()[0]; after.Stamp == before.Stamp || after.Ident.Digest == before.Ident.Digest {
			t.Errorf("edited %+v, was %+v", after, before)
		}
		if same := marks(t, s)["A"] == mark; same != quiet {
			t.Errorf("quiet %v: the mark stays: %v", quiet, same)
		}
	}
}

// TestBoxesUser: users make, rename and remove mailboxes with all that is in them.
func TestBoxesUser(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, Options{CaseInsensitive: true}, 2)
	s.Deliver("a/Sub", mail.Flags{}, text(9), 9)
	s.CreateUser("SENT", `\Sent`)
	if !s.RenameUser("A", "Z") || s.HasBox("A") || !s.HasBox("z/sub") || len(s.Dump()) != 3 {
		t.Errorf("renamed: %q", s.Names())
	}
	for _, to := range []mail.Box{"b", "Z/In", "", "sent"} {
		if s.RenameUser("Z", to) {
			t.Errorf("renamed to %q", to)
		}
	}
	if s.RenameUser("none", "some") || s.RenameUser(mail.Inbox, "some") {
		t.Error("renamed what is not there, or INBOX")
	}
	s.RemoveBox("Z")
	s.RemoveBox(mail.Inbox)
	if s.HasBox("Z") || !s.HasBox("INBOX") || len(s.Dump()) != 1 {
		t.Errorf("removed: %q", s.Names())
	}
	s.SetReadOnly("B", true)
	s.Spoil("Sent", errStop)
	ctx := t.Context()
	intents, bodies := batch(t, s, "B", 1)
	if _, err := s.Put(ctx, "B", intents, bodies); !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("put into a read-only mailbox: %v", err)
	}
	if v, err := s.View(ctx, "B", ""); err != nil || !v.At().ReadOnly {
		t.Errorf("view of a read-only mailbox: %v", err)
	}
	if _, err := s.View(ctx, "Sent", ""); !errors.Is(err, errStop) {
		t.Errorf("view of a spoiled mailbox: %v", err)
	}
	list, err := s.Boxes(ctx)
	if err != nil || len(list) != 4 || !errors.Is(list[2].Err, errStop) {
		t.Errorf("list: %+v, %v", list, err)
	}
}

// TestStorable: what a mailbox cannot hold is told, and not held, whoever sets it.
func TestStorable(t *testing.T) {
	t.Parallel()
	s, k := opened(t, Options{Storable: mail.Storable{Flags: mail.Flags{System: mail.Seen, Keywords: "Work"}}}, 1)
	all := mail.Flags{System: mail.AllSystem, Keywords: "Play Work"}
	held := mail.Flags{System: mail.Seen, Keywords: "Work"}
	did, err := s.SetFlags(t.Context(), "A", k, all, mail.Flags{})
	if err != nil || !did.Lacks.Equal(all.Minus(held)) || !s.Dump()[0].Flags.Equal(held) {
		t.Errorf("set %v, lacks %v, %v", s.Dump()[0].Flags, did.Lacks, err)
	}
	s.Deliver("B", all, text(1), 1)
	s.SetFlagsUser("B", mail.UIDKey(1), all, mail.Flags{})
	if got := s.Dump()[1].Flags; !got.Equal(held) {
		t.Errorf("delivered with %v", got)
	}
}

// TestTrash: Delete moves to trash, and for good from there; the attic keeps that.
func TestTrash(t *testing.T) {
	t.Parallel()
	s, k := opened(t, Options{Trash: "Trash", Attic: true}, 1)
	del := func(box mail.Box, k mail.Key) {
		if _, err := s.Delete(t.Context(), box, []mail.Entry{{Key: k}}); err != nil {
			t.Error(err)
		}
	}
	del("A", k[0])
	if d := s.Dump(); len(d) != 1 || d[0].Box != "Trash" || len(s.Attic()) != 0 {
		t.Fatalf("deleted: %v", d)
	}
	del("Trash", s.Dump()[0].Key)
	if a := s.Attic(); len(s.Dump()) != 0 || len(a) != 1 || string(a[0].Data) != string(text(0)) {
		t.Errorf("the attic has %v", a)
	}
}

// TestLimit: a server that shows a part says so.
func TestLimit(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, Options{Limit: 2}, 5)
	g, _ := s.Hello(t.Context(), "")
	v, err := s.View(t.Context(), "A", "")
	w, ok := v.(mail.Whole)
	if err != nil || !ok || w.Total != 5 || !g.Caps.Partial {
		t.Fatalf("view %T, %v, caps %+v", v, err, g.Caps)
	}
	var keys []mail.Key
	for e := range w.All {
		keys = append(keys, e.Key)
	}
	if len(keys) != 2 || keys[0] != mail.UIDKey(4) {
		t.Errorf("shows %q", keys)
	}
}

// TestPowerCut: what users did and no one secured is undone; what was secured, or is an effect, stays.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	s, k := opened(t, Options{Kind: Maildir}, 8)
	ctx := t.Context()
	if err := s.Secure(ctx, "A", k); err != nil {
		t.Fatal(err)
	}
	before := s.Dump()
	seen := mail.Flags{System: mail.Seen}
	s.Deliver("A", seen, text(50), 50)
	s.DeleteUser("A", k[0])
	s.MoveUser("A", k[1], "B")
	s.SetFlagsUser("A", k[2], seen, mail.Flags{})
	s.Edit("A", k[3], text(53))
	s.Rekey("A", k[4])
	s.CopyUser("A", k[5], "B")
	c := s.Clone()
	c.PowerCut()
	if d := Difference(before, c.Dump()); d != "" {
		t.Errorf("after the power cut:\n%s", d)
	}
	after := s.Dump()
	for _, box := range []mail.Box{"A", "B"} {
		keys := k
		for _, m := range after {
			keys = append(keys, m.Key)
		}
		if err := s.Secure(ctx, box, keys); err != nil {
			t.Fatal(err)
		}
	}
	intents, bodies := batch(t, s, "B", 1)
	_, err := s.Put(ctx, "B", intents, bodies)
	s.SetFlagsUser("A", k[6], seen, mail.Flags{})
	_, err2 := s.SetFlags(ctx, "A", k[6:7], mail.Flags{System: mail.Flagged}, mail.Flags{})
	_, err3 := s.Delete(ctx, "A", []mail.Entry{{Key: k[7]}})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	after = s.Dump()
	s.PowerCut()
	if d := Difference(after, s.Dump()); d != "" {
		t.Errorf("secured, but after the power cut:\n%s", d)
	}
	if _, err := s.Boxes(ctx); !errors.Is(err, errClosed) {
		t.Errorf("the session goes on: %v", err)
	}
}

// TestRestore: a backup comes back as it was, and no number comes twice.
func TestRestore(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{IMAP, Maildir} {
		s, k := opened(t, Options{Kind: kind, Delta: true}, 4)
		s.SetMarker("root", 5)
		backup, before, old := s.Snapshot(), s.Dump(), marks(t, s)
		fresh := s.Deliver("A", mail.Flags{}, text(10), 10)
		s.DeleteUser("A", k[0])
		s.SetMarker("root", 6)
		later := marks(t, s)
		s.Restore(backup)
		if d := Difference(before, s.Dump()); d != "" {
			t.Errorf("kind %v: restored:\n%s", kind, d)
		}
		g, _ := s.Hello(t.Context(), "")
		if kind == Maildir && g.Run != 5 {
			t.Errorf("run %d, want that of the backup", g.Run)
		}
		if m := marks(t, s); m["A"] == later["A"] || m["A"] == old["A"] || m["B"] != old["B"] {
			t.Errorf("kind %v: marks %q, in the backup %q, later %q", kind, m, old, later)
		}
		for _, mark := range []mail.Mark{old["A"], later["A"]} {
			if v, err := s.View(t.Context(), "A", mark); err != nil {
				t.Error(err)
			} else if _, ok := v.(mail.Whole); !ok {
				t.Errorf("kind %v: %T since a mark that is void", kind, v)
			}
		}
		if again := s.Deliver("A", mail.Flags{}, text(11), 11); again == fresh {
			t.Errorf("kind %v: key %q comes twice", kind, again)
		}
		s.Restore(backup)
		if d := Difference(before, s.Dump()); d != "" {
			t.Errorf("kind %v: restored again:\n%s", kind, d)
		}
	}
}

// TestClone: the same calls do the same to a store and its clone, and nothing to the other.
func TestClone(t *testing.T) {
	t.Parallel()
	s, k := opened(t, Options{Kind: Maildir}, 3)
	c := s.Clone()
	if s.Deliver("A", mail.Flags{}, text(7), 7) != c.Deliver("A", mail.Flags{}, text(7), 7) {
		t.Error("different keys")
	}
	c.DeleteUser("A", k[0])
	if len(s.Dump()) != 4 || len(c.Dump()) != 3 {
		t.Errorf("%d and %d messages, want 4 and 3", len(s.Dump()), len(c.Dump()))
	}
}

// BenchmarkHistory is a random history of a user, with a store that is asked what is new in between.
func BenchmarkHistory(b *testing.B) {
	b.ReportAllocs()
	data := text(1)
	for b.Loop() {
		s := New(Options{Delta: true})
		_, _ = s.Hello(b.Context(), "")
		r := rand.New(rand.NewPCG(1, 1))
		var keys []mail.Key
		var mark mail.Mark
		for i := range 50 {
			switch {
			case len(keys) == 0 || r.IntN(3) == 0:
				keys = append(keys, s.Deliver(mail.Inbox, mail.Flags{}, data, 1))
			case r.IntN(2) == 0:
				s.SetFlagsUser(mail.Inbox, keys[r.IntN(len(keys))], mail.Flags{System: mail.Seen}, mail.Flags{})
			default:
				s.DeleteUser(mail.Inbox, keys[r.IntN(len(keys))])
			}
			if i%10 == 9 {
				mark, _ = viewed(b.Context(), s, mail.Inbox, mark)
			}
		}
	}
}
