package imap_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"mailtwin/internal/imap"
)

func add(t testing.TB, a *imap.Appender, body string) error {
	t.Helper()
	return a.Add(ctxOf(t), imap.AppendMessage{Size: int64(len(body)), Body: strings.NewReader(body)})
}

func TestAppendWaitsForConsent(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", `
		C: t1 APPEND "x" (\Seen $a) "09-Sep-2001 01:46:40 +0000" {5}
		S: + go
		C: hello
		S: t1 OK [APPENDUID 7 9] done
		C: t2 APPEND "x" {5}
		S: t2 NO [TRYCREATE] no such box
		C: t3 NOOP
		S: t3 OK`)
	a := c.Append("x")
	m := imap.AppendMessage{Flags: []string{`\Recent`, `\Seen`, "$a"}, Date: time.Unix(1e9, 0).UTC(), Size: 5, Body: iotest.OneByteReader(strings.NewReader("hello"))}
	if err := a.Add(ctxOf(t), m); err != nil || a.Multi() {
		t.Fatal(err)
	}
	if err := add(t, a, "second"); err == nil {
		t.Error("a second message went into one APPEND")
	}
	if r, err := a.Finish().Wait(ctxOf(t)); err != nil || !r.Has || r.UIDValidity != 7 || !slices.Equal(r.UIDs, []uint32{9}) {
		t.Error(r, err)
	}
	a = c.Append("x")
	var e *imap.Error
	if err := add(t, a, "hello"); !errors.As(err, &e) || e.Code != "TRYCREATE" {
		t.Error(err)
	}
	if _, err := a.Finish().Wait(ctxOf(t)); !errors.As(err, &e) || e.Code != "TRYCREATE" {
		t.Error(err)
	}
	wait(t, c.Noop())
}

func TestAppendLiteralMinus(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 4095) + "\r\n"
	c := scripted(t, "LITERAL- UIDPLUS MULTIAPPEND", `
		C: t1 APPEND "x" {4096+}
		L: 4096
		C:  {4097}
		S: + ok
		L: 4097
		C:  {0+}
		C: 
		S: t1 OK [APPENDUID 7 3:4,9] done
		C: t2 APPEND "x" {2+}
		C: hi
		S: t2 OK [APPENDUID 7 3:9] who`)
	a := c.Append("x")
	for _, body := range []string{long[1:], long, ""} {
		if err := add(t, a, body); err != nil {
			t.Fatal(err)
		}
	}
	if r := wait(t, a.Finish()); !slices.Equal(r.UIDs, []uint32{3, 4, 9}) {
		t.Error(r)
	}
	a = c.Append("x")
	if err := add(t, a, "hi"); err != nil {
		t.Fatal(err)
	}
	if r := wait(t, a.Finish()); r.Has {
		t.Error(r)
	}
}

func TestAppendRefusedInTheMiddle(t *testing.T) {
	t.Parallel()
	c := scripted(t, "LITERAL+ MULTIAPPEND", `
		C: t1 NOOP
		C: t2 APPEND "x" {2+}
		L: 2
		S: t2 NO [OVERQUOTA] full
		S: t1 OK
		C: 
		C: t3 NOOP
		S: * BAD empty line
		S: t3 OK`)
	early := c.Noop()
	a := c.Append("x")
	if err := add(t, a, "hi"); err != nil {
		t.Fatal(err)
	}
	wait(t, early) // sends what is buffered; the refusal comes before the answer
	var e *imap.Error
	if err := add(t, a, "more"); !errors.As(err, &e) || e.Code != "OVERQUOTA" {
		t.Error(err)
	}
	if _, err := a.Finish().Wait(ctxOf(t)); !errors.As(err, &e) {
		t.Error(err)
	}
	wait(t, c.Noop())
}

func TestAppendWrongSize(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, m := range map[string]imap.AppendMessage{
		"short":  {Size: 5, Body: strings.NewReader("abc")},
		"long":   {Size: 5, Body: strings.NewReader("abcdefg")},
		"broken": {Size: 5, Body: io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(boom))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := scripted(t, "LITERAL+", "")
			a := c.Append("x")
			err := a.Add(ctxOf(t), m)
			_, err2 := a.Finish().Wait(ctxOf(t))
			if err == nil || err2 == nil || c.Err() == nil || (name == "broken") != errors.Is(err, boom) {
				t.Error(err, err2)
			}
		})
	}
}

func TestAppendNothing(t *testing.T) {
	t.Parallel()
	c := scripted(t, "LITERAL+", `
		C: t1 NOOP
		S: t1 OK`)
	a := c.Append("x")
	wait(t, a.Finish())
	if err := add(t, a, "late"); err == nil {
		t.Error("added after Finish")
	}
	a = c.Append("x")
	if err := a.Add(ctxOf(t), imap.AppendMessage{Flags: []string{"a b"}, Size: 1, Body: strings.NewReader("x")}); err == nil {
		t.Error("a flag with a space was taken")
	}
	if _, err := a.Finish().Wait(ctxOf(t)); err == nil {
		t.Error("an APPEND that never was is a success")
	}
	wait(t, c.Noop())
}

func TestAppendContextEnds(t *testing.T) {
	t.Parallel()
	c := scripted(t, "", "C: t1 APPEND \"x\" {5}\n")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	a := c.Append("x")
	err := a.Add(ctx, imap.AppendMessage{Size: 5, Body: strings.NewReader("hello")})
	_, err2 := a.Finish().Wait(ctxOf(t))
	if !errors.Is(err, context.DeadlineExceeded) || err2 == nil {
		t.Error(err, err2)
	}
}
