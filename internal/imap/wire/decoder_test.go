package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// decoders returns decoders that get s in one piece and octet by octet.
func decoders(s string, l Limits) map[string]*Decoder {
	return map[string]*Decoder{
		"whole":  NewDecoder(strings.NewReader(s), l),
		"octets": NewDecoder(iotest.OneByteReader(strings.NewReader(s)), l),
	}
}

func TestStrings(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"" `: "", `"a b" `: "a b", `"q\"\\" `: `q"\`, "{3}\r\na\r\n ": "a\r\n", "{0}\r\n ": "", "~{2}\r\n\x00b ": "\x00b", "{1+}\r\nx ": "x",
		"\"\xc3\xa9\" ": "é", `"\a" `: "a", `"abc\"def\"ghi" `: `abc"def"ghi`,
	} {
		for how, d := range decoders(in, Limits{}) {
			got, err := d.String()
			if err != nil || string(got) != want {
				t.Errorf("%q %s: %q, %v", in, how, got, err)
			}
			if b, err := d.Peek(); b != ' ' || err != nil {
				t.Errorf("%q %s: stands at %q, %v", in, how, b, err)
			}
		}
	}
	for _, in := range []string{"atom ", "\"open\r\n", "\"a\\\r\n", "{x}\r\n", "{3}x", "{-1}\r\n", "NIL "} {
		for how, d := range decoders(in, Limits{}) {
			if got, err := d.String(); !IsSyntax(err) {
				t.Errorf("%q %s: %q, %v", in, how, got, err)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]uint64{"0 ": 0, "18446744073709551615 ": 1<<64 - 1, "007)": 7} {
		for how, d := range decoders(in, Limits{}) {
			if n, err := d.Number64(); n != want || err != nil {
				t.Errorf("%q %s: %d, %v", in, how, n, err)
			}
		}
	}
	for _, in := range []string{"18446744073709551616 ", "x", "-1 ", "99999999999999999999999 "} {
		if _, err := NewDecoder(strings.NewReader(in), Limits{}).Number64(); !IsSyntax(err) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := NewDecoder(strings.NewReader("4294967296 "), Limits{}).Number32(); !IsSyntax(err) {
		t.Error("a number above 32 bits was taken")
	}
}

func TestSkip(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`atom`, `(a (b "c)" {3}` + "\r\n)))" + `) NIL)`, `"quo\"ted"`, "{4}\r\n\r\n()", "~{1}\r\n\x00", `[HEADER.FIELDS (A "]")]<5>`, `12`, `()`,
		`(("A" "B")("C"))`, `~tilde`, `(a[b]c *)`, `((((((((((x))))))))))`,
	} {
		for how, d := range decoders(in+" rest\r\nnext", Limits{}) {
			if err := d.SkipValue(); err != nil {
				t.Errorf("%q %s: %v", in, how, err)
				continue
			}
			if text, err := d.Text(); string(text) != " rest" || err != nil {
				t.Errorf("%q %s: then %q, %v", in, how, text, err)
			}
		}
	}
	for _, in := range []string{`(a`, `)`, `"x`, ``} {
		for how, d := range decoders(in+"\r\nnext", Limits{}) {
			if err := d.SkipValue(); !IsSyntax(err) {
				t.Errorf("%q %s: %v", in, how, err)
			}
		}
	}
}

func TestSkipLine(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "a b c", "{3}\r\n)\r\n)", "x {2+}\r\n\r\n {0}\r\n", "y ~{1}\r\n\x00 z", "a {x}", "{}", "{3} ", "long " + strings.Repeat("x", 300_000),
		"junk {300000}\r\n" + strings.Repeat("\n", 300_000) + "end",
	} {
		for how, d := range decoders(in+"\r\nnext", Limits{}) {
			err := d.SkipLine()
			if text, _ := d.Atom(); err != nil {
				t.Errorf("%.20q %s: %q, %v", in, how, text, err)
			}
			if d.r != d.w {
				t.Errorf("%.20q %s: stands before the end", in, how)
			}
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	in := `(\Seen $Work a]b \*) (\Seen $Work a]b \*) () ( \Seen  ) ("odd" {3}` + "\r\nlit)\r\n"
	for how, d := range decoders(in, Limits{}) {
		var got []string
		for range 5 {
			l, err := d.Flags()
			if err != nil {
				t.Fatal(how, err)
			}
			got = append(got, strings.Join(l, ","))
			_ = d.Accept(' ')
		}
		if g := strings.Join(got, ";"); g != `\Seen,$Work,a]b,\*;\Seen,$Work,a]b,\*;;\Seen;odd,lit` {
			t.Errorf("%s: %s", how, g)
		}
	}
}

// TestFlagsAllocate is not parallel: it counts allocations.
func TestFlagsAllocate(t *testing.T) {
	d := NewDecoder(strings.NewReader(strings.Repeat(`(\Seen x) `, 100)), Limits{})
	if n := testing.AllocsPerRun(50, func() {
		_, _ = d.Flags()
		_ = d.Space()
	}); n != 0 {
		t.Errorf("%v allocations a list", n)
	}
}

func TestSection(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"[] ": "", "[HEADER.FIELDS (A B)] ": "HEADER.FIELDS (A B)", `["]"] `: `"]"`, "[TEXT]<12> ": "TEXT",
	} {
		for how, d := range decoders(in, Limits{}) {
			got, partial, err := d.Section()
			if string(got) != want || err != nil || partial != strings.Contains(in, "<") {
				t.Errorf("%s %s: %q %v %v", in, how, got, partial, err)
			}
		}
	}
}

// endless gives the same text for ever.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	for n < len(p) && e.at == 0 {
		k := copy(p[n:], e.text)
		n += k
		e.at = k % len(e.text)
	}
	return n, nil
}

func TestLimits(t *testing.T) {
	t.Parallel()
	l := Limits{Line: 4 << 20, String: 1 << 20, Depth: 10, List: 100, Numbers: 1000, Body: 1 << 30}
	for name, try := range map[string]struct {
		first, in string
		do        func(*Decoder) error
	}{
		"line":       {"", "x", (*Decoder).SkipLine},
		"text":       {"", "x", func(d *Decoder) error { _, err := d.Text(); return err }},
		"atom":       {"", "x", func(d *Decoder) error { _, err := d.Atom(); return err }},
		"quoted":     {`"`, "x", func(d *Decoder) error { _, err := d.Quoted(); return err }},
		"nesting":    {"", "(", (*Decoder).SkipValue},
		"list":       {"(", "a ", func(d *Decoder) error { return d.List(d.SkipValue) }},
		"numbers":    {"", "1 ", func(d *Decoder) error { _, err := d.Numbers(); return err }},
		"set":        {"", "1,", func(d *Decoder) error { _, err := d.NumSet(); return err }},
		"spaces":     {"", " ", (*Decoder).EndLine},
		"literal":    {"", "{1048577}\r\n", func(d *Decoder) error { _, err := d.String(); return err }},
		"literals":   {"(", "{1048576}\r\n" + strings.Repeat("x", 1<<20), func(d *Decoder) error { return d.List(func() error { _, err := d.String(); return err }) }},
		"body":       {"", "{1073741825}\r\n", func(d *Decoder) error { return d.SkipValue() }},
		"body line":  {"", "{1073741825}\r\n", (*Decoder).SkipLine},
		"flags":      {"(", `\Seen `, func(d *Decoder) error { _, err := d.Flags(); return err }},
		"big number": {"", "{18446744073709551615}\r\n", func(d *Decoder) error { return d.SkipValue() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := io.Reader(&endless{text: try.in})
			if try.first != "" {
				in = io.MultiReader(strings.NewReader(try.first), in)
			}
			err := try.do(NewDecoder(in, l))
			var le *LimitError
			if !errors.As(err, &le) {
				t.Error(err)
			}
		})
	}
}

func TestNumbersPastLineLimit(t *testing.T) {
	t.Parallel()
	var set NumSet
	for i := uint32(1); i < 200_000; i += 2 {
		set.Add(i)
	}
	for name, in := range map[string]string{"set": set.String(), "list": strings.ReplaceAll(set.String(), ",", " ")} {
		d := NewDecoder(strings.NewReader(in+"\r\n"), Limits{Line: 1000})
		read := d.NumSet
		if name == "list" {
			read = d.Numbers
		}
		got, err := read()
		if err != nil || !got.Equal(set) {
			t.Error(name, got.Len(), err)
		}
		if err := d.EndLine(); err != nil {
			t.Error(name, err)
		}
	}
}

func TestLiteralStreams(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789\r\n", 50_000)
	in := fmt.Sprintf("{%d}\r\n%s)", len(body), body)
	for how, read := range map[string]func(*Literal) (string, error){
		"io.Copy": func(l *Literal) (string, error) { var b bytes.Buffer; _, err := io.Copy(&b, l); return b.String(), err },
		"small":   func(l *Literal) (string, error) { b, err := io.ReadAll(iotest.OneByteReader(l)); return string(b), err },
		"large": func(l *Literal) (string, error) {
			b := make([]byte, len(body))
			_, err := io.ReadFull(l, b)
			return string(b), err
		},
		"not":  func(*Literal) (string, error) { return body, nil },
		"half": func(l *Literal) (string, error) { _, err := io.CopyN(io.Discard, l, 100_000); return body, err },
	} {
		for src, d := range decoders(in, Limits{Line: 100}) {
			l, err := d.OpenLiteral(1 << 30)
			if err != nil || l.Size() != int64(len(body)) {
				t.Fatal(err)
			}
			got, err := read(l)
			if err != nil || got != body {
				t.Error(how, src, len(got), err)
			}
			if err := errors.Join(l.Close(), d.Expect(')')); err != nil {
				t.Error(how, src, err)
			}
		}
	}
	d := NewDecoder(strings.NewReader("{10}\r\nabc"), Limits{})
	l, err := d.OpenLiteral(100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, l); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	in := "* 1 FETCH (BODY[] {6}\r\nsecret UID 1)\r\n* OK {7}\r\nhidden! x\r\n* BYE\r\n"
	for how, d := range decoders(in, Limits{}) {
		var lines []string
		d.Trace(func(l []byte) { lines = append(lines, string(l)) })
		for range 3 {
			if err := d.SkipLine(); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(lines, "|"); got != "* 1 FETCH (BODY[] {6}\r\n UID 1)|* OK {7}\r\n x|* BYE" {
			t.Errorf("%s: %q", how, got)
		}
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	want := time.Date(1996, 7, 17, 9, 44, 25, 0, time.UTC)
	for _, in := range []string{"17-Jul-1996 02:44:25 -0700", "17-JUL-1996 09:44:25 +0000", "17-jul-1996 15:14:25 +0530"} {
		if got, err := ParseDate([]byte(in)); err != nil || !got.Equal(want) {
			t.Error(in, got, err)
		}
	}
	for _, in := range []string{" 7-Jul-1996 02:44:25 -0700", "7-Jul-1996 02:44:25 -0700", "07-Jul-1996 02:44:25 -0700"} {
		if got, err := ParseDate([]byte(in)); err != nil || got.Day() != 7 {
			t.Error(in, got, err)
		}
	}
	for _, in := range []string{"", "1", "NIL", "17-Jul-1996", "99-Jul-1996 02:44:25 -0700", "17-Xxx-1996 02:44:25 -0700", "17-Jul-1996 02:44:25 0700x"} {
		if got, err := ParseDate([]byte(in)); err == nil {
			t.Error(in, got)
		}
	}
	now := time.Now().Truncate(time.Second)
	if got, err := ParseDate(bytes.Trim(AppendDate(nil, now), `"`)); err != nil || !got.Equal(now) {
		t.Error(got, now, err)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	if got := string(AppendQuoted(nil, `a"b\c`)); got != `"a\"b\\c"` {
		t.Error(got)
	}
	for _, bad := range []string{"", `\`, "a b", "a(b", "a\r\nb", `a\b`, "é", "a\"b"} {
		if b, err := AppendFlags(nil, []string{bad}); err == nil {
			t.Errorf("%q: %s", bad, b)
		}
	}
	if b, err := AppendFlags(nil, []string{`\Seen`, "$x", "a]"}); err != nil || string(b) != `(\Seen $x a])` {
		t.Error(string(b), err)
	}
	if Quotable("a\nb", true) || Quotable("é", false) || !Quotable("é", true) || !Quotable(`a"`, false) || IsAtom("") || IsAtom("a b") || IsAtom("nil") {
		t.Error("what may be quoted, and what is an atom, is told wrongly")
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\nA OK [X y] z\r\n"))
	f.Add([]byte("{10000}\r\n00000000"))
	f.Add([]byte("(((\"a\" {1}\r\nb) NIL) ~{0}\r\n) 1:*,5 [a]<3>\r\n"))
	l := Limits{Line: 1 << 12, String: 1 << 10, Depth: 8, List: 50, Numbers: 50, Body: 1 << 16}
	f.Fuzz(func(t *testing.T, in []byte) {
		ops := []func(*Decoder) error{
			(*Decoder).SkipValue, (*Decoder).SkipLine, (*Decoder).EndLine, (*Decoder).Space,
			func(d *Decoder) error { _, err := d.Atom(); return err },
			func(d *Decoder) error { _, _, err := d.NString(); return err },
			func(d *Decoder) error { _, err := d.AString(); return err },
			func(d *Decoder) error { _, err := d.Flags(); return err },
			func(d *Decoder) error { _, err := d.NumSet(); return err },
			func(d *Decoder) error { _, err := d.Numbers(); return err },
			func(d *Decoder) error { _, _, err := d.Section(); return err },
			func(d *Decoder) error { _, err := d.Text(); return err },
		}
		var results [2]string
		for i := range results {
			var r io.Reader = bytes.NewReader(in)
			if i == 1 {
				r = iotest.OneByteReader(r)
			}
			d := NewDecoder(r, l)
			var log strings.Builder
			for k := 0; k < 200; k++ {
				err := ops[(k*7+len(in))%len(ops)](d)
				if err != nil && !IsSyntax(err) { // the stream is over, wherever in a literal that was noticed
					fmt.Fprint(&log, "over")
					break
				}
				fmt.Fprint(&log, d.offset(), err != nil, " ")
				if IsSyntax(err) && d.SkipLine() != nil {
					break
				}
			}
			results[i] = log.String()
		}
		// How the octets are cut must not matter, unless a limit was hit: that is looked at between reads.
		if results[0] != results[1] && len(in) < 1<<10 {
			t.Errorf("whole:  %s\noctets: %s", results[0], results[1])
		}
	})
}
