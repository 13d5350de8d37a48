package storetest

import (
	"errors"
	"strings"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

func testCreateDelete(f *fixture) {
	role := ""
	if f.Roles {
		role = `\Sent`
	}
	f.must(f.s.CreateBox(f.ctx, "Made", role), "create mailbox")
	f.must(f.s.CreateBox(f.ctx, "Made", role), "create mailbox that exists")
	if st := f.status("Made"); st.Role != role {
		f.Errorf("role %q, want %q", st.Role, role)
	}
	f.whole("Made")
	m := f.message(0)
	f.put("Made", m)
	f.must(f.s.CreateBox(f.ctx, "Made", ""), "create mailbox that has messages")
	f.holds("Made", m)
	f.must(f.s.CreateBox(f.ctx, "Other", ""), "create mailbox")
	f.must(f.s.DeleteBox(f.ctx, "Other"), "delete mailbox")
	if _, there := f.boxes()["Other"]; there {
		f.Error("the deleted mailbox is listed")
	}
	if _, err := f.s.View(f.ctx, "Other", ""); !errors.Is(err, store.ErrGone) {
		f.Errorf("view of the deleted mailbox: %v, want ErrGone", err)
	}
	f.must(f.s.CreateBox(f.ctx, "Other", ""), "create mailbox again")
	if v := f.whole("Other"); len(v.entries) > 0 {
		f.Errorf("the new mailbox has %v", v.entries)
	}
}

// testNotEmpty: nothing that holds messages is removed, nor is anything below.
func testNotEmpty(f *fixture) {
	m := f.message(mail.Seen)
	f.box("Full")
	f.put("Full", m)
	if err := f.s.DeleteBox(f.ctx, "Full"); !errors.Is(err, store.ErrNotEmpty) {
		f.Errorf("delete mailbox with a message: %v, want ErrNotEmpty", err)
	}
	f.holds("Full", m)
	f.must(f.s.CreateBox(f.ctx, "Top", ""), "create mailbox")
	f.must(f.s.CreateBox(f.ctx, "Top/Sub", ""), "create mailbox")
	f.put("Top/Sub", m)
	if err := f.s.DeleteBox(f.ctx, "Top"); err != nil { // it may be refused, it may become a mere name
		f.Logf("delete mailbox above another: %v", err)
	}
	f.holds("Top/Sub", m)
	f.status("Top/Sub")
	f.whole("Top/Sub")
}

// testRename: a mailbox takes its messages and what is below it along.
func testRename(f *fixture) {
	boxes := []mail.Box{"From", "From/Sub", "From/Sub/Deep", "Fromage"}
	var msgs []Message
	for _, box := range boxes {
		f.must(f.s.CreateBox(f.ctx, box, ""), "create mailbox")
		m := f.message(mail.Flagged)
		f.put(box, m)
		msgs = append(msgs, m)
	}
	f.must(f.s.RenameBox(f.ctx, "From", "To there"), "rename mailbox")
	f.holds("To there", msgs[0])
	f.holds("To there/Sub", msgs[1])
	f.holds("To there/Sub/Deep", msgs[2])
	f.holds("Fromage", msgs[3])
	list := f.boxes()
	for _, box := range boxes[:3] {
		if _, there := list[box]; there {
			f.Errorf("mailbox %q is still listed", box)
		}
	}
	for _, box := range []mail.Box{"To there", "To there/Sub", "To there/Sub/Deep", "Fromage"} {
		f.status(box)
		f.whole(box)
	}
}

// testRenameKeeps: what was seen of a mailbox holds for it under its new name too, also where that has parents that no one made yet.
func testRenameKeeps(f *fixture) {
	from, to := mail.Box("Old name"), mail.Box("New parent/New name")
	f.must(f.s.CreateBox(f.ctx, from, ""), "create mailbox")
	f.put(from, f.message(0), f.message(mail.Seen))
	f.put(from, f.message(mail.Flagged))
	before := f.status(from)
	seen := f.whole(from)
	f.must(f.s.RenameBox(f.ctx, from, to), "rename mailbox")
	after := f.status(to)
	if after.Epoch != before.Epoch {
		f.Errorf("epoch %q became %q", before.Epoch, after.Epoch)
	}
	if f.Marks && after.Mark != before.Mark {
		f.Errorf("mark %q became %q", before.Mark, after.Mark)
	}
	now := f.whole(to)
	if now.Epoch != seen.Epoch || now.ID != seen.ID {
		f.Errorf("epoch %q and id %q became %q and %q", seen.Epoch, seen.ID, now.Epoch, now.ID)
	}
	for i := range seen.entries {
		if i >= len(now.entries) || now.entries[i].Key != seen.entries[i].Key {
			f.Fatalf("messages %v became %v", seen.entries, now.entries)
		}
	}
	if _, err := f.s.View(f.ctx, from, ""); !errors.Is(err, store.ErrGone) {
		f.Errorf("view under the old name: %v, want ErrGone", err)
	}
	f.must(f.s.CreateBox(f.ctx, from, ""), "create a mailbox of the old name")
	if v := f.whole(from); len(v.entries) > 0 {
		f.Errorf("the new mailbox of the old name has %v", v.entries)
	}
	f.put(from, f.message(0))
}

// testRenameRefused: INBOX stays, nothing becomes INBOX, and no mailbox goes below itself.
func testRenameRefused(f *fixture) {
	a := f.box("A")
	m := f.deliver(a, f.message(0))
	f.must(f.s.CreateBox(f.ctx, mail.Inbox, ""), "create INBOX")
	for _, names := range [][2]mail.Box{{mail.Inbox, "Other"}, {a, mail.Inbox}, {a, "A/Sub"}} {
		if err := f.s.RenameBox(f.ctx, names[0], names[1]); err == nil {
			f.Errorf("rename %q to %q: no error", names[0], names[1])
		}
	}
	f.holds(a, m...)
	list := f.boxes()
	for _, box := range []mail.Box{"Other", "A/Sub"} {
		if _, there := list[box]; there {
			f.Errorf("mailbox %q is listed", box)
		}
	}
}

// testRenameOnto: a mailbox that exists is not overwritten.
func testRenameOnto(f *fixture) {
	a, b := f.box("A"), f.box("B")
	m := f.deliver(a, f.message(0))
	n := f.deliver(b, f.message(0))
	if err := f.s.RenameBox(f.ctx, a, b); err == nil {
		f.Error("rename onto a mailbox that exists: no error")
	}
	f.holds(a, m...)
	f.holds(b, n...)
}

// odd are the names of mailboxes that programs like to confuse.
func odd() []mail.Box {
	var names []mail.Box
	for _, components := range [][]string{
		{"two words"},
		{"Entw\u00fcrfe"},
		{"\u65e5\u672c\u8a9e", "\u53d7\u4fe1"},
		{"\U0001f4e7 mail"},
		{"a.b"},
		{"v1.2.3"},
		{".hidden"},
		{`quo"te`},
		{`back\slash`},
		{"100%"},
		{"50%25"},
		{"R&D"},
		{"&AOQ-"},
		{"star*red"},
		{"(paren){brace}[bracket]"},
		{"~tilde"},
		{"#news"},
		{"comma,semi;colon:"},
		{"it's"},
		{"-dash"},
		{"NIL"},
		{"cur"},
		{"new", "tmp"},
		{"INBOX", "Sub"},
		{"Inboxes"},
		{"lower"},
		{"slash/inside"},
		{"deep", "deeper", "deepest", "bottom"},
		{strings.Repeat("long ", 30) + "name"},
	} {
		names = append(names, mail.JoinBox(components))
	}
	return names
}

// testNames: each name that the store can hold is listed as it was made, whoever made it, and its mailbox is its own.
func testNames(f *fixture) {
	var good []mail.Box
	msgs := map[mail.Box]Message{}
	for i, box := range odd() {
		if f.BadName != nil && f.BadName(box) {
			if err := f.s.CreateBox(f.ctx, box, ""); err == nil {
				f.Errorf("create mailbox %q, which the store cannot hold: no error", box)
			}
			continue
		}
		if i%2 == 0 {
			f.box(box)
		} else if err := f.s.CreateBox(f.ctx, box, ""); err != nil {
			f.Errorf("create mailbox %q: %v", box, err)
			continue
		}
		good = append(good, box)
		m := f.message(0)
		f.put(box, m)
		msgs[box] = m
	}
	list := f.boxes()
	for _, box := range good {
		if _, ok := list[box]; !ok {
			f.Errorf("mailbox %q is not listed", box)
		}
		delete(list, box)
		f.holds(box, msgs[box])
		f.whole(box)
	}
	for box := range list { // parents may be there
		above := func(b mail.Box) bool { return strings.HasPrefix(string(b), string(box)+"/") }
		if box != mail.Inbox && !contains(good, above) {
			f.Errorf("mailbox %q is listed, but no one made it", box)
		}
	}
}

func contains(boxes []mail.Box, is func(mail.Box) bool) bool {
	for _, b := range boxes {
		if is(b) {
			return true
		}
	}
	return false
}
