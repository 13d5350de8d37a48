package mbsync

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/mail"
)

// TestReadState reads state files of all versions, and damaged ones.
func TestReadState(t *testing.T) {
	t.Parallel()
	const header = "FarUidValidity 7\nNearUidValidity 8\nMaxPulledUid 5\nMaxPushedUid 6\n\n"
	for name, c := range map[string]struct {
		text    string
		records []record
		err     string
	}{
		"1.4":            {header + "1 2 \n3 4 FS\n5 0 ~S\n6 7 <\n8 9 >~T\n", []record{{uid: [2]uint32{1, 2}}, {uid: [2]uint32{3, 4}, flags: 0b10010}, {uid: [2]uint32{5, 0}, flags: 0b10000, is: isExpired}, {uid: [2]uint32{6, 7}, is: isDummyFar}, {uid: [2]uint32{8, 9}, flags: 0b100000, is: isDummyNear | isExpired}}, ""},
		"1.4, expired":   {"FarUidValidity 7\nNearUidValidity 8\nMaxPulledUid 5\nMaxPushedUid 6\nMaxExpiredFarUid 3\n\n", nil, ""},
		"1.3":            {"MasterUidValidity 7\nSlaveUidValidity 8\nMaxPulledUid 5\nMaxPushedUid 6\nMaxExpiredSlaveUid 3\n\n1 2 XS\n3 0 ^\n", []record{{uid: [2]uint32{1, 2}, flags: 0b10000, is: isExpired}, {uid: [2]uint32{3, 0}, is: isSkipped}}, ""},
		"1.0":            {"7:5 8:0:6\n1 2 S\n4294967295 3 \n", []record{{uid: [2]uint32{1, 2}, flags: 0b10000}, {uid: [2]uint32{0, 3}, is: isSkipped}}, ""},
		"torn":           {header + "1 2 S\n3 4", nil, "line 7: the last line is cut off"},
		"torn header":    {"FarUidValidity 7\nNearUid", nil, "line 2: the last line is cut off"},
		"only a header":  {"FarUidValidity 7\n", nil, "it ends in its header"},
		"empty":          {"", nil, "it ends in its header"},
		"flag":           {header + "1 2 Q\n", nil, "line 6: this is no entry of mbsync"},
		"number":         {header + "1 4294967296 \n", nil, "line 6: this is no entry of mbsync"},
		"negative":       {header + "1 -2 \n", nil, "line 6: this is no entry of mbsync"},
		"words":          {header + "1 2 S S\n", nil, "line 6: this is no entry of mbsync"},
		"zeros":          {header + "\x00\x00\x00\x00\n", nil, "line 6: this is no entry of mbsync"},
		"long":           {header + strings.Repeat("1", 5000) + "\n", nil, "line 6: a line is too long"},
		"other header":   {"FarUidvalidity 7\n\n", nil, "line 1: an unknown header"},
		"ours":           {unfinished, nil, "line 1: this is no header of mbsync"},
		"1.0, torn":      {"7:5 8\n\n", nil, "line 1: this is no header of mbsync"},
		"no number":      {"FarUidValidity x\n\n", nil, "line 1: this is no header of mbsync"},
		"nothing in it":  {header, nil, ""},
		"empty in it":    {header + "\n", nil, "line 6: this is no entry of mbsync"},
		"end of Windows": {strings.ReplaceAll(header, "\n", "\r\n"), nil, "line 1: this is no header of mbsync"},
	} {
		s, err := readState(strings.NewReader(c.text))
		switch {
		case c.err != "":
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: %v, want %s", name, err, c.err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case !slices.Equal(s.records, c.records) || s.validity != [2]uint32{7, 8}:
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestFlags writes what it reads.
func TestFlags(t *testing.T) {
	t.Parallel()
	for bits := range uint8(64) {
		letters := lettersOf(flagsOf(bits))
		rec, ok := parseRecord("1 2 " + letters)
		if !ok || rec.flags != bits {
			t.Errorf("%06b: %q, %06b", bits, letters, rec.flags)
		}
	}
	if f := flagsOf(0b010101); !f.Equal(mail.Flags{System: mail.Draft | mail.Seen, Keywords: "$Forwarded"}) {
		t.Error(f)
	}
}

// TestJournal applies journals to a state of two entries.
func TestJournal(t *testing.T) {
	t.Parallel()
	const base = "FarUidValidity 7\nNearUidValidity 8\nMaxPulledUid 5\nMaxPushedUid 6\n\n1 1 S\n2 2 \n"
	first, second := record{uid: [2]uint32{1, 1}, flags: 0b10000}, record{uid: [2]uint32{2, 2}}
	for name, c := range map[string]struct {
		text    string
		records []record
		torn    bool
		err     string
	}{
		"empty":         {"", []record{first, second}, false, ""},
		"torn header":   {"4", []record{first, second}, true, ""},
		"version":       {"3\n", nil, false, "line 1: another version of mbsync wrote it"},
		"limits":        {"4\nN 0 9\nF 1 7\nT 0 5\n! 5\n", []record{first, second}, false, ""},
		"pulled, 1.4":   {"4\n+ 3 0\n# 3 0 AbCdEfGhIjKl\n* 3 0 2\n> 3 0 9\n", []record{first, second, {uid: [2]uint32{3, 9}, flags: 2}}, false, ""},
		"pulled, 1.5":   {"5\n+ 3 0\n# 3 0 AbCdEfGhIjKl\n% 3 0 2\n> 3 0 9\n", []record{first, second, {uid: [2]uint32{3, 9}, flags: 2}}, false, ""},
		"in flight":     {"4\n+ 3 0\n# 3 0 AbCdEfGhIjKl\n", []record{first, second, {uid: [2]uint32{3, 0}, is: isPending}}, false, ""},
		"lost":          {"4\n+ 3 0\n# 3 0 AbCdEfGhIjKl\n& 3 0\n", []record{first, second, {uid: [2]uint32{3, 0}, is: isPending}}, false, ""},
		"pushed":        {"4\n+ 0 3\n< 0 3 9\n", []record{first, second, {uid: [2]uint32{9, 3}}}, false, ""},
		"flags":         {"4\n* 2 2 33\n", []record{first, {uid: [2]uint32{2, 2}, flags: 33}}, false, ""},
		"killed":        {"4\n- 1 1\n", []record{{uid: [2]uint32{1, 1}, flags: 0b10000, is: isDead}, second}, false, ""},
		"aborted":       {"4\n+ 3 0\n= 3 0\n", []record{first, second, {uid: [2]uint32{3, 0}, is: isDead}}, false, ""},
		"orphaned":      {"4\n> 1 1 0\n< 2 2 0\n", []record{{uid: [2]uint32{1, 0}, flags: 0b10000}, {uid: [2]uint32{0, 2}}}, false, ""},
		"expired, 1.4":  {"4\n~ 1 1 3\n", []record{{uid: [2]uint32{1, 1}, flags: 0b10000, is: isExpired}, second}, false, ""},
		"expired, 1.5":  {"5\n~ 1 1 6\n", []record{{uid: [2]uint32{1, 1}, flags: 0b10000, is: isExpired}, second}, false, ""},
		"dummy, 1.4":    {"4\n+ 3 0\n~ 3 0 20\n> 3 0 9\n", []record{first, second, {uid: [2]uint32{3, 9}, is: isDummyNear}}, false, ""},
		"dummy, 1.5":    {"5\n+ 3 0\n~ 3 0 80\n> 3 0 9\n", []record{first, second, {uid: [2]uint32{3, 9}, is: isDummyNear}}, false, ""},
		"dummy, legacy": {"4\n+ 3 0\n_ 3 0\n> 3 0 9\n", []record{first, second, {uid: [2]uint32{3, 9}, is: isDummyNear}}, false, ""},
		"upgrade": {
			"5\n~ 2 2 64\n^ 2 2 0\n$ 2 0 16 0\n> 2 0 9\nP 0 2\n- 0 2\n",
			[]record{first, {uid: [2]uint32{2, 9}, flags: 0b10000}, {uid: [2]uint32{0, 2}, is: isDead}},
			false, "",
		},
		"validity":       {"4\n| 17 18\n", []record{first, second}, false, ""},
		"torn":           {"4\n* 2 2 2\n- 1 1", []record{first, {uid: [2]uint32{2, 2}, flags: 2}}, true, ""},
		"no such":        {"4\n* 2 3 2\n", nil, false, "line 2: there is no entry 2 3"},
		"had that UID":   {"4\n> 1 1 9\n* 1 1 2\n", nil, false, "line 3: there is no entry 1 1"},
		"killed before":  {"4\n- 1 1\n* 1 1 2\n", nil, false, "line 3: there is no entry 1 1"},
		"twice":          {"4\n+ 1 1\n", nil, false, "line 2: the entry 1 1 is there twice"},
		"not a record":   {"4\n? 1 1\n", nil, false, "line 2: this is no record of a journal"},
		"too few":        {"4\n* 1 1\n", nil, false, "line 2: this is no record of a journal"},
		"zeros":          {"4\n\x00\x00\x00\x00\x00\n", nil, false, "line 2: this is no record of a journal"},
		"not a number":   {"4\n* 1 1 x\n", nil, false, "line 2: this is no record of a journal"},
		"no such flag":   {"4\n* 1 1 64\n", nil, false, "line 2: there is no such flag"},
		"a long line":    {"4\n" + strings.Repeat("9", 5000) + "\n", nil, false, "line 2: a line is too long"},
		"several zeroes": {"4\n> 1 1 0\n< 1 0 0\n> 2 2 0\n< 2 0 0\n", []record{{flags: 0b10000}, {}}, false, ""},
	} {
		s, err := readState(strings.NewReader(base))
		if err != nil {
			t.Fatal(err)
		}
		torn, err := s.replay(strings.NewReader(c.text))
		switch {
		case c.err != "":
			if err == nil || err.Error() != c.err || name == "version" != errors.Is(err, errVersion) {
				t.Errorf("%s: %v, want %s", name, err, c.err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case !slices.Equal(s.records, c.records) || torn != c.torn || name == "validity" && s.validity != [2]uint32{17, 18}:
			t.Errorf("%s: torn %v, %+v", name, torn, s.records)
		}
	}
}

// FuzzState reads anything as state and journal.
func FuzzState(f *testing.F) {
	f.Add("FarUidValidity 7\nNearUidValidity 8\nMaxPulledUid 5\nMaxPushedUid 6\nMaxExpiredFarUid 3\n\n1 2 \n3 4 FS\n5 0 ~S\n6 7 <DFPRST\n8 9 >~T\n", "4\n+ 3 0\n# 3 0 AbCdEfGhIjKl\n> 3 0 9\n- 1 2\n")
	f.Add("7:5 8:0:6\n1 2 X\n", "5\n^ 1 2 0\n$ 1 0 2 4\n> 1 0 7\n% 1 7 3\n~ 1 7 255\n_ 1 7\n= 1 7\n| 1 2\n! 5\nN 0 1\n")
	f.Add("MasterUidValidity 1\nSlaveUidValidity 2\n\n4294967295 0 ^\n", "4\n& 0 0")
	f.Fuzz(func(t *testing.T, text, journal string) {
		s, err := readState(strings.NewReader(text))
		if err != nil {
			return
		}
		before := len(s.records)
		if before > len(text) {
			t.Fatalf("%d entries of %d octets", before, len(text))
		}
		_, err = s.replay(strings.NewReader(journal))
		if err == nil && len(s.records) < before {
			t.Fatal("entries are gone")
		}
		for _, r := range s.records {
			if rec, ok := parseRecord("1 2 " + lettersOf(flagsOf(r.flags&63))); !ok || rec.flags != r.flags&63 {
				t.Fatalf("%+v", r)
			}
		}
	})
}
