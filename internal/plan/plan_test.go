package plan

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mailtwin/internal/mail"
)

func seq[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

func hash(s string) mail.Hash { return mail.HashMessageID(s) }

// ident makes an identity from a short description: "id/content", with "-" for no Message-ID; a trailing "!" means that the digest is
// known.
func ident(s string) mail.Ident {
	s, known := strings.CutSuffix(s, "!")
	id, content, _ := strings.Cut(s, "/")
	i := mail.Ident{Size: int64(len(content)), Date: 100}
	if id != "-" {
		i.MessageID = hash(id)
	}
	if known {
		i.Digest = hash(s)
	}
	return i
}

func arrivals(b *Box, side mail.Side, list ...string) {
	for i, s := range list {
		b.Add(side, Change{Now: mail.Entry{Key: mail.Key(fmt.Sprintf("%v%d", side, i)), Ident: ident(s)}})
	}
}

func TestMatchArrivals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		local, remote string
		want          string // pairs "local0=remote0", with "?" unverified and "~" altered; or "doubt" and the keys
	}{
		{"nothing there", "a/x!", "", ""},
		{"same id and size, alone", "a/x!", "a/x", "local0=remote0?"},
		{"same digest", "a/x!", "a/x!", "local0=remote0"},
		{"other size takes digests", "a/x!", "a/xy", "doubt remote0"},
		{"altered", "a/x!", "a/xy!", "local0=remote0~"},
		{"not alone takes digests", "a/x! a/x!", "a/x", "doubt remote0"},
		{"multiset", "a/x! a/x!", "a/x!", "local0=remote0"},
		{"two identical stay two", "a/x! a/x!", "a/x! a/x!", "local0=remote0 local1=remote1"},
		{"list copy with footer", "a/x! a/xfoot!", "a/xfoot!", "local1=remote0"},
		{"no id takes digests", "-/x!", "-/x", "doubt remote0"},
		{"no id, same content", "-/x!", "-/x!", "local0=remote0"},
		{"no id, other content", "-/x!", "-/y!", ""},
		{"same content, other id", "a/x!", "b/x!", ""},
		{"no id on one side only", "-/x!", "b/x", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := NewBox("INBOX")
			arrivals(b, mail.Local, strings.Fields(test.local)...)
			arrivals(b, mail.Remote, strings.Fields(test.remote)...)
			if got := describeMatches(MatchArrivals(b)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func describeMatches(matches []Match, doubt [2][]*Arrival) string {
	var out []string
	for _, m := range matches {
		s := fmt.Sprintf("%s=%s", m.Of[0].Entry.Key, m.Of[1].Entry.Key)
		switch {
		case m.Altered:
			s += "~"
		case !m.Verified:
			s += "?"
		}
		out = append(out, s)
	}
	for _, a := range slices.Concat(doubt[0], doubt[1]) {
		out = append(out, "doubt", string(a.Entry.Key))
	}
	return strings.Join(out, " ")
}

func TestMatchMoves(t *testing.T) {
	t.Parallel()
	dated := func(s string, date int64) mail.Ident { i := ident(s); i.Date = date; return i }
	stable := func(id mail.Ident, s string) mail.Ident { id.Stable = s; return id }
	tests := []struct {
		name          string
		gone, arrived mail.Ident
		want          string
	}{
		{"stable id", stable(ident("-/x!"), "s"), stable(dated("-/xyz", 7), "s"), "move"},
		{"rough, stable id", stable(ident("a/x!"), "s"), stable(ident("a/xyz"), "s"), "move"},
		{"another stable id", stable(ident("a/x!"), "s"), stable(ident("a/xy"), "t"), "doubt"},
		{"another stable id, the same else", stable(ident("a/x!"), "s"), stable(ident("a/x"), "t"), "move"},
		{"stable id and another digest", stable(ident("a/x!"), "s"), stable(ident("a/y!"), "s"), ""},
		{"digest", ident("a/x!"), ident("a/x!"), "move"},
		{"no id, digest", ident("-/x!"), ident("-/x!"), "move"},
		{"id, size and date", ident("a/x!"), ident("a/x"), "move"},
		{"another date takes a digest", ident("a/x!"), dated("a/x", 7), "doubt"},
		{"another size takes a digest", ident("a/x!"), ident("a/xy"), "doubt"},
		{"Message-ID alone is no proof", ident("a/x!"), ident("a/xy!"), ""},
		{"no id takes a digest", ident("-/x!"), ident("-/x"), "doubt"},
		{"another message", ident("a/x!"), ident("b/x"), ""},
		{"rough, the same size", ident("a/x!"), ident("a/x"), "move"},
		{"rough, another size", ident("a/x!"), ident("a/xy"), "doubt"},
		{"rough, another message", ident("a/x!"), ident("b/x"), ""},
		{"rough, no id, another size", ident("-/x!"), ident("-/xy"), "doubt"},
		{"rough, no id, all gone have one", ident("a/x!"), ident("-/x"), ""},
		{"no id, same header, size and date", ident("-/x!"), ident("-/x"), "move"},
		{"no id, same header, another size", ident("-/x!"), ident("-/xy"), ""},
		{"no id, same header, another date", ident("-/x!"), dated("-/x", 7), "doubt"},
		{"no id, same header, no date", ident("-/x!"), dated("-/x", 0), "doubt"},
		{"no id, same header, another digest", ident("-/x!"), ident("-/y!"), ""},
		{"no id, other header", ident("-/x!"), ident("-/x"), "doubt"},
		{"an id, same header", ident("a/x!"), dated("a/x", 7), "doubt"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, b := NewBox("A"), NewBox("B")
			a.Add(mail.Local, Change{Pair: &mail.Pair{ID: 1, Box: "A", Keys: [2]mail.Key{"l", "r"}, Ident: test.gone}, Gone: true})
			b.Add(mail.Local, Change{Now: mail.Entry{Key: "new", Ident: test.arrived, Rough: strings.HasPrefix(test.name, "rough")}})
			switch {
			case strings.Contains(test.name, "same header"):
				b.Arrived[mail.Local][0].Trace, a.News[1].Trace = mail.Hash{1}, mail.Hash{1}
			case strings.Contains(test.name, "other header"):
				b.Arrived[mail.Local][0].Trace, a.News[1].Trace = mail.Hash{1}, mail.Hash{2}
			}
			moves, doubt := MatchMoves(mail.Local, []*Box{a, b})
			got := ""
			if len(moves) == 1 && moves[0].On == mail.Remote && moves[0].To.Entry.Key == "new" {
				got = "move"
			} else if len(doubt) == 1 {
				got = "doubt"
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestDropGoneMoved: what moved is not dropped with what only disappeared.
func TestDropGoneMoved(t *testing.T) {
	t.Parallel()
	a, b := NewBox("A"), NewBox("B")
	for id, content := range map[int64]string{1: "a/x!", 2: "b/y!"} {
		a.Add(mail.Remote, Change{Pair: &mail.Pair{ID: id, Box: "A", Keys: [2]mail.Key{mail.Key(content), mail.Key(content)}, Ident: ident(content)}, Gone: true})
	}
	b.Add(mail.Remote, Change{Now: mail.Entry{Key: "new", Ident: ident("a/x!")}})
	if moves, _ := MatchMoves(mail.Remote, []*Box{a, b}); len(moves) != 1 {
		t.Fatalf("%d moves", len(moves))
	}
	if n := a.Unmoved(mail.Remote); n != 1 {
		t.Errorf("%d did not move, want 1", n)
	}
	if n := a.DropGone(mail.Remote); n != 1 || a.News[1] == nil || a.News[2] != nil {
		t.Errorf("%d dropped of %v", n, a.News)
	}
}

// TestVanished: what vanished before an import is a move if it is elsewhere, and nothing is planned beside that; else it is
// always held back, alone, unless it is to be copied back.
func TestVanished(t *testing.T) {
	t.Parallel()
	for _, holder := range mail.Sides {
		world := func() (a, b *Box) {
			a, b = NewBox("A"), NewBox("B")
			p := mail.Pair{ID: 1, Box: "A", Left: mail.LeftVanished, Ident: ident("a/x!")}
			p.Keys[holder] = "k"
			a.AddHalves([]mail.Pair{p}, false)
			return a, b
		}
		a, b := world()
		b.Add(holder.Other(), Change{Now: mail.Entry{Key: "new", Ident: ident("a/x!")}})
		moves, doubt := MatchMoves(holder.Other(), []*Box{a, b})
		if len(moves) != 1 || len(doubt) != 0 || moves[0].On != holder {
			t.Fatalf("%v: %d moves, %d in doubt", holder, len(moves), len(doubt))
		}
		AddMoves(map[mail.Box]*Box{"A": a, "B": b}, moves)
		for _, box := range []*Box{a, b} {
			if box.Merge(Policy{CopyBack: true}); describeOps(box.Ops, holder) != "" {
				t.Errorf("%v: beside the move: %s", holder, describeOps(box.Ops, holder))
			}
		}
		a, _ = world()
		a.Add(holder.Other(), Change{Pair: &mail.Pair{ID: 2, Box: "A", Keys: [2]mail.Key{"l", "r"}}, Gone: true})
		a.Merge(Policy{})
		held := Check(Limits{}, []*Box{a}, map[mail.Box]int{"A": 100}, "")
		if len(held) != 1 || !held[0].Vanished || held[0].Count != 1 || held[0].Side != holder {
			t.Errorf("%v: held back: %+v", holder, held)
		}
		if !a.HoldBack(held) || len(a.Ops.Delete) != 1 || a.Ops.Delete[0].Vanished {
			t.Errorf("%v: %+v", holder, a.Ops.Delete)
		}
		a, _ = world()
		if a.Merge(Policy{CopyBack: true}); len(a.Ops.Copy[holder.Other()]) != 1 || len(a.Ops.Delete) != 0 {
			t.Errorf("%v: not copied back: %+v", holder, a.Ops)
		}
	}
}

// TestCases follows the list of cases in the package comment, line by line, with the sides as they are and swapped.
func TestCases(t *testing.T) {
	t.Parallel()
	seen, flagged, deleted := mail.Flags{System: mail.Seen}, mail.Flags{System: mail.Flagged}, mail.Flags{System: mail.Deleted}
	pair := func() *mail.Pair {
		return &mail.Pair{ID: 1, Box: "A", Keys: [2]mail.Key{"k", "k"}, Ident: ident("a/x!")}
	}
	half := func(side mail.Side, left mail.Left) mail.Pair {
		p := mail.Pair{ID: 1, Box: "A", Left: left, Ident: ident("a/x!")}
		p.Keys[side] = "k"
		return p
	}
	tests := []struct {
		name    string
		set     func(b *Box, one mail.Side)
		want    string // of what is to be done, the side of the news being "one"
		expunge Expunge
	}{
		{"P2", func(b *Box, one mail.Side) {
			b.Add(one, Change{Pair: pair(), Now: mail.Entry{Key: "k", Flags: seen}})
		}, `flags want=(\Seen) other(+\Seen)`, 0},
		{"P3 different", func(b *Box, one mail.Side) {
			p := pair()
			b.Add(one, Change{Pair: p, Now: mail.Entry{Key: "k", Flags: seen}})
			b.Add(one.Other(), Change{Pair: p, Now: mail.Entry{Key: "k", Flags: flagged}})
		}, `flags want=(\Flagged \Seen) one(+\Flagged) other(+\Seen)`, 0},
		{"P3 equal", func(b *Box, one mail.Side) {
			p := pair()
			b.Add(one, Change{Pair: p, Now: mail.Entry{Key: "k", Flags: seen}})
			b.Add(one.Other(), Change{Pair: p, Now: mail.Entry{Key: "k", Flags: seen}})
		}, `flags want=(\Seen)`, 0},
		{"P4", func(b *Box, one mail.Side) { b.Add(one, Change{Pair: pair(), Gone: true}) }, "delete other", 0},
		{"P5", func(b *Box, one mail.Side) {
			p := pair()
			b.Add(one, Change{Pair: p, Gone: true})
			b.Add(one.Other(), Change{Pair: p, Now: mail.Entry{Key: "k", Flags: seen}})
		}, "delete other", 0},
		{"P6", func(b *Box, one mail.Side) {
			p := pair()
			b.Add(one, Change{Pair: p, Gone: true})
			b.Add(one.Other(), Change{Pair: p, Gone: true})
		}, "forget", 0},
		{"P7", func(b *Box, one mail.Side) {
			b.Add(one, Change{Pair: pair(), Now: mail.Entry{Key: "k", Flags: deleted}})
		}, `flags want=(\Deleted) other(+\Deleted); delete one other`, ExpungeBoth},
		{"H1", func(b *Box, one mail.Side) {
			p := half(one, mail.LeftRefused)
			b.Add(one, Change{Pair: &p, Gone: true})
			b.AddHalves([]mail.Pair{p}, true)
		}, "forget", 0},
		{"H2", func(b *Box, one mail.Side) {
			b.AddHalves([]mail.Pair{half(one, mail.LeftRenumbered)}, false)
			b.Add(one.Other(), Change{Now: mail.Entry{Key: "n", Ident: ident("a/x!")}})
		}, "adopt", 0},
		{"H3 renumbered", func(b *Box, one mail.Side) { b.AddHalves([]mail.Pair{half(one, mail.LeftRenumbered)}, false) }, "copy other", 0},
		{"H3 refused", func(b *Box, one mail.Side) { b.AddHalves([]mail.Pair{half(one, mail.LeftRefused)}, true) }, "copy other", 0},
		{"H3 refused, not now", func(b *Box, one mail.Side) { b.AddHalves([]mail.Pair{half(one, mail.LeftRefused)}, false) }, "", 0},
		{"H4", func(b *Box, one mail.Side) {
			p := half(one, mail.LeftDeleting)
			p.Flags = deleted
			b.AddHalves([]mail.Pair{p}, true)
		}, "", 0},
		{"H4 taken back", func(b *Box, one mail.Side) {
			p := half(one, mail.LeftDeleting)
			p.Flags = deleted
			b.Add(one, Change{Pair: &p, Now: mail.Entry{Key: "k"}})
			b.AddHalves([]mail.Pair{p}, true)
		}, "copy other", 0},
		{"H6", func(b *Box, one mail.Side) { b.AddHalves([]mail.Pair{half(one, mail.LeftVanished)}, true) }, "delete one", 0},
		{"H6 holder gone", func(b *Box, one mail.Side) {
			p := half(one, mail.LeftVanished)
			b.Add(one, Change{Pair: &p, Gone: true})
			b.AddHalves([]mail.Pair{p}, true)
		}, "forget", 0},
		{"H6 H2", func(b *Box, one mail.Side) {
			b.AddHalves([]mail.Pair{half(one, mail.LeftVanished)}, false)
			b.Add(one.Other(), Change{Now: mail.Entry{Key: "n", Ident: ident("a/x!")}})
		}, "adopt", 0},
		{"H6 B3", func(b *Box, one mail.Side) {
			b.Missing[one.Other()] = true
			b.AddHalves([]mail.Pair{half(one, mail.LeftVanished)}, true)
		}, "", 0},
		{"A1", func(b *Box, one mail.Side) {
			b.Add(one, Change{Now: mail.Entry{Key: "n", Flags: seen, Ident: ident("a/x!")}})
			b.Add(one.Other(), Change{Now: mail.Entry{Key: "m", Ident: ident("a/x!")}})
		}, `adopt; flags want=(\Seen) other(+\Seen)`, 0},
		{"A3", func(b *Box, one mail.Side) { b.Add(one, Change{Now: mail.Entry{Key: "n"}}) }, "copy other", 0},
		{"B3", func(b *Box, one mail.Side) {
			b.Missing[one] = true
			b.Add(one, Change{Pair: pair(), Gone: true})
			b.Add(one.Other(), Change{Now: mail.Entry{Key: "n"}})
			b.Revive(one)
		}, "copy one; copy one", 0},
		{"B4", func(b *Box, one mail.Side) {
			b.Missing[one] = true
			b.Add(one, Change{Pair: pair(), Gone: true})
			b.Revive(one)
		}, "", 0},
	}
	for _, test := range tests {
		for _, one := range mail.Sides {
			t.Run(fmt.Sprintf("%s/%v", test.name, one), func(t *testing.T) {
				t.Parallel()
				b := NewBox("A")
				test.set(b, one)
				matches, _ := MatchArrivals(b)
				b.AdoptMatches(matches)
				b.Merge(Policy{Expunge: test.expunge})
				if got := describeOps(b.Ops, one); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		}
	}
}

func describeOps(o Ops, one mail.Side) string {
	var out []string
	sides := [2]mail.Side{one, one.Other()}
	names := [2]string{"one", "other"}
	for range o.Adopt {
		out = append(out, "adopt")
	}
	for i, side := range sides {
		for range o.Copy[side] {
			out = append(out, "copy "+names[i])
		}
	}
	for _, f := range o.Flags {
		s := "flags want=" + f.Want.String()
		for i, side := range sides {
			if add := f.Want.Minus(f.Now[side]); !add.Empty() {
				s += fmt.Sprintf(" %s(+%s)", names[i], strings.Trim(add.String(), "()"))
			}
			if del := f.Now[side].Minus(f.Want); !del.Empty() {
				s += fmt.Sprintf(" %s(-%s)", names[i], strings.Trim(del.String(), "()"))
			}
		}
		out = append(out, s)
	}
	for _, d := range o.Delete {
		s := "delete"
		for i, side := range sides {
			if d.On[side] {
				s += " " + names[i]
			}
		}
		out = append(out, s)
	}
	for range o.Forget {
		out = append(out, "forget")
	}
	return strings.Join(out, "; ")
}

func TestDiffAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.StringMatching(`[a-d]{1,3}`), func(s string) string { return s })
		inBase, inView := keys.Draw(t, "base"), keys.Draw(t, "view")
		slices.Sort(inBase)
		slices.Sort(inView)
		var base []mail.Pair
		for i, k := range inBase {
			base = append(base, mail.Pair{ID: int64(i + 1), Keys: [2]mail.Key{mail.Local: mail.Key(k)}})
		}
		var view []mail.Entry
		flagged := map[mail.Key]bool{}
		for _, k := range inView {
			e := mail.Entry{Key: mail.Key(k)}
			if rapid.Bool().Draw(t, "flag") {
				e.Flags.System, flagged[e.Key] = mail.Seen, true
			}
			view = append(view, e)
		}
		var got []string
		for c, err := range Diff(mail.Local, seq(base), seq(view), false) {
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.Gone:
				got = append(got, "gone "+string(c.Pair.Keys[mail.Local]))
			case c.Pair == nil:
				got = append(got, "arrived "+string(c.Now.Key))
			default:
				got = append(got, "flags "+string(c.Now.Key))
			}
		}
		var want []string
		for _, k := range inBase {
			if !slices.Contains(inView, k) {
				want = append(want, "gone "+k)
			} else if flagged[mail.Key(k)] {
				want = append(want, "flags "+k)
			}
		}
		for _, k := range inView {
			if !slices.Contains(inBase, k) {
				want = append(want, "arrived "+k)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// TestGuard is rule 13 of DESIGN.md section 4.
func TestGuard(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		deletes int
		of      int
		rest    int // other messages of the account
		limits  Limits
		suspect string
		held    bool
	}{
		{"one of many", 1, 1000, 0, Limits{}, "", false},
		{"all of a small mailbox", 9, 9, 1000, Limits{}, "", false},
		{"all of ten", 10, 10, 1000, Limits{}, "", true},
		{"half and a few", 100, 150, 1000, Limits{}, "", false},
		{"over half and over 100", 101, 150, 1000, Limits{}, "", true},
		{"over 100, less than half", 400, 1000, 0, Limits{}, "", false},
		{"over 5000", 5001, 50000, 0, Limits{}, "", true},
		{"over half of the account", 60, 70, 40, Limits{}, "", true},
		{"max_deletes", 6, 1000, 0, Limits{MaxDeletes: 5}, "", true},
		{"suspect", 1, 1000, 0, Limits{}, "an older copy", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := NewBox("A")
			for range test.deletes {
				b.Ops.Delete = append(b.Ops.Delete, Delete{On: [2]bool{mail.Remote: true}, Pair: &mail.Pair{}})
			}
			known := map[mail.Box]int{"A": test.of, "B": test.rest}
			held := Check(test.limits, []*Box{b}, known, test.suspect)
			if (len(held) > 0) != test.held {
				t.Errorf("held back: %+v, want %v", held, test.held)
			}
			if b.HoldBack(held) != test.held || (len(b.Ops.Delete) == 0) != test.held {
				t.Errorf("%d deletions stay", len(b.Ops.Delete))
			}
		})
	}
}

// TestAllowed: deletions that the user let through when they were made do not count, and are not held back with others; unless no
// deletion can be trusted.
func TestAllowed(t *testing.T) {
	t.Parallel()
	box := func(allowed, others int) *Box {
		b := NewBox("A")
		for i := range allowed + others {
			b.Ops.Delete = append(b.Ops.Delete, Delete{On: [2]bool{false, true}, Pair: &mail.Pair{ID: int64(i + 1), Allowed: i < allowed}})
		}
		return b
	}
	for _, test := range []struct {
		allowed, others, of int
		suspect             string
		left                int
	}{{150, 0, 200, "", 150}, {150, 5, 200, "", 155}, {150, 0, 150, "", 150}, {50, 110, 200, "", 50}, {150, 0, 200, "a restored backup", 0}, {6000, 0, 20000, "", 6000}} {
		b := box(test.allowed, test.others)
		held := Check(Limits{}, []*Box{b}, map[mail.Box]int{"A": test.of}, test.suspect)
		b.HoldBack(held)
		if len(b.Ops.Delete) != test.left {
			t.Errorf("%+v: %d are left", test, len(b.Ops.Delete))
		}
	}
}
