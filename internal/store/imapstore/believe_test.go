package imapstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"mailtwin/internal/mail"
	"mailtwin/internal/store"
)

// TestAppendUIDIsNotBelievedBlindly guards rule 7 of DESIGN.md section 4.
func TestAppendUIDIsNotBelievedBlindly(t *testing.T) {
	t.Parallel()
	for code, want := range map[string][]uint32{
		"[APPENDUID 7 100:101]":                 {100, 101},
		"[APPENDUID 7 101,100]":                 {101, 100},
		"[APPENDUID 8 100:101]":                 {0, 0}, // another epoch
		"[APPENDUID 100 7:8]":                   {0, 0}, // DavMail swaps them
		"[APPENDUID 7 100]":                     {0, 0},
		"[APPENDUID 7 100:102]":                 {0, 0},
		"[APPENDUID 7 100,100]":                 {0, 0},
		"[APPENDUID 7 99:100]":                  {0, 100}, // 99 was there before
		"[APPENDUID 7 0:1]":                     {0, 0},
		"[APPENDUID 7 1:4294967295]":            {0, 0},
		"[APPENDUID nonsense]":                  {0, 0},
		"":                                      {0, 0},
		"[APPENDUID 7 100:101] [APPENDUID 7 1]": {100, 101},
	} {
		s := scripted(t, "MULTIAPPEND LITERAL+ UIDPLUS", `
			C: t2 APPEND "B" {3+}
			L: 3
			C~ \ \{3\+}
			L: 3
			C: 
			S: t2 OK `+code+` done`, nil)
		done, err := s.Put(t.Context(), "B", puts(2, 7, 100), bodies(t, "one", "two"))
		if err != nil || !slices.Equal(uids(done), want) || done[0].Err != nil || done[1].Err != nil {
			t.Errorf("%s: %v, %v; want %v", code, uids(done), err, want)
		}
	}
}

// TestCopyUIDIsNotBelievedBlindly guards rule 7 of DESIGN.md section 4.
func TestCopyUIDIsNotBelievedBlindly(t *testing.T) {
	t.Parallel()
	for code, want := range map[string][]uint32{
		"[COPYUID 7 5,9 100:101]":      {100, 101},
		"[COPYUID 7 9,5 100:101]":      {101, 100},
		"[COPYUID 7 9 100]":            {0, 100}, // 5 was gone
		"[COPYUID 8 5,9 100:101]":      {0, 0},   // another epoch
		"[COPYUID 7 5,9 100]":          {0, 0},
		"[COPYUID 7 5,9 100:102]":      {0, 0},
		"[COPYUID 7 5,9 100,100]":      {0, 0},
		"[COPYUID 7 5,5 100:101]":      {0, 0},
		"[COPYUID 7 5,8 100:101]":      {0, 0}, // 8 was not asked for
		"[COPYUID 7 5,9 50:51]":        {0, 0}, // they were there before
		"[COPYUID 7 1:4294967295 1:2]": {0, 0},
		"":                             {0, 0},
	} {
		s := scripted(t, "MOVE UIDPLUS", opened("t2", 3, 50, 4)+`
			C: t3 UID MOVE 5,9 "B"
			S: * OK `+code+` moved
			S: t3 OK done`, nil)
		intents := puts(2, 7, 100)
		for i, uid := range []uint32{5, 9} {
			intents[i].From, intents[i].Kind = mail.Ref{Box: "A", Key: mail.UIDKey(uid)}, mail.IntentMove
		}
		done, err := s.Move(t.Context(), "A", intents, false)
		if err != nil || !slices.Equal(uids(done), want) {
			t.Errorf("%s: %v, %v; want %v", code, uids(done), err, want)
		}
	}
}

// TestOnlyWhatWasCopiedIsRemoved: without MOVE, a source that COPYUID does not name stays.
func TestOnlyWhatWasCopiedIsRemoved(t *testing.T) {
	t.Parallel()
	s := scripted(t, "UIDPLUS", opened("t2", 3, 50, 4)+`
		C: t3 UID COPY 5,9 "B"
		S: t3 OK [COPYUID 7 9 100] done
		C: t4 UID STORE 9 +FLAGS.SILENT (\Deleted)
		C: t5 UID EXPUNGE 9
		S: t4 OK
		S: t5 OK
		C: t6 UID SEARCH UID 9
		S: * SEARCH
		S: t6 OK`, nil)
	intents := puts(2, 7, 100)
	for i, uid := range []uint32{5, 9} {
		intents[i].From = mail.Ref{Box: "A", Key: mail.UIDKey(uid)}
	}
	done, err := s.Move(t.Context(), "A", intents, false)
	if err != nil || !slices.Equal(uids(done), []uint32{0, 100}) {
		t.Errorf("%v, %v", uids(done), err)
	}
}

// TestMultiAppendRefused: which message was at fault shows when each goes alone. All bodies are read in both passes.
func TestMultiAppendRefused(t *testing.T) {
	t.Parallel()
	s := scripted(t, "MULTIAPPEND LITERAL+ UIDPLUS", `
		C: t2 APPEND "B" {3+}
		L: 3
		C~ \ \{5\+}
		L: 5
		C~ \ \{3\+}
		L: 3
		C: 
		S: t2 NO [TOOBIG] one of them
		C: t3 APPEND "B" {3+}
		L: 3
		C: 
		C: t4 APPEND "B" {5+}
		L: 5
		C: 
		C: t5 APPEND "B" {3+}
		L: 3
		C: 
		S: t3 OK [APPENDUID 7 100]
		S: t4 NO [TOOBIG] that one
		S: t5 OK [APPENDUID 7 101]`, nil)
	done, err := s.Put(t.Context(), "B", puts(3, 7, 100), bodies(t, "one", "large", "two"))
	if err != nil || !slices.Equal(uids(done), []uint32{100, 0, 101}) {
		t.Fatalf("%v, %v", uids(done), err)
	}
	if !errors.Is(done[1].Err, store.ErrRefused) || done[0].Err != nil || done[2].Err != nil {
		t.Errorf("%v", done)
	}
}

// TestRefusedBeforeItIsSent: a synchronising literal can be refused; the others are sent, and all are read.
func TestRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	s := scripted(t, "UIDPLUS", `
		C: t2 APPEND "B" {5}
		S: t2 NO [LIMIT] too large
		C: t3 APPEND "B" {3}
		S: + go on
		L: 3
		C: 
		S: t3 OK [APPENDUID 7 101]`, nil)
	done, err := s.Put(t.Context(), "B", puts(2, 7, 100), bodies(t, "large", "two"))
	if err != nil || !errors.Is(done[0].Err, store.ErrRefused) || !slices.Equal(uids(done), []uint32{0, 101}) {
		t.Errorf("%v, %v", done, err)
	}
}

// TestPutFaults: what failed is told apart.
func TestPutFaults(t *testing.T) {
	t.Parallel()
	lost := errors.New("disk on fire")
	source := func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		if err := each(0, mail.Entry{}, mail.Body{Size: 3, Reader: strings.NewReader("one")}); err != nil {
			return err
		}
		return lost
	}
	s := scripted(t, "UIDPLUS LITERAL+", "C: t2 APPEND \"B\" {3+}\nL: 3\nC: \nS: t2 OK", nil)
	if _, err := s.Put(t.Context(), "B", puts(1, 7, 100), source); !errors.Is(err, lost) || errors.Is(err, store.ErrUnreachable) {
		t.Errorf("source fails: %v", err)
	}
	short := func(_ context.Context, each func(int, mail.Entry, mail.Body) error) error {
		return each(0, mail.Entry{}, mail.Body{Size: 3, Reader: strings.NewReader("on")})
	}
	s = scripted(t, "UIDPLUS LITERAL+", "", nil)
	if _, err := s.Put(t.Context(), "B", puts(1, 7, 100), short); err == nil || errors.Is(err, store.ErrUnreachable) {
		t.Errorf("body ends early: %v", err)
	}
	s = scripted(t, "UIDPLUS LITERAL+", "C: t2 APPEND \"B\" {3+}\nL: 3\nC: \nCLOSE", nil)
	if _, err := s.Put(t.Context(), "B", puts(1, 7, 100), bodies(t, "one")); !errors.Is(err, store.ErrUnreachable) {
		t.Errorf("server goes away: %v", err)
	}
	s = scripted(t, "UIDPLUS LITERAL+", "C: t2 APPEND \"B\" {3+}\nL: 3\nC: \nS: t2 NO [TRYCREATE] no", nil)
	if _, err := s.Put(t.Context(), "B", puts(1, 7, 100), bodies(t, "one")); !errors.Is(err, store.ErrGone) {
		t.Errorf("no mailbox: %v", err)
	}
}
