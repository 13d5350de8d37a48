package maildirstore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailtwin/internal/mail"
)

func setWords(t *testing.T, s *Store, key mail.Key, words ...string) (lacks mail.Flags, err error) {
	t.Helper()
	did, err := s.SetFlags(t.Context(), "INBOX", []mail.Key{key}, mail.Flags{Keywords: mail.Keywords(words...)}, mail.Flags{})
	return did.Lacks, err
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestKeywordsOfDovecot: Dovecot gives a letter to a keyword of its own while we give one to ours: both keep theirs, and Dovecot sees
// by the file's date, in whole seconds, that it changed.
func TestKeywordsOfDovecot(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S")
	write(t, filepath.Join(root, "INBOX/dovecot-uidlist"), "3 V1 N2\n")
	write(t, filepath.Join(root, "INBOX/dovecot-uidlist.lock"), "")
	s := open(t, Config{Path: root})
	file := filepath.Join(root, "INBOX", keywordsFile)
	date := time.Now().Truncate(time.Second).Add(time.Second)
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(200 * time.Millisecond)
		write(t, file, "0 theirs\n")
		_ = os.Chtimes(file, date, date)
		_ = os.Remove(filepath.Join(root, "INBOX/dovecot-uidlist.lock"))
	}()
	if lacks, err := setWords(t, s, "1.x", "ours"); err != nil || !lacks.Empty() {
		t.Fatal(lacks, err)
	}
	<-done
	if got := read(t, file); got != "0 theirs\n1 ours\n" {
		t.Errorf("%q", got)
	}
	if st, err := os.Stat(file); err != nil || st.ModTime().Unix() <= date.Unix() {
		t.Errorf("%v is not after %v", st.ModTime(), date)
	}
	if _, err := os.Stat(filepath.Join(root, "INBOX/dovecot-uidlist.lock")); err == nil {
		t.Error("the lock is held")
	}
	if got := entries(t, s, "INBOX")["1.x"].Keywords; got != "ours" {
		t.Errorf("keywords %q", got)
	}
}

// TestKeywordsLock: a lock that an interrupted run of ours or an interrupted program left is void; another is waited for, not broken.
func TestKeywordsLock(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S")
	write(t, filepath.Join(root, "INBOX/dovecot-uidlist"), "3 V1 N2\n")
	lock := filepath.Join(root, "INBOX/dovecot-uidlist.lock")
	later := time.Now()
	s := open(t, Config{Path: root, Now: func() time.Time { return later }})
	s.lockWait = lockRetry
	write(t, lock, "1234:host")
	if _, err := setWords(t, s, "1.x", "a"); err == nil || mail.HintOf(err) == "" || read(t, lock) != "1234:host" {
		t.Errorf("a lock that is held: %v", err)
	}
	if got := entries(t, s, "INBOX")["1.x"]; got.Keywords != "" {
		t.Errorf("flags %v", got)
	}
	later = later.Add(lockStale + time.Second)
	if _, err := setWords(t, s, "1.x", "a"); err != nil {
		t.Errorf("a lock that is old: %v", err)
	}
	later = time.Now()
	write(t, lock, lockText)
	if _, err := setWords(t, s, "1.x", "b"); err != nil {
		t.Errorf("a lock of ours: %v", err)
	}
}

// TestLettersInUse: messages whose letters nobody explains, and lines that are no keywords, keep theirs; no message gets a keyword
// that it was not given.
func TestLettersInUse(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,Sa", "INBOX/cur/2.x:2,bS", "INBOX/cur/3.x:2,")
	file := filepath.Join(root, "INBOX", keywordsFile)
	write(t, file, "1 two words\n3 known\n")
	s := open(t, Config{Path: root})
	if lacks, err := setWords(t, s, "3.x", "new"); err != nil || !lacks.Empty() {
		t.Fatal(lacks, err)
	}
	if got := read(t, file); got != "1 two words\n2 new\n3 known\n" {
		t.Errorf("%q", got)
	}
	for k, want := range map[mail.Key]string{"1.x": "", "2.x": "", "3.x": "new"} {
		if got := entries(t, s, "INBOX")[k].Keywords; got != want {
			t.Errorf("%q has the keywords %q, want %q", k, got, want)
		}
	}
	if _, err := setWords(t, s, "1.x", "known"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "INBOX/cur/1.x:2,Sad")); err != nil {
		t.Error(err)
	}
}

// TestTooManyKeywords: what gets no letter is told, so that it is not taken for removed (DESIGN.md section 4, rule 11).
func TestTooManyKeywords(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,S", "INBOX/cur/2.x:2,z")
	s := open(t, Config{Path: root})
	var words []string
	for i := range maxKeywords {
		words = append(words, fmt.Sprintf("word%02d", i))
	}
	lacks, err := setWords(t, s, "1.x", words...)
	if err != nil || lacks.Keywords != "word25" { // z is in use
		t.Errorf("lacks %v, %v", lacks, err)
	}
	if got := entries(t, s, "INBOX")["1.x"]; len(got.Words()) != maxKeywords-1 || got.Union(lacks).Keywords != mail.Keywords(words...) {
		t.Errorf("has %v", got)
	}
	v, err := s.View(t.Context(), "INBOX", "")
	if err != nil || len(v.At().Storable.Flags.Words()) != maxKeywords {
		t.Errorf("%v, %v", v.At().Storable, err)
	}
}

// TestSetLetters: letters that another tool gave get their meaning, unless the mailbox has one for them already.
func TestSetLetters(t *testing.T) {
	t.Parallel()
	root := tree(t, "INBOX/cur/1.x:2,Sac", "Work/cur/2.x:2,a")
	write(t, filepath.Join(root, "Work", keywordsFile), "0 theirs\n")
	s := open(t, Config{Path: root})
	for _, box := range []mail.Box{"INBOX", "Work"} {
		if err := s.SetLetters(t.Context(), box, []string{"work", "no word", "$Later"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, filepath.Join(root, "INBOX", keywordsFile)); got != "0 work\n2 $Later\n" {
		t.Errorf("%q", got)
	}
	if got := read(t, filepath.Join(root, "Work", keywordsFile)); got != "0 theirs\n" {
		t.Errorf("%q", got)
	}
	if err := s.SetLetters(t.Context(), "Gone", []string{"work"}); err == nil {
		t.Error("no error for a mailbox that is not there")
	}
}
