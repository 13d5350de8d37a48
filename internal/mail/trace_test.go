package mail

import (
	"strings"
	"testing"
)

func TestTraceDigest(t *testing.T) {
	t.Parallel()
	const traced = "Return-Path: <a@b>\r\nReceived: from x by y with ESMTP id 4711;\r\n\tMon, 02 Mar 2026 10:00:00 +0000\r\nSubject: s\r\n\r\n"
	want := TraceDigest([]byte(traced))
	if want.IsZero() {
		t.Fatal("not told by its trace")
	}
	for name, same := range map[string]string{
		"with a body":          traced + "body\r\n\r\nmore",
		"lines end with LF":    strings.ReplaceAll(traced, "\r\n", "\n"),
		"lines of older tools": "X-TUID: abc\r\n" + strings.Replace(traced, "Subject", "X-OfflineIMAP: 1\r\n\tfolded\r\nSubject", 1),
	} {
		if got := TraceDigest([]byte(same)); got != want {
			t.Errorf("%s: another digest", name)
		}
	}
	for name, other := range map[string]string{
		"another id":      strings.Replace(traced, "4711", "4712", 1),
		"another time":    strings.Replace(traced, "10:00", "10:01", 1),
		"another subject": strings.Replace(traced, "Subject: s", "Subject: t", 1),
	} {
		if got := TraceDigest([]byte(other)); got == want || got.IsZero() {
			t.Errorf("%s: %x", name, got)
		}
	}
	for name, none := range map[string]string{
		"nothing":            "",
		"no trace":           "Subject: s\r\n\r\n",
		"no id":              strings.Replace(traced, " id 4711", "", 1),
		"the id of a date":   "Received: from x by y; id 4711\r\n\r\n",
		"a word that is id":  "Subject: x id 4711\r\n\r\n",
		"an id that is none": "Received: from x by y id\r\n\r\n",
		"a comment":          "Received: from x by y id (none)\r\n\r\n",
		"no end":             strings.TrimSuffix(traced, "\r\n"),
		"no end at all":      strings.TrimSuffix(traced, "\r\n\r\n"),
		"trace in the body":  "Subject: s\r\n\r\n" + traced,
		"too long":           strings.Replace(traced, "Subject: s", "Subject: "+strings.Repeat("s", MaxHeader), 1),
	} {
		if got := TraceDigest([]byte(none)); !got.IsZero() {
			t.Errorf("%s: has a digest", name)
		}
	}
}

func FuzzTraceDigest(f *testing.F) {
	f.Add([]byte("Received: by y id 1\r\n\r\nbody"))
	f.Add([]byte("Received: by y\n id 1; now\nX-TUID: 1\n\nbody"))
	f.Fuzz(func(t *testing.T, start []byte) {
		got := TraceDigest(start)
		if cut := TraceDigest(append(start[:len(start):len(start)], "more\n\n"...)); !got.IsZero() && cut != got {
			t.Error("what follows the header counts")
		}
	})
}
